//! The dispatches at CTS and LIT as their people see and change them.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use sandbox::{
    Simulation,
    cts::{self, RecordError},
    lit::{self, PortalError},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Page,
    actions::{Done, Problem, back, unknown, world},
    view::View,
};

/// Dispatches of a vendor shown.
const SHOWN: usize = 30;
/// Characters of a value shown.
const VALUE: usize = 400;

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Unknown => unknown("such dispatch"),
            error => Self::refused(error.to_string()),
        }
    }
}

impl From<PortalError> for Problem {
    fn from(error: PortalError) -> Self {
        match error {
            PortalError::Unknown => unknown("such dispatch"),
            error => Self::refused(error.to_string()),
        }
    }
}

/// A vendor of technicians.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vendor {
    /// CTS.
    Cts,
    /// LIT.
    Lit,
}

/// What a button takes a dispatch to: the step and its title.
type Step = (&'static str, &'static str);

impl Vendor {
    pub(super) const ALL: [Self; 2] = [Self::Cts, Self::Lit];

    /// Its name in addresses.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cts => "cts",
            Self::Lit => "lit",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Cts => "CTS",
            Self::Lit => "LIT",
        }
    }

    fn named(name: &str) -> Result<Self, Problem> {
        let vendor = Self::ALL.into_iter().find(|vendor| vendor.name() == name);
        vendor.ok_or_else(|| unknown("such vendor"))
    }

    /// The fields that hold number, status, ticket, site, date and technician.
    fn fields(self) -> [&'static str; 6] {
        match self {
            Self::Cts => [
                "Name",
                "Status__c",
                "Ext_Ref_Num__c",
                "Lookup_Location_Owner__c",
                "Local_Site_Time__c",
                "API_Resource_Name__c",
            ],
            Self::Lit => [
                "Dispatch_Number",
                "Dispatch_Status",
                "MetTel_Bruin_TicketID",
                "Job_Site",
                "Date_of_Dispatch",
                "Tech_First_Name",
            ],
        }
    }

    /// What a person can set: all but what the vendor's system gives.
    fn is_free(self, field: &str) -> bool {
        match self {
            Self::Cts => !cts::schema::READ_ONLY.contains(&field),
            Self::Lit => field != "Dispatch_Number",
        }
    }

    /// All of its dispatches, oldest first.
    fn all(self, simulation: &Simulation) -> Vec<Map<String, Value>> {
        match self {
            Self::Cts => simulation.cts.all().into_iter().map(|record| record.0).collect(),
            Self::Lit => simulation.lit.all().into_iter().map(|dispatch| dispatch.0).collect(),
        }
    }

    fn one(self, simulation: &Simulation, number: &str) -> Result<Map<String, Value>, Problem> {
        Ok(match self {
            Self::Cts => simulation.cts.named(number).ok_or(RecordError::Unknown)?.0,
            Self::Lit => simulation.lit.named(number)?.0,
        })
    }

    /// Enters a dispatch for a ticket and returns its number.
    fn enter(self, simulation: &Simulation, ticket: &str, site: &str) -> Result<String, Problem> {
        let [_, status, ticket_field, site_field, ..] = self.fields();
        let fields = json!({ticket_field: ticket, site_field: site}).as_object().cloned().unwrap_or_default();
        let now = simulation.world.now();
        Ok(match self {
            Self::Cts => {
                let opened = now.format("%Y-%m-%dT%H:%M:%S.000+0000").to_string();
                let mut all = fields;
                all.extend([(status.to_owned(), json!("Open")), ("Open_Date__c".to_owned(), json!(opened))]);
                simulation.cts.add(all)?.number().to_owned()
            }
            Self::Lit => {
                let mut all = fields;
                all.insert("Date_of_Dispatch".to_owned(), json!(now.date_naive().to_string()));
                simulation.lit.create(&all)?.number().to_owned()
            }
        })
    }

    /// Sets a field.
    fn change(self, simulation: &Simulation, number: &str, field: &str, value: Value) -> Result<(), Problem> {
        let fields = Map::from_iter([(field.to_owned(), value)]);
        match self {
            Self::Cts => drop(simulation.cts.change(number, &fields)?),
            Self::Lit => drop(simulation.lit.change(number, fields)?),
        }
        Ok(())
    }

    /// Takes a dispatch a step further.
    fn step(self, simulation: &Simulation, number: &str, step: &str) -> Result<(), Problem> {
        let (name, now) = (json!(step), simulation.world.now());
        let unknown = |_| unknown("such button");
        match self {
            Self::Cts => {
                let step: cts::records::Step = serde_json::from_value(name).map_err(unknown)?;
                simulation.cts.step(number, step, now)?;
            }
            Self::Lit => {
                let step: lit::portal::Step = serde_json::from_value(name).map_err(unknown)?;
                simulation.lit.step(number, step, &now.format("%-H:%M").to_string())?;
            }
        }
        Ok(())
    }

    /// Whether there was one to remove.
    fn remove(self, simulation: &Simulation, number: &str) -> bool {
        match self {
            Self::Cts => simulation.cts.remove(number),
            Self::Lit => simulation.lit.remove(number),
        }
    }
}

