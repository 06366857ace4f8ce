use std::sync::Arc;

use super::*;
use crate::{
    edges::{EdgeRecord, State},
    sample,
};

const GE3: &str = "00:27:04:aa:bb:cc:0000";

fn settings() -> Settings {
    Settings {
        headers: vec!["00:04:2d".into(), "00:27:04".into()],
        grace: Duration::from_secs(1_800),
        reboots_per_cycle: 1,
    }
}

fn digi(interface: &str, mac: &str) -> DigiLink {
    DigiLink { interface: interface.into(), mac: mac.into() }
}

fn device(logical_ids: &[(&str, &str)], down: &[&str]) -> Device {
    let mut edge = sample::edge(sample::SERIAL);
    edge.logical_ids = logical_ids.iter().map(|(interface, mac)| sample::digi(interface, mac)).collect();
    let links = down.iter().map(|interface| sample::link(interface, "DISCONNECTED")).collect();
    Device { edge: Arc::new(edge), record: EdgeRecord { links, ..sample::record(sample::SERIAL) } }
}

fn checked(device: &Device, history: Option<History>) -> Check {
    let covering = Covering {
        edge: seen::Seen::of(&device.record),
        kind: ticketing::OutageKind::LinkDown,
        ticket: crate::rules::creation::Creation::InProgress,
    };
    Check { covering, units: units(device), now: now(), history }
}

fn now() -> DateTime<Utc> {
    "2022-01-31T15:00:00Z".parse().unwrap()
}

fn minutes_ago(minutes: i64) -> String {
    (now() - chrono::TimeDelta::minutes(minutes)).to_rfc3339()
}

fn rebooted(interface: &str, minutes: i64) -> Note {
    let text =
        format!("Offline DiGi interface identified for serial: VC1234567\nInterface: {interface}\nstarted");
    sample::note(&text, &minutes_ago(minutes))
}

fn whole_ticket(body: &str, minutes: i64) -> Note {
    Note { serials: vec![], ..sample::note(body, &minutes_ago(minutes)) }
}

fn remedied(
    links: Vec<DigiLink>,
    notes: Vec<Note>,
    settings: &Settings,
) -> Vec<Result<String, &'static str>> {
    let details = sample::details(vec![sample::line(77, sample::SERIAL, "I")], notes);
    let history = History::of(&details, &Serial::from(sample::SERIAL));
    remedies(links, &history, now(), settings)
        .unwrap()
        .into_iter()
        .map(|remedy| match remedy {
            Remedy::Reboot(link) => Ok(format!("reboot {}", link.interface)),
            Remedy::WirelessTeam(link) => Ok(format!("wireless {}", link.interface)),
            Remedy::Stop(refusal) => Err(refusal.rule),
        })
        .collect()
}

#[test]
fn digi_links_are_those_with_a_digi_prefix_in_the_order_of_the_prefixes() {
    let device = device(
        &[
            ("GE1", "00:00:5e:00"),
            ("GE2", "00:27:04:01"),
            ("GE3", "00:04:2d:02"),
            ("GE4", "00:04:2D:03"),
            ("GE5", "x00:04:2d"),
        ],
        &["GE1", "GE2", "GE3", "GE4", "GE5"],
    );
    let links = down_links(&units(&device), &settings()).unwrap();
    assert_eq!(links, [digi("GE3", "00:04:2d:02"), digi("GE5", "x00:04:2d"), digi("GE2", "00:27:04:01")]);
}

#[test]
fn only_disconnected_links_count_by_the_first_link_of_the_interface() {
    let mut device = device(&[("GE3", GE3), ("GE4", GE3)], &["GE3"]);
    assert_eq!(down_links(&units(&device), &settings()).unwrap(), [digi("GE3", GE3)]);
    device.record.links.insert(0, sample::link("GE3", "STABLE"));
    assert_eq!(down_links(&units(&device), &settings()).unwrap_err().rule, "digi.links");
}

#[test]
fn an_offline_edge_is_rebooted_for_a_new_ticket_but_not_checked_later() {
    let mut device = device(&[("GE3", GE3)], &["GE3"]);
    device.record.state = State::offline();
    assert!(down_links(&units(&device), &settings()).is_ok());
    let facts = checked(&device, None);
    assert_eq!(check(&facts, &settings()).unwrap_err().rule, "digi.edge_offline");
    device.record.state = State::connected();
    assert_eq!(check(&checked(&device, None), &settings()), Ok(Next::Ask));
}

