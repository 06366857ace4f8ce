//! How severe a ticket is to be (spec "Behaviour" 7).

use askama::Template;
use serde::Serialize;
use ticketing::{Severity, TicketDetails, note::MARKER};

use super::{Refusal, Ruling};
use crate::edges::EdgeRecord;

/// The levels, from the settings.
#[derive(Debug, Clone, Copy)]
pub struct Levels {
    /// For edges that are offline.
    pub edge_down: Severity,
    /// For edges that are online with a link down.
    pub link_down: Severity,
}

/// What the severity is to be, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The level.
    pub level: Severity,
    /// The reason as it will stand in the ticket.
    pub reason: String,
    /// Whether the edge is offline.
    pub edge_offline: bool,
}

#[derive(Template)]
#[template(path = "severity_edge_down.txt")]
struct EdgeDown {
    marker: &'static str,
    level: Severity,
}

#[derive(Template)]
#[template(path = "severity_link_down.txt")]
struct LinkDown<'a> {
    marker: &'static str,
    level: Severity,
    interfaces: Vec<&'a str>,
}

/// The level that the state of the edge asks for.
pub fn target(record: &EdgeRecord, levels: Levels) -> Target {
    let edge_offline = record.state.is_offline();
    let (level, text) = if edge_offline {
        let level = levels.edge_down;
        (level, EdgeDown { marker: MARKER, level }.render())
    } else {
        let level = levels.link_down;
        let interfaces =
            record.down_links().map(|link| link.interface.as_deref().unwrap_or("None")).collect();
        (level, LinkDown { marker: MARKER, level, interfaces }.render())
    };
    Target { level, reason: text.unwrap_or_default().trim().to_owned(), edge_offline }
}

/// Whether the ticket's other lines leave the severity to this edge: asked only while the edge is online.
pub fn other_lines_allow(details: &TicketDetails) -> Ruling<()> {
    match details.unresolved_lines() {
        0 | 1 => Ok(()),
        more => Err(Refusal::new("severity.tasks", format!("{more} lines of the ticket are not resolved"))),
    }
}

/// Whether the severity has to be changed.
pub fn change(target: Target, present: Option<Severity>) -> Ruling<Target> {
    if present == Some(target.level) {
        return Err(Refusal::new("severity.same", format!("the severity is {} already", target.level)));
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const LEVELS: Levels = Levels { edge_down: Severity(2), link_down: Severity(3) };

    fn lines(statuses: &[&str]) -> TicketDetails {
        sample::details(
            (1..).zip(statuses).map(|(id, status)| sample::line(id, "VC1", status)).collect(),
            vec![],
        )
    }

    /// Spec "Examples" 11.
    #[test]
    fn the_severity_table() {
        let offline = sample::offline("VC1");
        let link_down = sample::link_down("VC1");
        let changed = |level| Ok(Severity(level));
        let refused = Err;
        for (record, check_tasks, statuses, present, expected) in [
            (&offline, true, &["I", "I"][..], 3, changed(2)),
            (&link_down, true, &["I", "I"], 2, refused("severity.tasks")),
            (&link_down, true, &["I", "R"], 2, changed(3)),
            (&link_down, false, &["I", "I"], 2, changed(3)),
            (&link_down, true, &["I"], 3, refused("severity.same")),
        ] {
            let target = target(record, LEVELS);
            let tasks = if check_tasks && !target.edge_offline {
                other_lines_allow(&lines(statuses))
            } else {
                Ok(())
            };
            let result = tasks.and_then(|()| change(target, Some(Severity(present))));
            assert_eq!(result.map(|t| t.level).map_err(|r| r.rule), expected, "{statuses:?} {present}");
        }
    }

    #[test]
    fn an_unknown_present_severity_is_changed() {
        assert!(change(target(&sample::offline("VC1"), LEVELS), None).is_ok());
    }

    #[test]
    fn reasons() {
        insta::assert_snapshot!("edge_down", target(&sample::offline("VC1"), LEVELS).reason);
        let mut record = sample::link_down("VC1");
        record.links.push(sample::link("GE2", "STABLE"));
        record.links.push(sample::link("SFP1", "DISCONNECTED"));
        insta::assert_snapshot!("link_down", target(&record, LEVELS).reason);
    }
}
