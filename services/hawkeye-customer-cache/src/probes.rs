//! Hawkeye's probes: which are of use, and what is cached of them (spec `hawkeye-customer-cache`, Behaviour 3). Pure.

use contracts::{
    hawkeye::Probe,
    id::{Id, Serial},
};
use indexmap::IndexMap;
use serde_json::Value;

use crate::device::CheckedDevice;

/// A probe that has reported, without its client.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedDevice {
    /// Serial number.
    pub serial: Serial,
    id: Option<Id>,
    uid: Option<String>,
    group: Option<String>,
    type_name: Option<String>,
    last_contact: String,
}

impl ListedDevice {
    /// `None` for a probe that never reported, or has no serial number: Bruin cannot be asked about it.
    fn of(probe: &Probe) -> Option<Self> {
        // The later one of two texts of one form is the larger one.
        let last_contact = probe.node_to_node.contact().max(probe.real_service.contact())?;
        let serial = probe.serial_number.as_deref().filter(|serial| !serial.is_empty())?;
        Some(Self {
            serial: serial.into(),
            id: probe.probe_id.clone(),
            uid: probe.uid.clone(),
            group: probe.probe_group.clone(),
            type_name: probe.type_name.clone(),
            last_contact: last_contact.to_owned(),
        })
    }

    /// What is cached of it.
    pub fn cached(self, client: Value) -> CheckedDevice {
        CheckedDevice {
            probe_id: self.id,
            probe_uid: self.uid,
            probe_group: self.group,
            device_type_name: self.type_name,
            last_contact: self.last_contact,
            serial_number: self.serial,
            bruin_client_info: client,
        }
    }
}

/// The probes that have reported, in list order; of repeated serials the last one (Improve 9).
pub fn reporting(probes: &[Probe]) -> Vec<ListedDevice> {
    let devices = probes.iter().filter_map(ListedDevice::of);
    devices.map(|device| (device.serial.clone(), device)).collect::<IndexMap<_, _>>().into_values().collect()
}

#[cfg(test)]
mod tests {
    use contracts::hawkeye_customer_cache::CachedDevice;
    use serde_json::json;

    use super::*;

    fn probe(serial: &Value, node_to_node: &Value, real_service: &Value) -> Probe {
        serde_json::from_value(json!({
            "probeId": "58", "uid": "aa:bb:cc:00:00:02", "serialNumber": serial, "probeGroup": "G2",
            "typeName": "xr_pi", "nodetonode": node_to_node, "realservice": real_service
        }))
        .unwrap()
    }

    fn update(at: &str) -> Value {
        json!({"status": 1, "lastUpdate": at})
    }

    /// Example 6.
    #[test]
    fn a_device_has_the_fields_of_its_probe_and_its_client() {
        let probes = [probe(&json!("AABBCC000002"), &update("never"), &update("2021-01-05T10:00:00Z"))];
        let client = json!({"client_id": 11111, "site_id": "222", "new": [1]});
        let cached = reporting(&probes).remove(0).cached(client.clone());
        let read: CachedDevice = serde_json::from_value(serde_json::to_value(&cached).unwrap()).unwrap();
        assert_eq!(read.bruin_client_info.site_id, Some("222".into()));
        assert_eq!(
            serde_json::to_value(cached).unwrap(),
            json!({
                "probe_id": "58", "probe_uid": "aa:bb:cc:00:00:02", "probe_group": "G2", "device_type_name": "xr_pi",
                "last_contact": "2021-01-05T10:00:00Z", "serial_number": "AABBCC000002",
                "bruin_client_info": client
            })
        );
    }

    #[test]
    fn the_later_update_counts_and_never_counts_as_none() {
        let (early, late) = ("2021-01-05T13:57:07Z", "2021-01-05T13:57:08Z");
        for (node_to_node, real_service, expected) in [
            (update(early), update(late), Some(late)),
            (update(late), update(early), Some(late)),
            (update(early), update("never"), Some(early)),
            (update("never"), update("never"), None),
            (json!(null), update(early), Some(early)),
            (json!({}), json!("x"), None),
        ] {
            let devices = reporting(&[probe(&json!("A"), &node_to_node, &real_service)]);
            let contact = devices.first().map(|device| device.last_contact.as_str());
            assert_eq!(contact, expected, "{node_to_node} {real_service}");
        }
    }

    #[test]
    fn of_repeated_serials_the_last_wins_and_probes_without_one_are_skipped() {
        let at = |serial: Value, second: u8| {
            probe(&serial, &update(&format!("2021-01-05T13:57:0{second}Z")), &update("never"))
        };
        let probes =
            [at(json!("A"), 1), at(json!("B"), 2), at(json!("A"), 3), at(json!(null), 4), at(json!(""), 5)];
        let devices = reporting(&probes);
        let shown: Vec<_> = devices.iter().map(|d| (d.serial.as_str(), d.last_contact.as_str())).collect();
        assert_eq!(shown, [("A", "2021-01-05T13:57:03Z"), ("B", "2021-01-05T13:57:02Z")]);
    }
}
