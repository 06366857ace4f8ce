//! What happens to an edge, and where in it the leader dies.

use sandbox::world::repair::OnResolved;

const CREATE: &str = "bruin.ticket.creation.outage.request";
const EVENTS: &str = "alert.request.event.edge";
const NOTE: &str = "bruin.ticket.note.append.request";
/// What the monitor keeps of unfinished work.
const KEPT: &str = "$KV.service-outage-monitor-unfinished.>";

/// When the leader dies: with the so-manieth message on a subject about the edge that contains a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The step of its cycle, for people.
    pub what: &'static str,
    /// The subject.
    pub subject: &'static str,
    /// Which of the messages, from 1.
    pub nth: usize,
    /// What a message must contain to count.
    pub containing: &'static str,
}

/// What happens to an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plot {
    /// Links go down: a wired one under a very long label, and one with a DiGi unit.
    NewOutage,
    /// The same, on a ticket that the engine resolved: 471 or 472.
    Again(OnResolved),
    /// It is healthy, and its ticket can be resolved.
    Healed,
}

/// A plot, and the points at each of which a leader dies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// What happens.
    pub plot: Plot,
    /// Where a leader dies; each on an edge of its own.
    pub points: Vec<Point>,
}

const fn at(what: &'static str, subject: &'static str, nth: usize) -> Point {
    Point { what, subject, nth, containing: "" }
}

const fn note(what: &'static str, containing: &'static str) -> Point {
    Point { what, subject: NOTE, nth: 1, containing }
}

const AFTER_THE_CREATION: Point = at("after the creation, before the note", EVENTS, 1);
const SECOND_PAGE: Point = note("second page", "Triage note: 2/");
const AFTER_THE_REBOOT: Point = note("note of the reboot", "Offline DiGi");
const FORWARD: Point = at("forward to ASR", "bruin.ticket.change.work", 1);
const RESOLUTION: Point = at("resolution", "bruin.ticket.status.resolve", 1);

/// A new outage from its detection to its note.
pub fn up_to_the_note() -> Vec<Scene> {
    let points = vec![
        Point { what: "in quarantine", subject: KEPT, nth: 1, containing: "quarantine" },
        Point { what: "before the creation", subject: KEPT, nth: 1, containing: "outage" },
        at("creation", CREATE, 1),
        AFTER_THE_CREATION,
        Point { what: "before the first page", subject: KEPT, nth: 1, containing: "append_note" },
        note("first page", "Triage note: 1/"),
        SECOND_PAGE,
    ];
    vec![Scene { plot: Plot::NewOutage, points }]
}

/// A new outage from its note to its forward.
pub fn after_the_note() -> Vec<Scene> {
    let points = vec![
        at("after the note, before the severity", "bruin.single_ticket.basic.request", 1),
        at("severity", "bruin.change.ticket.severity", 1),
        Point { what: "forward to HNOC", subject: KEPT, nth: 1, containing: "schedule_forward" },
        at("reboot", "digi.reboot", 1),
        AFTER_THE_REBOOT,
        at("second cycle", CREATE, 2),
        FORWARD,
        note("note of ASR", "ASR Investigate"),
    ];
    vec![Scene { plot: Plot::NewOutage, points }]
}

/// An outage on a resolved ticket, and a resolution.
pub fn on_older_tickets() -> Vec<Scene> {
    let left_resolved = vec![
        at("creation (471)", CREATE, 1),
        at("re-opening", "bruin.ticket.status.open", 1),
        at("after the re-opening, before the note", EVENTS, 1),
        note("second page (471)", "Triage note: 2/"),
    ];
    let reopened = vec![at("creation (472)", CREATE, 1), note("first page (472)", "Triage note: 1/")];
    let resolved = vec![
        at("before the resolution", "bruin.ticket.details.request", 2),
        at("unpause", "bruin.ticket.unpause", 1),
        RESOLUTION,
        note("note of the resolution", "Auto-resolving"),
    ];
    vec![
        Scene { plot: Plot::Again(OnResolved::LeaveResolved), points: left_resolved },
        Scene { plot: Plot::Again(OnResolved::Reopen), points: reopened },
        Scene { plot: Plot::Healed, points: resolved },
    ]
}

/// Every step, in parts whose scenes a machine plays beside each other.
pub fn all() -> Vec<Vec<Scene>> {
    vec![up_to_the_note(), after_the_note(), on_older_tickets()]
}

/// One of each kind of steps, for the short form.
pub fn some() -> Vec<Scene> {
    let outage = vec![AFTER_THE_CREATION, SECOND_PAGE, AFTER_THE_REBOOT, FORWARD];
    vec![
        Scene { plot: Plot::NewOutage, points: outage },
        Scene { plot: Plot::Healed, points: vec![RESOLUTION] },
    ]
}

impl Plot {
    /// What must be in the account of an edge when the plot has been played to its end.
    pub fn leads_to(self) -> &'static [&'static str] {
        match self {
            Self::NewOutage => &[
                "a note: Triage (VeloCloud), first of its pages",
                "a note: Moving task to: ASR Investigate",
                "a reboot: started",
            ],
            Self::Again(_) => {
                &["a note: Re-opening ticket., first of its pages", "a note: Moving task to: ASR Investigate"]
            }
            Self::Healed => &["a note: Auto-resolving detail"],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_step_has_a_name_of_its_own_and_the_short_form_is_a_part_of_them() {
        let every: Vec<Point> = all().into_iter().flatten().flat_map(|scene| scene.points).collect();
        let names: BTreeSet<&str> = every.iter().map(|point| point.what).collect();
        assert_eq!((every.len(), names.len()), (25, 25));
        assert!(some().iter().flat_map(|scene| &scene.points).all(|point| every.contains(point)));
    }
}
