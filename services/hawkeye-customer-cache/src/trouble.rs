//! What may fail in one refresh (spec `hawkeye-customer-cache`, Improve 10).

use caching::Cause;

/// The failed requests of one refresh.
pub type Troubles = caching::Troubles<Kind>;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `hawkeye.probe.request`.
    ProbeList,
    /// `bruin.customer.get.info`; told by serial.
    ClientInfo,
    /// `bruin.inventory.management.status`; told by serial.
    ManagementStatus,
}

impl Cause for Kind {
    fn text(self) -> &'static str {
        match self {
            Self::ProbeList => "the list of Hawkeye probes could not be claimed",
            Self::ClientInfo => {
                "the client of devices could not be claimed from Bruin: their cached entries stay"
            }
            Self::ManagementStatus => {
                "the management status of devices could not be claimed from Bruin: their cached entries stay"
            }
        }
    }
}
