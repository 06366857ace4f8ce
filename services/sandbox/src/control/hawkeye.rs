//! Hawkeye's probes: listing, breaking, healing, and letting tests fail.

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Changed, Problem};
use crate::Simulation;
use crate::world::World;
use crate::world::probes::{Probe, ProbeService, TestKind, Trouble};

/// A probe.
#[derive(Serialize, ToSchema)]
pub(super) struct ProbeView {
    /// Id.
    id: i64,
    /// Unique id, a MAC.
    uid: String,
    /// Serial number; Bruin's service number.
    serial: String,
    /// Name.
    name: String,
    /// Client in Bruin, of its first inventory item.
    client: Option<i64>,
    /// Its inventory items.
    inventory_items: usize,
    /// False: switched off.
    active: bool,
    /// How it reaches other probes.
    node_to_node: ServiceView,
    /// How it reaches servers.
    real_service: ServiceView,
    /// The tests it runs.
    tests: Vec<TestView>,
}

/// What a probe measures against.
#[derive(Serialize, ToSchema)]
struct ServiceView {
    /// Whether it is reached.
    up: bool,
    /// Since when not.
    down_since: Option<DateTime<Utc>>,
    /// When it last reported; null: never.
    last_update: Option<DateTime<Utc>>,
}

/// A test of a probe.
#[derive(Serialize, ToSchema)]
struct TestView {
    /// The test.
    test: TestKind,
    /// Since when its results exceed the thresholds; null: they do not.
    failing_since: Option<DateTime<Utc>>,
}

impl ProbeView {
    fn of(probe: &Probe, world: &World) -> Self {
        let now = world.now();
        let service = |service| {
            let down_since = probe.down(service).since();
            ServiceView { up: down_since.is_none(), down_since, last_update: probe.last_update(service, now) }
        };
        let test = |test| TestView { test, failing_since: probe.failing(test).since() };
        let (client, inventory_items) = world.inventory(|inventory| {
            let assets = inventory.assets(&probe.serial);
            (assets.first().map(|asset| asset.client), assets.len())
        });
        Self {
            id: probe.id,
            uid: probe.uid.clone(),
            serial: probe.serial.clone(),
            name: probe.name.clone(),
            client,
            inventory_items,
            active: probe.active,
            node_to_node: service(ProbeService::NodeToNode),
            real_service: service(ProbeService::RealService),
            tests: probe.tests().map(test).collect(),
        }
    }
}

/// Lists the probes.
#[utoipa::path(get, path = "/control/hawkeye/probes", tag = "hawkeye", responses((status = 200, body = Vec<ProbeView>)))]
pub(super) async fn list(State(simulation): State<Simulation>) -> Json<Vec<ProbeView>> {
    let world = &simulation.world;
    let probes = world.probes(|probes| probes.list().to_vec());
    Json(probes.iter().map(|probe| ProbeView::of(probe, world)).collect())
}

/// What to do to a probe.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ProbeAction {
    /// It reaches neither other probes nor servers.
    Break,
    /// It does not reach other probes.
    BreakNodeToNode,
    /// It does not reach servers.
    BreakRealService,
    /// Ends all trouble, also that of its tests.
    Heal,
    /// Switches it on.
    Activate,
    /// Switches it off: it stays in the list with `active` `0`, and its results vanish.
    Deactivate,
}

fn changed(serial: &str, changed: Option<bool>) -> Result<Json<Changed>, Problem> {
    let unknown = || Problem::unknown(format!("no probe has the serial number {serial}"));
    changed.map(|changed| Json(Changed { changed })).ok_or_else(unknown)
}

/// Breaks, heals or switches the probes with a serial number: `break`, `break-node-to-node`, `break-real-service`,
/// `heal`, `activate`, `deactivate`.
#[utoipa::path(
    post, path = "/control/hawkeye/probes/{serial}/{action}", tag = "hawkeye",
    responses((status = 200, body = Changed), (status = 404, body = Problem)),
)]
pub(super) async fn change(
    State(simulation): State<Simulation>,
    Path((serial, action)): Path<(String, ProbeAction)>,
) -> Result<Json<Changed>, Problem> {
    let world = &simulation.world;
    let down = |service| world.trouble_probe(&serial, Trouble::Down(service), true);
    let outcome = match action {
        ProbeAction::Break => {
            let both = [down(ProbeService::NodeToNode), down(ProbeService::RealService)];
            both.into_iter().flatten().reduce(|one, other| one | other)
        }
        ProbeAction::BreakNodeToNode => down(ProbeService::NodeToNode),
        ProbeAction::BreakRealService => down(ProbeService::RealService),
        ProbeAction::Heal => world.heal_probe(&serial),
        ProbeAction::Activate => world.activate_probe(&serial, true),
        ProbeAction::Deactivate => world.activate_probe(&serial, false),
    };
    changed(&serial, outcome)
}

/// What to do to a test.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TestAction {
    /// Its results exceed the thresholds.
    Fail,
    /// They do not.
    Heal,
}

/// Lets a test of the probes with a serial number `fail` or `heal`, from its next run on (tests run every 5 minutes):
/// `icmp`, `network-kpi`, `voice`.
#[utoipa::path(
    post, path = "/control/hawkeye/probes/{serial}/tests/{test}/{action}", tag = "hawkeye",
    responses((status = 200, body = Changed), (status = 404, body = Problem)),
)]
pub(super) async fn change_test(
    State(simulation): State<Simulation>,
    Path((serial, test, action)): Path<(String, TestKind, TestAction)>,
) -> Result<Json<Changed>, Problem> {
    let wrong = matches!(action, TestAction::Fail);
    changed(&serial, simulation.world.trouble_probe(&serial, Trouble::Failing(test), wrong))
}
