//! What Bruin's answers look like.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::world::inventory::{Inventory, Site};
use crate::world::notes::Note;
use crate::world::tickets::{Line, Status, Ticket};

/// The only product category of this world.
pub(super) const PRODUCT: &str = "SD-WAN";
/// The id of the engine's user.
const USER: i64 = 442_301;

/// `9/25/2020 6:31:54 AM`, UTC.
pub(super) fn us_time(at: DateTime<Utc>) -> String {
    at.format("%-m/%-d/%Y %-I:%M:%S %p").to_string()
}

/// `2020-02-24T10:07:13.503-05:00`, the clock of Bruin's offices.
pub(super) fn office_time(at: DateTime<Utc>) -> String {
    at.with_timezone(&chrono_tz::US::Eastern).format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

#[derive(Serialize)]
pub(super) struct Address {
    #[serde(rename = "addressID", skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<i64>,
    address: String,
    city: String,
    state: String,
    zip: String,
    country: &'static str,
}

impl Address {
    pub(super) fn of(site: &Site, with_id: bool) -> Self {
        Self {
            id: with_id.then_some(300_000 + site.id),
            address: site.address.clone(),
            city: site.city.to_owned(),
            state: site.state.to_owned(),
            zip: site.zip.clone(),
            country: "USA",
        }
    }
}

/// A ticket of `GET /api/Ticket/basic`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BasicTicket {
    #[serde(rename = "clientID")]
    client_id: i64,
    client_name: String,
    #[serde(rename = "ticketID")]
    ticket_id: i64,
    category: &'static str,
    topic: &'static str,
    ticket_status: &'static str,
    address: Option<Address>,
    create_date: String,
    created_by: String,
    severity: i64,
}

/// A ticket of `GET /api/Ticket`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FullTicket {
    #[serde(rename = "clientID")]
    client_id: i64,
    client_name: String,
    #[serde(rename = "ticketID")]
    ticket_id: i64,
    category: &'static str,
    topic: &'static str,
    reference_ticket_number: i64,
    ticket_status: &'static str,
    address: Option<Address>,
    create_date: String,
    created_by: String,
    creation_note: Option<String>,
    resolve_date: String,
    resolvedby: Option<&'static str>,
    close_date: Option<String>,
    closed_by: Option<&'static str>,
    last_update: Option<String>,
    updated_by: Option<&'static str>,
    most_recent_note: Option<String>,
    next_scheduled_date: String,
    flags: &'static str,
    severity: String,
}

pub(super) fn basic(ticket: &Ticket, inventory: &Inventory, now: DateTime<Utc>) -> BasicTicket {
    let site = ticket.site.and_then(|site| inventory.site(site));
    BasicTicket {
        client_id: ticket.client,
        client_name: inventory.client_name(ticket.client).to_owned(),
        ticket_id: ticket.id,
        category: PRODUCT,
        topic: ticket.topic.title(),
        ticket_status: ticket.status(now).title(),
        address: site.map(|site| Address::of(site, false)),
        create_date: us_time(ticket.created),
        created_by: ticket.created_by.clone(),
        severity: ticket.severity,
    }
}

