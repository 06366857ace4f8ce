//! The parts of the page, and the document around them.

use std::fmt::Write;

use askama::Template;

use super::{Page, desk, device, engine, network, times::Now, traces::Trace, view::View};

/// One part: the id of an element and what stands in it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Part {
    pub(super) id: String,
    pub(super) html: String,
}

/// Renders all parts; `live` for a reader with script.
pub(super) fn all(page: &Page, view: &View, live: bool) -> Result<Vec<Part>, askama::Error> {
    let sources = &page.0.sources;
    let simulation = sources.simulation.as_ref();
    let now = Now { at: sources.clock.now(), live };
    let mut parts = Vec::new();
    let mut add = |id: &str, html: Result<String, askama::Error>| {
        html.map(|html| parts.push(Part { id: id.to_owned(), html }))
    };
    let tickets = desk::Tickets::new(simulation, view, now);
    let jobs = page.0.jobs.lock().clone();
    {
        let meters = page.0.meters.lock();
        let bar = engine::TopBar::new(meters.figures(), &jobs, simulation.is_some(), tickets.open(), now);
        add("topbar", bar.render())?;
        add("services", engine::Services::new(meters.figures()).render())?;
        if let Some(simulation) = simulation {
            let rates = page.0.rates.lock().clone();
            add("parties", engine::Parties::new(simulation, meters.figures(), &rates).render())?;
        }
    }
    if let Some(simulation) = simulation {
        let (head, customers) = simulation.world.network(|network| network::show(network, view));
        add("network-head", head.render())?;
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
        add("customers", Ok(frame))?;
        for customer in &customers {
            add(&format!("customer-{}", customer.number), customer.render())?;
        }
        add("outbox", desk::Outbox::new(simulation, view, now).render())?;
    }
    let entries = |serial: &str| page.0.ledger.lock().of(serial);
    let latest = || page.0.ledger.lock().latest(30);
    let engine = device::Engine { jobs: &jobs, heard: page.0.ledger.lock().heard() };
    let (device, moment, story) = device::show(simulation, view, now, entries, latest, engine);
    add("device", device.render())?;
    add("moment", moment.render())?;
    add("story", story.render())?;
    add("trace", Trace::new(&sources.spans, view).render())?;
    add("tickets", tickets.render())?;
    Ok(parts)
}

/// The document around the parts.
#[derive(Template)]
#[template(path = "page.html")]
struct Document<'a> {
    view: &'a View,
    simulated: bool,
    parts: &'a [Part],
}

impl Document<'_> {
    /// What stands in a part.
    fn part(&self, id: &str) -> &str {
        self.parts.iter().find(|part| part.id == id).map_or("", |part| part.html.as_str())
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
    let simulated = page.0.sources.simulation.is_some();
    Document { view, simulated, parts: &parts }.render()
}
