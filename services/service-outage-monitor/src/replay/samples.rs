//! Facts for every rule, with what the ledger tells of the decision.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use ticketing::{OutageKind, Severity};

use crate::{
    edges::{EdgeRecord, State},
    question::Question,
    rules::{
        asr, autoresolve,
        creation::{Creation, Reopening, Title},
        detection::{Look, Recheck},
        digi::{self, DigiLink, Rebooted},
        documentation, hnoc,
        severity::{self, Present},
    },
    sample::{self, SERIAL, STANDBY},
    seen::{Covering, Seen},
    triage::rules as triage,
};

pub(super) fn now() -> DateTime<Utc> {
    "2022-01-31T15:00:00Z".parse().unwrap()
}

pub(super) fn ago(minutes: i64) -> DateTime<Utc> {
    now() - TimeDelta::minutes(minutes)
}

pub(super) fn covering(record: &EdgeRecord, ticket: Creation) -> Covering {
    Covering { edge: Seen::of(record), kind: record.outage().unwrap_or(OutageKind::LinkDown), ticket }
}

pub(super) fn link_down(ticket: Creation) -> Covering {
    covering(&sample::link_down(SERIAL), ticket)
}

pub(super) fn pair(primary: bool) -> EdgeRecord {
    EdgeRecord {
        partner: Some(sample::partner(STANDBY, State::connected())),
        primary,
        ..sample::link_down(SERIAL)
    }
}

/// What is recorded: an abstention by a rule, or actions with their details.
#[derive(Clone)]
pub(super) enum Told {
    Nothing(&'static str),
    Did(&'static str, Vec<(&'static str, String, Value)>),
}

pub(super) fn nothing(rule: &'static str) -> Told {
    Told::Nothing(rule)
}

pub(super) fn did(rule: &'static str, action: &'static str, target: &str) -> Told {
    Told::Did(rule, vec![(action, format!("{SERIAL}{target}"), json!({}))])
}

pub(super) fn severity_of(record: &EdgeRecord, lines: Option<usize>, present: Option<i64>) -> Question {
    Question::Severity(severity::Facts {
        edge: Seen::of(record),
        check_tasks: true,
        unresolved_lines: lines,
        present: present.map(|level| Present::Level(Severity(level))),
    })
}

pub(super) fn scheduling(trigger: hnoc::Trigger, history: hnoc::History) -> Question {
    Question::Schedule(hnoc::Scheduling {
        kind: OutageKind::LinkDown,
        trigger,
        history,
        now: now(),
        site: Some(-5),
    })
}

pub(super) fn forwarding(late: i64, resolved: Option<bool>) -> Question {
    Question::Forward(hnoc::Forwarding { due: ago(late), now: now(), resolved })
}

pub(super) fn unit() -> DigiLink {
    DigiLink { interface: "GE1".into(), mac: "00:27:04:aa:bb:cc:0000".into() }
}

pub(super) fn reboots(units: Vec<DigiLink>) -> Question {
    Question::Reboot(digi::Reboots { covering: link_down(Creation::New), units, before: None })
}

pub(super) fn check(
    edge: &EdgeRecord,
    reboots: Option<Vec<i64>>,
    has_line: bool,
    wireless: bool,
) -> Question {
    let history = reboots.map(|reboots| digi::History {
        has_line,
        reboots: reboots
            .into_iter()
            .map(|minutes| Rebooted { interface: Some("GE1".into()), at: Some(ago(minutes)) })
            .collect(),
        wireless,
    });
    Question::CheckReboots(digi::Check {
        covering: covering(edge, Creation::InProgress),
        units: vec![unit()],
        now: now(),
        history,
    })
}

pub(super) fn asr(edge: &EdgeRecord, label: Option<&str>, history: Option<(bool, bool, bool)>) -> Question {
    let wired = label.map(|label| asr::Wired {
        interface: Some("GE1".into()),
        label: Some(label.into()),
        address: false,
    });
    Question::Asr(asr::Facts {
        covering: covering(edge, Creation::InProgress),
        wired: wired.into_iter().collect(),
        history: history.map(|(has_line, forwarded, since_reopening)| asr::History {
            has_line,
            forwarded,
            since_reopening,
        }),
    })
}

