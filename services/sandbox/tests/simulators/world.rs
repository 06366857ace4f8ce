//! Rules of the world, without the network.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use runtime::{Clock, Environment};
use sandbox::environment;
use sandbox::world::generate::{Oddity, oddity};
use sandbox::world::network::{Edge, Health, Link, LinkState};
use sandbox::world::states::StateError;
use sandbox::world::tickets::{NewTicket, Status, TicketError, Topic};
use sandbox::world::{Plan, World};

use crate::common::{monday, sandbox};

fn world() -> World {
    let hosts = vec!["vco1.sandbox.example".to_owned()];
    World::new(Clock::frozen(monday()), &Plan { seed: 5, edges: 60, hosts })
}

fn first(world: &World, condition: impl Fn(&Edge) -> bool) -> Edge {
    world.network(|network| network.edges.iter().find(|edge| condition(edge)).unwrap().clone())
}

fn health(world: &World, serial: &str) -> Health {
    world.network(|network| network.by_serial(serial).unwrap().0.health())
}

#[test]
fn an_edge_shows_the_worst_of_what_is_broken() {
    let world = world();
    let pair = first(&world, |edge| edge.standby.is_some() && !edge.links.is_empty());
    let (serial, interface) = (pair.serial.as_str(), pair.links[0].interface.as_str());
    assert_eq!(health(&world, serial), Health::Up);
    world.break_standby(serial).unwrap();
    assert_eq!(health(&world, serial), Health::StandbyDown);
    world.break_link(serial, interface).unwrap();
    assert_eq!(health(&world, serial), Health::Degraded);
    world.break_edge(serial).unwrap();
    assert_eq!(health(&world, serial), Health::Down);
    assert_eq!(world.heal_all(), 3);
    assert_eq!(health(&world, serial), Health::Up);
}

#[test]
fn what_does_not_exist_or_is_not_in_service_cannot_be_broken() {
    let world = world();
    let never = first(&world, |edge| edge.health() == Health::NeverActivated);
    let single = first(&world, |edge| edge.standby.is_none() && !edge.links.is_empty());
    let unknown = || "VC0".to_owned();
    assert_eq!(world.break_edge("VC0"), Err(StateError::UnknownSerial(unknown())));
    assert_eq!(world.break_edge(&never.serial), Err(StateError::NotActivated(never.serial.clone())));
    assert_eq!(world.break_standby(&single.serial), Err(StateError::NoStandby(single.serial.clone())));
    assert!(matches!(world.break_link(&single.serial, "XX9"), Err(StateError::UnknownLink { .. })));
}

#[test]
fn a_change_to_unstable_is_no_outage() {
    let world = world();
    let edge = first(&world, |edge| edge.health() == Health::Up && !edge.links.is_empty());
    world.set_link(&edge.serial, &edge.links[0].interface, LinkState::Unstable).unwrap();
    assert_eq!(world.network(|network| network.outages.counts().links), 0);
    world.break_link(&edge.serial, &edge.links[0].interface).unwrap();
    assert_eq!(world.network(|network| network.outages.counts().links), 1);
}

#[test]
fn a_link_that_is_healed_by_hand_stays_up_when_its_reboot_ends() {
    let world = world();
    let edge = first(&world, |edge| edge.links.iter().any(Link::is_digi));
    let link = edge.links.iter().find(|link| link.is_digi()).unwrap();
    world.break_link(&edge.serial, &link.interface).unwrap();
    world.reboot(&edge.serial, &link.logical_id, "1", None, Duration::from_secs(30));
    world.heal_link(&edge.serial, &link.interface).unwrap();
    world.advance(Duration::from_secs(60));
    assert_eq!(world.network(|network| network.outages.counts().healed), 1);
    assert_eq!(health(&world, &edge.serial), Health::Up);
}

