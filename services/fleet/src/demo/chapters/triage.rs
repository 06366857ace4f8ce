//! The chapter of the triage mode: it keeps the open tickets informative.

use std::time::Duration;

use anyhow::Context;
use sandbox::{
    World,
    world::{network::Link, notes::Note},
};

use super::{Cast, SOON, Story, heal, new_ticket, slack};

/// More than the half hour between two notes, and a cycle.
const NEXT_NOTE: Duration = Duration::from_secs(60 * 60);
/// Long enough for a third note, if there were anything to tell.
const HALF_AN_HOUR_LATER: Duration = Duration::from_secs(45 * 60);
/// How a triage note begins.
const TRIAGE: &str = "#*MetTel's IPA*#\nTriage (VeloCloud)\n";

/// A ticket without note gets its first one, cut into pages; what happens later is told once.
pub(super) async fn tell(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    Story::chapter("Triage of a ticket that a person opened");
    let edge = cast.one(&story.world, "an edge without a DiGi unit", |edge| {
        !edge.links.is_empty() && !edge.links.iter().any(Link::is_digi)
    })?;
    let serial = edge.serial.as_str();
    let interface = edge.links.first().context("the edge has a link")?.interface.clone();
    let label = format!("ACME Cable, {}", "second floor, behind the counter, ".repeat(40));
    story.world.relabel_link(serial, &interface, &label)?;
    story.world.break_edge(serial)?;
    let id = new_ticket(&story.world, serial, "Ben Example", 2)?;
    story.tell(&format!(
        "{serial}, whose link has a very long label, loses power; Ben opens ticket {id} at once"
    ));
    story.until("triage documents the outage", SOON, |world| first_note(world, id)).await;
    story.until("in numbered pages", SOON, |world| pages(world, id)).await;
    heal(story, serial)?;
    story.world.break_link(serial, &interface)?;
    story.tell(&format!("{interface} of {serial} goes down"));
    let once = |world: &World| {
        let first = triage_notes(world, id).iter().filter(|note| is_first(note)).count();
        (first != 1).then(|| format!("there are {first} first notes"))
    };
    story.meanwhile("nobody documents it a second time", Duration::from_secs(60), once).await;
    story.world.heal_link(serial, &interface)?;
    story.tell(&format!("{interface} of {serial} is back"));
    story
        .until("half an hour later the events since are told", NEXT_NOTE, |world| {
            let told = told(world, id);
            (!told.is_empty()).then(|| told.join(", "))
        })
        .await;
    story.until("Slack tells of the note", SOON, |world| slack(world, serial)).await;
    let expected = [
        format!("LINK_ALIVE of Interface {interface}"),
        format!("LINK_DEAD of Interface {interface}"),
        "EDGE_UP of Edge".to_owned(),
    ];
    let other = |world: &World| {
        let told = told(world, id);
        (told != expected).then(|| format!("the notes tell of {}", told.join(", ")))
    };
    story.meanwhile("each of them once, newest first, and for good", HALF_AN_HOUR_LATER, other).await;
    story.meanwhile("no line of the whole story was documented twice", Duration::from_secs(20), twice).await;
    Ok(())
}

fn triage_notes(world: &World, id: i64) -> Vec<Note> {
    world.notes(id).into_iter().filter(|note| note.value.starts_with(TRIAGE)).collect()
}

fn is_first(note: &Note) -> bool {
    note.value.starts_with(TRIAGE) && note.value.contains("\nOrchestrator Instance: ")
}

fn first_note(world: &World, id: i64) -> Option<String> {
    let notes = triage_notes(world, id);
    notes.iter().find(|note| is_first(note)).map(|note| format!("a note for {}", note.serials.join(", ")))
}

/// The pages, when all are there, in order, short enough, and numbered with their real count.
fn pages(world: &World, id: i64) -> Option<String> {
    let notes = triage_notes(world, id);
    let count = notes.len();
    let numbered = (1..).zip(&notes).all(|(page, note)| {
        note.value.ends_with(&format!("\nTriage note: {page}/{count}")) && note.value.chars().count() <= 1_500
    });
    (count > 1 && numbered).then(|| format!("1/{count} to {count}/{count}"))
}

/// The events that notes tell of, in the order of the ticket.
fn told(world: &World, id: i64) -> Vec<String> {
    let notes = triage_notes(world, id);
    let lines = notes.iter().flat_map(|note| note.value.lines());
    let mut told = Vec::new();
    let mut event = "";
    for line in lines {
        if let Some(name) = line.strip_prefix("New event: ") {
            event = name;
        } else if let Some(device) = line.strip_prefix("Device: ") {
            told.push(format!("{event} of {device}"));
        }
    }
    told
}

/// A line with two first notes.
fn twice(world: &World) -> Option<String> {
    world.tickets().iter().find_map(|ticket| {
        let first: Vec<_> = ticket.notes.iter().filter(|note| is_first(note)).collect();
        ticket.lines.iter().find_map(|line| {
            let notes = first.iter().filter(|note| note.serials.contains(&line.serial)).count();
            (notes > 1).then(|| format!("{} has {notes} first notes on ticket {}", line.serial, ticket.id))
        })
    })
}
