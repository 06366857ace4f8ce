//! The buttons. Each is a form: it changes the world and leads back to where it was. A script asks for the same and stays.

use std::time::Duration;

use axum::{
    Form, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use sandbox::{
    Fault, Mode, Simulation, ThirdParty,
    world::{
        generate::{Oddity, oddity},
        network::Health,
        states::StateError,
    },
};
use serde::Deserialize;

use super::{
    Page,
    engine::{SWITCHES, Switch},
    network,
    view::View,
};

/// Time is moved at most so far at once, in minutes.
const FORWARD: u32 = 60 * 24 * 31;
/// A slider cannot make a third party slower than this, in milliseconds.
const SLOWEST: u64 = 60_000;

pub(super) fn router() -> Router<Page> {
    Router::new()
        .route("/do/edge/{serial}/{action}", post(edge))
        .route("/do/link/{serial}/{interface}/{action}", post(link))
        .route("/do/any/break", post(break_any))
        .route("/do/heal", post(heal))
        .route("/do/clock/{minutes}", post(clock))
        .route("/do/party/{party}/latency", post(latency))
        .route("/do/party/{party}/{what}", post(party))
        .route("/find", get(find))
}

/// Why a button did nothing.
pub(super) struct Problem(pub(super) StatusCode, pub(super) String);

impl Problem {
    /// What was asked for cannot be done so; says why.
    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, why.into())
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        Self(StatusCode::CONFLICT, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

/// Where a button leads.
pub(super) type Done = Result<Response, Problem>;

/// There is none of these.
pub(super) fn unknown(what: &str) -> Problem {
    Problem(StatusCode::NOT_FOUND, format!("there is no {what}"))
}

/// The simulated world and its third parties.
pub(super) fn world(page: &Page) -> Result<&Simulation, Problem> {
    page.0
        .sources
        .simulation
        .as_ref()
        .ok_or_else(|| unknown("simulated world: fleet up runs without a sandbox"))
}

/// Back to the view in which the form was; a script is told nothing: what changed comes by the stream.
pub(super) fn back(page: &Page, headers: &HeaderMap, part: &str) -> Response {
    page.changed();
    if is_script(headers) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let referer = headers.get(header::REFERER).and_then(|text| text.to_str().ok());
    let referer = referer.and_then(|text| url::Url::parse(text).ok());
    let query = referer.as_ref().and_then(url::Url::query).map(|query| format!("?{query}"));
    Redirect::to(&format!("/{}#{part}", query.unwrap_or_default())).into_response()
}

fn is_script(headers: &HeaderMap) -> bool {
    headers.contains_key("x-script")
}

async fn edge(
    State(page): State<Page>,
    Path((serial, action)): Path<(String, String)>,
    headers: HeaderMap,
) -> Done {
    let world = &world(&page)?.world;
    match action.as_str() {
        "break" => world.break_edge(&serial)?,
        "heal" => world.heal_edge(&serial)?,
        "digi-answers" => world.set_digi_answers(&serial, true)?,
        "digi-silent" => world.set_digi_answers(&serial, false)?,
        _ => return Err(unknown("such button")),
    };
    Ok(back(&page, &headers, "device"))
}

async fn link(
    State(page): State<Page>,
    Path((serial, interface, action)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Done {
    let world = &world(&page)?.world;
    match action.as_str() {
        "break" => world.break_link(&serial, &interface)?,
        "heal" => world.heal_link(&serial, &interface)?,
        _ => return Err(unknown("such button")),
    };
    Ok(back(&page, &headers, "device"))
}

/// Breaks an edge that works and is monitored, and leads to it.
async fn break_any(State(page): State<Page>, headers: HeaderMap) -> Done {
    let world = &world(&page)?.world;
    let serial = world.network(|network| {
        let good = |(place, edge): &(usize, &sandbox::world::network::Edge)| {
            edge.health() == Health::Up && oddity(*place) == Oddity::None
        };
        let edges: Vec<_> = network.edges.iter().enumerate().filter(good).map(|(_, edge)| edge).collect();
        // Another one each time, without a source of chance: the world's own time.
        let place = usize::try_from(world.now().timestamp_millis()).unwrap_or_default() % edges.len().max(1);
        edges.get(place).map(|edge| edge.serial.clone())
    });
    let serial = serial.ok_or_else(|| unknown("edge left that works"))?;
    world.break_edge(&serial)?;
    page.changed();
    let address = View::default().device(&serial).address("device");
    Ok(if is_script(&headers) { address.into_response() } else { Redirect::to(&address).into_response() })
}

async fn heal(State(page): State<Page>, headers: HeaderMap) -> Done {
    world(&page)?.world.heal_all();
    Ok(back(&page, &headers, "network"))
}

async fn clock(State(page): State<Page>, Path(minutes): Path<u32>, headers: HeaderMap) -> Done {
    let minutes = u64::from(minutes.min(FORWARD));
    world(&page)?.world.advance(Duration::from_secs(minutes * 60));
    Ok(back(&page, &headers, "top"))
}

fn named(party: &str) -> Result<ThirdParty, Problem> {
    ThirdParty::named(party).ok_or_else(|| unknown("such third party"))
}

#[derive(Deserialize)]
struct LatencyForm {
    milliseconds: u64,
}

async fn latency(
    State(page): State<Page>,
    Path(party): Path<String>,
    headers: HeaderMap,
    Form(form): Form<LatencyForm>,
) -> Done {
    let (simulation, party) = (world(&page)?, named(&party)?);
    take_back(simulation, party, Mode::Latency);
    if form.milliseconds > 0 {
        let latency = Duration::from_millis(form.milliseconds.min(SLOWEST));
        simulation.faults.inject(party, Fault::latency(latency));
    }
    Ok(back(&page, &headers, &format!("party-{}", party.name())))
}

async fn party(
    State(page): State<Page>,
    Path((party, what)): Path<(String, String)>,
    headers: HeaderMap,
) -> Done {
    let (simulation, party) = (world(&page)?, named(&party)?);
    match what.as_str() {
        "expire" => {
            simulation.sessions.expire(party);
        }
        "well" => simulation.faults.clear(Some(party)),
        what => {
            let mut switches = SWITCHES.iter();
            let switch = switches.find(|switch| switch.name == what).ok_or_else(|| unknown("such button"))?;
            toggle(simulation, party, switch);
        }
    }
    Ok(back(&page, &headers, &format!("party-{}", party.name())))
}

/// Puts a fault in force, or takes it back.
fn toggle(simulation: &Simulation, party: ThirdParty, switch: &Switch) {
    if !take_back(simulation, party, switch.mode) {
        simulation.faults.inject(party, Fault::new(switch.mode));
    }
}

/// Takes the faults of a mode back; whether there were any.
fn take_back(simulation: &Simulation, party: ThirdParty, mode: Mode) -> bool {
    let standing = simulation.faults.standing(party);
    let of_mode: Vec<u64> =
        standing.iter().filter(|one| one.fault.mode() == mode).map(|one| one.id).collect();
    for id in &of_mode {
        simulation.faults.remove(party, *id);
    }
    !of_mode.is_empty()
}

/// The first device that a search finds.
async fn find(State(page): State<Page>, Query(view): Query<View>) -> Done {
    let first = world(&page)?.world.network(|network| network::show(network, &view).0.first);
    let serial = first.ok_or_else(|| unknown("edge that matches"))?;
    Ok(view.device(&serial).address("device").into_response())
}
