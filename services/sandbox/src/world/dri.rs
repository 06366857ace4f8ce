//! The cellular devices that DRI reaches (the vendor's gateways at customers' sites), and the tasks on them.
//!
//! DRI knows a device for every service number of Bruin's inventory, with parameters made from its serial, and whatever
//! device the control API adds. A task that fetches parameters takes time: it is pending until then.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::World;

/// Prefix of the parameters of the cellular modem.
const LTE: &str = "InternetGatewayDevice.DeviceInfo.X_8C192D_lte_info.";
/// The hardware address of the WAN connection.
const MAC: &str = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.MACAddress";
/// Id of the first task.
const FIRST_TASK: i64 = 1_725_608;
/// How many of the last tasks DRI remembers.
const REMEMBERED: usize = 10_000;

/// What becomes of the tasks of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskOutcome {
    /// They bring the parameters.
    #[default]
    Completes,
    /// The device rejects them.
    Rejected,
    /// They are never done: the device cannot be reached.
    StaysPending,
    /// Creating one is answered 504, although it is created and completes.
    CreationTimesOut,
    /// DRI knows no such device.
    UnknownDevice,
}

/// A device at DRI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DriDevice {
    /// What becomes of its tasks.
    #[serde(default)]
    pub outcome: TaskOutcome,
    /// How many seconds its tasks take; absent: as `SANDBOX_DRI_TASK_TAKES` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes: Option<u32>,
    /// Its parameters by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

impl DriDevice {
    /// A device that works, its parameters made from its serial number.
    fn of(serial: &str) -> Self {
        // Any spread will do, as long as a serial always has the same.
        let number = serial.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let digits = format!("{:08}", number % 100_000_000);
        let carrier = if number.is_multiple_of(2) { "ATT" } else { "Verizon" };
        let [.., a, b, c] = number.to_be_bytes();
        let parameters = [
            (format!("{LTE}SimInsert"), "SIM1 Active and SIM2 Ready".to_owned()),
            (format!("{LTE}Providers"), carrier.to_owned()),
            (format!("{LTE}SimIccid"), format!("891480000000{digits}")),
            (format!("{LTE}Subscribernum"), format!("555{}", digits.get(1..).unwrap_or_default())),
            (format!("{LTE}ModemImei"), format!("3575230{digits}")),
            (MAC.to_owned(), format!("8C:19:2D:{a:02X}:{b:02X}:{c:02X}")),
        ];
        Self { outcome: TaskOutcome::default(), takes: None, parameters: parameters.into_iter().collect() }
    }
}

/// A task that fetches parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DriTask {
    /// Its id.
    pub id: i64,
    /// The names asked for.
    pub names: Vec<String>,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// When it is or was done.
    pub done: DateTime<Utc>,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// The device has no such task.
    Unknown,
    /// Not done yet.
    Pending,
    /// The device has rejected it.
    Rejected,
    /// Done: names with their values; `None` for a name that the device does not know.
    Done(Vec<(String, Option<String>)>),
}

/// Devices that differ from what is made from their serial, and all tasks.
#[derive(Debug, Default)]
pub(super) struct Dri {
    devices: BTreeMap<String, DriDevice>,
    tasks: BTreeMap<i64, (String, DriTask)>,
}

impl Dri {
    fn tasks_of<'a>(&'a self, serial: &'a str) -> impl Iterator<Item = &'a DriTask> {
        self.tasks.values().filter(move |(of, _)| of == serial).map(|(_, task)| task)
    }
}

impl DriTask {
    fn is_pending(&self, device: &DriDevice, now: DateTime<Utc>) -> bool {
        device.outcome == TaskOutcome::StaysPending || self.done > now
    }
}

impl World {
    /// The device with this serial number at DRI; `None` when DRI knows none.
    pub fn dri_device(&self, serial: &str) -> Option<DriDevice> {
        let set = self.inner.dri.lock().devices.get(serial).cloned();
        let device = set.or_else(|| {
            let known = self.inventory(|inventory| !inventory.assets(serial).is_empty());
            known.then(|| DriDevice::of(serial))
        });
        device.filter(|device| device.outcome != TaskOutcome::UnknownDevice)
    }

    /// Adds or changes a device. Without parameters it keeps those it has. Its tasks stay and have the new outcome.
    pub fn set_dri_device(&self, serial: &str, mut device: DriDevice) {
        let mut dri = self.inner.dri.lock();
        if device.parameters.is_empty() {
            let known = dri.devices.get(serial).map(|known| known.parameters.clone());
            device.parameters = known.unwrap_or_else(|| DriDevice::of(serial).parameters);
        }
        dri.devices.insert(serial.to_owned(), device);
    }

    /// The serial numbers of the devices that were set or have tasks, in order.
    pub fn dri_serials(&self) -> Vec<String> {
        let dri = self.inner.dri.lock();
        let mut serials: Vec<String> =
            dri.devices.keys().chain(dri.tasks.values().map(|(serial, _)| serial)).cloned().collect();
        serials.sort();
        serials.dedup();
        serials
    }

    /// The tasks of a device, oldest first.
    pub fn dri_tasks(&self, serial: &str) -> Vec<DriTask> {
        self.inner.dri.lock().tasks_of(serial).cloned().collect()
    }

    /// Starts a task that takes `takes` unless the device says otherwise. `None` when DRI knows no such device.
    pub fn start_dri_task(&self, serial: &str, names: Vec<String>, takes: Duration) -> Option<DriTask> {
        let device = self.dri_device(serial)?;
        let takes = device.takes.map_or(takes, |seconds| Duration::from_secs(seconds.into()));
        let created = self.now();
        let mut dri = self.inner.dri.lock();
        let id = dri.tasks.last_key_value().map_or(FIRST_TASK, |(last, _)| last + 1);
        let task = DriTask { id, names, created, done: created + takes };
        dri.tasks.insert(id, (serial.to_owned(), task.clone()));
        while dri.tasks.len() > REMEMBERED {
            dri.tasks.pop_first();
        }
        Some(task)
    }

    /// The ids of a device's tasks that are not done, oldest first. `None` when DRI knows no such device.
    pub fn pending_dri_tasks(&self, serial: &str) -> Option<Vec<i64>> {
        let (device, now) = (self.dri_device(serial)?, self.now());
        let dri = self.inner.dri.lock();
        Some(dri.tasks_of(serial).filter(|task| task.is_pending(&device, now)).map(|task| task.id).collect())
    }

    /// How a device's task stands.
    pub fn dri_task_state(&self, serial: &str, id: i64) -> TaskState {
        let Some(device) = self.dri_device(serial) else { return TaskState::Unknown };
        let task = self.inner.dri.lock().tasks.get(&id).filter(|(of, _)| of == serial).cloned();
        match task {
            None => TaskState::Unknown,
            Some((_, task)) if task.is_pending(&device, self.now()) => TaskState::Pending,
            Some(_) if device.outcome == TaskOutcome::Rejected => TaskState::Rejected,
            Some((_, task)) => {
                let value = |name: String| {
                    let value = device.parameters.get(&name).cloned();
                    (name, value)
                };
                TaskState::Done(task.names.into_iter().map(value).collect())
            }
        }
    }
}
