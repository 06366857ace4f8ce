//! `hawkeye.customer.cache.get`: the Hawkeye devices of actively monitored clients (spec `hawkeye-customer-cache`,
//! "Serves").

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Effect, Incoming, Rejected, Request, Rpc,
    bruin::Client,
    id::{Id, Serial},
    instant, lenient,
};

/// Refusal when there is no usable `body`.
pub const NO_BODY: &str = r#"You must specify {.."body":{...}} in the request"#;

/// The cached devices, perhaps only those contacted recently.
///
/// Statuses beside 200: 202 the cache is still being built, 404 nothing was contacted recently enough.
#[derive(Debug, Clone, Copy)]
pub struct GetHawkeyeCustomerCache;

impl Rpc for GetHawkeyeCustomerCache {
    const SUBJECT: &'static str = "hawkeye.customer.cache.get";
    /// The other cache's group, as deployed.
    const QUEUE: &'static str = crate::customer_cache::QUEUE;
    const EFFECT: Effect = Effect::Read;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const ANSWER_WITHIN: Duration = Duration::from_secs(50);
    type Request = DeviceFilter;
    type Reply = Vec<CachedDevice>;
}

/// Which devices are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeviceFilter {
    /// Only devices whose last contact is strictly later than this date-time (see [`instant::parse`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_contact_filter: Option<String>,
}

impl Request for DeviceFilter {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let body = incoming.body_object().ok_or_else(|| Rejected::text(NO_BODY))?;
        let last_contact_filter = match body.get("last_contact_filter") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if instant::parse(text).is_some() => Some(text.clone()),
            Some(other) => {
                let shown: String = other.to_string().chars().take(80).collect();
                return Err(Rejected::text(format!(
                    "\"last_contact_filter\" must be a date-time such as 2022-01-31T10:00:00Z, not {shown}"
                )));
            }
        };
        Ok(Self { last_contact_filter })
    }
}

/// A monitored device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CachedDevice {
    /// The probe's id, e.g. `27`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub probe_id: Option<Id>,
    /// The probe's uid, e.g. `aa:bb:cc:00:00:01`, by which test results are asked for.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub probe_uid: Option<String>,
    /// The probe's group.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub probe_group: Option<String>,
    /// The probe's type, e.g. `xr_pi`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub device_type_name: Option<String>,
    /// The later of the probe's two last updates, unchanged, e.g. `2021-01-05T13:57:07Z`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub last_contact: Option<String>,
    /// Serial number.
    pub serial_number: Serial,
    /// The client in Bruin.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub bruin_client_info: Client,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(envelope: &Value) -> Result<DeviceFilter, Value> {
        let text = envelope.to_string();
        DeviceFilter::parse(&Incoming::read(&text).unwrap()).map_err(|rejected| {
            assert_eq!(rejected.status, 400);
            rejected.body
        })
    }

    #[test]
    fn a_body_is_needed_and_may_be_empty() {
        for envelope in [json!({}), json!({"body": null}), json!({"body": 7}), json!({"body": []})] {
            assert_eq!(parse(&envelope), Err(json!(NO_BODY)), "{envelope}");
        }
        for body in [json!({}), json!({"last_contact_filter": null}), json!({"other": 1})] {
            assert_eq!(parse(&json!({"body": body})), Ok(DeviceFilter::default()), "{body}");
        }
    }

    #[test]
    fn a_filter_is_a_date_time() {
        for date in ["2021-01-04 00:00:00.000123", "2021-01-05T15:57:07.1+02:00", "2021-01-04"] {
            let filter = parse(&json!({"body": {"last_contact_filter": date}})).unwrap();
            assert_eq!(filter.last_contact_filter.as_deref(), Some(date));
        }
        for odd in [json!(5), json!("x"), json!(""), json!([]), json!("y".repeat(1_000))] {
            let text = parse(&json!({"body": {"last_contact_filter": odd}})).unwrap_err();
            let text = text.as_str().unwrap();
            assert!(
                text.starts_with("\"last_contact_filter\" must be a date-time") && text.len() < 200,
                "{text}"
            );
        }
    }

    #[test]
    fn a_device_of_an_earlier_version_is_read() {
        let device: CachedDevice = serde_json::from_value(json!({
            "probe_id": "27", "probe_uid": "aa", "last_contact": 5, "serial_number": "A",
            "bruin_client_info": {"client_id": null, "new": 1}
        }))
        .unwrap();
        assert_eq!((device.probe_uid.as_deref(), device.last_contact.as_deref()), (Some("aa"), None));
        assert_eq!(device.bruin_client_info, Client::default());
    }
}
