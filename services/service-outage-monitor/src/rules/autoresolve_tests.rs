use std::time::Duration;

use super::*;
use crate::sample::{self, SERIAL};
use ticketing::Note;

fn settings() -> Settings {
    Settings {
        window: GraceWindow {
            day_start: 8,
            day_end: 0,
            by_day: Duration::from_secs(5_400),
            by_night: Duration::from_secs(10_800),
        },
        limit: 3,
        system_user: "Intelygenz Ai".into(),
        environment: Environment("production".into()),
        zone: Tz::US__Eastern,
    }
}

fn ticket(created_by: &str) -> OpenTicket {
    OpenTicket {
        id: 555.into(),
        client: None,
        created_by: Some(created_by.into()),
        created: Some("2022-01-31T10:00:00Z".parse().unwrap()),
        severity: None,
    }
}

/// 15:00 at the site.
fn day() -> DateTime<Utc> {
    "2022-01-31T20:00:00Z".parse().unwrap()
}

/// 02:00 at the site.
fn night() -> DateTime<Utc> {
    "2022-01-31T07:00:00Z".parse().unwrap()
}

fn ago(now: DateTime<Utc>, seconds: i64) -> String {
    (now - TimeDelta::seconds(seconds)).to_rfc3339()
}

fn triage(now: DateTime<Utc>, minutes: i64) -> Note {
    sample::note("Triage (VeloCloud)\n\nOrchestrator", &ago(now, minutes * 60))
}

fn resolved_before(times: usize) -> Vec<Note> {
    vec![sample::note("Auto-resolving detail for serial: VC1234567", "2022-01-30T10:00:00Z"); times]
}

fn judge(
    ticket: &OpenTicket,
    status: &str,
    notes: Vec<Note>,
    now: DateTime<Utc>,
    settings: &Settings,
) -> Result<(), &'static str> {
    let details = sample::details(vec![sample::line(77, SERIAL, status)], notes);
    let facts = Facts::of(ticket, &details, &Serial::from(SERIAL), Some(-5), now, settings);
    let replayed: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
    assert_eq!(decide(&replayed, settings), decide(&facts, settings));
    decide(&facts, settings).map_err(|refusal| refusal.rule)
}

/// Spec "Examples" 7.
#[test]
fn the_examples() {
    let ours = ticket("Intelygenz Ai");
    let with = |mut notes: Vec<Note>, more: Vec<Note>| {
        notes.extend(more);
        notes
    };
    let (now, night) = (day(), night());
    for (name, ticket, status, notes, now, expected) in [
        ("70 minutes, one before", &ours, "I", with(vec![triage(now, 70)], resolved_before(1)), now, Ok(())),
        ("91 minutes by day", &ours, "I", vec![triage(now, 91)], now, Err("autoresolve.grace")),
        ("exactly 90 minutes", &ours, "I", vec![triage(now, 90)], now, Ok(())),
        (
            "re-opened 20 minutes ago",
            &ours,
            "I",
            vec![triage(now, 600), sample::note("Re-opening ticket.", &ago(now, 1_200))],
            now,
            Ok(()),
        ),
        ("170 minutes by night", &ours, "I", vec![triage(night, 170)], night, Ok(())),
        ("181 minutes by night", &ours, "I", vec![triage(night, 181)], night, Err("autoresolve.grace")),
        (
            "three before",
            &ours,
            "I",
            with(vec![triage(now, 70)], resolved_before(3)),
            now,
            Err("autoresolve.limit"),
        ),
        ("by a person", &ticket("Ann"), "I", vec![triage(now, 70)], now, Err("autoresolve.creator")),
        ("line resolved", &ours, "R", vec![triage(now, 70)], now, Err("autoresolve.resolved")),
    ] {
        assert_eq!(judge(ticket, status, notes, now, &settings()), expected, "{name}");
    }
}

#[test]
fn an_old_reopening_counts_even_after_a_recent_triage_note() {
    let notes = vec![triage(day(), 10), sample::note("Re-opening ticket.", &ago(day(), 7_200))];
    assert_eq!(judge(&ticket("Intelygenz Ai"), "I", notes, day(), &settings()), Err("autoresolve.grace"));
}

