use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use decisions::{Entry, Mode, Record, Settings, Step};
use serde_json::json;
use ticketing::OutageKind;

use super::{
    answer::{Answer, matters},
    samples::*,
    *,
};
use crate::{
    question::Question,
    rules::{
        autoresolve,
        detection::{Look, Recheck},
        hnoc,
    },
    sample::{self, SERIAL},
    seen::Seen,
    triage::rules as triage,
};

fn record(question: &Question, told: &Told, second: i64) -> Vec<Entry> {
    let service = if matches!(question, Question::Triage(_)) { TRIAGE } else { OUTAGE };
    let facts = question.facts();
    let one = |rule: &str, step| {
        Entry::Record(Record {
            at: now() + TimeDelta::seconds(second),
            service: service.into(),
            mode: Mode::Live,
            device: SERIAL.into(),
            rule: rule.into(),
            settings: "s1".into(),
            step,
        })
    };
    match told {
        Told::Nothing(rule) => vec![one(rule, Step::Abstained { reason: "so".into(), facts })],
        Told::Did(rule, actions) => {
            let intents = actions.iter().map(|(action, target, details)| {
                let (action, target) = ((*action).to_owned(), target.clone());
                one(rule, Step::Intent { action, target, details: details.clone(), facts: facts.clone() })
            });
            intents.collect()
        }
    }
}

fn in_force(values: &[(&str, &str)]) -> Entry {
    Entry::Settings(Settings {
        id: "s1".into(),
        at: now(),
        service: OUTAGE.into(),
        mode: Mode::Live,
        values: set(values),
    })
}

