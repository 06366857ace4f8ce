//! An outage of the network while a third party is dead: ticketed once, and nothing is lost.

use std::time::Duration;

use fleet::supervisor::Supervisor;
use sandbox::{Fault, Mode, ThirdParty};

use crate::{
    programs::PROGRAMS,
    stage::{PATIENCE, Stage, assert_no_restarts, metric, notes_with, run_of, tickets},
};

/// What the note of a documented outage says.
const DOCUMENTED: &str = "Triage (VeloCloud)";
/// Several cycles of the sandbox's settings.
const CYCLES: Duration = Duration::from_secs(600);

/// The whole fleet, past its first cycle, and an edge to break.
async fn fleet() -> (Stage, Supervisor, String) {
    let stage = Stage::new().await;
    let supervisor = stage.run(&PROGRAMS).await;
    let monitor = run_of(&supervisor, "service-outage-monitor");
    stage
        .pass_until("the monitor looks at edges", |_| {
            (metric(&monitor, "outage_monitoring_edge_counter_total") > 0.0).then_some(())
        })
        .await;
    let edge = stage.edges().remove(0).serial;
    (stage, supervisor, edge)
}

/// One ticket, documented once, whatever time passes.
async fn exactly_one_ticket(stage: &Stage, supervisor: Supervisor, edge: &str) {
    let documented = |tickets: &[sandbox::world::tickets::Ticket]| {
        tickets.first().is_some_and(|ticket| notes_with(ticket, DOCUMENTED) > 0)
    };
    stage
        .pass_until("the outage is ticketed and documented", |world| {
            documented(&tickets(world, edge)).then_some(())
        })
        .await;
    stage.pass(CYCLES).await;
    let [ticket] = &tickets(stage.world(), edge)[..] else { panic!("several tickets") };
    assert_eq!(notes_with(ticket, DOCUMENTED), 1);
    assert_eq!(ticket.lines.len(), 1);
    assert_no_restarts(&supervisor);
    tokio::time::timeout(PATIENCE, supervisor.stop()).await.unwrap();
}

#[tokio::test]
async fn an_outage_while_bruin_is_dead_is_ticketed_once_bruin_is_back() {
    let (stage, supervisor, edge) = fleet().await;
    for fault in [Fault::new(Mode::Reset), Fault::new(Mode::RefuseLogins)] {
        stage.sandbox.faults().inject(ThirdParty::Bruin, fault);
    }
    stage.sandbox.sessions().expire(ThirdParty::Bruin);
    stage.world().break_edge(&edge).unwrap();
    // Several times the engine has tried and failed.
    let calls = || stage.sandbox.received().count(ThirdParty::Bruin, "");
    let before = calls();
    stage.pass_until("the engine asks Bruin in vain", |_| (calls() > before + 10).then_some(())).await;
    stage.pass(CYCLES).await;
    assert!(tickets(stage.world(), &edge).is_empty());

    stage.sandbox.faults().clear(None);
    exactly_one_ticket(&stage, supervisor, &edge).await;
}

#[tokio::test]
async fn a_ticket_whose_creation_was_not_confirmed_is_the_only_one() {
    let (stage, supervisor, edge) = fleet().await;
    // Bruin executes it, the answer is lost.
    let lost = Fault::new(Mode::LoseAnswer).on("/Ticket/repair").times(1);
    stage.sandbox.faults().inject(ThirdParty::Bruin, lost);
    stage.world().break_edge(&edge).unwrap();
    exactly_one_ticket(&stage, supervisor, &edge).await;
    assert!(stage.sandbox.faults().standing(ThirdParty::Bruin).is_empty(), "an answer was lost");
}

#[tokio::test]
async fn an_outage_while_slack_is_dead_is_ticketed_all_the_same() {
    let (stage, supervisor, edge) = fleet().await;
    stage.sandbox.faults().inject(ThirdParty::Slack, Fault::new(Mode::Reset));
    stage.world().break_edge(&edge).unwrap();
    exactly_one_ticket(&stage, supervisor, &edge).await;
}

#[tokio::test]
async fn an_outage_while_nats_restarts_is_ticketed_once() {
    let (stage, supervisor, edge) = fleet().await;
    stage.world().break_edge(&edge).unwrap();
    stage.nats.kill9();
    stage.pass(Duration::from_secs(120)).await;
    stage.nats.restart().await;
    exactly_one_ticket(&stage, supervisor, &edge).await;
}
