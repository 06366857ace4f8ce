//! Of several replicas one acts, and another takes over (`LEADER_ELECTION=jetstream`).

use crate::world::*;
use serde_json::json;

/// Edges that a replica has looked at.
const LOOKED: &str = "outage_monitoring_edge_counter_total";

#[tokio::test(flavor = "multi_thread")]
async fn the_follower_waits_and_goes_on_at_once_when_the_leader_stops() {
    let mut world = World::new().await;
    world.set("LEADER_ELECTION", "jetstream");
    world.answer(LINKS, 200, json!([row(SERIAL, "OFFLINE", "GE1", "DISCONNECTED")])).await;
    let leader = world.start();
    world.until(LINKS, 1).await;
    leader.rests().await;
    let follower = world.start();
    follower.finished(1).await;
    // Quarantine over: the leader creates the ticket, the follower does nothing.
    world.advance(180);
    world.until(CREATE, 1).await;
    leader.rests().await;
    let looked = leader.metric(LOOKED);
    world.advance(600);
    leader.exceeds(LOOKED, looked).await;
    follower.finished(2).await;
    leader.rests().await;
    assert!(follower.counted(LOOKED, 0), "only the leader looks");
    assert_eq!(world.bodies(CREATE).len(), 1);

    // No tick is due: the follower looks because it leads now.
    leader.stop().await;
    follower.exceeds(LOOKED, 0.0).await;
    follower.stop().await;
}