fn set(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const EASTERN: [(&str, &str); 2] = [("CURRENT_ENVIRONMENT", "production"), ("TIMEZONE", "US/Eastern")];

/// What a player makes of lines as they stand in a recording.
fn played(other: Option<&[(&str, &str)]>, entries: Vec<Entry>) -> Report {
    let mut player = Player::new(other.map(set)).unwrap();
    for entry in [vec![in_force(&EASTERN)], entries].concat() {
        let line = serde_json::to_vec(&entry).unwrap();
        let read = Entry::read(&line).unwrap();
        assert_eq!(read, entry);
        player.add(read);
    }
    player.finish()
}

#[test]
fn every_decision_is_made_again_from_what_is_recorded_of_it() {
    for (question, told) in table() {
        let report = played(None, record(&question, &told, 0));
        assert_eq!((report.same, report.different), (1, 0), "{:#?}", report.differences);
        assert_eq!((report.not_replayed, report.without_settings), (0, 0), "{question:?}");
    }
}

#[test]
fn facts_survive_the_ledger() {
    for (question, _) in table() {
        let back: Question = serde_json::from_str(&question.facts().to_string()).unwrap();
        assert_eq!(back, question);
    }
}

/// Every rule that is named in the sources stands in the table, and the facts that matter to it are recorded.
#[test]
fn the_table_has_every_rule() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![folder.join("triage/rules.rs")];
    files.extend(std::fs::read_dir(folder.join("rules")).unwrap().map(|entry| entry.unwrap().path()));
    let mut named = BTreeSet::new();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "rs"));
    for file in files.iter().filter(|file| !file.to_string_lossy().ends_with("_tests.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        let rules = code.split('"').skip(1).step_by(2).filter(|literal| {
            let (before, after) = literal.split_once('.').unwrap_or_default();
            let word =
                |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            word(before) && word(after) && after != "txt"
        });
        named.extend(rules.map(str::to_owned));
    }
    let mut told = BTreeSet::new();
    for (question, answer) in table() {
        let (Told::Nothing(rule) | Told::Did(rule, _)) = answer;
        told.insert(rule.to_owned());
        let facts = question.facts();
        let on_record = |name: &str| facts.get(name).is_some();
        let recorded = matters(rule).is_empty() || matters(rule).iter().any(|name| on_record(name));
        let usual = ["edges.record", "autoresolve.ticket"].contains(&rule);
        assert!(recorded || usual, "{rule}: {facts}");
    }
    // Outside production nothing is done by any of them; see the thresholds.
    named.retain(|rule| !rule.ends_with(".environment"));
    assert!(named.len() > 35, "{named:?}");
    assert_eq!(named.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// A recorded decision, a setting and its other value, and what becomes different.
type Case = ((Question, Told), &'static str, &'static str, Option<Change>);

#[test]
fn another_threshold_makes_the_expected_difference() {
    const DAY: &str = "MONITORING__GRACE_PERIOD_TO_AUTORESOLVE_AFTER_LAST_DOCUMENTED_OUTAGE_DAY_TIME";
    const LABELS: &str = "MONITORING__LINK_LABELS_BLACKLISTED_IN_ASR_FORWARDS";
    let down = sample::link_down(SERIAL);
    let third = || {
        let facts = autoresolve::Facts { autoresolves: 3, ..autoresolve() };
        (Question::Autoresolve(facts), nothing("autoresolve.limit"))
    };
    let resolved = || (Question::Autoresolve(autoresolve()), did("autoresolve", "resolve_line", ""));
    let ticket = || {
        let facts = Recheck { edge: Seen::of(&down), waited: OutageKind::LinkDown };
        (Question::Recheck(facts), did("outage.ticket", "create_ticket", ": Link Down Outage (no HA)"))
    };
    let wireless = || {
        let question = check(&down, Some(vec![40]), true, false);
        (question, did("digi.wireless", "forward", ": Wireless Repair Intervention Needed"))
    };
    let scheduled = || {
        let due = json!({"due": "2022-01-31T16:30:00Z"});
        let did = vec![("schedule_forward", format!("{SERIAL}: HNOC Investigate"), due)];
        (scheduling(hnoc::Trigger::NewOutage, hnoc::History::default()), Told::Did("hnoc.schedule", did))
    };
    let forwarded = || {
        let question = asr(&down, Some("ACME Cable"), Some((true, false, false)));
        (question, did("asr", "forward", ": No Trouble Found - Carrier Issue"))
    };
    let forwarded_to_hnoc =
        || (forwarding(1, Some(false)), did("hnoc.forward", "forward", ": HNOC Investigate"));
    let once = || (asr(&down, Some("ACME"), Some((true, true, false))), nothing("asr.once"));
    let severe = || (severity_of(&down, Some(1), Some(2)), did("severity", "set_severity", ": severity 3"));
    let told = || {
        let facts = triage_of(noted(20), None);
        (Question::Triage(facts), nothing("triage.last_note"))
    };
    let written = || {
        let facts = triage_of(noted(60), None);
        let facts = triage::Facts { news: Some(2), again: again(Some(noted(60)), Some(2)), ..facts };
        (Question::Triage(facts), did("triage.events", "append_note", ": events 1/1"))
    };
    let cases: Vec<Case> = vec![
        (resolved(), "MONITORING__MAX_AUTORESOLVES_PER_TICKET", "1", Some(Change::NotDone)),
        (resolved(), "MONITORING__MAX_AUTORESOLVES_PER_TICKET", "2", None),
        (third(), "MONITORING__MAX_AUTORESOLVES_PER_TICKET", "4", Some(Change::Done)),
        (resolved(), DAY, "3600", Some(Change::NotDone)),
        (third(), DAY, "3600", Some(Change::OtherReason)),
        // It is 10 in the morning at the site: by night the longer period would hold.
        (resolved(), "MONITORING__AUTORESOLVE_DAY_START_HOUR", "11", None),
        (scheduled(), "MONITORING__AUTORESOLVE_DAY_START_HOUR", "11", Some(Change::Otherwise)),
        (scheduled(), "TIMEZONE", "Asia/Kolkata", None),
        (resolved(), "CURRENT_ENVIRONMENT", "dev", Some(Change::NotDone)),
        (ticket(), "CURRENT_ENVIRONMENT", "dev", Some(Change::NotDone)),
        (forwarded_to_hnoc(), "CURRENT_ENVIRONMENT", "dev", Some(Change::NotDone)),
        (ticket(), "MONITORING__SEVERITY_FOR_LINK_DOWN_OUTAGES", "1", None),
        (severe(), "MONITORING__SEVERITY_FOR_LINK_DOWN_OUTAGES", "1", Some(Change::Otherwise)),
        (severe(), "MONITORING__SEVERITY_FOR_LINK_DOWN_OUTAGES", "2", Some(Change::NotDone)),
        (forwarded(), LABELS, r#"["Cable"]"#, Some(Change::NotDone)),
        (once(), "MONITORING__ASR_FORWARDS_AGAIN_AFTER_REOPENING", "true", Some(Change::Done)),
        (wireless(), "MONITORING__MAX_DIGI_REBOOTS_PER_DOCUMENTATION_CYCLE", "2", Some(Change::Otherwise)),
        (
            wireless(),
            "MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS",
            "3600",
            Some(Change::NotDone),
        ),
        (
            (reboots(vec![unit()]), did("digi.reboot", "reboot_digi", ": GE1 (00:27:04:aa:bb:cc:0000)")),
            "DIGI_HEADERS",
            r#"["00:04:2d"]"#,
            Some(Change::NotDone),
        ),
        (told(), "TRIAGE__LAST_NOTE_INTERVAL", "600", Some(Change::Unclear)),
        (written(), "TRIAGE__LAST_NOTE_INTERVAL", "7200", Some(Change::NotDone)),
        (written(), "CURRENT_ENVIRONMENT", "dev", Some(Change::NotDone)),
    ];
    for ((question, told), name, value, expected) in cases {
        let report = played(Some(&[(name, value)]), record(&question, &told, 0));
        let changes: Vec<Change> = report.differences.iter().map(|found| found.change).collect();
        assert_eq!(changes, expected.into_iter().collect::<Vec<_>>(), "{name}={value}: {report:#?}");
        assert_eq!(report.rules_differ, 0, "{name}={value}");
    }
}

#[test]
fn a_difference_names_the_facts_that_matter_and_counts_the_actions() {
    let facts = autoresolve::Facts { autoresolves: 2, ..autoresolve() };
    let told = did("autoresolve", "resolve_line", "");
    let report = played(
        Some(&[("MONITORING__MAX_AUTORESOLVES_PER_TICKET", "1")]),
        record(&Question::Autoresolve(facts), &told, 0),
    );
    assert_eq!(report.differences[0].facts, BTreeMap::from([("autoresolves".to_owned(), json!(2))]));
    assert_eq!(report.actions, BTreeMap::from([("resolve_line".to_owned(), (0, 1))]));
    assert_eq!(report.differences[0].device, SERIAL);
}

#[test]
fn what_was_decided_by_other_rules_is_found() {
    let facts = autoresolve::Facts { autoresolves: 3, ..autoresolve() };
    let told = did("autoresolve", "resolve_line", "");
    let report = played(None, record(&Question::Autoresolve(facts), &told, 0));
    assert_eq!((report.same, report.different), (0, 1));
    let found = &report.differences[0];
    assert_eq!(found.change, Change::NotDone);
    assert!(matches!(&found.after, Answer::Nothing { rule, .. } if rule == "autoresolve.limit"));
}

#[test]
fn a_note_that_is_made_up_for_after_a_crash_is_no_decision() {
    let told = did("autoresolve", "append_note", ": auto-resolve");
    let report = played(None, record(&Question::Autoresolve(autoresolve()), &told, 0));
    assert_eq!((report.same, report.different), (0, 0));
}

#[test]
fn records_without_facts_or_settings_are_counted() {
    let old = Step::Abstained { reason: "so".into(), facts: json!({"edge": "healthy"}) };
    let base = Record {
        at: now(),
        service: OUTAGE.into(),
        mode: Mode::Live,
        device: SERIAL.into(),
        rule: "autoresolve.ticket".into(),
        settings: String::new(),
        step: old,
    };
    let facts = Question::Tickets(autoresolve::Tickets::default()).facts();
    let new = Record { step: Step::Abstained { reason: "so".into(), facts }, ..base.clone() };
    let other = Record { service: "tnba-monitor".into(), ..base.clone() };
    let report = played(None, [base, new, other].map(Entry::Record).to_vec());
    assert_eq!((report.same, report.different, report.not_replayed), (1, 0, 2));
    assert_eq!(report.without_settings, 1);
}

/// A device in quarantine at 0 and 600 s, with or without a ticket at 180 s, otherwise healthy at `healed`.
fn outage(asked: bool, seen: &[i64], healed: i64) -> Vec<Entry> {
    let down = Seen::of(&sample::offline(SERIAL));
    let look = Question::Look(Look { edge: Some(down.clone()) });
    let mut steps: Vec<(i64, Question, Told)> = Vec::new();
    for second in seen {
        steps.push((*second, look.clone(), nothing("outage.quarantine")));
    }
    if asked {
        let facts = Recheck { edge: down, waited: OutageKind::HardDown };
        let told = did("outage.ticket", "create_ticket", ": Hard Down Outage (no HA)");
        steps.push((180, Question::Recheck(facts), told));
    }
    let healthy = Question::Tickets(autoresolve::Tickets::default());
    steps.push((healed, healthy, nothing("autoresolve.ticket")));
    steps.sort_by_key(|(second, ..)| *second);
    steps.iter().flat_map(|(second, question, told)| record(question, told, *second)).collect()
}

#[test]
fn another_quarantine_is_judged_by_what_was_seen_later() {
    const SPAN: &str = "MONITORING__QUARANTINE_FOR_EDGES_IN_HARD_DOWN_OUTAGE";
    for (span, entries, expected) in [
        // Healthy again when the longer quarantine is over: no ticket.
        ("600", outage(true, &[0], 600), Some(Change::NotDone)),
        ("3600", outage(true, &[0, 600], 1_200), Some(Change::NotDone)),
        // Still down then: the same ticket, later.
        ("600", outage(true, &[0, 600], 1_200), None),
        // Between the last look that saw it down and the first that saw it healthy.
        ("500", outage(true, &[0], 600), Some(Change::Unclear)),
        // It was healthy after 180 s; nobody waits, so there is a ticket.
        ("0", outage(false, &[0], 180), Some(Change::Done)),
        ("60", outage(false, &[0], 180), Some(Change::Unclear)),
        ("180", outage(true, &[0], 600), None),
    ] {
        let report = played(Some(&[(SPAN, span)]), entries);
        let changes: Vec<Change> = report.differences.iter().map(|found| found.change).collect();
        assert_eq!(changes, expected.into_iter().collect::<Vec<_>>(), "{span}: {report:#?}");
    }
}
