//! The half of the page beside the network: what the third parties of the capability bridges hold. The forms stand in the
//! document and never change; what they change stands in parts.

use axum::Router;
use sandbox::{
    Simulation,
    world::generate::{Oddity, oddity},
};

use super::{
    Page, asking,
    dispatches::{self, Dispatches, Vendor},
    dri::{self, FATES, Fate},
    models::{self, MANNERS, Manner, ModelState, REFUSALS},
    parts::Parts,
    probes::{self, ProbeList},
    times::Now,
    view::View,
};

/// Where answers stand that belong to no model and no vendor.
const PLACES: [&str; 2] = ["hawkeye", "dri"];

pub(super) fn router() -> Router<Page> {
    Router::new()
        .merge(asking::router())
        .merge(probes::router())
        .merge(models::router())
        .merge(dri::router())
        .merge(dispatches::router())
}

/// Renders the parts of this half.
pub(super) fn add(
    parts: &mut Parts,
    page: &Page,
    simulation: &Simulation,
    view: &View,
    now: Now,
) -> Result<(), askama::Error> {
    let models = MANNERS.iter().map(|manner| manner.model.name());
    let vendors = Vendor::ALL.into_iter().map(Vendor::name);
    for place in PLACES.into_iter().chain(models).chain(vendors) {
        parts.add(&format!("answer-{place}"), &asking::Reply::new(&page.0.asking, place, now))?;
    }
    parts.add("probes", &ProbeList::new(simulation, view, now))?;
    for manner in &MANNERS {
        let id = format!("model-{}", manner.model.name());
        parts.add(&id, &ModelState::new(simulation, manner, now))?;
    }
    parts.add("dri", &dri::Devices::new(simulation, now))?;
    for vendor in Vendor::ALL {
        parts.add(&format!("{}-dispatches", vendor.name()), &Dispatches::new(simulation, vendor, view))?;
    }
    Ok(())
}

/// What the forms of this half offer.
pub(super) struct Forms {
    /// A device to try things with.
    pub(super) serial: String,
    pub(super) models: &'static [Manner],
    pub(super) refusals: &'static [&'static str],
    pub(super) fates: &'static [Fate],
    pub(super) vendors: [Vendor; 2],
}

impl Forms {
    pub(super) fn new(simulation: &Simulation) -> Self {
        let serial = simulation.world.network(|network| {
            let ordinary = |(place, _): &(usize, _)| oddity(*place) == Oddity::None;
            let edge = network.edges.iter().enumerate().find(ordinary);
            edge.map(|(_, edge)| edge.serial.clone()).unwrap_or_default()
        });
        Self { serial, models: &MANNERS, refusals: &REFUSALS, fates: &FATES, vendors: Vendor::ALL }
    }
}
