//! What may fail in one refresh (spec `customer-cache`, Improve 6).

use caching::Cause;

/// The failed requests of one refresh.
pub type Troubles = caching::Troubles<Kind>;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `get.links.with.edge.info`; told by host.
    LinkList,
    /// `request.enterprises.edges`; told by enterprise.
    EnterpriseEdges,
    /// `request.links.configuration`; told by serial.
    LinksConfiguration,
    /// `bruin.customer.get.info`; told by serial.
    ClientInfo,
    /// `bruin.inventory.management.status`; told by serial.
    ManagementStatus,
    /// `bruin.get.site`; told by serial.
    SiteDetails,
}

impl Cause for Kind {
    fn text(self) -> &'static str {
        match self {
            Self::LinkList => "the links of VeloCloud hosts could not be claimed",
            Self::EnterpriseEdges => {
                "the edges of enterprises could not be claimed: their logical ids are empty"
            }
            Self::LinksConfiguration => "the links configuration of edges could not be claimed: it is empty",
            Self::ClientInfo => {
                "the client of edges could not be claimed from Bruin: their stored entries stay"
            }
            Self::ManagementStatus => {
                "the management status of edges could not be claimed: their stored entries stay"
            }
            Self::SiteDetails => {
                "the site of edges could not be claimed from Bruin: their stored entries stay"
            }
        }
    }
}
