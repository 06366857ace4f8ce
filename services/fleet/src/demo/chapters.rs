//! The chapters of the story, one for each promise of the outage path.

use std::{collections::HashSet, time::Duration};

use anyhow::Context;
use sandbox::World;
use sandbox::world::{
    generate::{Oddity, oddity},
    network::{Edge, Link, LinkType},
    notes::NewNote,
    repair::OnResolved,
    tickets::{ENGINE, NewTicket, Ticket, Topic},
};

mod triage;

use super::story::Story;

/// One cycle, the quarantine, and time to act.
const SOON: Duration = Duration::from_secs(30 * 60);
/// More than the day's delay before a link outage goes to HNOC.
const HOURS: Duration = Duration::from_secs(2 * 3600 + 1800);

/// Tells the whole story.
pub(super) async fn tell(story: &mut Story) -> anyhow::Result<()> {
    let mut cast = Cast::default();
    edge_outage(story, &mut cast).await?;
    link_outage(story, &mut cast).await?;
    ha_soft_down(story, &mut cast).await?;
    ha_hard_down(story, &mut cast).await?;
    ticket_of_a_person(story, &mut cast).await?;
    resolved_tickets(story, &mut cast).await?;
    limit_of_autoresolves(story, &mut cast).await?;
    triage::tell(story, &mut cast).await
}

/// An edge goes down and comes back.
async fn edge_outage(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    Story::chapter("An edge goes down");
    let edge =
        cast.one(&story.world, "an edge with a DiGi unit", |edge| edge.links.iter().any(Link::is_digi))?;
    let serial = edge.serial.as_str();
    story.world.break_edge(serial)?;
    story.tell(&format!("{serial} ({}) loses power", edge.name));
    story
        .until("the engine waits out the quarantine and opens a ticket", SOON, |world| {
            Some(ticket(world, serial)?.id.to_string())
        })
        .await;
    story.until("it documents the outage", SOON, |world| has_note(world, serial, "Triage (VeloCloud)")).await;
    story
        .until("severity is 2, medium high", SOON, |world| {
            (ticket(world, serial)?.severity == 2).then(String::new)
        })
        .await;
    story.until("Slack tells of the ticket", SOON, |world| slack(world, serial)).await;
    story.until("the DiGi unit is rebooted", SOON, |world| rebooted(world, serial)).await;
    story
        .until("the reboot is noted", SOON, |world| {
            has_note(world, serial, "Offline DiGi interface identified")
        })
        .await;
    story
        .until("the line goes to HNOC after a minute", SOON, |world| {
            in_queue(world, serial, "HNOC Investigate")
        })
        .await;
    heal(story, serial)?;
    story.until("the ticket is resolved", SOON, |world| resolved(world, serial)).await;
    story
        .until("the resolution is noted", SOON, |world| {
            has_note(world, serial, "Auto-resolving detail for serial")
        })
        .await;
    Ok(())
}

/// A wired link goes down: severity 3, ASR in the next cycle, HNOC later.
async fn link_outage(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    Story::chapter("A wired link goes down");
    let edge = cast.one(&story.world, "an edge with a wired link under a plain label", |edge| {
        asr_link(edge).is_some()
    })?;
    let serial = edge.serial.as_str();
    let interface = asr_link(&edge).context("the edge has such a link")?;
    story.world.break_link(serial, &interface)?;
    story.tell(&format!("{serial} ({}) loses its link {interface}", edge.name));
    story.until("a ticket is opened", SOON, |world| Some(ticket(world, serial)?.id.to_string())).await;
    story.until("it documents the outage", SOON, |world| has_note(world, serial, "Triage (VeloCloud)")).await;
    story
        .until("severity is lowered to 3", SOON, |world| {
            (ticket(world, serial)?.severity == 3).then(String::new)
        })
        .await;
    story
        .until("the next cycle forwards the line to ASR", SOON, |world| {
            has_note(world, serial, "Moving task to: ASR Investigate")
        })
        .await;
    story
        .until("90 minutes after the ticket it goes to HNOC", HOURS, |world| {
            in_queue(world, serial, "HNOC Investigate")
        })
        .await;
    story.world.heal_link(serial, &interface)?;
    story.tell(&format!(
        "{interface} of {serial} is back, after the grace period: the ticket stays with people"
    ));
    let open = |world: &World| {
        resolved(world, serial).map(|_| "it was resolved although the outage is long ago".to_owned())
    };
    story.meanwhile("the engine leaves it to people", SOON, open).await;
    Ok(())
}

