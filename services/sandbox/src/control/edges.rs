//! Edges: listing, breaking, healing.

use axum::Json;
use axum::extract::{Path, Query, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Body, Changed, Problem};
use crate::Simulation;
use crate::bruin::circuit_id;
use crate::world::inventory::Asset;
use crate::world::network::{Edge, Health, Link, LinkMode, LinkState, LinkType, Network};
use crate::world::outages::{Outage, OutageCounts};

/// Which edges to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct Selection {
    /// Part of the serial number (also of the standby), the name, or the client's name.
    pub(crate) search: Option<String>,
    /// State.
    pub(crate) health: Option<Health>,
    /// VeloCloud host.
    pub(crate) host: Option<String>,
    /// Client id.
    pub(crate) client: Option<i64>,
    /// Page, from 1.
    pub(crate) page: Option<usize>,
    /// Page size, 1 to 1000, default 50.
    pub(crate) size: Option<usize>,
}

/// A page of edges.
#[derive(Serialize, ToSchema)]
pub(crate) struct EdgePage {
    /// How many edges match.
    pub(crate) total: usize,
    /// This page, from 1.
    pub(crate) page: usize,
    /// How many pages there are.
    pub(crate) pages: usize,
    /// The edges.
    pub(crate) edges: Vec<EdgeView>,
}

/// An edge.
#[derive(Serialize, ToSchema)]
pub(crate) struct EdgeView {
    /// Serial number of the (primary) device.
    pub(crate) serial: String,
    /// Name.
    pub(crate) name: String,
    /// Model.
    pub(crate) model: &'static str,
    /// State in one word.
    pub(crate) health: Health,
    /// `edgeState` as VeloCloud has it.
    pub(crate) edge_state: Option<&'static str>,
    /// Since when the device is up or down.
    pub(crate) since: DateTime<Utc>,
    /// `haState` as VeloCloud has it.
    pub(crate) ha_state: &'static str,
    /// Serial number of the standby.
    pub(crate) standby: Option<String>,
    /// Whether the standby is up.
    pub(crate) standby_up: Option<bool>,
    /// VeloCloud host.
    pub(crate) host: String,
    /// Enterprise id at the host.
    pub(crate) enterprise_id: i64,
    /// Enterprise name.
    pub(crate) enterprise: String,
    /// Edge id at the host.
    pub(crate) edge_id: i64,
    /// Client in Bruin.
    pub(crate) client: i64,
    /// Site in Bruin.
    pub(crate) site: i64,
    /// Whether a DiGi reboot heals the link.
    pub(crate) digi_answers: bool,
    /// Links.
    pub(crate) links: Vec<LinkView>,
}

/// A link.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinkView {
    /// Id at the host.
    pub(crate) id: i64,
    /// Interface.
    pub(crate) interface: String,
    /// Display name.
    pub(crate) label: String,
    /// Carrier.
    pub(crate) carrier: &'static str,
    /// Public or private.
    pub(crate) mode: LinkMode,
    /// Wired or wireless.
    #[serde(rename = "type")]
    pub(crate) kind: LinkType,
    /// State as VeloCloud sees it.
    pub(crate) state: LinkState,
    /// Whether the link itself is down, not only its edge.
    pub(crate) broken: bool,
    /// Since when its own state is as it is.
    pub(crate) since: DateTime<Utc>,
    /// Address.
    pub(crate) ip: String,
    /// Logical id, the MAC of a DiGi unit.
    pub(crate) logical_id: String,
    /// Whether it runs over a DiGi unit.
    pub(crate) digi: bool,
    /// Circuit id of a private link.
    pub(crate) circuit: Option<String>,
}

impl EdgeView {
    fn of(network: &Network, edge: &Edge) -> Self {
        let enterprise = network.enterprise_of(edge);
        let link = |link: &Link| LinkView {
            id: link.id,
            interface: link.interface.clone(),
            label: link.label.clone(),
            carrier: link.carrier,
            mode: link.mode,
            kind: link.kind,
            state: edge.link_state(link),
            broken: link.state == LinkState::Disconnected,
            since: link.since,
            ip: link.ip.to_string(),
            logical_id: link.logical_id.clone(),
            digi: link.is_digi(),
            circuit: (link.mode == LinkMode::Private).then(|| circuit_id(link.id)),
        };
        Self {
            serial: edge.serial.clone(),
            name: edge.name.clone(),
            model: edge.model,
            health: edge.health(),
            edge_state: edge.state(),
            since: edge.since,
            ha_state: edge.ha_state(),
            standby: edge.ha_serial().map(str::to_owned),
            standby_up: edge.standby.as_ref().map(|standby| standby.up),
            host: network.host_of(edge).to_owned(),
            enterprise_id: enterprise.map_or(0, |enterprise| enterprise.id),
            enterprise: enterprise.map(|enterprise| enterprise.name.clone()).unwrap_or_default(),
            edge_id: edge.id,
            client: enterprise.map_or(0, |enterprise| enterprise.client),
            site: edge.site,
            digi_answers: edge.digi_answers,
            links: edge.links.iter().map(link).collect(),
        }
    }
}

