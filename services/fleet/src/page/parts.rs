//! The parts of the page, and the document around them.

use std::fmt::Write;

use askama::Template;

use super::{
    Page,
    capabilities::{self, Forms},
    desk, device, engine,
    jobs::Job,
    network,
    times::Now,
    traces::Trace,
    view::View,
};

/// One part: the id of an element and what stands in it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Part {
    pub(super) id: String,
    pub(super) html: String,
}

/// The parts as they are rendered.
#[derive(Default)]
pub(super) struct Parts(Vec<Part>);

impl Parts {
    /// Renders a part.
    pub(super) fn add(&mut self, id: &str, part: &impl Template) -> Result<(), askama::Error> {
        self.0.push(Part { id: id.to_owned(), html: part.render()? });
        Ok(())
    }
}

/// Renders all parts of the half that is looked at; `live` for a reader with script.
pub(super) fn all(page: &Page, view: &View, live: bool) -> Result<Vec<Part>, askama::Error> {
    let sources = &page.0.sources;
    let simulation = sources.simulation.as_ref();
    let now = Now { at: sources.clock.now(), live };
    let mut parts = Parts::default();
    let tickets = desk::Tickets::new(simulation, view, now);
    let jobs = page.0.jobs.lock().clone();
    let beside = simulation.filter(|_| view.is_capabilities());
    {
        let meters = page.0.meters.lock();
        let (home, open) = (if beside.is_some() { "/" } else { "" }, tickets.open());
        let bar = engine::TopBar::new(meters.figures(), &jobs, simulation.is_some(), home, open, now);
        parts.add("topbar", &bar)?;
    }
    match beside {
        Some(simulation) => capabilities::add(&mut parts, page, simulation, view, now)?,
        None => network(&mut parts, page, view, now, &tickets, &jobs)?,
    }
    Ok(parts.0)
}

/// The half with the network, its tickets, and the engine.
fn network(
    parts: &mut Parts,
    page: &Page,
    view: &View,
    now: Now,
    tickets: &desk::Tickets,
    jobs: &[Job],
) -> Result<(), askama::Error> {
    let sources = &page.0.sources;
    let simulation = sources.simulation.as_ref();
    {
        let meters = page.0.meters.lock();
        parts.add("services", &engine::Services::new(meters.figures()))?;
        if let Some(simulation) = simulation {
            let rates = page.0.rates.lock().clone();
            parts.add("parties", &engine::Parties::new(simulation, meters.figures(), &rates))?;
        }
    }
    if let Some(simulation) = simulation {
        let (head, customers) = simulation.world.network(|network| network::show(network, view));
        parts.add("network-head", &head)?;
        // The frame holds their places only: a customer that changes is sent alone.
        let mut frame = String::new();
        for customer in &customers {
            // Writing to a String can not fail.
            let _ = write!(
                frame,
                r#"<section id="customer-{}" class="customer" data-part></section>"#,
                customer.number
            );
        }
        parts.0.push(Part { id: "customers".to_owned(), html: frame });
        for customer in &customers {
            parts.add(&format!("customer-{}", customer.number), customer)?;
        }
        parts.add("outbox", &desk::Outbox::new(simulation, view, now))?;
    }
    let entries = |serial: &str| page.0.ledger.lock().of(serial);
    let latest = || page.0.ledger.lock().latest(30);
    let engine = device::Engine { jobs, heard: page.0.ledger.lock().heard() };
    let (device, moment, story) = device::show(simulation, view, now, entries, latest, engine);
    parts.add("device", &device)?;
    parts.add("moment", &moment)?;
    parts.add("story", &story)?;
    parts.add("trace", &Trace::new(&sources.spans, view))?;
    parts.add("tickets", tickets)
}

/// The document around the parts.
#[derive(Template)]
#[template(path = "page.html")]
struct Document<'a> {
    view: &'a View,
    simulated: bool,
    /// The forms of the half beside the network, when that is looked at.
    forms: Option<Forms>,
    /// Where the other half is.
    beside: String,
    parts: &'a [Part],
}

impl Document<'_> {
    /// What stands in a part.
    fn part(&self, id: &str) -> &str {
        self.parts.iter().find(|part| part.id == id).map_or("", |part| part.html.as_str())
    }

    /// What was answered at a place.
    fn answer(&self, place: &str) -> &str {
        self.part(&format!("answer-{place}"))
    }

    fn model(&self, name: &str) -> &str {
        self.part(&format!("model-{name}"))
    }

    fn dispatches(&self, vendor: &str) -> &str {
        self.part(&format!("{vendor}-dispatches"))
    }

    /// The customers' frame, filled.
    fn customers(&self) -> String {
        let mut html = String::new();
        for part in self.parts.iter().filter(|part| part.id.starts_with("customer-")) {
            let Part { id, html: inner } = part;
            // Writing to a String can not fail.
            let _ = write!(html, r#"<section id="{id}" class="customer" data-part>{inner}</section>"#);
        }
        html
    }
}

/// The whole document.
pub(super) fn document(page: &Page, view: &View) -> Result<String, askama::Error> {
    let parts = all(page, view, false)?;
    let simulation = page.0.sources.simulation.as_ref();
    let forms = simulation.filter(|_| view.is_capabilities()).map(Forms::new);
    let beside = View::capabilities().address("");
    Document { view, simulated: simulation.is_some(), forms, beside, parts: &parts }.render()
}
