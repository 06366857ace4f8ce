//! One device: facts, buttons, what happens now, and its story.

use askama::Template;
use chrono::{DateTime, Utc};
use sandbox::Simulation;
use sandbox::world::network::{Activation, Edge, Health, LinkMode, LinkState, LinkType, Network};

use super::{
    jobs::Job,
    ledger::{Entry, What},
    network::class,
    story::{Chapter, chapter, tell},
    times::Now,
    view::View,
    words,
};

/// A link with what can be done to it.
struct LinkRow {
    interface: String,
    label: String,
    about: String,
    class: &'static str,
    state: &'static str,
    broken: bool,
    digi: bool,
}

/// The other member of a pair.
struct Partner {
    serial: String,
    up: bool,
}

/// The facts of a device.
#[allow(clippy::struct_excessive_bools, reason = "independent facts, as the template asks for them")]
struct Facts {
    serial: String,
    name: String,
    customer: String,
    model: &'static str,
    host: String,
    class: &'static str,
    health: &'static str,
    since: DateTime<Utc>,
    active: bool,
    up: bool,
    partner: Option<Partner>,
    links: Vec<LinkRow>,
    digi: bool,
    digi_answers: bool,
    management: String,
}

/// The panel of a device.
#[derive(Template)]
#[template(path = "device.html")]
pub(super) struct Device {
    now: Now,
    facts: Option<Facts>,
    wanted: String,
    simulated: bool,
}

/// What happens now, in a sentence or two.
#[derive(Template)]
#[template(path = "moment.html")]
pub(super) struct Moment {
    now: Now,
    chosen: bool,
    text: String,
    /// When the engine looks at the device next.
    next: Option<DateTime<Utc>>,
    /// What comes next.
    then: &'static str,
}

/// The time line: a device's, or what the engine did last.
#[derive(Template)]
#[template(path = "story.html")]
pub(super) struct Story {
    now: Now,
    view: View,
    chosen: bool,
    chapters: Vec<Chapter>,
}

/// What is known of the engine.
#[derive(Clone, Copy)]
pub(super) struct Engine<'a> {
    /// The jobs of all services.
    pub(super) jobs: &'a [Job],
    /// When a decision was recorded last.
    pub(super) heard: Option<DateTime<Utc>>,
}

/// The panel, the moment and the story of the chosen device.
pub(super) fn show(
    simulation: Option<&Simulation>,
    view: &View,
    now: Now,
    entries: impl Fn(&str) -> Vec<Entry>,
    latest: impl Fn() -> Vec<Entry>,
    engine: Engine<'_>,
) -> (Device, Moment, Story) {
    let facts = simulation.and_then(|simulation| facts(simulation, &view.device));
    let mut serials = vec![view.device.clone()];
    if let Some(facts) = &facts {
        serials = vec![facts.serial.clone()];
        serials.extend(facts.partner.as_ref().map(|partner| partner.serial.clone()));
    }
    let chosen = !view.device.is_empty();
    let known: Vec<Entry> =
        if chosen { serials.iter().flat_map(|serial| entries(serial)).collect() } else { Vec::new() };
    let moment = match (&facts, simulation) {
        (Some(facts), Some(simulation)) => moment(simulation, facts, &known, engine, now),
        _ => Moment { now, chosen: false, text: String::new(), next: None, then: "" },
    };
    let chapters = if chosen {
        tell(simulation, &serials, known)
    } else {
        let named = |entry: Entry| {
            let device = entry.device.clone();
            let mut chapter = chapter(entry);
            chapter.title = format!("{device}: {}", chapter.title);
            chapter
        };
        latest().into_iter().map(named).collect()
    };
    let device = Device { now, facts, wanted: view.device.clone(), simulated: simulation.is_some() };
    (device, moment, Story { now, view: view.clone(), chosen, chapters })
}

fn facts(simulation: &Simulation, serial: &str) -> Option<Facts> {
    let management = simulation.world.inventory(|inventory| {
        let asset = inventory.assets(serial).first()?;
        Some(asset.management_status.clone().unwrap_or_else(|| "without management status".to_owned()))
    });
    simulation.world.network(|network| {
        let (edge, _) = network.by_serial(serial)?;
        Some(facts_of(network, edge, management.unwrap_or_else(|| "not in Bruin's inventory".to_owned())))
    })
}

