//! `kill -9` of the leader of the outage monitor at every step of its cycle, as `scripts/prove leader-death` does it, by
//! the programs of this profile: tickets, notes, severities, queues and reboots are those of an undisturbed run.

use std::path::Path;

use prove::experiment::{Effort, Lab};
use prove::leader_death::{compare, points, points::Scene};

use crate::programs;

/// The programs that take part.
const PROGRAMS: [&str; 6] = [
    "bruin-bridge",
    "velocloud-bridge",
    "digi-bridge",
    "notifier",
    "customer-cache",
    "service-outage-monitor",
];

/// Kills leaders at all points of these scenes. What the services log stays in a folder of this name.
async fn every_death_changes_nothing(name: &str, scenes: Vec<Scene>) {
    // As the program does; it fails when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("leader-death-{name}"));
    let _ = std::fs::remove_dir_all(&logs);
    std::fs::create_dir_all(&logs).unwrap();
    let lab =
        Lab { effort: Effort::Full, seed: 1, binaries: programs::folder(&PROGRAMS), logs: logs.clone() };
    let compared = compare(&lab, &scenes).await.unwrap();
    assert_eq!(compared.len(), scenes.len());
    for (scene, comparison) in scenes.iter().zip(&compared) {
        println!("undisturbed: {:#?}", comparison.undisturbed.lines);
        for (point, death) in scene.points.iter().zip(&comparison.deaths) {
            println!("killed at {}, another led {:?} later", death.at, death.takeover);
            assert_eq!(point.what, death.at);
            assert_eq!(
                death.account.lines,
                comparison.undisturbed.lines,
                "killed at: {} (logs in {})",
                death.at,
                logs.display()
            );
        }
        assert_eq!(scene.points.len(), comparison.deaths.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_outage_up_to_its_note() {
    every_death_changes_nothing("up-to-the-note", points::up_to_the_note()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_outage_after_its_note() {
    every_death_changes_nothing("after-the-note", points::after_the_note()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_on_a_resolved_ticket_and_a_resolution() {
    every_death_changes_nothing("older-tickets", points::on_older_tickets()).await;
}
