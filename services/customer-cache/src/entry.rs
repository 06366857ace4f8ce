//! A cached edge as it is stored: the text, and the few fields by which lists are crossed and filtered.

use std::sync::Arc;

use caching::Entry as _;
use contracts::{
    customer_cache::{CachedEdge, EdgeIdentity, LinkConfiguration, LogicalId, SiteDetails},
    id::Serial,
    instant, json,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// A cached edge. Its text is kept as it was stored, so that fields of other versions survive. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The device's serial number.
    pub serial: Serial,
    /// The partner's serial number.
    pub partner: Option<Serial>,
    /// Identity in VeloCloud.
    pub edge: EdgeIdentity,
    /// Last contact with VeloCloud; `None` when unknown or unreadable.
    pub last_contact: Option<chrono::DateTime<chrono::Utc>>,
    text: Arc<RawValue>,
}

/// A freshly checked edge as it is stored: a [`CachedEdge`], with the client exactly as Bruin sent it.
#[derive(Debug, Serialize)]
pub struct CheckedEdge {
    /// Identity in VeloCloud.
    pub edge: EdgeIdentity,
    /// The edge's name.
    pub edge_name: Option<String>,
    /// Last contact with VeloCloud, unchanged.
    pub last_contact: Option<String>,
    /// The links' logical ids.
    pub logical_ids: Vec<LogicalId>,
    /// Serial number.
    pub serial_number: Serial,
    /// The partner's serial number.
    pub ha_serial_number: Option<Serial>,
    /// The first client of the client info, as received.
    pub bruin_client_info: Value,
    /// Bruin's site document, with the offset of its local time.
    pub site_details: SiteDetails,
    /// Configuration of the WAN links.
    pub links_configuration: Vec<LinkConfiguration>,
}

/// The fields that are read of a stored text.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    serial_number: Option<Serial>,
    #[serde(default)]
    ha_serial_number: Option<Serial>,
    #[serde(default)]
    edge: Option<EdgeIdentity>,
    #[serde(default)]
    last_contact: Value,
}

impl caching::Entry for Entry {
    /// `None` when it is no object or a field has another type. What earlier versions left out is empty: they are served
    /// as stored.
    fn read(text: Box<RawValue>) -> Option<Self> {
        let head: Head = serde_json::from_str(text.get()).ok()?;
        let last_contact = head.last_contact.as_str().and_then(instant::parse);
        Some(Self {
            serial: head.serial_number.unwrap_or_else(|| Serial(String::new())),
            partner: head.ha_serial_number,
            edge: head.edge.unwrap_or_default(),
            last_contact,
            text: text.into(),
        })
    }

    fn text(&self) -> &RawValue {
        &self.text
    }
}

impl Entry {
    /// An entry of a freshly checked edge.
    pub fn new(checked: &CheckedEdge) -> Option<Self> {
        Self::read(serde_json::value::to_raw_value(checked).ok()?)
    }

    /// All fields, leniently.
    pub fn cached(&self) -> Option<CachedEdge> {
        serde_json::from_str(self.text.get()).ok()
    }

    /// The entry of the standby: a copy with the two serials exchanged (Behaviour 6.2). `None` without a partner.
    pub fn standby(&self) -> Option<Self> {
        let partner = self.partner.clone()?;
        let mut fields = json::object(&self.text)?;
        fields.insert("serial_number".to_owned(), Value::String(partner.0.clone()));
        fields.insert("ha_serial_number".to_owned(), Value::String(self.serial.0.clone()));
        let text = serde_json::value::to_raw_value(&fields).ok()?;
        Some(Self { serial: partner, partner: Some(self.serial.clone()), text: text.into(), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use caching::{read_list, write_list};

    use super::*;

    const STORED: &str = r#"[{"edge": {"host": "h", "enterprise_id": 1, "edge_id": 2}, "serial_number": "VC2",
        "ha_serial_number": "VC3", "last_contact": "2022-01-10 10:00:00", "added_later": 1.50}, {"edge": 5}, 7]"#;

    #[test]
    fn fields_of_other_versions_survive() {
        let (entries, unreadable) = read_list::<Entry>(STORED).unwrap();
        assert_eq!((entries.len(), unreadable), (1, 2));
        assert!(write_list(&entries).contains(r#""added_later": 1.50"#));
        let (again, _) = read_list::<Entry>(&write_list(&entries)).unwrap();
        assert_eq!(write_list(&again), write_list(&entries));
    }

    #[test]
    fn a_standby_differs_by_its_serials_only() {
        let (entries, _) = read_list::<Entry>(STORED).unwrap();
        let standby = entries[0].standby().unwrap();
        assert_eq!(
            (standby.serial.as_str(), standby.partner.as_ref().map(Serial::as_str)),
            ("VC3", Some("VC2"))
        );
        let mut expected = json::object(entries[0].text()).unwrap();
        expected["serial_number"] = "VC3".into();
        expected["ha_serial_number"] = "VC2".into();
        assert_eq!(json::object(standby.text()).unwrap(), expected);
        let twice = standby.standby().unwrap();
        assert_eq!(json::object(twice.text()), json::object(entries[0].text()));
    }
}