/// The standby of a pair goes down: its own ticket, resolved when it is back.
async fn ha_soft_down(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    Story::chapter("The standby member of a pair goes down");
    let edge = cast.pair(&story.world)?;
    let standby = edge.ha_serial().context("a pair has a standby")?.to_owned();
    story.world.break_standby(&edge.serial)?;
    story.tell(&format!("{standby}, the partner of {}, loses power; the site stays online", edge.serial));
    story
        .until("the standby gets a ticket", SOON, |world| Some(ticket(world, &standby)?.id.to_string()))
        .await;
    story
        .until("the note says that one member is offline", SOON, |world| {
            has_note(world, &standby, "High Availability - Edge Offline")
        })
        .await;
    story.world.heal_standby(&edge.serial)?;
    story.tell(&format!("{standby} is back"));
    story.until("the ticket is resolved", SOON, |world| resolved(world, &standby)).await;
    Ok(())
}

/// Both members of a pair go down: one ticket, for the primary.
async fn ha_hard_down(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    Story::chapter("Both members of a pair go down");
    let edge = cast.pair(&story.world)?;
    let serial = edge.serial.as_str();
    let standby = edge.ha_serial().context("a pair has a standby")?.to_owned();
    story.world.break_edge(serial)?;
    story.world.break_standby(serial)?;
    story.tell(&format!("{serial} and {standby} lose power"));
    story.until("the primary gets a ticket", SOON, |world| Some(ticket(world, serial)?.id.to_string())).await;
    story
        .until("the note says that the location is offline", SOON, |world| {
            has_note(world, serial, "High Availability - Location Offline")
        })
        .await;
    story.world.heal_edge(serial)?;
    story.world.heal_standby(serial)?;
    story.tell("both are back");
    story.until("the ticket is resolved", SOON, |world| resolved(world, serial)).await;
    let standby_has_none =
        |world: &World| ticket(world, &standby).map(|ticket| format!("the standby has ticket {}", ticket.id));
    story.meanwhile("the standby never had one", Duration::from_secs(20), standby_has_none).await;
    Ok(())
}

/// A person has opened a ticket already (409): no second one, and it is never resolved by the engine.
async fn ticket_of_a_person(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    Story::chapter("An outage on a ticket that a person opened (409)");
    let edge = cast.one(&story.world, "an edge", |_| true)?;
    let serial = edge.serial.as_str();
    let id = new_ticket(&story.world, serial, "Ann Example", 4)?;
    story.tell(&format!("Ann opens ticket {id} for {serial} with severity 4"));
    story.world.break_edge(serial)?;
    story.tell(&format!("{serial} loses power"));
    story
        .until("the engine raises the severity to 2", SOON, |world| {
            (world.ticket(id)?.severity == 2).then(String::new)
        })
        .await;
    story.until("the line goes to HNOC", SOON, |world| in_queue(world, serial, "HNOC Investigate")).await;
    heal(story, serial)?;
    let wrong = |world: &World| match world.tickets_of(serial).as_slice() {
        [only] if only.lines.iter().any(|line| !line.resolved) => None,
        [_] => Some("the engine resolved a person's ticket".to_owned()),
        all => Some(format!("there are {} tickets", all.len())),
    };
    story.meanwhile("there is no second ticket, and Ann's stays hers", SOON, wrong).await;
    Ok(())
}