/// What usually happens next to a dispatch in this status; the vendors' words differ.
fn next(status: &str) -> &'static [Step] {
    match status {
        "Open" => &[("schedule", "Schedule a technician"), ("cancel", "Cancel")],
        "New Dispatch" => &[("confirm", "Confirm"), ("cancel", "Cancel")],
        "Scheduled" | "Request Confirmed" => &[("arrive", "Technician arrives"), ("cancel", "Cancel")],
        "On Site" => &[("complete", "Complete")],
        "Tech Arrived" => &[("close", "Close out")],
        _ => &[],
    }
}

/// A value as people read it; nothing for an empty one.
fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn is_over(status: &str) -> bool {
    ["Completed", "Invoiced", "Canceled", "Cancelled", "Close Out"].contains(&status)
}

struct DispatchRow {
    number: String,
    status: String,
    class: &'static str,
    ticket: String,
    site: String,
    date: String,
    technician: String,
    next: &'static [Step],
    open: bool,
    address: String,
    /// Of an opened dispatch: what it holds, what can be set, and its files with their bytes.
    held: Vec<(String, String)>,
    free: Vec<String>,
    files: Vec<(String, usize)>,
}

/// The dispatches of a vendor.
#[derive(Template)]
#[template(path = "dispatches.html")]
pub(super) struct Dispatches {
    vendor: Vendor,
    total: usize,
    rows: Vec<DispatchRow>,
}

impl Dispatches {
    pub(super) fn new(simulation: &Simulation, vendor: Vendor, view: &View) -> Self {
        let all = vendor.all(simulation);
        let row = |fields: &Map<String, Value>| row(simulation, vendor, fields, view);
        Self { vendor, total: all.len(), rows: all.iter().rev().take(SHOWN).map(row).collect() }
    }
}

fn row(simulation: &Simulation, vendor: Vendor, fields: &Map<String, Value>, view: &View) -> DispatchRow {
    let [number, status, ticket, site, date, technician] = vendor.fields().map(|name| text(fields.get(name)));
    let open = view.dispatch == number;
    let shown = |(name, value): (&String, &Value)| {
        let value: String = text(Some(value)).chars().take(VALUE).collect();
        (!value.is_empty()).then(|| (name.clone(), value))
    };
    let files = match vendor {
        Vendor::Lit if open => simulation.lit.files(&number),
        _ => Vec::new(),
    };
    DispatchRow {
        class: if is_over(&status) { "over" } else { "open" },
        next: next(&status),
        address: view.dispatch(&number).address(&format!("dispatch-{number}")),
        held: if open { fields.iter().filter_map(shown).collect() } else { Vec::new() },
        free: if open {
            fields.keys().filter(|field| vendor.is_free(field)).cloned().collect()
        } else {
            Vec::new()
        },
        files: files.into_iter().map(|file| (file.name, file.bytes)).collect(),
        // CTS writes the whole instant: the minutes are enough.
        date: date.get(..16).unwrap_or(&date).replace('T', " "),
        number,
        status,
        ticket,
        site,
        technician,
        open,
    }
}