pub(super) fn full(ticket: &Ticket, inventory: &Inventory, now: DateTime<Utc>) -> FullTicket {
    let site = ticket.site.and_then(|site| inventory.site(site));
    let status = ticket.status(now);
    let closed = status == Status::Closed;
    let last_note = ticket.notes.last().map(|note| us_time(note.at));
    FullTicket {
        client_id: ticket.client,
        client_name: inventory.client_name(ticket.client).to_owned(),
        ticket_id: ticket.id,
        category: PRODUCT,
        topic: ticket.topic.title(),
        reference_ticket_number: 0,
        ticket_status: status.title(),
        address: site.map(|site| Address::of(site, false)),
        create_date: us_time(ticket.created),
        created_by: ticket.created_by.clone(),
        creation_note: ticket.description.clone(),
        resolve_date: ticket.resolved_at.map(us_time).unwrap_or_default(),
        resolvedby: None,
        close_date: closed.then(|| us_time(now)),
        closed_by: None,
        last_update: last_note.clone(),
        updated_by: None,
        most_recent_note: last_note,
        next_scheduled_date: us_time(ticket.created),
        flags: "",
        severity: ticket.severity.to_string(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TicketDetails {
    ticket_details: Vec<Detail>,
    ticket_notes: Vec<DetailsNote>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(rename = "detailID")]
    detail_id: i64,
    detail_type: &'static str,
    detail_status: &'static str,
    detail_value: String,
    assigned_to_name: &'static str,
    #[serde(rename = "currentTaskID")]
    current_task_id: i64,
    current_task_name: &'static str,
    last_updated_by: i64,
    last_updated_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DetailsNote {
    note_id: i64,
    note_value: String,
    service_number: Vec<String>,
    created_date: String,
    creator: Option<String>,
}

/// `GET /api/Ticket/{id}/details`.
pub(super) fn details(ticket: &Ticket) -> TicketDetails {
    let detail = |line: &Line| Detail {
        detail_id: line.id,
        detail_type: "Repair_WTN",
        detail_status: line.status(),
        detail_value: line.serial.clone(),
        assigned_to_name: "0",
        current_task_id: 10_000_000 + line.id,
        current_task_name: line.queue.name,
        last_updated_by: USER,
        last_updated_at: office_time(line.updated),
    };
    let note = |note: &Note| DetailsNote {
        note_id: note.id,
        note_value: note.value.clone(),
        service_number: note.serials.clone(),
        created_date: office_time(note.at),
        creator: None,
    };
    TicketDetails {
        ticket_details: ticket.lines.iter().map(detail).collect(),
        ticket_notes: ticket.notes.iter().map(note).collect(),
    }
}

/// The answer to posted notes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostedNotes {
    #[serde(rename = "clientID")]
    pub(super) client_id: i64,
    pub(super) ticket_notes: Vec<PostedNote>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostedNote {
    #[serde(rename = "noteID")]
    note_id: i64,
    note_type: &'static str,
    note_value: String,
    #[serde(rename = "actionID")]
    action_id: Option<i64>,
    #[serde(rename = "detailID")]
    detail_id: Option<i64>,
    entered_by: i64,
    entered_date: String,
}

pub(super) fn posted(ticket: &Ticket, note: &Note) -> PostedNote {
    let serial = note.serials.first();
    let detail = note.detail.or_else(|| serial.and_then(|serial| ticket.line_of(serial)).map(|line| line.id));
    PostedNote {
        note_id: note.id,
        note_type: if note.private { "CON" } else { "ADN" },
        note_value: note.value.clone(),
        action_id: None,
        detail_id: detail,
        entered_by: USER,
        entered_date: office_time(note.at),
    }
}

/// A row of `GET /api/Ticket/AITicketData`.
#[derive(Serialize)]
pub(super) struct HistoryRow {
    #[serde(rename = "ClientName")]
    client_name: String,
    #[serde(rename = "Ticket Entered Date")]
    ticket_entered: String,
    #[serde(rename = "EnteredDate")]
    entered: String,
    #[serde(rename = "CallTicketID")]
    ticket: i64,
    #[serde(rename = "Initial Note @ Ticket Creation")]
    initial_note: Option<String>,
    #[serde(rename = "DetailID")]
    detail: i64,
    #[serde(rename = "Product")]
    product: &'static str,
    #[serde(rename = "Asset")]
    asset: String,
    #[serde(rename = "Address1")]
    address1: Option<String>,
    #[serde(rename = "Address2")]
    address2: Option<String>,
    #[serde(rename = "City")]
    city: Option<&'static str>,
    #[serde(rename = "State")]
    state: Option<&'static str>,
    #[serde(rename = "Zip")]
    zip: Option<String>,
    #[serde(rename = "Site Name")]
    site: Option<String>,
    #[serde(rename = "NoteType")]
    note_type: Option<&'static str>,
    #[serde(rename = "Notes")]
    notes: Option<String>,
    #[serde(rename = "Note Entered Date")]
    note_entered: Option<String>,
    #[serde(rename = "EnteredDate_N")]
    note_entered_n: Option<String>,
    #[serde(rename = "Note Entered By")]
    note_by: Option<&'static str>,
    #[serde(rename = "Task Assigned To")]
    assigned: Option<String>,
    #[serde(rename = "Task")]
    task: &'static str,
    #[serde(rename = "Task Result")]
    result: Option<String>,
    #[serde(rename = "SLA")]
    sla: Option<String>,
    #[serde(rename = "Ticket Status")]
    status: &'static str,
}

/// One row per line and note; a line without notes has one.
pub(super) fn history(ticket: &Ticket, inventory: &Inventory, now: DateTime<Utc>) -> Vec<HistoryRow> {
    let compact =
        |at: DateTime<Utc>| at.with_timezone(&chrono_tz::US::Eastern).format("%Y%m%d%H%M").to_string();
    let site = ticket.site.and_then(|site| inventory.site(site));
    let row = |line: &Line, note: Option<&Note>| HistoryRow {
        client_name: inventory.client_name(ticket.client).to_owned(),
        ticket_entered: compact(ticket.created),
        entered: office_time(ticket.created),
        ticket: ticket.id,
        initial_note: ticket.description.clone(),
        detail: line.id,
        product: PRODUCT,
        asset: line.serial.clone(),
        address1: site.map(|site| site.address.clone()),
        address2: None,
        city: site.map(|site| site.city),
        state: site.map(|site| site.state),
        zip: site.map(|site| site.zip.clone()),
        site: site.map(|site| site.label.clone()),
        note_type: note.map(|note| if note.private { "CON" } else { "ADN" }),
        notes: note.map(|note| note.value.clone()),
        note_entered: note.map(|note| compact(note.at)),
        note_entered_n: note.map(|note| office_time(note.at)),
        note_by: note.map(|_| crate::world::tickets::ENGINE),
        assigned: None,
        task: line.queue.name,
        result: None,
        sla: None,
        status: ticket.status(now).title(),
    };
    let mut rows = Vec::new();
    for line in &ticket.lines {
        let before = rows.len();
        let notes = ticket.notes.iter().filter(|note| note.serials.contains(&line.serial));
        rows.extend(notes.map(|note| row(line, Some(note))));
        if rows.len() == before {
            rows.push(row(line, None));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_look_as_in_bruin() {
        let at: DateTime<Utc> = "2020-09-25T06:31:54.5Z".parse().unwrap();
        assert_eq!(us_time(at), "9/25/2020 6:31:54 AM");
        assert_eq!(us_time(at + chrono::TimeDelta::hours(6)), "9/25/2020 12:31:54 PM");
        assert_eq!(office_time(at), "2020-09-25T02:31:54.500-04:00");
    }
}
