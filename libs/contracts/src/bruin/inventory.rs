//! Inventory, customers and sites (subjects 17 to 22). All fields of these requests are forwarded as query filters.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::QUEUE;
use super::filter::{self, Filter, Filters};
use crate::fields::Fields;
use crate::id::{ClientId, Id, SiteId};
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, lenient};

subjects! {
    /// 17. The serial number of a device.
    SerialAttribute: "bruin.inventory.attributes.serial", Read, wait 60, answer 55, AttributeRequest => Value;
    /// 18. The management status of a device, e.g. `Active – Platinum Monitoring`; null when it has none.
    ManagementStatus: "bruin.inventory.management.status", Read, wait 30, answer 27,
        AttributeRequest => Value;
    /// 19. The clients who have a device in use, of whom the first counts; empty when nobody has.
    ClientInfo: "bruin.customer.get.info", Read, wait 30, answer 27, ClientInfoRequest => Vec<Client>;
    /// 20. The client behind a phone number.
    ClientInfoByDid: "bruin.customer.get.info_by_did", Read, wait 15, answer 12,
        ClientInfoByDidRequest => DidReply;
    /// 21. The device behind a circuit; status 204 when Bruin does not know the circuit.
    CircuitId: "bruin.get.circuit.id", Read, wait 60, answer 55, CircuitIdRequest => Value;
    /// 22. A site of a client; status 404 when Bruin does not know it.
    SiteDetails: "bruin.get.site", Read, wait 60, answer 12, SiteDetailsRequest => Site;
}

/// Declares requests whose fields are filters, each with the text that refuses its absence.
macro_rules! filters {
    ($($(#[$doc:meta])* $name:ident($no_body:expr) {$($(#[$field_doc:meta])* $field:ident: $text:expr,)+})+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: Filter,)+
            /// Further filters, forwarded like the others.
            #[serde(flatten)]
            pub filters: Filters,
        }

        impl Request for $name {
            fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
                let mut body = Fields::of(incoming, $no_body)?;
                let [text, ..] = [$($text),+];
                Ok(Self {
                    $($field: filter::required(&mut body, stringify!($field), $text)?,)+
                    filters: filter::filters(body, text)?,
                })
            }
        }

        impl $name {
            /// All filters by their name in the request, in order.
            pub fn all(self) -> Filters {
                [$((stringify!($field).to_owned(), self.$field),)+].into_iter().chain(self.filters).collect()
            }
        }
    )+};
}

const ATTRIBUTE_KEYS: &str = r#"You must specify "client_id", "status", "service_number" in the filter"#;

filters! {
    /// Asks for [`SerialAttribute`] or [`ManagementStatus`].
    AttributeRequest(r#"You must specify {.."body":{"client_id", "status", "service_number"}...} in the request"#) {
        /// The client.
        client_id: ATTRIBUTE_KEYS,
        /// The inventory's status, `A` for active.
        status: ATTRIBUTE_KEYS,
        /// The device.
        service_number: ATTRIBUTE_KEYS,
    }
    /// Asks for [`ClientInfo`].
    ClientInfoRequest(r#"You must specify {.."body":{"service_number":...}} in the request"#) {
        /// The device, or several.
        service_number: r#"You must specify "service_number" in the body"#,
    }
    /// Asks for [`CircuitId`].
    CircuitIdRequest(r#"You must specify {.."body":{"circuit_id"}...} in the request"#) {
        /// The circuit.
        circuit_id: r#"You must specify "circuit_id" in the body"#,
    }
    /// Asks for [`SiteDetails`].
    SiteDetailsRequest(r#"You must specify {.."body":{"client_id":...}} in the request"#) {
        /// The client.
        client_id: r#"You must specify "client_id" in the body"#,
        /// The site.
        site_id: r#"You must specify "site_id" in the body"#,
    }
}

/// Asks for [`ClientInfoByDid`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClientInfoByDidRequest {
    /// The phone number, e.g. `+15555550100`.
    pub did: Filter,
}

impl Request for ClientInfoByDidRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let mut body = Fields::of(incoming, r#"You must specify {.."body":{"did":...}} in the request"#)?;
        Ok(Self { did: filter::required(&mut body, "did", r#"You must specify "did" in the body"#)? })
    }
}

/// A client who has a device in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Client {
    /// The client.
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_id: Option<ClientId>,
    /// The client's name.
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_name: Option<String>,
    /// The site where the device is.
    #[serde(deserialize_with = "lenient::or_default")]
    pub site_id: Option<SiteId>,
}

/// A client as it was received, of whom the ids are known: so the caches keep it (specs `customer-cache` and
/// `hawkeye-customer-cache`, "stored as received").
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedClient {
    /// The client.
    pub client_id: ClientId,
    /// The site where the device is, when that is known.
    pub site_id: Option<SiteId>,
    /// All of it.
    pub received: Value,
}

impl ReceivedClient {
    /// `None` when nothing can be asked about it: it has no id.
    pub fn of(received: Value) -> Option<Self> {
        let client_id = ClientId::deserialize(received.get("client_id")?).ok()?;
        let site_id = received.get("site_id").and_then(|id| SiteId::deserialize(id).ok());
        Some(Self { client_id, site_id, received })
    }
}

/// The client behind a phone number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DidReply {
    /// The inventory entry.
    #[serde(deserialize_with = "lenient::or_default")]
    pub inventory_id: Option<Id>,
    /// The client.
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_id: Option<ClientId>,
    /// The client's name.
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_name: Option<String>,
    /// The billing number.
    #[serde(deserialize_with = "lenient::or_default")]
    pub btn: Option<String>,
}

/// A site exactly as Bruin sent it: `clientID`, `siteID`, `siteLabel`, `address`, `timeZone`, `primaryContactEmail`, ...
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Site(pub Map<String, Value>);

impl Site {
    /// A text of the site, e.g. `timeZone`; `None` when absent, null or no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}
