//! Of several replicas one acts, and another takes over (`LEADER_ELECTION=jetstream`).

use crate::world::*;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_follower_waits_and_goes_on_at_once_when_the_leader_stops() {
    let mut world = World::new().await;
    world.set("LEADER_ELECTION", "jetstream");
    world.answer(LINKS, 200, json!([row(SERIAL, "OFFLINE", "GE1", "DISCONNECTED")])).await;
    let leader = world.start();
    world.until(LINKS, 1).await;
    let follower = world.start();
    follower.finished(1).await;
    // Quarantine over: the leader creates the ticket, the follower does nothing.
    world.advance(180);
    world.until(CREATE, 1).await;
    leader.finished(2).await;
    let asked = world.bodies(CACHE).len();
    world.advance(600);
    follower.finished(2).await;
    leader.finished(3).await;
    assert_eq!(world.bodies(CACHE).len(), asked + 1, "only the leader looks");
    assert_eq!(world.bodies(CREATE).len(), 1);

    // No tick is due: the follower looks because it leads now.
    leader.stop().await;
    world.until(CACHE, asked + 2).await;
    follower.stop().await;
}