fn facts_of(network: &Network, edge: &Edge, management: String) -> Facts {
    let enterprise = network.enterprise_of(edge).map_or("", |enterprise| enterprise.name.as_str());
    let links = edge.links.iter().map(|link| {
        let state = edge.link_state(link);
        let mode = if link.mode == LinkMode::Public { "public" } else { "private" };
        let kind = if link.kind == LinkType::Wired { "wired" } else { "wireless" };
        LinkRow {
            interface: link.interface.clone(),
            label: link.label.clone(),
            about: format!("{}, {mode}, {kind}", link.carrier),
            class: match state {
                LinkState::Stable => "up",
                LinkState::Unstable => "degraded",
                LinkState::Disconnected => "down",
            },
            state: match state {
                LinkState::Stable => "stable",
                LinkState::Unstable => "unstable",
                LinkState::Disconnected => "disconnected",
            },
            broken: link.state == LinkState::Disconnected,
            digi: link.is_digi(),
        }
    });
    let since = edge.standby.as_ref().map_or(edge.since, |standby| standby.since.max(edge.since));
    Facts {
        serial: edge.serial.clone(),
        name: edge.name.clone(),
        customer: enterprise.split('|').next().unwrap_or_default().to_owned(),
        model: edge.model,
        host: network.host_of(edge).to_owned(),
        class: class(edge.health()),
        health: edge.health().title(),
        since: edge.links.iter().map(|link| link.since).fold(since, DateTime::max),
        active: edge.activation == Activation::Activated,
        up: edge.up,
        partner: edge.standby.as_ref().map(|one| Partner { serial: one.serial.clone(), up: one.up }),
        links: links.collect(),
        digi: edge.links.iter().any(sandbox::world::network::Link::is_digi),
        digi_answers: edge.digi_answers,
        management,
    }
}

fn moment(simulation: &Simulation, facts: &Facts, entries: &[Entry], engine: Engine<'_>, now: Now) -> Moment {
    let Engine { jobs, heard } = engine;
    let cycle = jobs.iter().find(|job| job.is_cycle() && job.watches(&facts.host));
    // The re-check of a kind of outage is a job named after it.
    let recheck = jobs
        .iter()
        .filter(|job| !job.is_cycle() && job.watches(&facts.host))
        .filter_map(|job| job.next)
        .min();
    let mut serials = vec![facts.serial.as_str()];
    serials.extend(facts.partner.as_ref().map(|partner| partner.serial.as_str()));
    let open = simulation.world.read_tickets(|tickets| {
        let mut of = serials.iter().flat_map(|serial| tickets.of_serial(serial));
        of.find(|ticket| ticket.status(now.at).is_open()).map(|ticket| ticket.id)
    });
    let newest = entries.iter().max_by_key(|entry| entry.last);
    let seen = newest.is_some_and(|entry| entry.last >= facts.since);
    let healthy = facts.class == class(Health::Up);
    let waits = newest.is_some_and(|entry| entry.rule == words::QUARANTINE);
    let why = newest.and_then(|entry| match &entry.what {
        What::Nothing { reason } => Some(reason.clone()),
        What::Action { .. } => None,
    });
    let next = cycle.and_then(|job| if job.running_since.is_some() { Some(now.at) } else { job.next });
    let looks = "The engine looks again";
    let (text, next, then) = if !facts.active {
        ("It was never activated, so the engine leaves it alone.".to_owned(), None, "")
    } else if healthy {
        match (open, why) {
            (None, _) => {
                let text = "All is well and there is no open ticket. Break something to see the engine work.";
                (text.to_owned(), next, looks)
            }
            (Some(ticket), Some(why)) if seen => {
                (format!("It has healed; ticket {ticket} stays open: {why}."), next, looks)
            }
            (Some(ticket), _) => (format!("It has healed; ticket {ticket} is still open."), next, looks),
        }
    } else if !seen {
        let looked = cycle.and_then(Job::last).is_some_and(|(at, _)| at > facts.since);
        match heard {
            // It has spoken of others since then.
            Some(heard) if looked && heard > facts.since && entries.is_empty() => {
                (format!("The engine does not monitor it (Bruin: {}).", facts.management), None, "")
            }
            None if looked => {
                ("The engine still reads the customers' inventory.".to_owned(), next, "It looks")
            }
            _ => ("The engine has not seen this yet.".to_owned(), next, "It looks"),
        }
    } else if let Some(ticket) = open {
        (format!("Ticket {ticket} covers the outage; the engine follows it up."), next, looks)
    } else if waits {
        let waits = newest.map(words::title).unwrap_or_default();
        let text = format!("The engine has seen it. {waits}: many outages heal by themselves.");
        (text, recheck.or(next), "It checks again")
    } else {
        ("The engine has seen it and is at work.".to_owned(), next, looks)
    };
    Moment { now, chosen: true, text, next, then }
}