#[test]
fn the_earliest_triage_note_counts_and_only_notes_of_the_serial() {
    let ours = ticket("Intelygenz Ai");
    let notes = vec![triage(day(), 10), triage(day(), 100)];
    assert_eq!(judge(&ours, "I", notes, day(), &settings()), Err("autoresolve.grace"));
    let others = Note { serials: vec![Serial::from("VC2")], ..triage(day(), 100) };
    assert_eq!(judge(&ours, "I", vec![triage(day(), 10), others], day(), &settings()), Ok(()));
}

#[test]
fn notes_of_the_old_generation_count_too() {
    let old = |body: &str, seconds| Note {
        text: format!("#*Automation Engine*#\n{body}"),
        ..sample::note("", &ago(day(), seconds))
    };
    let ours = ticket("Intelygenz Ai");
    let notes = vec![old("Triage (VeloCloud)", 9_000), old("Re-opening", 60)];
    assert_eq!(judge(&ours, "I", notes, day(), &settings()), Ok(()));
    let notes = vec![old("Auto-resolving detail for serial: VC1234567", 60); 3];
    let recent = OpenTicket { created: Some(day()), ..ours };
    assert_eq!(judge(&recent, "I", notes, day(), &settings()), Err("autoresolve.limit"));
}

#[test]
fn without_notes_the_tickets_creation_counts() {
    let created = |seconds| OpenTicket {
        created: Some(day() - TimeDelta::seconds(seconds)),
        ..ticket("Intelygenz Ai")
    };
    assert_eq!(judge(&created(5_400), "I", vec![], day(), &settings()), Ok(()));
    assert_eq!(judge(&created(5_401), "I", vec![], day(), &settings()), Err("autoresolve.grace"));
    let unknown = OpenTicket { created: None, ..ticket("Intelygenz Ai") };
    assert_eq!(judge(&unknown, "I", vec![], day(), &settings()), Err("autoresolve.grace"));
}

#[test]
fn a_missing_line_another_environment_and_the_whitelist_refuse() {
    let ours = ticket("Intelygenz Ai");
    let facts =
        Facts::of(&ours, &TicketDetails::default(), &Serial::from(SERIAL), Some(-5), day(), &settings());
    assert_eq!(decide(&facts, &settings()).unwrap_err().rule, "autoresolve.line");
    let dev = Settings { environment: Environment("dev".into()), ..settings() };
    assert_eq!(judge(&ours, "I", vec![triage(day(), 10)], day(), &dev), Err("autoresolve.environment"));
}

#[test]
fn what_is_known_of_the_tickets_decides_before_their_lines() {
    let one = Tickets { open: 1, ours: 1, ..Tickets::default() };
    for (facts, expected) in [
        (Tickets::default(), Err("autoresolve.ticket")),
        (Tickets { open: 2, ..Tickets::default() }, Err("autoresolve.creator")),
        (one, Ok(())),
        (Tickets { with_line: Some(1), ..one }, Ok(())),
        (Tickets { with_line: Some(0), ..one }, Err("autoresolve.ticket")),
        (Tickets { unanswered: true, ..one }, Err("autoresolve.unanswered")),
        (Tickets { unmonitored: true, ..one }, Err("autoresolve.whitelist")),
    ] {
        assert_eq!(tickets(&facts).map_err(|refusal| refusal.rule), expected, "{facts:?}");
    }
}

#[test]
fn an_edge_that_is_down_again_keeps_its_ticket() {
    let look = |edge: Option<&crate::edges::EdgeRecord>| SecondLook {
        edge: edge.map(Seen::of),
        ..SecondLook::default()
    };
    assert_eq!(look_again(&look(Some(&sample::record(SERIAL)))), Ok(()));
    let refused = |facts: &SecondLook| look_again(facts).unwrap_err().rule;
    assert_eq!(refused(&look(Some(&sample::offline(SERIAL)))), "autoresolve.reread");
    assert_eq!(refused(&look(None)), "autoresolve.reread");
    assert_eq!(refused(&SecondLook { unanswered: true, ..look(None) }), "autoresolve.unanswered");
}

#[test]
fn all_own_tickets_are_looked_at_and_none_of_a_person() {
    let own = own_tickets(vec![ticket("Ann"), ticket("Intelygenz Ai"), ticket("Intelygenz Ai")], &settings());
    assert_eq!(own.len(), 2);
}

#[test]
fn the_note() {
    let at = "2022-01-31T20:00:00.000001Z".parse().unwrap();
    insta::assert_snapshot!(note_text(&Serial::from(SERIAL), at, Tz::US__Eastern));
}
