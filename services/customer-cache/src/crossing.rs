//! How a refresh's result is laid over the stored list (spec `customer-cache`, Behaviour 6 and Improve 3). Pure.

use std::collections::{HashMap, HashSet};

use contracts::{customer_cache::EdgeIdentity, id::Serial};
use indexmap::IndexMap;

use crate::entry::Entry;

/// The stored list of a host with the new one laid over it, before and after clean-up.
#[derive(Debug)]
pub struct Crossing {
    /// Every serial of both lists: what the snapshot e-mail shows as new.
    pub crossed: Vec<Entry>,
    /// What is stored and served.
    pub kept: Vec<Entry>,
    /// For each serial that the host no longer lists: in how many refreshes in a row it was missing.
    pub missing: HashMap<Serial, u32>,
}

/// What clean-up needs to know.
pub struct Cleanup<'a> {
    /// Edges which Bruin says are not monitored (any more).
    pub invalid: &'a HashSet<EdgeIdentity>,
    /// Edges which are never cached.
    pub blacklist: &'a [EdgeIdentity],
    /// Every serial which the host listed, partners included.
    pub listed: &'a HashSet<Serial>,
    /// The count of missing refreshes so far.
    pub missing: &'a HashMap<Serial, u32>,
    /// A serial missing in so many refreshes in a row is dropped; 0 = never.
    pub drop_after: u32,
}

/// Appends an entry for the standby of every high-availability pair (Behaviour 6.2).
pub fn with_standbys(mut edges: Vec<Entry>) -> Vec<Entry> {
    let standbys: Vec<Entry> = edges.iter().filter_map(Entry::standby).collect();
    edges.extend(standbys);
    edges
}