pub(super) fn autoresolve() -> autoresolve::Facts {
    autoresolve::Facts {
        ours: true,
        has_line: true,
        last_outage: Some((autoresolve::Since::Triage, ago(70))),
        autoresolves: 1,
        resolved: false,
        now: now(),
        site: Some(-5),
    }
}

pub(super) fn triage_of(notes: triage::Known, edge: Option<&EdgeRecord>) -> triage::Facts {
    triage::Facts {
        ticket: 555.into(),
        line: 77.into(),
        notes,
        edge: edge.map(Seen::of),
        now: now(),
        news: None,
        again: None,
    }
}

pub(super) fn noted(minutes: i64) -> triage::Known {
    triage::Known { triage_notes: 1, newest: Some(ago(minutes)), told: None }
}

#[allow(clippy::unnecessary_wraps, reason = "as the facts have it")]
pub(super) fn again(notes: Option<triage::Known>, news: Option<usize>) -> Option<triage::SecondLook> {
    Some(triage::SecondLook { now: now(), notes, news })
}

/// Facts for every rule, with what the ledger tells of the decision.
#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) fn table() -> Vec<(Question, Told)> {
    let (offline, down) = (sample::offline(SERIAL), sample::link_down(SERIAL));
    let recheck =
        |edge: &EdgeRecord| Question::Recheck(Recheck { edge: Seen::of(edge), waited: OutageKind::LinkDown });
    let tickets = |facts| Question::Tickets(facts);
    let known = autoresolve::Tickets::default;
    let line = |change: fn(&mut autoresolve::Facts)| {
        let mut facts = autoresolve();
        change(&mut facts);
        Question::Autoresolve(facts)
    };
    let note = |documented, line: Option<&str>| {
        Question::Document(documentation::Facts {
            covering: link_down(Creation::New),
            title: Title::Triage,
            documented,
            line: line.map(Into::into),
        })
    };
    let due = "2022-01-31T16:30:00Z";
    let new = triage_of(triage::Known::default(), Some(&offline));
    let old = triage_of(noted(60), None);
    let outage = vec![
        (Question::Look(Look { edge: None }), nothing("edges.record")),
        (Question::Look(Look { edge: Some(Seen::of(&pair(false))) }), nothing("outage.primary")),
        (Question::Look(Look { edge: Some(Seen::of(&offline)) }), nothing("outage.quarantine")),
        (recheck(&offline), nothing("recheck.kind")),
        (recheck(&down), did("outage.ticket", "create_ticket", ": Link Down Outage (no HA)")),
        (
            Question::Reopen(Reopening { covering: link_down(Creation::Resolved), has_line: false }),
            nothing("reopen.line"),
        ),
        (
            Question::Reopen(Reopening { covering: link_down(Creation::Resolved), has_line: true }),
            did("reopen", "open_line", ""),
        ),
        (note(true, Some(SERIAL)), nothing("documentation.once")),
        (note(false, None), nothing("documentation.line")),
        (note(false, Some(SERIAL)), did("documentation", "append_note", ": triage 1/1")),
        (severity_of(&down, Some(2), None), nothing("severity.tasks")),
        (severity_of(&down, Some(1), Some(3)), nothing("severity.same")),
        (severity_of(&offline, None, Some(3)), did("severity", "set_severity", ": severity 2")),
        (
            scheduling(hnoc::Trigger::StillDown, hnoc::History { pending: Some(ago(-30)), settled: false }),
            nothing("hnoc.pending"),
        ),
        (
            scheduling(hnoc::Trigger::StillDown, hnoc::History { pending: None, settled: true }),
            nothing("hnoc.done"),
        ),
        (
            scheduling(hnoc::Trigger::NewOutage, hnoc::History::default()),
            Told::Did(
                "hnoc.schedule",
                vec![("schedule_forward", format!("{SERIAL}: HNOC Investigate"), json!({"due": due}))],
            ),
        ),
        (forwarding(200, None), nothing("hnoc.late")),
        (forwarding(1, None), nothing("hnoc.lookup")),
        (forwarding(1, Some(true)), nothing("hnoc.resolved")),
        (forwarding(1, Some(false)), did("hnoc.forward", "forward", ": HNOC Investigate")),
        (reboots(vec![]), nothing("digi.links")),
        (reboots(vec![unit()]), did("digi.reboot", "reboot_digi", ": GE1 (00:27:04:aa:bb:cc:0000)")),
        (check(&offline, None, true, false), nothing("digi.edge_offline")),
        (check(&down, Some(vec![40]), false, false), nothing("digi.line")),
        (check(&down, Some(vec![]), true, false), nothing("digi.first")),
        (check(&down, Some(vec![10]), true, false), nothing("digi.grace")),
        (check(&down, Some(vec![40]), true, true), nothing("digi.wireless")),
        (
            check(&down, Some(vec![40]), true, false),
            did("digi.wireless", "forward", ": Wireless Repair Intervention Needed"),
        ),
        (asr(&offline, Some("ACME"), None), nothing("asr.edge_offline")),
        (asr(&down, None, None), nothing("asr.wired")),
        (asr(&down, Some("ACME BYOB"), None), nothing("asr.label")),
        (asr(&down, Some("ACME"), Some((false, false, false))), nothing("asr.line")),
        (asr(&down, Some("ACME"), Some((true, true, false))), nothing("asr.once")),
        (
            asr(&down, Some("ACME"), Some((true, false, false))),
            Told::Did(
                "asr",
                vec![
                    ("forward", format!("{SERIAL}: No Trouble Found - Carrier Issue"), json!({})),
                    ("append_note", format!("{SERIAL}: ASR forward"), json!({})),
                ],
            ),
        ),
        (tickets(autoresolve::Tickets { unmonitored: true, ..known() }), nothing("autoresolve.whitelist")),
        (tickets(autoresolve::Tickets { unanswered: true, ..known() }), nothing("autoresolve.unanswered")),
        (tickets(known()), nothing("autoresolve.ticket")),
        (tickets(autoresolve::Tickets { open: 1, ..known() }), nothing("autoresolve.creator")),
        (
            Question::LookAgain(autoresolve::SecondLook {
                unanswered: false,
                edge: Some(Seen::of(&offline)),
            }),
            nothing("autoresolve.reread"),
        ),
        (line(|facts| facts.has_line = false), nothing("autoresolve.line")),
        (line(|facts| facts.last_outage = None), nothing("autoresolve.grace")),
        (line(|facts| facts.autoresolves = 3), nothing("autoresolve.limit")),
        (line(|facts| facts.resolved = true), nothing("autoresolve.resolved")),
        (
            line(|_| {}),
            Told::Did(
                "autoresolve",
                ["unpause_line", "resolve_line"]
                    .map(|action| (action, SERIAL.to_owned(), json!({})))
                    .to_vec(),
            ),
        ),
    ];
    let triage = vec![
        (triage_of(triage::Known::default(), None), nothing("triage.record")),
        (triage_of(triage::Known::default(), Some(&pair(false))), nothing("triage.primary")),
        (triage_of(noted(10), None), nothing("triage.last_note")),
        (triage::Facts { news: Some(0), ..old.clone() }, nothing("triage.events")),
        (triage::Facts { again: again(None, None), ..new.clone() }, nothing("triage.line")),
        (triage::Facts { again: again(Some(noted(60)), None), ..new.clone() }, nothing("triage.second_look")),
        (
            triage::Facts { again: again(Some(triage::Known::default()), None), ..new },
            did("triage.document", "append_note", ": triage 1/2"),
        ),
        (
            triage::Facts { news: Some(2), again: again(Some(noted(60)), Some(2)), ..old },
            did("triage.events", "append_note", ": events 1/1"),
        ),
    ];
    outage
        .into_iter()
        .chain(triage.into_iter().map(|(facts, told)| (Question::Triage(facts), told)))
        .collect()
}