/// Outages on resolved tickets: what Bruin answers (471, 472, 473) decides what the engine does.
async fn resolved_tickets(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    for (code, policy, what) in [
        (471, OnResolved::LeaveResolved, "the engine re-opens the line"),
        (472, OnResolved::Reopen, "Bruin re-opens the line, the engine documents it"),
    ] {
        Story::chapter(&format!("An outage on a resolved ticket ({code})"));
        let edge = cast.one(&story.world, "an edge", |_| true)?;
        let serial = edge.serial.as_str();
        let id = resolved_ticket(&story.world, serial)?;
        set_policy(&story.world, serial, policy);
        story.tell(&format!("ticket {id} of {serial} was resolved yesterday; the edge loses power again"));
        story.world.break_edge(serial)?;
        story.until(what, SOON, |world| has_note(world, serial, "Re-opening ticket.")).await;
        story
            .until("the line is open", SOON, |world| {
                (!world.ticket(id)?.line_of(serial)?.resolved).then(String::new)
            })
            .await;
        heal(story, serial)?;
        story.until("the ticket is resolved", SOON, |world| resolved(world, serial)).await;
    }
    Story::chapter("An outage at the site of a resolved ticket (473)");
    let (edge, neighbour) = cast.neighbours(&story.world)?;
    let id = resolved_ticket(&story.world, &neighbour)?;
    set_policy(&story.world, &edge.serial, OnResolved::JoinSite);
    story.tell(&format!(
        "ticket {id} of {neighbour} was resolved yesterday; {} at the same site loses power",
        edge.serial
    ));
    let serial = edge.serial.as_str();
    story.world.break_edge(serial)?;
    story
        .until("Bruin adds a line to that ticket", SOON, |world| {
            world.ticket(id)?.line_of(serial).map(|line| line.id.to_string())
        })
        .await;
    story
        .until("the engine documents it there", SOON, |world| has_note(world, serial, "Triage (VeloCloud)"))
        .await;
    heal(story, serial)?;
    Ok(())
}

/// After three auto-resolves of a line the engine leaves it to people.
async fn limit_of_autoresolves(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    Story::chapter("The limit of auto-resolves");
    let edge = cast.one(&story.world, "an edge", |_| true)?;
    let serial = edge.serial.as_str();
    story.world.break_edge(serial)?;
    story.tell(&format!("{serial} loses power"));
    story.until("a ticket is opened", SOON, |world| Some(ticket(world, serial)?.id.to_string())).await;
    story.until("it is documented", SOON, |world| has_note(world, serial, "Triage (VeloCloud)")).await;
    let id = ticket(&story.world, serial).context("the ticket")?.id;
    let text = format!("#*MetTel's IPA*#\nAuto-resolving detail for serial: {serial}\nTimeStamp: earlier");
    let note = || NewNote { value: text.clone(), serials: vec![serial.to_owned()], ..NewNote::default() };
    let now = story.world.now();
    story.world.with_tickets(|tickets| tickets.add_notes(id, &[note(), note(), note()], now))?;
    story.tell("the line was auto-resolved three times before");
    heal(story, serial)?;
    let wrong = |world: &World| resolved(world, serial).map(|_| "it was resolved a fourth time".to_owned());
    story.meanwhile("the engine leaves it to people", SOON, wrong).await;
    Ok(())
}

/// The devices which have not played a part yet.
#[derive(Default)]
struct Cast {
    used: HashSet<String>,
}

impl Cast {
    /// A monitored single edge that is up.
    fn one(&mut self, world: &World, what: &str, fits: impl Fn(&Edge) -> bool) -> anyhow::Result<Edge> {
        self.pick(world, what, |place, edge| {
            oddity(place) == Oddity::None && edge.standby.is_none() && fits(edge)
        })
    }

    /// A monitored pair, both members up.
    fn pair(&mut self, world: &World) -> anyhow::Result<Edge> {
        self.pick(world, "a pair", |place, _| oddity(place) == Oddity::Pair)
    }

    /// An edge, and another one moved to its site.
    fn neighbours(&mut self, world: &World) -> anyhow::Result<(Edge, String)> {
        let edge = self.one(world, "an edge", |_| true)?;
        let neighbour = self.one(world, "a neighbour", |_| true)?.serial;
        world.with_inventory(|inventory| -> Option<()> {
            let (client, site) =
                inventory.assets(&edge.serial).first().map(|asset| (asset.client, asset.site))?;
            let asset = inventory.assets_mut(&neighbour)?.first_mut()?;
            (asset.client, asset.site) = (client, site);
            Some(())
        });
        Ok((edge, neighbour))
    }