#[test]
fn a_ticket_resolved_for_three_days_is_closed_and_cannot_be_changed() {
    let world = world();
    let now = world.now();
    let new = NewTicket {
        client: 1,
        site: None,
        topic: Topic::Outage,
        serials: vec!["A".to_owned()],
        created_by: "x".to_owned(),
        severity: 2,
        description: None,
    };
    let id = world.with_tickets(|tickets| tickets.create(new, now));
    let line = world.ticket(id).unwrap().lines[0].id;
    world.with_tickets(|tickets| tickets.set_line(id, line, true, now)).unwrap();
    world.advance(Duration::from_secs(72 * 3_600 - 1));
    assert_eq!(world.ticket(id).unwrap().status(world.now()), Status::Resolved);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.ticket(id).unwrap().status(world.now()), Status::Closed);
    let later = world.now();
    let refused = world.with_tickets(|tickets| tickets.set_line(id, line, false, later));
    assert_eq!(refused, Err(TicketError::Closed(id)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is done to the lines, the ticket is resolved exactly when all of them are.
    #[test]
    fn a_ticket_follows_its_lines(steps in prop::collection::vec((0_usize..3, any::<bool>()), 1..20)) {
        let world = world();
        let now = world.now();
        let serials = ["A", "B", "C"].map(str::to_owned).to_vec();
        let new = NewTicket {
            client: 1, site: None, topic: Topic::Outage, serials, created_by: "x".to_owned(), severity: 2, description: None,
        };
        let id = world.with_tickets(|tickets| tickets.create(new, now));
        let lines: Vec<i64> = world.ticket(id).unwrap().lines.iter().map(|line| line.id).collect();
        let mut resolved = [false; 3];
        for (line, resolve) in steps {
            resolved[line] = resolve;
            world.with_tickets(|tickets| tickets.set_line(id, lines[line], resolve, now)).unwrap();
            let is_resolved = world.ticket(id).unwrap().status(now) == Status::Resolved;
            prop_assert_eq!(is_resolved, resolved.iter().all(|one| *one));
        }
    }
}

/// Who runs beside the sandbox leaves these out of an environment of real ones.
#[tokio::test]
async fn the_settings_of_third_parties_are_those_that_bridges_get() {
    const OTHERS: [&str; 6] = [
        "ENVIRONMENT_NAME",
        "CURRENT_ENVIRONMENT",
        "TIMEZONE",
        "PAPERTRAIL_ACTIVE",
        "DIGI_TOKEN_TTL",
        "DRI_DATA_REDIS_TTL",
    ];
    let sandbox = sandbox().await;
    let bridges = [
        "bruin-bridge",
        "velocloud-bridge",
        "digi-bridge",
        "hawkeye-bridge",
        "dri-bridge",
        "t7-bridge",
        "email-tagger-kre-bridge",
        "repair-tickets-kre-bridge",
        "cts-bridge",
        "lit-bridge",
        "notifier",
    ];
    let given = bridges.iter().flat_map(|bridge| sandbox.environment_for(bridge)).map(|(name, _)| name);
    let given: BTreeSet<String> = given.filter(|name| !OTHERS.contains(&name.as_str())).collect();
    let listed = environment::OF_THIRD_PARTIES.map(str::to_owned);
    assert_eq!(given, BTreeSet::from(listed));
}

#[tokio::test]
async fn each_service_gets_the_environment_that_its_specification_lists() {
    let sandbox = sandbox().await;
    let get = |service: &str, name: &str| {
        let found = sandbox.environment_for(service).into_iter().find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("{service} lacks {name}")).1
    };
    let overrides = get("bruin-bridge", "UPSTREAM_OVERRIDES");
    let http = sandbox.addresses().http;
    for pair in [
        format!("vco1.sandbox.example=http://{http}/velocloud/vco1.sandbox.example"),
        format!("{}=http://{http}/bruin", environment::BRUIN_HOST),
        format!("smtp.gmail.com=smtp://{}", sandbox.addresses().smtp),
    ] {
        assert!(overrides.split(',').any(|one| one == pair), "{pair} in {overrides}");
    }
    assert!(get("velocloud-bridge", "VELOCLOUD_CREDENTIALS").starts_with("vco1.sandbox.example+operator@"));
    assert!(get("notifier", "SLACK_WEBHOOK").starts_with("https://hooks.slack.example/"));
    assert_eq!(get("service-outage-monitor", "MONITORING__VELOCLOUD_HOST"), "vco1.sandbox.example");
    assert_eq!(get("service-outage-monitor-triage", "ENABLE_TRIAGE_MONITORING"), "1");

    let listed: serde_json::Value =
        serde_json::from_str(&get("customer-cache", "BLACKLISTED_EDGES")).unwrap();
    let expected = (0..120).filter(|place| oddity(*place) == Oddity::Blacklisted).count();
    assert_eq!((listed.as_array().unwrap().len(), expected), (1, 1));
}

#[test]
fn a_wrong_setting_is_named() {
    let service = sandbox::service();
    service.check(&Environment::default()).unwrap();
    let wrong = Environment::from([("SANDBOX_EDGES", "many"), ("SANDBOX_PORT", "70000")]);
    let problems = service.check(&wrong).unwrap_err().to_string();
    assert!(problems.contains("SANDBOX_EDGES") && problems.contains("SANDBOX_PORT"), "{problems}");
}

#[tokio::test]
async fn a_stopped_sandbox_frees_its_ports_also_while_changes_are_streamed() {
    let sandbox = sandbox().await;
    let _ = crate::common::Http::new();
    let stream = reqwest::get(format!("{}/control/changes", sandbox.base_url())).await.unwrap();
    let address = sandbox.addresses().http;
    sandbox.stop().await;
    tokio::net::TcpListener::bind(address).await.unwrap();
    drop(stream);
}
