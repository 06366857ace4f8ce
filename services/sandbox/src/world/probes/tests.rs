use std::time::Duration;

use runtime::Clock;

use super::*;
use crate::world::Plan;

fn world(edges: usize) -> World {
    let hosts = vec!["vco1.sandbox.example".to_owned()];
    let now = "2022-01-31T15:02:00Z".parse().unwrap();
    World::new(Clock::frozen(now), &Plan { seed: 5, edges, hosts })
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn the_same_plan_makes_the_same_probes_and_every_world_has_every_kind() {
    use ProbeOddity::{
        Disconnected, Inactive, Never, NotMonitored, Pending, SameSerial, TwoInventories, Unknown,
    };
    let probes = |edges| world(edges).probes(|probes| format!("{:?}", probes.list()));
    assert_eq!(probes(60), probes(60));
    assert_eq!(world(0).probes(|probes| probes.list().len()), 0);
    assert_eq!(world(600).probes(|probes| probes.list().len()), 150);
    world(1).probes(|probes| {
        let has = |oddity| probes.list().iter().filter(|probe| probe.oddity == oddity).count();
        for odd in [Never, TwoInventories, NotMonitored, Disconnected, Unknown, Inactive, Pending, SameSerial]
        {
            assert_eq!(has(odd), 1, "{odd:?}");
        }
        assert_eq!(has(ProbeOddity::None), 16);
    });
}

#[test]
fn bruin_knows_the_probes_as_their_kind_says() {
    let world = world(60);
    let probes = world.probes(|probes| probes.list().to_vec());
    world.inventory(|inventory| {
        for probe in &probes {
            let assets = inventory.assets(&probe.serial);
            let active = assets.iter().filter(|asset| asset.active).count();
            let expected = match probe.oddity {
                ProbeOddity::TwoInventories => (2, 2),
                ProbeOddity::Disconnected => (1, 0),
                ProbeOddity::Unknown => (0, 0),
                _ => (1, 1),
            };
            assert_eq!((assets.len(), active), expected, "{probe:?}");
            assert!(assets.iter().all(|asset| inventory.site(asset.site).unwrap().client == asset.client));
        }
    });
}

#[test]
fn runs_are_those_of_the_interval_newest_first_and_found_by_their_ids() {
    let world = world(60);
    world.probes(|probes| {
        let now = at("2022-01-31T15:02:00Z");
        let probe = probes.list().iter().find(|probe| probe.tests().count() == 3).unwrap();
        let runs = |from, until| probes.runs(Some(&probe.uid), Some(at(from)), Some(at(until)), now);
        // Both ends count; nothing comes from the future.
        let some = runs("2022-01-31T14:50:00Z", "2022-01-31T16:00:00Z");
        let times: Vec<String> = some.page(0, 100).map(|run| run.at.format("%H:%M").to_string()).collect();
        assert_eq!(times, ["15:00", "15:00", "15:00", "14:55", "14:55", "14:55", "14:50", "14:50", "14:50"]);
        assert_eq!((some.len(), some.page(7, 100).count(), some.page(2, 3).count()), (9, 2, 3));
        assert_eq!(some.page(20, 5).count(), 0);
        assert!(runs("2022-01-31T14:50:00.1Z", "2022-01-31T14:54:59Z").is_empty());
        assert!(runs("2022-02-01T00:00:00Z", "2022-01-01T00:00:00Z").is_empty());
        assert_eq!(probes.runs(Some(&probe.uid), None, None, now).len(), 7 * 24 * 12 * 3);
        for run in some.page(0, 100) {
            let again = probes.run_by_id(run.id, now).unwrap();
            assert_eq!((again.at, again.test, &again.probe.uid), (run.at, run.test, &run.probe.uid));
        }
        let all = probes.runs(None, Some(at("2022-01-31T15:00:00Z")), None, now);
        let ids: std::collections::HashSet<i64> = all.page(0, 1_000).map(|run| run.id).collect();
        assert_eq!(ids.len(), all.len());
        assert!(all.page(0, 1_000).all(|run| run.probe.active && run.probe.oddity != ProbeOddity::Never));
        let newest = some.page(0, 1).next().unwrap();
        assert!(probes.run_by_id(newest.id, at("2022-01-31T14:59:59Z")).is_none());
        for none in [0, -1, i64::MAX, i64::MIN] {
            assert!(probes.run_by_id(none, now).is_none(), "{none}");
        }
    });
}

#[test]
fn what_is_wrong_shows_in_the_runs_of_that_time_only() {
    let world = world(60);
    let probe =
        world.probes(|probes| probes.list().iter().find(|it| it.tests().count() == 3).unwrap().clone());
    let outcomes = |test: TestKind| {
        let now = world.now();
        world.probes(|probes| {
            let from = Some(now - TimeDelta::minutes(20));
            let runs = probes.runs(Some(&probe.uid), from, None, now);
            let of = |run: &Run<'_>| run.test == test;
            runs.page(0, 100).filter(of).map(|run| run.outcome().name()).collect::<Vec<_>>()
        })
    };
    let five_minutes = Duration::from_secs(300);
    assert_eq!(world.trouble_probe(&probe.serial, Trouble::Failing(TestKind::Voice), true), Some(true));
    assert_eq!(world.trouble_probe(&probe.serial, Trouble::Failing(TestKind::Voice), true), Some(false));
    world.advance(five_minutes);
    assert_eq!(world.trouble_probe(&probe.serial, Trouble::Failing(TestKind::Voice), false), Some(true));
    assert_eq!(world.trouble_probe(&probe.serial, Trouble::Down(ProbeService::NodeToNode), true), Some(true));
    world.advance(five_minutes);
    assert_eq!(outcomes(TestKind::Voice), ["Error", "Failed", "Passed", "Passed"]);
    assert_eq!(outcomes(TestKind::Icmp), ["Passed"; 4]);
    assert_eq!(world.heal_probe(&probe.serial), Some(true));
    assert_eq!(world.heal_probe(&probe.serial), Some(false));
    world.advance(five_minutes);
    assert_eq!(outcomes(TestKind::Voice), ["Passed", "Error", "Failed", "Passed"]);
    assert_eq!(world.heal_probe("nobody"), None);
}

#[test]
fn the_metrics_of_a_run_agree_with_its_outcome() {
    let world = world(60);
    let probe =
        world.probes(|probes| probes.list().iter().find(|it| it.tests().count() == 3).unwrap().clone());
    for test in TestKind::ALL {
        world.trouble_probe(&probe.serial, Trouble::Failing(test), true).unwrap();
    }
    world.advance(Duration::from_secs(300));
    let now = world.now();
    world.probes(|probes| {
        for run in probes.runs(Some(&probe.uid), Some(now - TimeDelta::hours(1)), None, now).page(0, 100) {
            let metrics = run.metrics();
            let failed = metrics.iter().filter(|metric| metric.status == "Failed").count();
            assert_eq!(failed > 0, run.outcome() == Outcome::Failed, "{run:?}");
            for metric in metrics.iter().filter(|metric| metric.threshold_type != "-1") {
                let (value, limit): (f64, f64) =
                    (metric.value.parse().unwrap(), metric.threshold.parse().unwrap());
                let within = if metric.threshold_type == "1" { value >= limit } else { value <= limit };
                assert_eq!(within, metric.status == "Passed", "{metric:?}");
            }
        }
    });
}

#[test]
fn healing_everything_heals_probes() {
    let world = world(60);
    let serial = world.probes(|probes| probes.list()[0].serial.clone());
    world.trouble_probe(&serial, Trouble::Down(ProbeService::NodeToNode), true).unwrap();
    world.trouble_probe(&serial, Trouble::Failing(TestKind::NetworkKpi), true).unwrap();
    assert!(!world.probes(|probes| probes.by_serial(&serial).all(Probe::is_up)));
    assert_eq!(world.heal_all(), 2);
    assert!(world.probes(|probes| probes.by_serial(&serial).all(Probe::is_up)));
}
