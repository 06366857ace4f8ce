//! Experiment 7: all services run for long over a large network with random outages. Memory does not grow, and there is
//! exactly one ticket for each device that was down, by the sandbox's own account.
//!
//! The services are processes on the system's clock, so time is accelerated by their settings: the cycle, the quarantine
//! and what a ticket waits for are sixty times as short as in production. Twenty minutes are then twenty hours.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use measure::Service;
use measure::figures::{count, number, time};
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::experiment::{Experiment, Lab, Outcome, Promise};
use crate::stage::{CACHES, PATIENCE, Stage, random};

/// Settings of the monitor, sixty times as short as in production.
const MONITOR: [(&str, &str); 10] = [
    ("MONITORING__MONITORING_JOB_INTERVAL", "10"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_LINK_DOWN_OUTAGE", "3"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HARD_DOWN_OUTAGE", "3"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_LINK_DOWN_OUTAGE", "3"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_SOFT_DOWN_OUTAGE", "3"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_HARD_DOWN_OUTAGE", "3"),
    ("MONITORING__GRACE_PERIOD_TO_AUTORESOLVE_AFTER_LAST_DOCUMENTED_OUTAGE_DAY_TIME", "90"),
    ("MONITORING__GRACE_PERIOD_TO_AUTORESOLVE_AFTER_LAST_DOCUMENTED_OUTAGE_NIGHT_TIME", "180"),
    ("MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS", "2"),
    ("LEADER_ELECTION", "jetstream"),
];
/// The same for the short form, which has no time for a minute's cycle.
const HURRIED: (&str, &str) = ("MONITORING__MONITORING_JOB_INTERVAL", "2");
/// How often memory is read.
const LOOK: Duration = Duration::from_secs(1);
/// Part of the time after which memory counts as settled: minute 5 of 20.
const SETTLED: f64 = 0.25;
/// What memory may grow by from then on, as a part of it, or in MB where that is more: what an allocator moves to and fro.
const GROWTH: (f64, f64) = (0.1, 2.0);
/// The same in the short form, in which a quarter is seconds.
const GROWTH_SHORT: (f64, f64) = (0.3, 8.0);

/// See the module.
pub(crate) struct Soak;

impl Experiment for Soak {
    fn name(&self) -> &'static str {
        "soak"
    }

    fn about(&self) -> &'static str {
        "all services, and random outages of edges and links of a large network, at sixty times the pace of production"
    }

    fn promises(&self) -> &'static [Promise] {
        &[Promise::P1, Promise::P2]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(run(lab))
    }
}

/// A service with what its memory was, in MB, by the second.
struct Watched {
    name: &'static str,
    service: Service,
    resident: Vec<f64>,
}

/// An outage to come.
struct Planned {
    serial: String,
    /// The link's interface; none: the edge itself.
    interface: Option<String>,
    begins: Duration,
    ends: Duration,
}

async fn run(lab: &Lab) -> anyhow::Result<Outcome> {
    let edges = lab.effort.pick(300, 10_000);
    let span = lab.effort.pick(Duration::from_secs(24), Duration::from_secs(20 * 60));
    let stage = Stage::new(lab, edges).await?;
    let (services, missing) = stage.built();
    let mut watched = Vec::new();
    for name in services {
        let mut settings: Vec<(&str, &str)> = Vec::new();
        if name == "service-outage-monitor" {
            for cache in CACHES {
                stage.until_cached(cache).await?;
            }
            settings.extend(MONITOR);
            settings.extend(lab.effort.pick(Some(HURRIED), None));
        } else if name == "customer-cache" {
            settings.push(("EDGE_CHECK_CONCURRENCY", "32"));
        }
        let service = stage.start(name, name, &settings).await?;
        watched.push(Watched { name, service, resident: Vec::new() });
    }

    let outages = plan(lab, &stage, span);
    let made = break_and_heal(&stage, &mut watched, &outages, span).await?;
    // The last outages are seen within two cycles.
    let documented = until_documented(&stage, &outages).await;

    let mut outcome = Outcome::default();
    outcome.figure("edges", count(edges));
    outcome.figure("services", watched.len());
    outcome.figure("lasted", time(span));
    if !missing.is_empty() {
        outcome.skip(format!("programs that were not built: {}", missing.join(", ")));
    }
    tell_tickets(&stage, &outages, made, documented, &mut outcome);
    tell_memory(&mut watched, lab.effort.pick(GROWTH_SHORT, GROWTH), &mut outcome)?;
    for one in watched {
        one.service.program.stop().await?;
    }
    Ok(outcome)
}

/// Random outages, each of another device, which last longer than two cycles and end before the end.
fn plan(lab: &Lab, stage: &Stage, span: Duration) -> Vec<Planned> {
    let mut random = random(lab.seed);
    let mut edges = stage.edges();
    edges.shuffle(&mut random);
    let (outages, shortest, longest) = lab.effort.pick((20, 8.0, 10.0), (1_000, 40.0, 120.0));
    let whole = span.as_secs_f64();
    let mut planned: Vec<Planned> = edges
        .into_iter()
        .take(outages)
        .map(|edge| {
            let lasts = random.random_range(shortest..longest);
            let begins = random.random_range(0.0..whole - lasts);
            let link = edge.links.first().filter(|_| edge.links.len() > 1 && random.random_ratio(1, 3));
            Planned {
                serial: edge.serial.clone(),
                interface: link.map(|link| link.interface.clone()),
                begins: Duration::from_secs_f64(begins),
                ends: Duration::from_secs_f64(begins + lasts),
            }
        })
        .collect();
    planned.sort_by_key(|outage| outage.begins);
    planned
}

