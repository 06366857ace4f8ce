//! A cached device as it is stored: the text, and the few fields by which lists are crossed and filtered.

use std::sync::Arc;

use caching::Entry;
use chrono::{DateTime, Utc};
use contracts::{
    id::{Id, Serial},
    instant, lenient,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// A cached device. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Device {
    /// Serial number; empty when what is stored has none.
    pub serial: Serial,
    /// Last contact; `None` when what is stored is no date-time.
    pub last_contact: Option<DateTime<Utc>>,
    text: Arc<RawValue>,
}

/// The fields that are read of a stored text.
#[derive(Deserialize)]
struct Head {
    #[serde(default, deserialize_with = "lenient::or_default")]
    serial_number: Option<Serial>,
    #[serde(default)]
    last_contact: Value,
}

impl Entry for Device {
    /// `None` when it is no object. Devices of other versions are served as stored.
    fn read(text: Box<RawValue>) -> Option<Self> {
        let head: Head = text.get().starts_with('{').then(|| serde_json::from_str(text.get()).ok())??;
        Some(Self {
            serial: head.serial_number.unwrap_or_else(|| Serial(String::new())),
            last_contact: head.last_contact.as_str().and_then(instant::parse),
            text: text.into(),
        })
    }

    fn text(&self) -> &RawValue {
        &self.text
    }
}

/// A freshly checked device as it is stored: what others read as a
/// [`CachedDevice`](contracts::hawkeye_customer_cache::CachedDevice), with the client as Bruin's bridge sent it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckedDevice {
    /// The probe's id.
    pub probe_id: Option<Id>,
    /// The probe's uid.
    pub probe_uid: Option<String>,
    /// The probe's group.
    pub probe_group: Option<String>,
    /// The probe's type.
    pub device_type_name: Option<String>,
    /// The later of the probe's two last updates, unchanged.
    pub last_contact: String,
    /// Serial number.
    pub serial_number: Serial,
    /// The first client of the client info, as received.
    pub bruin_client_info: Value,
}

impl Device {
    /// A freshly checked device.
    pub fn new(checked: &CheckedDevice) -> Option<Self> {
        Self::read(serde_json::value::to_raw_value(checked).ok()?)
    }

    /// The client in Bruin, as it was received.
    pub fn client(&self) -> Option<Value> {
        #[derive(Deserialize)]
        struct Info {
            bruin_client_info: Value,
        }
        serde_json::from_str::<Info>(self.text.get()).ok().map(|info| info.bruin_client_info)
    }
}

#[cfg(test)]
mod tests {
    use caching::{read_list, write_list};
    use serde_json::json;

    use super::*;

    #[test]
    fn devices_of_other_versions_are_kept_as_they_are() {
        let stored = r#"[{"serial_number":"A","last_contact":"2021-01-05T13:57:07Z","bruin_client_info":{"client_id":1,"site_id":"2"},"new": 1.50},{"last_contact":"","serial_number":7},[1],"x"]"#;
        let (devices, unreadable) = read_list::<Device>(stored).unwrap();
        assert_eq!((devices.len(), unreadable), (2, 2));
        assert_eq!(devices[0].serial.as_str(), "A");
        assert_eq!(devices[0].last_contact, instant::parse("2021-01-05 13:57:07"));
        assert_eq!(devices[0].client(), Some(json!({"client_id": 1, "site_id": "2"})));
        assert_eq!((devices[1].serial.as_str(), devices[1].last_contact), ("", None));
        assert_eq!(devices[1].client(), None);
        assert!(write_list(&devices).contains(r#""new": 1.50}"#));
    }
}
