//! A device's story on one time line: what the world did, what the engine saw, decided and did, what Bruin has, and what
//! was sent to people.

use chrono::{DateTime, Utc};
use sandbox::Simulation;
use sandbox::world::events::Happening;
use sandbox::world::tickets::{ENGINE, Ticket};
use serde_json::Value;

use super::{
    ledger::{Entry, Place, What},
    words,
};

/// Entries shown at most.
const SHOWN: usize = 120;

/// Who an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// The simulated world.
    World,
    /// The engine saw something.
    Sees,
    /// The engine decided to do nothing (yet).
    Decides,
    /// The engine acted.
    Acts,
    /// What stands in Bruin.
    Bruin,
    /// People were told.
    People,
}

impl Who {
    /// The word beside an entry.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::World => "world",
            Self::Sees => "sees",
            Self::Decides => "decides",
            Self::Acts => "acts",
            Self::Bruin => "Bruin",
            Self::People => "people",
        }
    }
}

/// One entry of a story.
#[derive(Debug, Clone)]
pub(super) struct Chapter {
    /// Names the entry for as long as it is shown.
    pub(super) key: String,
    /// When.
    pub(super) at: DateTime<Utc>,
    /// Whose.
    pub(super) who: Who,
    /// What, as one sentence.
    pub(super) title: String,
    /// More of it.
    pub(super) detail: String,
    /// A text as it stands in the ticket or message.
    pub(super) text: String,
    /// How it ended, with the class of that.
    pub(super) ending: Option<(String, &'static str)>,
    /// The rule that decided.
    pub(super) rule: String,
    /// What the rule looked at.
    pub(super) facts: String,
    /// How often, and when last.
    pub(super) repeated: Option<(u32, DateTime<Utc>)>,
    /// Where it is in the traces.
    pub(super) place: Option<Place>,
}

impl Chapter {
    fn new(key: String, at: DateTime<Utc>, who: Who, title: String) -> Self {
        Self {
            key,
            at,
            who,
            title,
            detail: String::new(),
            text: String::new(),
            ending: None,
            rule: String::new(),
            facts: String::new(),
            repeated: None,
            place: None,
        }
    }
}

/// The story of a device, newest first. `serials` are those of both members; `entries` what was decided about them.
pub(super) fn tell(simulation: Option<&Simulation>, serials: &[String], entries: Vec<Entry>) -> Vec<Chapter> {
    let mut chapters: Vec<Chapter> = entries.into_iter().flat_map(decided).collect();
    if let Some(simulation) = simulation {
        for serial in serials {
            chapters.extend(world(simulation, serial));
            for ticket in simulation.world.tickets_of(serial) {
                chapters.extend(ticketed(&ticket, serial));
            }
            chapters.extend(sent(simulation, serial));
        }
    }
    // At one instant the world comes before what the engine makes of it.
    chapters.sort_by(|one, two| two.at.cmp(&one.at).then(two.who.cmp(&one.who)));
    chapters.dedup_by(|one, two| one.key == two.key);
    chapters.truncate(SHOWN);
    chapters
}

/// A decision; one that puts an outage into quarantine also tells what was seen.
fn decided(entry: Entry) -> Vec<Chapter> {
    let mut chapters = Vec::new();
    if entry.rule == words::QUARANTINE
        && let Some((title, detail)) = words::seen(&entry.facts)
    {
        let key = format!("seen-{}", entry.number);
        chapters.push(Chapter { detail, ..Chapter::new(key, entry.first, Who::Sees, title) });
    }
    chapters.push(chapter(entry));
    chapters
}

/// A decision as an entry.
pub(super) fn chapter(entry: Entry) -> Chapter {
    let who = if matches!(entry.what, What::Action { .. }) { Who::Acts } else { Who::Decides };
    let facts = match &entry.facts {
        Value::Object(facts) if facts.is_empty() => String::new(),
        Value::Null => String::new(),
        facts => serde_json::to_string_pretty(facts).unwrap_or_default(),
    };
    let mut chapter =
        Chapter::new(format!("decision-{}", entry.number), entry.first, who, words::title(&entry));
    chapter.ending = words::ending(&entry);
    chapter.rule = entry.rule;
    chapter.facts = facts;
    chapter.repeated = (entry.times > 1).then_some((entry.times, entry.last));
    chapter.place = entry.place;
    chapter
}

fn world(simulation: &Simulation, serial: &str) -> Vec<Chapter> {
    simulation.world.network(|network| {
        let Some((edge, _)) = network.by_serial(serial).filter(|(edge, _)| edge.serial == serial) else {
            return Vec::new();
        };
        let title = |happening: &Happening| match happening {
            Happening::EdgeDown => "The edge goes down".to_owned(),
            Happening::EdgeUp => "The edge comes up".to_owned(),
            Happening::LinkDead(interface) => format!("Link {interface} goes down"),
            Happening::LinkAlive(interface) => format!("Link {interface} comes up"),
            Happening::StandbyFailed => "The standby member fails".to_owned(),
            Happening::StandbyReady => "The standby member is ready again".to_owned(),
        };
        let chapter = |event: &sandbox::world::events::Event| {
            let key = format!("event-{}", event.id);
            Chapter::new(key, event.at, Who::World, title(&event.happening))
        };
        edge.events.iter().map(chapter).collect()
    })
}

fn ticketed(ticket: &Ticket, serial: &str) -> Vec<Chapter> {
    let by = if ticket.created_by == ENGINE { "the engine" } else { ticket.created_by.as_str() };
    let mut chapters = vec![Chapter::new(
        format!("ticket-{}", ticket.id),
        ticket.created,
        Who::Bruin,
        format!("Ticket {} is created by {by}", ticket.id),
    )];
    for note in ticket.notes.iter().filter(|note| note.serials.iter().any(|one| one == serial)) {
        let mut chapter = Chapter::new(
            format!("note-{}", note.id),
            note.at,
            Who::Bruin,
            format!("A note stands on ticket {}", ticket.id),
        );
        // The first line is the engine's mark, the second says what it is about.
        note.value.lines().nth(1).unwrap_or_default().trim().clone_into(&mut chapter.detail);
        chapter.text.clone_from(&note.value);
        chapters.push(chapter);
    }
    if let Some(at) = ticket.resolved_at {
        let title = format!("Ticket {} is resolved", ticket.id);
        chapters.push(Chapter::new(format!("resolved-{}-{at}", ticket.id), at, Who::Bruin, title));
    }
    chapters
}

fn sent(simulation: &Simulation, serial: &str) -> Vec<Chapter> {
    simulation.world.read_outbox(|outbox| {
        let chapter = |key: String, at, who, title: &str, detail: &str| Chapter {
            detail: detail.to_owned(),
            ..Chapter::new(key, at, who, title.to_owned())
        };
        let slack = outbox.slack.iter().filter(|message| message.text.contains(serial)).map(|message| {
            chapter(
                format!("slack-{}", message.number),
                message.at,
                Who::People,
                "Slack message",
                &message.text,
            )
        });
        let sms = outbox
            .sms
            .iter()
            .filter(|sms| sms.body.contains(serial))
            .map(|sms| chapter(format!("sms-{}", sms.number), sms.at, Who::People, "SMS", &sms.body));
        let mails = outbox
            .mails
            .iter()
            .filter(|mail| mail.subject.contains(serial) || mail.text.contains(serial))
            .map(|mail| {
                chapter(format!("mail-{}", mail.number), mail.at, Who::People, "Mail", &mail.subject)
            });
        let reboots = outbox.reboots.iter().filter(|reboot| reboot.serial == serial).map(|reboot| {
            let at = reboot.interface.as_deref().map(|at| format!(" at {at}")).unwrap_or_default();
            let title = format!("The DiGi service is asked to reboot the unit{at}: {}", reboot.outcome);
            chapter(format!("reboot-{}", reboot.number), reboot.at, Who::World, &title, "")
        });
        slack.chain(sms).chain(mails).chain(reboots).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::{Sandbox, SandboxOptions};
    use serde_json::json;

    fn entry(rule: &str, at: DateTime<Utc>, what: What, facts: Value) -> Entry {
        Entry {
            number: 7,
            device: "VC1".into(),
            first: at,
            last: at,
            times: 1,
            service: "monitor".into(),
            rule: rule.into(),
            facts,
            what,
            shadow: false,
            place: None,
        }
    }

    #[tokio::test]
    async fn a_story_is_told_newest_first_and_the_world_before_the_engine() {
        let running =
            Sandbox::start(SandboxOptions { edges: 20, ..SandboxOptions::default() }).await.unwrap();
        let world = running.world();
        let serial = world.network(|network| network.edges[0].serial.clone());
        world.break_edge(&serial).unwrap();
        world.with_outbox("slack", |outbox| outbox.slack(world.now(), format!("ticket for {serial}")));
        let at = world.network(|network| network.edges[0].since);
        let facts = json!({"state": "OFFLINE", "kind": "HARD_DOWN", "links": []});
        let reason = "HARD_DOWN: in quarantine, waits 10 s before acting".to_owned();
        let seen = entry(words::QUARANTINE, at, What::Nothing { reason }, facts);
        let told = tell(Some(running.simulation()), std::slice::from_ref(&serial), vec![seen]);
        let told: Vec<(Who, &str)> = told.iter().take(4).map(|one| (one.who, one.title.as_str())).collect();
        assert_eq!(
            told,
            [
                (Who::People, "Slack message"),
                (Who::Decides, "Waits 10 s before acting"),
                (Who::Sees, "Sees that the edge is down"),
                (Who::World, "The edge goes down"),
            ]
        );
    }
}
