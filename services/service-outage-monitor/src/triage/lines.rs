//! Which tickets, lines and notes count (spec "Behaviour" 2 to 5).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use contracts::id::{ClientId, DetailId, Serial, TicketId};
use ticketing::{Note, OpenTicket, TicketDetails};

use crate::edges::MonitoredEdge;

/// The monitored edges by serial number.
#[derive(Debug, Default)]
pub struct Monitored {
    edges: HashMap<Serial, Arc<MonitoredEdge>>,
    /// As text: some senders write a client's number as text.
    clients: HashSet<String>,
}

impl Monitored {
    /// Of cached edges; the first entry of a serial counts.
    pub fn new(edges: impl IntoIterator<Item = MonitoredEdge>) -> Self {
        let mut monitored = Self::default();
        for edge in edges {
            monitored.clients.insert(edge.client.to_string());
            monitored.edges.entry(edge.serial.clone()).or_insert_with(|| Arc::new(edge));
        }
        monitored
    }

    fn owns(&self, client: Option<&ClientId>) -> bool {
        client.is_some_and(|client| self.clients.contains(&client.to_string()))
    }
}

/// A line of an open ticket which belongs to a monitored edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The ticket.
    pub ticket: TicketId,
    /// The line.
    pub id: DetailId,
    /// The edge (a standby has an entry of its own).
    pub edge: Arc<MonitoredEdge>,
    /// The triage notes of this line, in Bruin's order.
    pub notes: Vec<Note>,
}

impl Line {
    /// The serial number.
    pub fn serial(&self) -> &Serial {
        &self.edge.serial
    }
}

/// The tickets of clients that own a monitored edge, each once.
pub fn tickets(open: Vec<OpenTicket>, monitored: &Monitored) -> Vec<TicketId> {
    let mut seen = HashSet::new();
    open.into_iter()
        .filter(|ticket| monitored.owns(ticket.client.as_ref()))
        .filter(|ticket| seen.insert(ticket.id.to_string()))
        .map(|ticket| ticket.id)
        .collect()
}

/// The lines of a ticket that belong to monitored edges, each serial once, with their triage notes.
pub fn relevant(ticket: &TicketId, details: &TicketDetails, monitored: &Monitored) -> Vec<Line> {
    let mut seen = HashSet::new();
    details
        .lines
        .iter()
        .filter_map(|line| Some((line, monitored.edges.get(line.serial.as_ref()?)?)))
        .filter(|(_, edge)| seen.insert(edge.serial.clone()))
        .map(|(line, edge)| Line {
            ticket: ticket.clone(),
            id: line.id.clone(),
            edge: edge.clone(),
            notes: notes(details, &edge.serial),
        })
        .collect()
}

/// The same line in details read later; `None` when the ticket has it no more.
pub fn again(line: &Line, details: &TicketDetails) -> Option<Line> {
    let found = details.line(line.serial())?;
    Some(Line { id: found.id.clone(), notes: notes(details, line.serial()), ..line.clone() })
}

/// The triage notes of a serial: initial ones, their further pages, notes of events; not re-open notes. A note without
/// serials belongs to no line.
fn notes(details: &TicketDetails, serial: &Serial) -> Vec<Note> {
    details.notes_of(serial).into_iter().filter(|note| note.is_triage()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, SERIAL, STANDBY};

    fn monitored() -> Monitored {
        Monitored::new([sample::edge(SERIAL), sample::edge(STANDBY)])
    }

    fn ticket(id: i64, client: Option<i64>) -> OpenTicket {
        OpenTicket {
            id: id.into(),
            client: client.map(ClientId::from),
            created_by: None,
            created: None,
            severity: None,
        }
    }

    /// Spec "Examples" 5, first sentence; "Improve" 8.
    #[test]
    fn tickets_of_clients_without_a_monitored_edge_are_ignored_and_duplicates_dropped() {
        let mut text = ticket(558, None);
        text.client = Some(ClientId::from("11111"));
        let open = vec![
            ticket(555, Some(11_111)),
            ticket(556, Some(22_222)),
            ticket(555, Some(11_111)),
            ticket(557, None),
            text,
        ];
        assert_eq!(tickets(open, &monitored()), [TicketId::from(555), TicketId::from(558)]);
    }

    /// Spec "Examples" 5, second sentence.
    #[test]
    fn only_lines_of_monitored_edges_count_standbys_included() {
        let details = sample::details(
            vec![
                sample::line(76, "10.ABCD.123456", "I"),
                sample::line(77, SERIAL, "I"),
                sample::line(78, STANDBY, "I"),
                sample::line(79, SERIAL, "R"),
                ticketing::Line { serial: None, ..sample::line(80, SERIAL, "I") },
            ],
            vec![],
        );
        let lines = relevant(&TicketId::from(555), &details, &monitored());
        let found: Vec<_> = lines.iter().map(|line| (line.id.clone(), line.serial().as_str())).collect();
        assert_eq!(found, [(DetailId::from(77), SERIAL), (DetailId::from(78), STANDBY)]);
    }

    /// Spec "Examples" 6, "Behaviour" 4 and 5, "Improve" 2 and 4.
    #[test]
    fn a_line_has_the_triage_notes_that_name_its_serial() {
        let serials = |serials: &[&str]| serials.iter().map(|&serial| Serial::from(serial)).collect();
        let note = |text: &str, of: &[&str]| Note {
            serials: serials(of),
            ..sample::note(text, "2022-01-31T09:00:00Z")
        };
        let old = Note {
            text: "#*Automation Engine*#\nTriage (VeloCloud)\n\nOrchestrator".to_owned(),
            ..note("", &[STANDBY])
        };
        let details = sample::details(
            vec![sample::line(77, SERIAL, "I"), sample::line(78, STANDBY, "I")],
            vec![
                note("Triage (VeloCloud)\nof nobody", &[]),
                note("Triage (VeloCloud)\nof others", &["VC0000000"]),
                note("Re-opening ticket.", &[SERIAL]),
                note("Triage (VeloCloud)\nof both", &[SERIAL, STANDBY]),
                old,
                note("A person's words on Triage (VeloCloud)", &[SERIAL]),
                note("Triage (VeloCloud)\nInterface GE7 Label: x", &[SERIAL]),
            ],
        );
        let lines = relevant(&TicketId::from(555), &details, &monitored());
        let notes: Vec<Vec<&str>> = lines
            .iter()
            .map(|line| line.notes.iter().map(|note| note.text.lines().nth(2).unwrap_or_default()).collect())
            .collect();
        assert_eq!(notes, [vec!["of both", "Interface GE7 Label: x"], vec!["of both", ""]]);
    }

    #[test]
    fn a_line_is_found_again_with_its_present_notes_or_is_gone() {
        let before = sample::details(vec![sample::line(77, SERIAL, "I")], vec![]);
        let line = relevant(&TicketId::from(555), &before, &monitored()).remove(0);
        let after = sample::details(
            vec![sample::line(77, SERIAL, "I")],
            vec![sample::note("Triage (VeloCloud)", "2022-01-31T15:00:00Z")],
        );
        assert_eq!(again(&line, &after).unwrap().notes.len(), 1);
        assert_eq!(again(&line, &TicketDetails::default()), None);
    }
}
