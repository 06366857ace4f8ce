//! What an operator has on the desk: tickets as Bruin shows them, and what was sent to people and devices.

use askama::Template;
use chrono::{DateTime, Utc};
use sandbox::Simulation;
use sandbox::world::tickets::Ticket;

use super::{times::Now, view::View};

/// Tickets shown.
const TICKETS: usize = 40;
/// Messages of each kind shown.
const MESSAGES: usize = 12;

struct TicketRow {
    id: i64,
    status: &'static str,
    class: &'static str,
    severity: i64,
    severity_text: &'static str,
    created: DateTime<Utc>,
    created_by: String,
    lines: Vec<LineRow>,
    notes: Vec<NoteRow>,
    note_count: usize,
    open: bool,
    address: String,
}

struct LineRow {
    serial: String,
    queue: &'static str,
    word: &'static str,
    address: String,
}

struct NoteRow {
    at: DateTime<Utc>,
    text: String,
    private: bool,
}

/// The tickets.
#[derive(Template)]
#[template(path = "tickets.html")]
pub(super) struct Tickets {
    now: Now,
    simulated: bool,
    open: usize,
    total: usize,
    rows: Vec<TicketRow>,
}

impl Tickets {
    pub(super) fn new(simulation: Option<&Simulation>, view: &View, now: Now) -> Self {
        let Some(simulation) = simulation else {
            return Self { now, simulated: false, open: 0, total: 0, rows: Vec::new() };
        };
        simulation.world.read_tickets(|tickets| {
            let is_open = |ticket: &&Ticket| ticket.status(now.at).is_open();
            // Open ones first: on a wall the resolved ones are history.
            let (open, over): (Vec<&Ticket>, Vec<&Ticket>) = tickets.newest_first().partition(is_open);
            let count = open.len();
            let shown = open.into_iter().chain(over).take(TICKETS);
            Self {
                now,
                simulated: true,
                open: count,
                total: tickets.len(),
                rows: shown.map(|ticket| row(ticket, view, now)).collect(),
            }
        })
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open
    }
}

fn row(ticket: &Ticket, view: &View, now: Now) -> TicketRow {
    let status = ticket.status(now.at);
    let lines = ticket.lines.iter().map(|line| LineRow {
        serial: line.serial.clone(),
        queue: line.queue.name.trim(),
        word: match (line.resolved, line.paused) {
            (true, _) => "resolved",
            (_, true) => "paused",
            _ => "in progress",
        },
        address: view.device(&line.serial).address("device"),
    });
    let open = view.ticket == ticket.id.to_string();
    let note = |note: &sandbox::world::notes::Note| NoteRow {
        at: note.at,
        text: note.value.clone(),
        private: note.private,
    };
    TicketRow {
        id: ticket.id,
        status: status.title(),
        class: if status.is_open() { "open" } else { "over" },
        severity: ticket.severity,
        severity_text: match ticket.severity {
            1 => "high",
            2 => "medium high",
            3 => "medium low",
            _ => "low",
        },
        created: ticket.created,
        created_by: ticket.created_by.clone(),
        lines: lines.collect(),
        notes: if open { ticket.notes.iter().rev().map(note).collect() } else { Vec::new() },
        note_count: ticket.notes.len(),
        open,
        address: view.ticket(ticket.id).address(&format!("ticket-{}", ticket.id)),
    }
}

struct MailRow {
    number: u64,
    at: DateTime<Utc>,
    subject: String,
    to: String,
    files: String,
    open: bool,
    address: String,
}

struct Message {
    number: u64,
    at: DateTime<Utc>,
    to: String,
    text: String,
}

/// What was sent.
#[derive(Template)]
#[template(path = "outbox.html")]
pub(super) struct Outbox {
    now: Now,
    slack: Vec<Message>,
    slack_total: u64,
    mails: Vec<MailRow>,
    mails_total: u64,
    sms: Vec<Message>,
    sms_total: u64,
    reboots: Vec<Message>,
    reboots_total: u64,
}

impl Outbox {
    pub(super) fn new(simulation: &Simulation, view: &View, now: Now) -> Self {
        simulation.world.read_outbox(|outbox| {
            let slack = outbox.slack.iter().rev().take(MESSAGES).map(|message| Message {
                number: message.number,
                at: message.at,
                to: String::new(),
                text: message.text.clone(),
            });
            let sms = outbox.sms.iter().rev().take(MESSAGES).map(|sms| Message {
                number: sms.number,
                at: sms.at,
                to: sms.to.clone(),
                text: sms.body.clone(),
            });
            let reboots = outbox.reboots.iter().rev().take(MESSAGES).map(|reboot| Message {
                number: reboot.number,
                at: reboot.at,
                to: reboot.serial.clone(),
                text: format!(
                    "{} for ticket {}: {}",
                    reboot.interface.as_deref().unwrap_or("no such unit"),
                    reboot.ticket,
                    reboot.outcome
                ),
            });
            let mails = outbox.mails.iter().rev().take(MESSAGES).map(|mail| MailRow {
                number: mail.number,
                at: mail.at,
                subject: mail.subject.clone(),
                to: mail.recipients.join(", "),
                files: mail.attachments.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", "),
                open: view.mail == mail.number.to_string(),
                address: view.mail(mail.number).address(&format!("mail-{}", mail.number)),
            });
            Self {
                now,
                slack: slack.collect(),
                slack_total: outbox.slack.total(),
                mails: mails.collect(),
                mails_total: outbox.mails.total(),
                sms: sms.collect(),
                sms_total: outbox.sms.total(),
                reboots: reboots.collect(),
                reboots_total: outbox.reboots.total(),
            }
        })
    }
}