/// Lets it all happen while memory is read; the sandbox's own count of the outages it made.
async fn break_and_heal(
    stage: &Stage,
    watched: &mut [Watched],
    outages: &[Planned],
    span: Duration,
) -> anyhow::Result<u64> {
    let world = stage.sandbox.world();
    let mut happenings: Vec<(Duration, bool, &Planned)> = outages
        .iter()
        .flat_map(|outage| [(outage.begins, true, outage), (outage.ends, false, outage)])
        .collect();
    happenings.sort_by_key(|(at, breaks, _)| (*at, *breaks));
    let mut happenings = happenings.into_iter().peekable();
    let began = Instant::now();
    let mut next_look = Duration::ZERO;
    while began.elapsed() < span {
        let now = began.elapsed();
        while let Some((_, breaks, outage)) = happenings.next_if(|(at, _, _)| *at <= now) {
            let changed = match (breaks, &outage.interface) {
                (true, None) => world.break_edge(&outage.serial),
                (true, Some(interface)) => world.break_link(&outage.serial, interface),
                (false, None) => world.heal_edge(&outage.serial),
                (false, Some(interface)) => world.heal_link(&outage.serial, interface),
            };
            changed.map_err(|error| anyhow::anyhow!("{}: {error}", outage.serial))?;
        }
        if now >= next_look {
            next_look = now + LOOK;
            for one in watched.iter_mut() {
                one.resident.push(one.service.program.memory()?.resident);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let counts = world.network(|network| network.outages.counts());
    Ok(counts.edges + counts.links)
}

/// Waits until every device that was down has a ticket; false when that does not happen.
async fn until_documented(stage: &Stage, outages: &[Planned]) -> bool {
    let began = Instant::now();
    let world = stage.sandbox.world();
    while began.elapsed() < PATIENCE {
        if outages.iter().all(|outage| !world.tickets_of(&outage.serial).is_empty()) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

fn tell_tickets(stage: &Stage, outages: &[Planned], made: u64, documented: bool, outcome: &mut Outcome) {
    let world = stage.sandbox.world();
    let tickets = world.tickets();
    let notes: usize = tickets.iter().map(|ticket| ticket.notes.len()).sum();
    outcome.figure("outages by the sandbox's account", count(usize::try_from(made).unwrap_or(usize::MAX)));
    outcome.figure("tickets", count(tickets.len()));
    outcome.figure("notes", count(notes));
    let down: BTreeSet<&str> = outages.iter().map(|outage| outage.serial.as_str()).collect();
    let without: Vec<&&str> = down.iter().filter(|serial| world.tickets_of(serial).is_empty()).collect();
    let found = if documented { "all".to_owned() } else { format!("not {without:?}") };
    outcome.check("every device that was down has a ticket", documented, found);
    let several = down.iter().filter(|serial| world.tickets_of(serial).len() > 1).count();
    outcome.none("devices with several tickets", several);
    let lines: Vec<String> =
        tickets.iter().flat_map(|ticket| &ticket.lines).map(|line| line.serial.clone()).collect();
    let never_down = lines.iter().filter(|serial| !down.contains(serial.as_str())).count();
    outcome.none("tickets of devices that were never down", never_down);
    let equal = u64::try_from(lines.len()).is_ok_and(|lines| lines == made);
    outcome.check("tickets equal outages", equal, format!("{} and {made}", count(lines.len())));
}

fn tell_memory(
    watched: &mut [Watched],
    (part, floor): (f64, f64),
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let mut worst: Option<(f64, String)> = None;
    let (mut early_sum, mut late_sum) = (0.0, 0.0);
    for one in watched {
        anyhow::ensure!(one.service.program.runs()?, "{} has ended", one.name);
        let (early, late) = settled(&one.resident);
        early_sum += early;
        late_sum += late;
        let over = late - (early * (1.0 + part)).max(early + floor);
        let told = format!("{} {early:.1} to {late:.1} MB", one.name);
        if worst.as_ref().is_none_or(|(most, _)| over > *most) {
            worst = Some((over, told));
        }
    }
    outcome.figure("memory of all", format!("{early_sum:.0} MB early, {late_sum:.0} MB at the end"));
    let (over, told) = worst.unwrap_or((f64::NAN, "nothing".to_owned()));
    outcome.check(
        format!("memory at the end within {:.0} % (or {floor} MB) of that at a quarter", part * 100.0),
        over <= 0.0,
        told,
    );
    Ok(())
}

/// The memory when a quarter of the time had passed, and at the end. A cycle lifts it for a moment: around the quarter
/// the most counts, at the end the middle.
fn settled(resident: &[f64]) -> (f64, f64) {
    let part = (resident.len() / 10).max(3);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
    let quarter = (number(resident.len()) * SETTLED) as usize;
    let early =
        resident.iter().skip(quarter.saturating_sub(part)).take(2 * part).copied().fold(0.0, f64::max);
    let mut last: Vec<f64> = resident.iter().rev().take(part).copied().collect();
    last.sort_by(f64::total_cmp);
    (early, last.get(last.len() / 2).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_compared_between_a_quarter_and_the_end() {
        let grows: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(settled(&grows), (34.0, 95.0));
        assert_eq!(settled(&[7.0; 40]), (7.0, 7.0));
        assert_eq!(settled(&[]), (0.0, 0.0));
    }
}
