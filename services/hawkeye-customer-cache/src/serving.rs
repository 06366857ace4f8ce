//! Answering `hawkeye.customer.cache.get` (spec `hawkeye-customer-cache`, "Serves"), from what Redis holds at that moment.

use bus::Reply;
use caching::Entry as _;
use chrono::{DateTime, Utc};
use contracts::{hawkeye_customer_cache::DeviceFilter, instant};
use serde_json::value::RawValue;

use crate::{device::Device, store::Store};

/// Answers one request. Status 503 when the store cannot be read.
pub async fn answer(store: &Store, wanted: &DeviceFilter) -> Reply {
    match store.devices().await {
        Ok(devices) => reply(&devices, wanted.last_contact_filter.as_deref().and_then(instant::parse)),
        Err(error) => {
            tracing::error!(%error, "the customer-cache Redis cannot be read: check REDIS_CUSTOMER_CACHE_HOSTNAME");
            Reply::text(503, "The cache's store cannot be read at the moment")
        }
    }
}

/// The reply with the devices that were contacted after `since`.
fn reply(devices: &[Device], since: Option<DateTime<Utc>>) -> Reply {
    if devices.is_empty() {
        return Reply::text(202, "Cache is still being built");
    }
    let wanted: Vec<&RawValue> =
        devices.iter().filter(|device| is_recent(device, since)).map(Device::text).collect();
    if wanted.is_empty() {
        return Reply::text(404, "No devices were found for the specified filters");
    }
    Reply::ok(&wanted)
}

/// Whether a device is wanted; one whose last contact cannot be read is not, when it matters (Improve 7).
fn is_recent(device: &Device, since: Option<DateTime<Utc>>) -> bool {
    let Some(since) = since else { return true };
    if device.last_contact.is_none() {
        tracing::warn!(serial = %device.serial, "the last contact of a cached device cannot be read; it is left out");
    }
    device.last_contact.is_some_and(|contact| contact > since)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shown(devices: &Value, since: Option<&str>) -> (u16, Value) {
        let (devices, _) = caching::read_list(&devices.to_string()).unwrap();
        let reply = reply(&devices, since.and_then(instant::parse));
        (reply.code(), serde_json::from_str(reply.body().unwrap().get()).unwrap())
    }

    #[test]
    fn statuses_follow_the_order_of_the_specification() {
        let building = (202, json!("Cache is still being built"));
        assert_eq!(shown(&json!([]), None), building);
        assert_eq!(shown(&json!([]), Some("2200-01-01")), building);
        let (old, new) = (
            json!({"serial_number": "A", "last_contact": "2021-01-01T00:00:00Z", "x": [1]}),
            json!({"serial_number": "B", "last_contact": "2021-01-05T13:57:07Z"}),
        );
        let both = json!([old, new]);
        assert_eq!(shown(&both, None), (200, both.clone()));
        assert_eq!(shown(&both, Some("2021-01-04 00:00:00.000123")), (200, json!([new])));
        let none = (404, json!("No devices were found for the specified filters"));
        assert_eq!(shown(&both, Some("2200-01-01 00:00:00")), none);
        assert_eq!(shown(&both, Some("2021-01-05T13:57:07Z")), none, "strictly later");
    }

    #[test]
    fn a_device_whose_contact_cannot_be_read_is_left_out_when_it_matters() {
        for contact in [json!(""), json!(null), json!("never"), json!(5)] {
            let devices = json!([{"serial_number": "A", "last_contact": contact}]);
            assert_eq!(shown(&devices, None), (200, devices.clone()));
            assert_eq!(shown(&devices, Some("2021-01-01")).0, 404);
        }
    }
}