pub(super) fn router() -> Router<Page> {
    Router::new()
        .route("/do/dispatch/{vendor}/enter", post(enter))
        .route("/do/dispatch/{vendor}/{number}/change", post(change))
        .route("/do/dispatch/{vendor}/{number}/{step}", post(step))
}

#[derive(Deserialize)]
struct Order {
    ticket: String,
    site: String,
}

async fn enter(
    State(page): State<Page>,
    Path(vendor): Path<String>,
    headers: HeaderMap,
    Form(order): Form<Order>,
) -> Done {
    let (simulation, vendor) = (world(&page)?, Vendor::named(&vendor)?);
    let ticket = order.ticket.trim();
    if ticket.is_empty() {
        return Err(Problem::refused("say for which ticket"));
    }
    let number = vendor.enter(simulation, ticket, order.site.trim())?;
    Ok(back(&page, &headers, &format!("dispatch-{number}")))
}

#[derive(Deserialize)]
struct FieldForm {
    field: String,
    value: String,
}

async fn change(
    State(page): State<Page>,
    Path((vendor, number)): Path<(String, String)>,
    headers: HeaderMap,
    Form(form): Form<FieldForm>,
) -> Done {
    let (simulation, vendor) = (world(&page)?, Vendor::named(&vendor)?);
    let held = vendor.one(simulation, &number)?;
    let value = match (held.get(&form.field), form.value.trim()) {
        (_, "") => Value::Null,
        (Some(Value::Bool(_)), "true") => Value::Bool(true),
        (Some(Value::Bool(_)), "false") => Value::Bool(false),
        (Some(Value::Bool(_)), _) => return Err(Problem::refused("this field is true or false")),
        (_, text) => Value::String(text.to_owned()),
    };
    // The number is how it is found.
    if !vendor.is_free(&form.field) {
        return Err(Problem(StatusCode::CONFLICT, format!("{} cannot be changed", form.field)));
    }
    vendor.change(simulation, &number, &form.field, value)?;
    Ok(back(&page, &headers, &format!("dispatch-{number}")))
}

async fn step(
    State(page): State<Page>,
    Path((vendor, number, step)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Done {
    let (simulation, vendor) = (world(&page)?, Vendor::named(&vendor)?);
    if step != "remove" {
        vendor.step(simulation, &number, &step)?;
        return Ok(back(&page, &headers, &format!("dispatch-{number}")));
    }
    if !vendor.remove(simulation, &number) {
        return Err(unknown("such dispatch"));
    }
    Ok(back(&page, &headers, vendor.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::{Sandbox, SandboxOptions};

    #[tokio::test]
    async fn every_step_a_button_offers_leads_to_a_status_with_the_next() {
        let sandbox =
            Sandbox::start(SandboxOptions { edges: 20, ..SandboxOptions::default() }).await.unwrap();
        let simulation = sandbox.simulation();
        for (vendor, expected) in [(Vendor::Cts, "Completed"), (Vendor::Lit, "Close Out")] {
            let number = vendor.enter(simulation, "5001", "Site 1").ok().unwrap();
            let [_, status, ticket, ..] = vendor.fields();
            let read = |field: &str| text(vendor.one(simulation, &number).ok().unwrap().get(field));
            assert_eq!(read(ticket), "5001");
            while let Some((step, _)) = next(&read(status)).first() {
                assert!(vendor.step(simulation, &number, step).is_ok(), "{step}");
            }
            assert_eq!(read(status), expected);
            assert!(is_over(expected) && !is_over("Open"));
            let newest = &Dispatches::new(simulation, vendor, &View::default().dispatch(&number)).rows[0];
            assert!(newest.open && newest.number == number && newest.class == "over");
            assert!(newest.held.contains(&(ticket.to_owned(), "5001".to_owned())));
        }
    }
}
