//! `customer.cache.get`: the edges of actively monitored clients (spec `customer-cache`, "Serves").

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Effect, Incoming, Rejected, Request, Rpc,
    id::{ClientId, Serial, SiteId},
    instant, lenient,
};

/// Queue group of the customer cache.
pub const QUEUE: &str = "customer_cache";

/// The cached edges of some hosts and enterprises, perhaps only those contacted recently.
///
/// Statuses beside 200: 202 the lists of the hosts are still being built (or no edge is of the enterprises), 404 nothing
/// was contacted recently enough.
pub struct GetCustomerCache;

impl Rpc for GetCustomerCache {
    const SUBJECT: &'static str = "customer.cache.get";
    const QUEUE: &'static str = QUEUE;
    const EFFECT: Effect = Effect::Read;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const ANSWER_WITHIN: Duration = Duration::from_secs(50);
    type Request = CacheFilter;
    type Reply = Vec<CachedEdge>;
}

/// Which edges are wanted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CacheFilter {
    /// Host to enterprise ids. Empty: all configured hosts. A host with an empty list: all its enterprises.
    pub filter: IndexMap<String, Vec<i64>>,
    /// Only edges whose last contact is strictly later than this date-time (see [`instant::parse`]).
    pub last_contact_filter: Option<String>,
}

impl Request for CacheFilter {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const NO_FILTER: &str = r#"You must specify "filter" in the body"#;
        let Some(body) = incoming.body_object() else {
            return Err(Rejected::text(r#"You must specify {.."body":{"filter":[...]}} in the request"#));
        };
        let Some(Value::Object(hosts)) = body.get("filter") else { return Err(Rejected::text(NO_FILTER)) };
        let mut filter = IndexMap::with_capacity(hosts.len());
        for (host, ids) in hosts {
            let Value::Array(ids) = ids else { return Err(Rejected::text(NO_FILTER)) };
            // What is no whole number can not be an enterprise's id: it stays in the list and matches nothing.
            filter.insert(host.clone(), ids.iter().map(|id| id.as_i64().unwrap_or(i64::MIN)).collect());
        }
        let last_contact_filter = match body.get("last_contact_filter") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if instant::parse(text).is_some() => Some(text.clone()),
            Some(other) => {
                return Err(Rejected::text(format!(
                    "\"last_contact_filter\" must be a date-time such as 2022-01-31T10:00:00Z, not {other}"
                )));
            }
        };
        Ok(Self { filter, last_contact_filter })
    }
}

/// An edge's identity in VeloCloud. Compared as a whole: blacklists list such objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgeIdentity {
    /// The VeloCloud Orchestrator.
    pub host: String,
    /// The enterprise on that host.
    pub enterprise_id: i64,
    /// The edge in that enterprise.
    pub edge_id: i64,
}

/// A monitored edge; the standby member of a high-availability pair is an entry of its own. It is readable as soon as it says
/// which edge it is and whose: whatever else is odd must not leave the edge unmonitored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CachedEdge {
    /// Identity in VeloCloud (for a standby: the primary's).
    pub edge: EdgeIdentity,
    /// The edge's name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub edge_name: Option<String>,
    /// Last contact with VeloCloud, unchanged, e.g. `2022-01-31T10:00:00.000Z`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub last_contact: Option<String>,
    /// The links' logical ids; the MAC prefix tells DiGi units.
    #[serde(default, deserialize_with = "lenient::list")]
    pub logical_ids: Vec<LogicalId>,
    /// Serial number.
    pub serial_number: Serial,
    /// The partner's serial number, when there is one.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub ha_serial_number: Option<Serial>,
    /// The client in Bruin.
    pub bruin_client_info: BruinClientInfo,
    /// Bruin's site document. Lists stored by earlier versions may lack it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub site_details: SiteDetails,
    /// Configuration of the WAN links. Lists stored by earlier versions may lack it.
    #[serde(default, deserialize_with = "lenient::list")]
    pub links_configuration: Vec<LinkConfiguration>,
}

/// A link's logical id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalId {
    /// The interface, e.g. `GE1`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub interface_name: Option<String>,
    /// The logical id, e.g. `00:27:04:aa:bb:cc:0000`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub logical_id: Option<String>,
}

/// The client that owns an edge. The cache has it as Bruin sent it, so an odd name must not cost the whole edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BruinClientInfo {
    /// The client.
    pub client_id: ClientId,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub client_name: Option<String>,
    /// Its site.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub site_id: Option<SiteId>,
}

/// Bruin's site document, whole, with the offset of its local time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteDetails {
    /// Offset of local time from UTC in hours when the list was built; unknown when it is no whole number.
    #[serde(rename = "tzOffset", default, deserialize_with = "lenient::or_default")]
    pub tz_offset: Option<i32>,
    /// All other fields, as received.
    #[serde(flatten)]
    pub document: Map<String, Value>,
}