/// Selects and pages edges; also used by the page.
pub(crate) fn select(simulation: &Simulation, selection: &Selection) -> EdgePage {
    let size = selection.size.unwrap_or(50).clamp(1, 1_000);
    let search = selection.search.as_deref().unwrap_or_default().trim().to_lowercase();
    simulation.world.network(|network| {
        let matches = |edge: &&Edge| {
            let enterprise = network.enterprise_of(edge);
            let contains = |text: &str| text.to_lowercase().contains(&search);
            selection.health.is_none_or(|health| health == edge.health())
                && selection.client.is_none_or(|client| enterprise.is_some_and(|one| one.client == client))
                && selection.host.as_deref().is_none_or(|host| host == network.host_of(edge))
                && (search.is_empty()
                    || contains(&edge.serial)
                    || contains(&edge.name)
                    || edge.ha_serial().is_some_and(contains)
                    || enterprise.is_some_and(|enterprise| contains(&enterprise.name)))
        };
        let found: Vec<&Edge> = network.edges.iter().filter(matches).collect();
        let pages = found.len().div_ceil(size).max(1);
        let page = selection.page.unwrap_or(1).clamp(1, pages);
        let edges = found.iter().skip((page - 1) * size).take(size);
        let edges = edges.map(|edge| EdgeView::of(network, edge)).collect();
        EdgePage { total: found.len(), page, pages, edges }
    })
}

/// Lists edges.
#[utoipa::path(get, path = "/control/edges", tag = "edges", params(Selection), responses((status = 200, body = EdgePage)))]
pub(super) async fn list(
    State(simulation): State<Simulation>,
    Query(selection): Query<Selection>,
) -> Json<EdgePage> {
    Json(select(&simulation, &selection))
}

/// An edge with what Bruin knows of it.
#[derive(Serialize, ToSchema)]
pub(super) struct EdgeDetails {
    /// The edge.
    edge: EdgeView,
    /// Its inventory items.
    assets: Vec<Asset>,
    /// Ids of its tickets, newest first.
    tickets: Vec<i64>,
    /// Its events, newest first.
    events: Vec<EventView>,
}

/// An event of an edge.
#[derive(Serialize, ToSchema)]
pub(super) struct EventView {
    /// When.
    at: DateTime<Utc>,
    /// Name.
    event: &'static str,
    /// Message.
    message: String,
}

/// One edge, by the serial number of either member.
#[utoipa::path(
    get, path = "/control/edges/{serial}", tag = "edges",
    responses((status = 200, body = EdgeDetails), (status = 404, body = Problem)),
)]
pub(super) async fn one(
    State(simulation): State<Simulation>,
    Path(serial): Path<String>,
) -> Result<Json<EdgeDetails>, Problem> {
    let world = &simulation.world;
    let found = world.network(|network| {
        let (edge, _) = network.by_serial(&serial)?;
        let event = |event: &crate::world::events::Event| EventView {
            at: event.at,
            event: event.happening.name(),
            message: event.happening.message(),
        };
        Some((EdgeView::of(network, edge), edge.events.iter().rev().map(event).collect()))
    });
    let (edge, events) = found.ok_or_else(|| Problem::unknown(format!("no edge {serial}")))?;
    Ok(Json(EdgeDetails {
        edge,
        assets: world.inventory(|inventory| inventory.assets(&serial).to_vec()),
        tickets: world.tickets_of(&serial).iter().map(|ticket| ticket.id).collect(),
        events,
    }))
}

/// What to do to an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EdgeAction {
    /// Takes the device with this serial number down.
    Break,
    /// Brings it up.
    Heal,
    /// Takes the standby of the pair down.
    BreakStandby,
    /// Brings it up.
    HealStandby,
    /// Reboots of the DiGi unit heal its link from now on.
    DigiAnswers,
    /// They do not.
    DigiSilent,
}

pub(crate) fn act(simulation: &Simulation, serial: &str, action: EdgeAction) -> Result<bool, Problem> {
    let world = &simulation.world;
    let changed = match action {
        EdgeAction::Break => world.break_edge(serial),
        EdgeAction::Heal => world.heal_edge(serial),
        EdgeAction::BreakStandby => world.break_standby(serial),
        EdgeAction::HealStandby => world.heal_standby(serial),
        EdgeAction::DigiAnswers => world.set_digi_answers(serial, true),
        EdgeAction::DigiSilent => world.set_digi_answers(serial, false),
    };
    Ok(changed?)
}