    fn pick(
        &mut self,
        world: &World,
        what: &str,
        fits: impl Fn(usize, &Edge) -> bool,
    ) -> anyhow::Result<Edge> {
        let found = world.network(|network| {
            let mut edges = network.edges.iter().enumerate();
            edges
                .find(|(place, edge)| !self.used.contains(&edge.serial) && fits(*place, edge))
                .map(|(_, edge)| edge.clone())
        });
        let edge = found.with_context(|| format!("the simulated network has no further {what}"))?;
        self.used.insert(edge.serial.clone());
        Ok(edge)
    }
}

/// The interface of a wired link whose label does not keep it from ASR.
fn asr_link(edge: &Edge) -> Option<String> {
    const KEPT_FROM_ASR: [&str; 4] = ["BYOB", "Customer Owned", "customer owned", "PIAB"];
    let plain = |label: &str| {
        label.parse::<std::net::IpAddr>().is_err() && !KEPT_FROM_ASR.iter().any(|word| label.contains(word))
    };
    let several = edge.links.len() > 1;
    let link = edge
        .links
        .iter()
        .find(|link| link.kind == LinkType::Wired && !link.is_digi() && plain(&link.label))?;
    several.then(|| link.interface.clone())
}

fn heal(story: &Story, serial: &str) -> anyhow::Result<()> {
    story.world.heal_edge(serial)?;
    story.tell(&format!("{serial} is back"));
    Ok(())
}

/// The newest ticket with a line for the serial.
fn ticket(world: &World, serial: &str) -> Option<Ticket> {
    world.tickets_of(serial).into_iter().next()
}

fn has_note(world: &World, serial: &str, text: &str) -> Option<String> {
    let ticket = ticket(world, serial)?;
    let found = ticket.notes.iter().any(|note| note.value.contains(text));
    found.then(|| format!("\"{text}\" on ticket {}", ticket.id))
}

fn in_queue(world: &World, serial: &str, queue: &str) -> Option<String> {
    let ticket = ticket(world, serial)?;
    (ticket.line_of(serial)?.queue.name.trim() == queue).then(|| queue.to_owned())
}

fn resolved(world: &World, serial: &str) -> Option<String> {
    let ticket = ticket(world, serial)?;
    ticket.line_of(serial)?.resolved.then(|| format!("ticket {}", ticket.id))
}

fn slack(world: &World, serial: &str) -> Option<String> {
    world.read_outbox(|outbox| {
        outbox.slack.iter().find(|message| message.text.contains(serial)).map(|_| String::new())
    })
}

fn rebooted(world: &World, serial: &str) -> Option<String> {
    world.read_outbox(|outbox| {
        let reboot =
            outbox.reboots.iter().find(|reboot| reboot.serial == serial && reboot.outcome == "started")?;
        reboot.interface.clone()
    })
}

/// A ticket with one line, as somebody opens it in Bruin.
fn new_ticket(world: &World, serial: &str, by: &str, severity: i64) -> anyhow::Result<i64> {
    let place =
        world.inventory(|inventory| inventory.assets(serial).first().map(|asset| (asset.client, asset.site)));
    let (client, site) = place.with_context(|| format!("{serial} is in no inventory"))?;
    let now = world.now();
    let new = NewTicket {
        client,
        site: Some(site),
        topic: Topic::Outage,
        serials: vec![serial.to_owned()],
        created_by: by.to_owned(),
        severity,
        description: None,
    };
    Ok(world.with_tickets(|tickets| tickets.create(new, now)))
}

/// A ticket of the engine that was resolved a day ago.
fn resolved_ticket(world: &World, serial: &str) -> anyhow::Result<i64> {
    let id = new_ticket(world, serial, ENGINE, 2)?;
    let line =
        world.ticket(id).and_then(|ticket| ticket.line_of(serial).map(|line| line.id)).context("its line")?;
    let yesterday = world.now() - chrono::TimeDelta::days(1);
    world.with_tickets(|tickets| tickets.set_line(id, line, true, yesterday))?;
    Ok(id)
}

fn set_policy(world: &World, serial: &str, policy: OnResolved) {
    world.with_tickets(|tickets| tickets.policy.serials.insert(serial.to_owned(), policy));
}
