//! How severe a ticket is to be (spec "Behaviour" 7).

use askama::Template;
use serde::{Deserialize, Serialize};
use ticketing::{Severity, note::MARKER};

use super::{Next, Refusal, Ruling};
use crate::{edges::EdgeRecord, seen::Seen};

/// The levels, from the settings.
#[derive(Debug, Clone, Copy)]
pub struct Levels {
    /// For edges that are offline.
    pub edge_down: Severity,
    /// For edges that are online with a link down.
    pub link_down: Severity,
}

/// What the rule looks at, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The edge.
    pub edge: Seen,
    /// Whether the ticket's other lines are looked at.
    pub check_tasks: bool,
    /// How many lines of the ticket are not resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unresolved_lines: Option<usize>,
    /// The severity of the ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<Present>,
}

/// The severity of a ticket as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Present {
    /// This one.
    Level(Severity),
    /// Bruin does not tell.
    Unknown,
}

impl From<Option<Severity>> for Present {
    fn from(severity: Option<Severity>) -> Self {
        severity.map_or(Self::Unknown, Self::Level)
    }
}

impl Facts {
    /// Whether the ticket's other lines have a say: only while the edge is online.
    pub fn asks_for_lines(&self) -> bool {
        self.check_tasks && !self.edge.state.is_offline()
    }
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
fn level(edge: &Seen, levels: Levels) -> Severity {
    if edge.state.is_offline() { levels.edge_down } else { levels.link_down }
}

/// The level that is to be set, unless the ticket's other lines keep it or it is set already.
pub fn decide(facts: &Facts, levels: Levels) -> Ruling<Next<Severity>> {
    if facts.asks_for_lines() {
        match facts.unresolved_lines {
            None => return Ok(Next::Ask),
            Some(0 | 1) => {}
            Some(more) => {
                let reason = format!("{more} lines of the ticket are not resolved");
                return Err(Refusal::new("severity.tasks", reason));
            }
        }
    }
    let target = level(&facts.edge, levels);
    match facts.present {
        None => Ok(Next::Ask),
        Some(Present::Level(present)) if present == target => {
            Err(Refusal::new("severity.same", format!("the severity is {target} already")))
        }
        Some(_) => Ok(Next::Act(target)),
    }
}

/// Why the ticket has this severity, as it will stand in it.
pub fn reason(record: &EdgeRecord, level: Severity) -> String {
    let text = if record.state.is_offline() {
        EdgeDown { marker: MARKER, level }.render()
    } else {
        let interfaces =
            record.down_links().map(|link| link.interface.as_deref().unwrap_or("None")).collect();
        LinkDown { marker: MARKER, level, interfaces }.render()
    };
    text.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const LEVELS: Levels = Levels { edge_down: Severity(2), link_down: Severity(3) };

    /// Spec "Examples" 11.
    #[test]
    fn the_severity_table() {
        let offline = sample::offline("VC1");
        let link_down = sample::link_down("VC1");
        let changed = |level| Ok(Next::Act(Severity(level)));
        let refused = Err;
        for (record, check_tasks, lines, present, expected) in [
            (&offline, true, Some(2), 3, changed(2)),
            (&offline, true, None, 3, changed(2)),
            (&link_down, true, Some(2), 2, refused("severity.tasks")),
            (&link_down, true, Some(1), 2, changed(3)),
            (&link_down, true, Some(0), 2, changed(3)),
            (&link_down, true, None, 2, Ok(Next::Ask)),
            (&link_down, false, Some(2), 2, changed(3)),
            (&link_down, true, Some(1), 3, refused("severity.same")),
        ] {
            let facts = Facts {
                edge: Seen::of(record),
                check_tasks,
                unresolved_lines: lines,
                present: Some(Present::Level(Severity(present))),
            };
            let result = decide(&facts, LEVELS).map_err(|refusal| refusal.rule);
            assert_eq!(result, expected, "{lines:?} {present}");
        }
    }

    #[test]
    fn an_unknown_present_severity_is_changed_and_one_not_asked_for_yet_is_asked_for() {
        let facts = |present| Facts {
            edge: Seen::of(&sample::offline("VC1")),
            check_tasks: false,
            unresolved_lines: None,
            present,
        };
        assert_eq!(decide(&facts(Some(None.into())), LEVELS), Ok(Next::Act(Severity(2))));
        assert_eq!(decide(&facts(None), LEVELS), Ok(Next::Ask));
    }

    #[test]
    fn reasons() {
        insta::assert_snapshot!("edge_down", reason(&sample::offline("VC1"), Severity(2)));
        let mut record = sample::link_down("VC1");
        record.links.push(sample::link("GE2", "STABLE"));
        record.links.push(sample::link("SFP1", "DISCONNECTED"));
        insta::assert_snapshot!("link_down", reason(&record, Severity(3)));
    }
}