/// Every re-check asks for the ticket anew while Bruin does not open its line.
#[test]
fn while_a_line_stays_resolved_an_interface_is_rebooted_once_in_a_grace_period() {
    let device = device(&[("GE3", GE3), ("GE4", GE3)], &["GE3", "GE4"]);
    let rebooted = |(interface, ago): &(&str, i64)| Rebooted {
        interface: Some((*interface).to_owned()),
        at: Some(now() - chrono::TimeDelta::seconds(*ago)),
    };
    for (before, expected) in [
        (vec![], vec!["GE3", "GE4"]),
        (vec![("GE3", 1_799)], vec!["GE4"]),
        (vec![("GE3", 1_800), ("GE9", 5)], vec!["GE3", "GE4"]),
        (vec![("GE3", 4_000), ("GE3", 600)], vec!["GE4"]),
        (vec![("GE3", 600), ("GE4", 600)], vec![]),
    ] {
        let facts = Reboots {
            covering: checked(&device, None).covering,
            units: units(&device),
            before: Some(Before { now: now(), reboots: before.iter().map(rebooted).collect() }),
        };
        let links = reboots(&facts, &settings());
        let interfaces =
            links.as_ref().map(|links| links.iter().map(|link| link.interface.as_str()).collect());
        let expected = if expected.is_empty() { Err("digi.grace") } else { Ok(expected) };
        assert_eq!(interfaces.map_err(|refusal| refusal.rule), expected, "{before:?}");
    }
}

/// Spec "Examples" 5.
#[test]
fn the_examples_of_the_failed_reboot_check() {
    for (notes, expected) in [
        (vec![rebooted("GE3", 10)], Err("digi.grace")),
        (vec![rebooted("GE3", 40)], Ok("wireless GE3".to_owned())),
        (vec![rebooted("GE4", 40)], Ok("reboot GE3".to_owned())),
        (vec![], Err("digi.first")),
        (vec![sample::note("Triage (VeloCloud)\nInterface: GE3", &minutes_ago(40))], Err("digi.first")),
    ] {
        assert_eq!(remedied(vec![digi("GE3", GE3)], notes.clone(), &settings()), [expected], "{notes:?}");
    }
}

#[test]
fn the_grace_period_ends_after_exactly_1800_seconds() {
    assert_eq!(
        remedied(vec![digi("GE3", GE3)], vec![rebooted("GE3", 30)], &settings()),
        [Ok("wireless GE3".into())]
    );
    assert_eq!(remedied(vec![digi("GE3", GE3)], vec![rebooted("GE3", 29)], &settings()), [Err("digi.grace")]);
    assert_eq!(remedied(vec![digi("GE3", GE3)], vec![rebooted("GE4", 29)], &settings()), [Err("digi.grace")]);
}

#[test]
fn two_links_are_not_rebooted_again_and_again() {
    let links = || vec![digi("GE3", GE3), digi("GE4", GE3)];
    // Both were rebooted at creation: each goes to the wireless team, none is rebooted again.
    let notes = vec![rebooted("GE3", 40), rebooted("GE4", 40)];
    assert_eq!(remedied(links(), notes, &settings()), [Ok("wireless GE3".into()), Ok("wireless GE4".into())]);
    // The latest note of the interface counts, not the first.
    let twice = Settings { reboots_per_cycle: 2, ..settings() };
    assert_eq!(
        remedied(links(), vec![rebooted("GE3", 90), rebooted("GE3", 10)], &twice),
        [Err("digi.grace")]
    );
    assert_eq!(
        remedied(vec![digi("GE3", GE3)], vec![rebooted("GE3", 40)], &twice),
        [Ok("reboot GE3".into())]
    );
    let notes = vec![rebooted("GE3", 90), rebooted("GE3", 40)];
    assert_eq!(remedied(vec![digi("GE3", GE3)], notes, &twice), [Ok("wireless GE3".into())]);
}

#[test]
fn the_wireless_team_gets_a_task_once_per_documentation_cycle() {
    let link = || vec![digi("GE3", GE3)];
    let failed = "DiGi reboot failed\nMoving task to: Wireless Repair Intervention Needed";
    let notes = vec![rebooted("GE3", 90), whole_ticket(failed, 50)];
    assert_eq!(remedied(link(), notes.clone(), &settings()), [Err("digi.wireless")]);
    let mut reopened = notes;
    reopened.push(sample::note("Re-opening ticket.", &minutes_ago(45)));
    assert_eq!(remedied(link(), reopened.clone(), &settings()), [Err("digi.first")]);
    reopened.push(rebooted("GE3", 44));
    assert_eq!(remedied(link(), reopened, &settings()), [Ok("wireless GE3".into())]);
}

#[test]
fn a_ticket_without_the_serials_line_is_left_alone() {
    let empty = History::of(&TicketDetails::default(), &Serial::from("VC1"));
    let facts = checked(&device(&[("GE3", GE3)], &["GE3"]), Some(empty));
    assert_eq!(check(&facts, &settings()).unwrap_err().rule, "digi.line");
}

#[test]
fn the_notes() {
    let at = "2022-01-31T15:00:00Z".parse().unwrap();
    insta::assert_snapshot!("reboot", reboot_note(&Serial::from("VC1234567"), "GE3", at, Tz::US__Eastern));
    insta::assert_snapshot!("failed", failed_note(at, Tz::US__Eastern));
    let reboot = Note {
        text: reboot_note(&Serial::from("VC1234567"), "GE3", at, Tz::US__Eastern),
        serials: vec![],
        created: None,
    };
    assert_eq!(reboot.digi_interface(), Some("GE3"));
}
