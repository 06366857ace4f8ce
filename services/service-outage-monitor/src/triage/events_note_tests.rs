use chrono::TimeDelta;
use chrono_tz::US;
use proptest::prelude::*;
use ticketing::Note;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn event(event: &str, category: &str, time: &str, message: &str) -> velocloud::Event {
    velocloud::Event {
        event: Some(event.into()),
        category: Some(category.into()),
        event_time: Some(time.into()),
        message: Some(message.into()),
        ..velocloud::Event::default()
    }
}

fn link(name: &str, time: &str, message: &str) -> velocloud::Event {
    event(name, "NETWORK", time, message)
}

fn all(events: &[velocloud::Event]) -> Vec<Told> {
    news(events, DateTime::UNIX_EPOCH, &Documented::default())
}

fn note(text: &str) -> Note {
    Note { text: text.to_owned(), serials: vec![], created: None }
}

/// Spec "Examples" 2.
#[test]
fn two_events_make_one_note_newest_first() {
    let events = all(&[
        link("LINK_DEAD", "2022-01-31T14:00:00.000Z", "Link GE1 is now DEAD"),
        link("LINK_ALIVE", "2022-01-31T14:20:00.000Z", "Link GE1 is no longer DEAD"),
    ]);
    let notes = notes(&events, 15, US::Eastern);
    assert_eq!(
        notes,
        ["#*MetTel's IPA*#\nTriage (VeloCloud)\n\nNew event: LINK_ALIVE\nDevice: Interface GE1\n\
          Event time: 2022-01-31 09:20:00-05:00\n\nNew event: LINK_DEAD\nDevice: Interface GE1\n\
          Event time: 2022-01-31 09:00:00-05:00\n\nTimestamp: 2022-01-31 09:00:00-05:00"]
    );
    assert!(note(&notes[0]).is_triage());
}

/// Spec "Improve" 3.
#[test]
fn devices_are_named_as_well_as_the_message_allows() {
    for (category, message, expected) in [
        ("EDGE", "Edge is down", "Edge"),
        ("EDGE", "Link GE1 is now DEAD", "Edge"),
        ("NETWORK", "Interface GE1 is up", "Interface GE1"),
        ("NETWORK", "Interface SFP2 is down", "Interface SFP2"),
        ("NETWORK", "Link GE1 is no longer DEAD", "Interface GE1"),
        ("NETWORK", "Link USB-1 is now DEAD", "Interface USB-1"),
        ("NETWORK", "Link GE1.100 is now DEAD", "Interface GE1.100"),
        ("NETWORK", "Link GE1 is now very DEAD", "Interface GE1"),
        ("NETWORK", "Link two words is now DEAD", "Interface two words"),
        ("NETWORK", "Link  is now DEAD", "Interface Unknown"),
        ("NETWORK", "GE1 went away", "Interface Unknown"),
        ("NETWORK", "Link a\nb is now DEAD", "Interface a b"),
        ("", "", "Interface Unknown"),
    ] {
        assert_eq!(
            all(&[event("LINK_DEAD", category, "2022-01-31T14:00:00Z", message)])[0].device,
            expected,
            "{message}"
        );
    }
}

#[test]
fn strange_events_are_told_as_well_as_possible() {
    let nameless =
        velocloud::Event { event: None, message: None, ..event("", "EDGE", "2022-01-31T09:00:00-05:00", "") };
    let timeless = event("EDGE_UP", "EDGE", "yesterday", "Edge is up");
    let events = all(&[nameless, timeless, velocloud::Event::default()]);
    assert_eq!(events, [Told::new("None", "Edge", at("2022-01-31T14:00:00Z"))]);
}

/// Spec "Improve" 5: clocks went back.
#[test]
fn events_are_ordered_by_instant() {
    let events = all(&[
        link("LINK_DEAD", "2022-11-06T01:10:00-05:00", "Link GE1 is now DEAD"),
        link("LINK_ALIVE", "2022-11-06T01:50:00-04:00", "Link GE1 is no longer DEAD"),
        event("EDGE_UP", "EDGE", "2022-11-06T07:00:00Z", "Edge is up"),
    ]);
    let names: Vec<_> = events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(names, ["EDGE_UP", "LINK_DEAD", "LINK_ALIVE"]);
    insta::assert_snapshot!(notes(&events, 15, US::Eastern).join("\n---\n"));
}

/// Spec "Examples" 3 with "Improve" 6.
#[test]
fn twenty_events_make_a_note_of_the_fifteen_oldest_and_one_of_five() {
    let minute = |minute| format!("2022-01-31T14:{minute:02}:00.000Z");
    let events: Vec<_> = (0..20).map(|n| link("LINK_DEAD", &minute(n), "Link GE1 is now DEAD")).collect();
    let notes = notes(&all(&events), 15, US::Eastern);
    let counts: Vec<_> = notes.iter().map(|note| note.matches("New event: ").count()).collect();
    assert_eq!(counts, [15, 5]);
    assert!(notes[0].ends_with("Timestamp: 2022-01-31 09:00:00-05:00"));
    assert!(notes[1].ends_with("Timestamp: 2022-01-31 09:15:00-05:00"));
}