/// Breaks or heals a device: `break`, `heal`, `break-standby`, `heal-standby`, `digi-answers`, `digi-silent`.
#[utoipa::path(
    post, path = "/control/edges/{serial}/{action}", tag = "edges",
    responses((status = 200, body = Changed), (status = 404, body = Problem), (status = 409, body = Problem)),
)]
pub(super) async fn change(
    State(simulation): State<Simulation>,
    Path((serial, action)): Path<(String, EdgeAction)>,
) -> Result<Json<Changed>, Problem> {
    Ok(Json(Changed { changed: act(&simulation, &serial, action)? }))
}

/// What to do to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LinkAction {
    /// Takes it down.
    Break,
    /// Makes it lossy.
    Degrade,
    /// Makes it healthy.
    Heal,
}

pub(crate) fn act_on_link(
    simulation: &Simulation,
    serial: &str,
    interface: &str,
    action: LinkAction,
) -> Result<bool, Problem> {
    let state = match action {
        LinkAction::Break => LinkState::Disconnected,
        LinkAction::Degrade => LinkState::Unstable,
        LinkAction::Heal => LinkState::Stable,
    };
    Ok(simulation.world.set_link(serial, interface, state)?)
}

/// Breaks or heals a link: `break`, `degrade`, `heal`.
#[utoipa::path(
    post, path = "/control/edges/{serial}/links/{interface}/{action}", tag = "edges",
    responses((status = 200, body = Changed), (status = 404, body = Problem), (status = 409, body = Problem)),
)]
pub(super) async fn change_link(
    State(simulation): State<Simulation>,
    Path((serial, interface, action)): Path<(String, String, LinkAction)>,
) -> Result<Json<Changed>, Problem> {
    Ok(Json(Changed { changed: act_on_link(&simulation, &serial, &interface, action)? }))
}

/// How many things were healed.
#[derive(Serialize, ToSchema)]
pub(super) struct Healed {
    /// Edges, standbys and links.
    healed: usize,
}

/// Heals everything that is broken.
#[utoipa::path(post, path = "/control/heal", tag = "edges", responses((status = 200, body = Healed)))]
pub(super) async fn heal_all(State(simulation): State<Simulation>) -> Json<Healed> {
    Json(Healed { healed: simulation.world.heal_all() })
}

/// The sandbox's own account of the outages it made.
#[derive(Serialize, ToSchema)]
pub(super) struct OutageList {
    /// All of them, also those no longer listed.
    counts: OutageCounts,
    /// The last ones, newest first.
    outages: Vec<Outage>,
}

/// How many to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Limit {
    /// At most so many, default 200.
    limit: Option<usize>,
}

/// The outages made.
#[utoipa::path(get, path = "/control/outages", tag = "edges", params(Limit), responses((status = 200, body = OutageList)))]
pub(super) async fn outages(
    State(simulation): State<Simulation>,
    Query(limit): Query<Limit>,
) -> Json<OutageList> {
    let limit = limit.limit.unwrap_or(200);
    Json(simulation.world.network(|network| OutageList {
        counts: network.outages.counts(),
        outages: network.outages.iter().rev().take(limit).cloned().collect(),
    }))
}

/// What to change in every inventory item of a service number; absent: stays.
#[derive(Deserialize, ToSchema)]
pub(super) struct AssetChange {
    /// `true`: status `A`, `false`: status `D`.
    active: Option<bool>,
    /// The attribute `Management Status`.
    management_status: Option<String>,
}

/// Changes what Bruin's inventory says about a device.
#[utoipa::path(
    put, path = "/control/edges/{serial}/inventory", tag = "edges", request_body = AssetChange,
    responses((status = 200, body = Vec<Asset>), (status = 404, body = Problem)),
)]
pub(super) async fn set_assets(
    State(simulation): State<Simulation>,
    Path(serial): Path<String>,
    Body(change): Body<AssetChange>,
) -> Result<Json<Vec<Asset>>, Problem> {
    let changed = simulation.world.with_inventory(|inventory| {
        let assets = inventory.assets_mut(&serial)?;
        for asset in assets.iter_mut() {
            asset.active = change.active.unwrap_or(asset.active);
            if change.management_status.is_some() {
                asset.management_status.clone_from(&change.management_status);
            }
        }
        Some(assets.clone())
    });
    changed.map(Json).ok_or_else(|| Problem::unknown(format!("no inventory item for {serial}")))
}