/// Configuration of a WAN link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkConfiguration {
    /// Interfaces of the link, e.g. `["GE1"]`.
    #[serde(default, deserialize_with = "lenient::list")]
    pub interfaces: Vec<String>,
    /// `PUBLIC` or `PRIVATE`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub mode: Option<String>,
    /// `WIRED` or `WIRELESS`.
    #[serde(default, rename = "type", deserialize_with = "lenient::or_default")]
    pub kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(envelope: &Value) -> Result<CacheFilter, Value> {
        let text = envelope.to_string();
        let incoming = Incoming::read(&text).unwrap();
        CacheFilter::parse(&incoming).map_err(|rejected| rejected.body)
    }

    #[test]
    fn what_is_missing_is_named() {
        let no_body = json!(r#"You must specify {.."body":{"filter":[...]}} in the request"#);
        for envelope in [json!({}), json!({"body": null}), json!({"body": [1]}), json!({"body": "x"})] {
            assert_eq!(parse(&envelope), Err(no_body.clone()), "{envelope}");
        }
        let no_filter = json!(r#"You must specify "filter" in the body"#);
        for body in [json!({}), json!({"filter": null}), json!({"filter": 1}), json!({"filter": {"h": null}})]
        {
            assert_eq!(parse(&json!({"body": body})), Err(no_filter.clone()), "{body}");
        }
        for date in [json!(""), json!(1_642_240_800), json!(false), json!("soon")] {
            let refused = parse(&json!({"body": {"filter": {}, "last_contact_filter": date}})).unwrap_err();
            assert!(refused.as_str().unwrap().starts_with("\"last_contact_filter\" must be a date-time"));
        }
    }

    #[test]
    fn hosts_keep_their_order_and_unknown_fields_are_ignored() {
        let body = json!({"filter": {"b": [2, 1], "a": []}, "last_contact_filter": null, "x": 1});
        let filter = parse(&json!({"body": body})).unwrap();
        assert_eq!(
            filter.filter.into_iter().collect::<Vec<_>>(),
            [("b".into(), vec![2, 1]), ("a".into(), vec![])]
        );
    }

    #[test]
    fn an_entry_of_an_earlier_version_is_read() {
        let edge: CachedEdge = serde_json::from_value(json!({
            "edge": {"host": "h", "enterprise_id": 1, "edge_id": 2}, "serial_number": "VC1",
            "bruin_client_info": {"client_id": 1}
        }))
        .unwrap();
        assert_eq!(edge.site_details, SiteDetails::default());
    }

    #[test]
    fn whatever_is_odd_beside_the_identity_of_an_edge_costs_only_itself() {
        let edge = |odd: &Value| -> CachedEdge {
            let mut edge = json!({
                "edge": {"host": "h", "enterprise_id": 1, "edge_id": 2}, "serial_number": "VC1",
                "bruin_client_info": {"client_id": 1}
            });
            edge.as_object_mut().unwrap().extend(odd.as_object().unwrap().clone());
            serde_json::from_value(edge).unwrap()
        };
        let nulls = json!({"edge_name": null, "last_contact": null, "logical_ids": null, "ha_serial_number": null,
            "site_details": null, "links_configuration": null});
        assert_eq!(edge(&nulls), edge(&json!({})));
        let numbers = json!({"edge_name": 7, "last_contact": 7, "logical_ids": 7, "ha_serial_number": 7,
            "site_details": 7, "links_configuration": 7});
        assert_eq!(edge(&numbers), edge(&json!({})));

        let ids = edge(
            &json!({"logical_ids": [null, {"interface_name": 1, "logical_id": null}, {"interface_name": "GE1"}]}),
        );
        let names: Vec<_> = ids.logical_ids.iter().map(|id| id.interface_name.as_deref()).collect();
        assert_eq!(names, [None, Some("GE1")]);
        let links =
            json!([{"interfaces": null, "mode": 1, "type": []}, {"interfaces": ["GE1", 2], "type": "WIRED"}]);
        let links = edge(&json!({"links_configuration": links})).links_configuration;
        assert_eq!((links[0].interfaces.len(), &links[0].mode, &links[0].kind), (0, &None, &None));
        assert_eq!(
            (links[1].interfaces.as_slice(), links[1].kind.as_deref()),
            (["GE1".to_owned()].as_slice(), Some("WIRED"))
        );
        for (offset, expected) in
            [(json!(-5), Some(-5)), (json!(5.5), None), (json!("-5"), None), (Value::Null, None)]
        {
            let site = edge(&json!({"site_details": {"tzOffset": offset, "siteID": "222"}})).site_details;
            assert_eq!((site.tz_offset, &site.document["siteID"]), (expected, &json!("222")));
        }
    }

    #[test]
    fn odd_fields_of_a_client_leave_the_rest_of_it_alone() {
        let client: BruinClientInfo =
            serde_json::from_value(json!({"client_id": "7", "client_name": 5, "site_id": [1], "new": {}}))
                .unwrap();
        assert_eq!(client, BruinClientInfo { client_id: "7".into(), client_name: None, site_id: None });
    }
}
