//! Outages that are waited out before a ticket is created: one pending re-check for each host and kind, into which later
//! detections are merged (spec "Behaviour" 4, "Improve" 11).

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::Serial;
use indexmap::IndexMap;
use parking_lot::Mutex;
use ticketing::OutageKind;

use crate::edges::{Device, MonitoredEdge};

/// What one re-check is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Batch {
    /// The VeloCloud host.
    pub host: String,
    /// What is down.
    pub kind: OutageKind,
}

impl Batch {
    /// The scheduler's id (spec "Behaviour" 4), with the host because a process may monitor several.
    pub fn job(&self) -> String {
        format!("{}_ticket_creation_recheck_{}", self.kind, self.host)
    }
}

struct Waiting {
    edge: Arc<MonitoredEdge>,
    due: DateTime<Utc>,
}

/// What became of devices that were put into quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Those that were not in it before.
    pub new: Vec<Serial>,
    /// Until when they are in it.
    pub until: DateTime<Utc>,
    /// When the next re-check of the batch is due.
    pub due: Option<DateTime<Utc>>,
}

/// The devices in quarantine.
#[derive(Default)]
pub struct Quarantine(Mutex<HashMap<Batch, IndexMap<Serial, Waiting>>>);

impl Quarantine {
    /// Puts devices into quarantine. One that is in it already keeps its due time.
    pub fn add(
        &self,
        batch: &Batch,
        devices: Vec<Device>,
        now: DateTime<Utc>,
        quarantine: Duration,
    ) -> Added {
        let until = now + TimeDelta::from_std(quarantine).unwrap_or(TimeDelta::MAX);
        let mut waiting = self.0.lock();
        let batch = waiting.entry(batch.clone()).or_default();
        let mut new = Vec::new();
        for Device { edge, .. } in devices {
            if let Some(known) = batch.get_mut(&edge.serial) {
                known.edge = edge;
            } else {
                new.push(edge.serial.clone());
                batch.insert(edge.serial.clone(), Waiting { edge, due: until });
            }
        }
        Added { new, until, due: batch.values().map(|waiting| waiting.due).min() }
    }

    /// Puts an edge into quarantine again that was in it before a restart. When the next re-check of the batch is due.
    pub fn restore(
        &self,
        batch: &Batch,
        edge: Arc<MonitoredEdge>,
        due: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let mut waiting = self.0.lock();
        let batch = waiting.entry(batch.clone()).or_default();
        batch.entry(edge.serial.clone()).or_insert(Waiting { edge, due });
        batch.values().map(|waiting| waiting.due).min()
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Takes the edges whose quarantine is over, in the order of their detection, and says when the next of the batch is
    /// due.
    pub fn take(
        &self,
        batch: &Batch,
        now: DateTime<Utc>,
    ) -> (Vec<Arc<MonitoredEdge>>, Option<DateTime<Utc>>) {
        let mut all = self.0.lock();
        let Some(waiting) = all.remove(batch) else { return (Vec::new(), None) };
        let (due, left): (IndexMap<_, _>, IndexMap<_, _>) =
            waiting.into_iter().partition(|(_, waiting)| waiting.due <= now);
        let next = left.values().map(|waiting: &Waiting| waiting.due).min();
        if !left.is_empty() {
            all.insert(batch.clone(), left);
        }
        (due.into_values().map(|waiting| waiting.edge).collect(), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn device(serial: &str) -> Device {
        Device { edge: Arc::new(sample::edge(serial)), record: sample::link_down(serial) }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn batch() -> Batch {
        Batch { host: "vco1.example.net".into(), kind: OutageKind::LinkDown }
    }

    fn serials(edges: &[Arc<MonitoredEdge>]) -> Vec<&str> {
        edges.iter().map(|edge| edge.serial.as_str()).collect()
    }

    #[test]
    fn a_batch_is_taken_once_when_it_is_due() {
        let quarantine = Quarantine::default();
        let added =
            quarantine.add(&batch(), vec![device("VC1"), device("VC2")], at(0), Duration::from_secs(180));
        let new = ["VC1", "VC2"].map(Serial::from).to_vec();
        assert_eq!(added, Added { new, until: at(180), due: Some(at(180)) });
        assert_eq!(quarantine.take(&batch(), at(179)), (vec![], Some(at(180))));
        let (taken, next) = quarantine.take(&batch(), at(180));
        assert_eq!((serials(&taken), next), (vec!["VC1", "VC2"], None));
        assert_eq!(quarantine.take(&batch(), at(180)), (vec![], None));
    }

    #[test]
    fn later_detections_are_merged_and_each_serves_its_own_quarantine() {
        let quarantine = Quarantine::default();
        let span = Duration::from_secs(900);
        quarantine.add(&batch(), vec![device("VC1")], at(0), span);
        let added = quarantine.add(&batch(), vec![device("VC1"), device("VC2")], at(600), span);
        let new = vec![Serial::from("VC2")];
        assert_eq!(added, Added { new, until: at(1_500), due: Some(at(900)) });
        let (taken, next) = quarantine.take(&batch(), at(900));
        assert_eq!((serials(&taken), next), (vec!["VC1"], Some(at(1_500))));
        let (taken, next) = quarantine.take(&batch(), at(1_500));
        assert_eq!((serials(&taken), next), (vec!["VC2"], None));
    }

    #[test]
    fn kinds_do_not_share_a_quarantine() {
        let quarantine = Quarantine::default();
        quarantine.add(&batch(), vec![device("VC1")], at(0), Duration::ZERO);
        let other = Batch { kind: OutageKind::HardDown, ..batch() };
        assert_eq!(quarantine.take(&other, at(0)).0, []);
        assert_eq!(serials(&quarantine.take(&batch(), at(0)).0), ["VC1"]);
    }

    #[test]
    fn after_a_restart_an_edge_keeps_its_due_time() {
        let quarantine = Quarantine::default();
        let edge = Arc::new(sample::edge("VC1"));
        assert_eq!(quarantine.restore(&batch(), edge, at(100)), Some(at(100)));
        let added = quarantine.add(&batch(), vec![device("VC1")], at(50), Duration::from_secs(180));
        assert_eq!(added, Added { new: vec![], until: at(230), due: Some(at(100)) });
        quarantine.clear();
        assert_eq!(quarantine.take(&batch(), at(999)), (vec![], None));
    }
}