/// Spec "Improve" 6: what a note tells is not told again; what shares its instant is not lost.
#[test]
fn documented_events_are_left_out_and_others_of_the_same_instant_are_not() {
    let same = "2022-01-31T14:00:00.000Z";
    let events = [
        event("EDGE_DOWN", "EDGE", same, "Edge is down"),
        link("LINK_DEAD", same, "Link GE1 is now DEAD"),
        link("LINK_DEAD", "2022-01-31T13:59:59.999Z", "Link GE2 is now DEAD"),
        link("LINK_ALIVE", "2022-01-31T14:10:00.000Z", "Link GE1 is no longer DEAD"),
    ];
    let first = notes(&all(&events[..1]), 15, US::Eastern).remove(0);
    let documented = Documented::by(&[note(&first)]);
    let left = news(&events, documented.latest().unwrap(), &documented);
    let told: Vec<_> = left.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(told, ["LINK_ALIVE", "LINK_DEAD"]);
}

/// Spec "Improve" 9.
#[test]
fn long_names_make_more_notes_not_longer_ones() {
    let long = "x".repeat(5_000);
    let events: Vec<_> = (10..25)
        .map(|n| link(&long, &format!("2022-01-31T14:{n}:00Z"), &format!("Link {long} is now DEAD")))
        .collect();
    let notes = notes(&all(&events), 15, US::Eastern);
    assert!(notes.len() > 1);
    assert!(notes.iter().all(|note| note.chars().count() < 1_500));
}

fn some_event() -> impl Strategy<Value = velocloud::Event> {
    let name = prop_oneof![Just("LINK_DEAD".to_owned()), Just("EDGE_UP".to_owned()), "\\PC{0,300}"];
    let message = prop_oneof![
        (1..9_u8).prop_map(|n| format!("Link GE{n} is now DEAD")),
        "[a-z]{0,400}".prop_map(|name| format!("Interface {name} is up")),
        any::<String>(),
    ];
    let category = prop_oneof![Just("EDGE"), Just("NETWORK")];
    (name, category, 0..100_000_i64, message).prop_map(|(name, category, millis, message)| {
        let at = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis * 997);
        event(&name, category, &at.to_rfc3339(), &message)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_event_is_in_exactly_one_note_and_the_notes_are_in_order(
        events in prop::collection::vec(some_event(), 0..60),
        max_events in 1..20_usize,
    ) {
        let news = all(&events);
        prop_assert_eq!(news.len(), events.len());
        let notes = notes(&news, max_events, US::Eastern);
        for note in &notes {
            prop_assert!(note.chars().count() < 1_500);
            let told = note.matches("\nNew event: ").count();
            prop_assert!((1..=max_events).contains(&told));
        }
        // Read back from the newest note to the oldest, they are the events in order.
        let told: Vec<(String, String, DateTime<Utc>)> = notes.iter().rev().flat_map(|note| blocks(note)).collect();
        let expected: Vec<_> = news.into_iter().map(|e| (e.event, e.device, e.at)).collect();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn what_the_notes_tell_is_no_news_and_what_they_lack_is(
        events in prop::collection::vec(some_event(), 0..60),
        written in 0..10_usize,
    ) {
        let all = all(&events);
        let notes = notes(&all, 5, US::Eastern);
        let written = written.min(notes.len());
        let in_bruin: Vec<Note> = notes[..written].iter().map(|text| note(text)).collect();
        let documented = Documented::by(&in_bruin);
        let since = documented.latest().unwrap_or(DateTime::UNIX_EPOCH);
        let left = news(&events, since, &documented);
        let lacking: Vec<Told> = notes[written..].iter().rev().flat_map(|note| blocks(note))
            .map(|(event, device, at)| Told { event, device, at })
            .filter(|event| !documented.has(event))
            .collect();
        prop_assert_eq!(left, lacking);
    }
}

/// The events of a note, as their three lines say.
fn blocks(note: &str) -> Vec<(String, String, DateTime<Utc>)> {
    note.split("\nNew event: ")
        .skip(1)
        .map(|block| {
            let (event, rest) = block.split_once("\nDevice: ").unwrap();
            let (device, rest) = rest.split_once("\nEvent time: ").unwrap();
            let at = time::read(rest.lines().next().unwrap(), Tz::UTC).unwrap();
            (event.to_owned(), device.to_owned(), at)
        })
        .collect()
}