/// Lays `new` over `stored` (Behaviour 6.4) and cleans up (6.5 and Improve 3).
///
/// A serial in both has the new entry at the stored position; a serial in one only is kept; new serials follow. Of
/// repeated serials the last wins.
pub fn cross(stored: Vec<Entry>, new: Vec<Entry>, cleanup: &Cleanup<'_>) -> Crossing {
    let by_serial: IndexMap<Serial, Entry> =
        stored.into_iter().chain(new).map(|edge| (edge.serial.clone(), edge)).collect();
    let crossed: Vec<Entry> = by_serial.into_values().collect();
    let mut missing = HashMap::new();
    let kept = crossed
        .iter()
        .filter(|edge| {
            if cleanup.invalid.contains(&edge.edge) || cleanup.blacklist.contains(&edge.edge) {
                return false;
            }
            let partner_listed = edge.partner.as_ref().is_some_and(|serial| cleanup.listed.contains(serial));
            if cleanup.listed.contains(&edge.serial) || partner_listed {
                return true;
            }
            let times = cleanup.missing.get(&edge.serial).copied().unwrap_or(0).saturating_add(1);
            if cleanup.drop_after > 0 && times >= cleanup.drop_after {
                return false;
            }
            missing.insert(edge.serial.clone(), times);
            true
        })
        .cloned()
        .collect();
    Crossing { crossed, kept, missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caching::Entry as _;
    use proptest::prelude::*;
    use serde_json::json;

    /// An edge of a version; the members of a pair share its id.
    fn edge(serial: &str, partner: Option<&str>, edge_id: i64, version: &str) -> Entry {
        let json = json!({
            "edge": {"host": "h", "enterprise_id": 1, "edge_id": edge_id}, "edge_name": version,
            "serial_number": serial, "ha_serial_number": partner, "bruin_client_info": {"client_id": 1}
        });
        Entry::read(serde_json::value::to_raw_value(&json).unwrap()).unwrap()
    }

    fn names(edges: &[Entry]) -> Vec<String> {
        edges.iter().map(|e| format!("{}{}", e.serial, e.cached().unwrap().edge_name.unwrap())).collect()
    }

    struct World {
        invalid: HashSet<EdgeIdentity>,
        blacklist: Vec<EdgeIdentity>,
        listed: HashSet<Serial>,
        missing: HashMap<Serial, u32>,
    }

    impl World {
        fn listing(serials: &[&str]) -> Self {
            Self {
                invalid: HashSet::new(),
                blacklist: vec![],
                listed: serials.iter().map(|s| Serial::from(*s)).collect(),
                missing: HashMap::new(),
            }
        }

        fn cross(&self, stored: Vec<Entry>, new: Vec<Entry>) -> Crossing {
            cross(
                stored,
                new,
                &Cleanup {
                    invalid: &self.invalid,
                    blacklist: &self.blacklist,
                    listed: &self.listed,
                    missing: &self.missing,
                    drop_after: 3,
                },
            )
        }
    }

    /// Example F of the specification.
    #[test]
    fn invalid_edges_go_and_edges_that_bruin_could_not_tell_survive() {
        let mut world = World::listing(&["A", "B", "D", "P"]);
        world.invalid.insert(edge("B", None, 2, "").edge);
        let stored = vec![edge("A", None, 1, ""), edge("B", None, 2, ""), edge("C", None, 3, "")];
        let new = with_standbys(vec![edge("A", None, 1, "'"), edge("D", Some("P"), 4, "")]);
        let crossing = world.cross(stored, new);
        assert_eq!(names(&crossing.crossed), ["A'", "B", "C", "D", "P"]);
        assert_eq!(names(&crossing.kept), ["A'", "C", "D", "P"]);
        assert_eq!(crossing.kept[3].partner, Some(Serial::from("D")));
    }

    #[test]
    fn an_invalid_pair_goes_whole() {
        let mut world = World::listing(&["D", "P"]);
        world.invalid.insert(edge("D", None, 4, "").edge);
        let crossing = world.cross(with_standbys(vec![edge("D", Some("P"), 4, "")]), vec![]);
        assert_eq!(names(&crossing.crossed), ["D", "P"]);
        assert!(crossing.kept.is_empty());
    }

    #[test]
    fn of_a_pair_in_which_both_members_are_listed_the_copies_win_at_the_first_position() {
        let world = World::listing(&["A", "B"]);
        let new = with_standbys(vec![edge("A", Some("B"), 1, ""), edge("B", Some("A"), 2, "")]);
        let crossing = world.cross(vec![], new);
        assert_eq!(names(&crossing.kept), ["A", "B"]);
        assert_eq!(crossing.kept[0].edge.edge_id, 2);
        assert_eq!(crossing.kept[1].edge.edge_id, 1);
    }

    #[test]
    fn an_edge_that_left_velocloud_is_dropped_after_enough_refreshes() {
        let mut world = World::listing(&["A"]);
        let mut stored = vec![edge("A", None, 1, ""), edge("C", None, 3, "")];
        for round in 1..=2 {
            let crossing = world.cross(stored, vec![edge("A", None, 1, "")]);
            assert_eq!(names(&crossing.kept), ["A", "C"]);
            assert_eq!(crossing.missing, HashMap::from([(Serial::from("C"), round)]));
            (stored, world.missing) = (crossing.kept, crossing.missing);
        }
        assert_eq!(names(&world.cross(stored, vec![]).kept), ["A"]);
    }

    #[test]
    fn an_edge_that_comes_back_starts_counting_anew() {
        let mut world = World::listing(&["C"]);
        world.missing.insert(Serial::from("C"), 2);
        let crossing = world.cross(vec![edge("C", None, 3, "")], vec![]);
        assert_eq!(names(&crossing.kept), ["C"]);
        assert!(crossing.missing.is_empty());
    }

    #[test]
    fn a_standby_stays_while_its_partner_is_listed_and_a_blacklisted_edge_goes_at_once() {
        let mut world = World::listing(&["D"]);
        let stored = with_standbys(vec![edge("D", Some("P"), 4, "")]);
        assert_eq!(names(&world.cross(stored.clone(), vec![]).kept), ["D", "P"]);
        world.blacklist.push(edge("D", None, 4, "").edge);
        assert!(world.cross(stored, vec![]).kept.is_empty());
    }

    proptest! {
        /// Whatever came before: no serial twice, nothing invalid, and a failed look-up loses nothing that is listed.
        #[test]
        fn no_serial_is_lost_or_doubled(stored in prop::collection::vec(0i64..9, 0..12), new in prop::collection::vec(0i64..9, 0..12)) {
            let make = |ids: &[i64]| ids.iter().map(|id| edge(&format!("S{id}"), None, *id, "")).collect::<Vec<_>>();
            let mut world = World::listing(&["S0", "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8"]);
            world.invalid.insert(edge("", None, 5, "").edge);
            let crossing = world.cross(make(&stored), make(&new));
            let mut serials = names(&crossing.kept);
            serials.sort();
            let mut expected: Vec<String> =
                stored.iter().chain(&new).filter(|id| **id != 5).map(|id| format!("S{id}")).collect();
            expected.sort();
            expected.dedup();
            prop_assert_eq!(serials, expected);
        }
    }
}
