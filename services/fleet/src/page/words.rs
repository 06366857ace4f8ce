//! What monitors record, in words for people.

use decisions::Outcome;
use serde_json::Value;

use super::ledger::{Entry, What};

/// The rule that puts an outage into quarantine; its facts are what the engine saw.
pub(super) const QUARANTINE: &str = "outage.quarantine";

/// What was decided or done, as one sentence.
pub(super) fn title(entry: &Entry) -> String {
    match &entry.what {
        What::Nothing { reason } => nothing(&entry.rule, reason),
        What::Action { action, target, details, .. } => {
            let sentence = deed(action, target, details);
            if entry.shadow { format!("Would do: {sentence}") } else { sentence }
        }
    }
}

fn nothing(rule: &str, reason: &str) -> String {
    // `HARD_DOWN: in quarantine, waits 10 s before acting`
    match reason.split_once("in quarantine, ") {
        Some((_, waits)) if rule == QUARANTINE => capital(waits),
        _ => format!("Nothing to do: {reason}"),
    }
}

fn deed(action: &str, target: &str, details: &Value) -> String {
    let text = |name: &str| match details.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let ticket = match text("ticket") {
        number if number.is_empty() => "the ticket".to_owned(),
        number => format!("ticket {number}"),
    };
    match action {
        "create_ticket" => format!("Asks Bruin for a ticket: {}", kind(&text("kind"))),
        "append_note" => format!("Writes a note on {ticket}: {}", text("about")),
        "open_line" => format!("Re-opens the line of {ticket}"),
        "unpause_line" => format!("Ends the pause of the line of {ticket}"),
        "resolve_line" => format!("Resolves the line of {ticket}"),
        "set_severity" => format!("Sets the severity of {ticket} to {}", text("level")),
        "schedule_forward" => match text("due").get(11..16) {
            Some(due) => format!("Plans to move {ticket} to the queue HNOC Investigate at {due} UTC"),
            None => format!("Plans to move {ticket} to the queue HNOC Investigate"),
        },
        "forward" => format!("Moves {ticket} to the queue {}", text("queue")),
        "reboot_digi" => format!("Reboots the DiGi unit at {}", text("interface")),
        other => format!("{}: {target}", capital(&other.replace('_', " "))),
    }
}

/// How an action ended, and the class of that: `done`, `bad` or `open`.
pub(super) fn ending(entry: &Entry) -> Option<(String, &'static str)> {
    let What::Action { outcome, .. } = &entry.what else { return None };
    Some(match outcome {
        None if entry.shadow => ("only recorded".to_owned(), "open"),
        None => ("under way".to_owned(), "open"),
        Some(Outcome::Done) => ("done".to_owned(), "done"),
        Some(Outcome::FoundDone) => ("had been done already".to_owned(), "done"),
        Some(Outcome::Refused { status, reason }) => (format!("refused with {status}: {reason}"), "bad"),
        Some(Outcome::Unknown { reason }) => {
            (format!("no answer ({reason}); the next cycle looks again"), "bad")
        }
    })
}

/// What the engine saw of a device, from the facts of a decision.
pub(super) fn seen(facts: &Value) -> Option<(String, String)> {
    let state = facts.get("state")?.as_str()?;
    let mut parts = vec![format!("edge {state}")];
    if let Some(partner) = facts.get("partner").filter(|partner| !partner.is_null()) {
        let text = |name| partner.get(name).and_then(Value::as_str).unwrap_or("?");
        parts.push(format!("partner {} {}", text("serial"), text("state")));
    }
    for link in facts.get("links").and_then(Value::as_array).into_iter().flatten() {
        let text = |name| link.get(name).and_then(Value::as_str).unwrap_or("?");
        parts.push(format!("{} {}", text("interface"), text("state")));
    }
    let what = facts.get("kind").and_then(Value::as_str).map_or("all is well", kind);
    Some((format!("Sees that {what}"), parts.join(", ")))
}

/// A kind of outage in words.
fn kind(name: &str) -> &str {
    match name {
        "LINK_DOWN" => "a link is down",
        "HARD_DOWN" => "the edge is down",
        "HA_LINK_DOWN" => "a link of the pair is down",
        "HA_SOFT_DOWN" => "one member of the pair is down",
        "HA_HARD_DOWN" => "both members of the pair are down",
        other => other,
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_action_of_the_outage_monitor_has_a_sentence() {
        for (action, details, expected) in [
            ("create_ticket", json!({"kind": "HARD_DOWN"}), "Asks Bruin for a ticket: the edge is down"),
            (
                "append_note",
                json!({"ticket": 5, "about": "triage 1/1"}),
                "Writes a note on ticket 5: triage 1/1",
            ),
            ("open_line", json!({"ticket": 5}), "Re-opens the line of ticket 5"),
            ("unpause_line", json!({"ticket": 5}), "Ends the pause of the line of ticket 5"),
            ("resolve_line", json!({"ticket": 5}), "Resolves the line of ticket 5"),
            ("set_severity", json!({"ticket": 5, "level": 2}), "Sets the severity of ticket 5 to 2"),
            (
                "schedule_forward",
                json!({"ticket": null, "due": "2022-01-31T15:04:05Z"}),
                "Plans to move the ticket to the queue HNOC Investigate at 15:04 UTC",
            ),
            (
                "forward",
                json!({"ticket": 5, "queue": "ASR Investigate"}),
                "Moves ticket 5 to the queue ASR Investigate",
            ),
            ("reboot_digi", json!({"interface": "GE1"}), "Reboots the DiGi unit at GE1"),
            ("new_thing", json!({}), "New thing: VC1"),
        ] {
            assert_eq!(deed(action, "VC1", &details), expected);
        }
    }

    #[test]
    fn quarantine_says_how_long_it_waits() {
        let waits = "HARD_DOWN: in quarantine, waits 180 s before acting";
        assert_eq!(nothing(QUARANTINE, waits), "Waits 180 s before acting");
        assert_eq!(nothing("autoresolve.ticket", "there is none"), "Nothing to do: there is none");
    }

    #[test]
    fn facts_tell_what_was_seen() {
        let facts = json!({
            "state": "OFFLINE", "partner": {"serial": "VC2", "state": "CONNECTED"}, "kind": "HA_SOFT_DOWN",
            "links": [{"interface": "GE1", "state": "STABLE"}],
        });
        let (title, detail) = seen(&facts).unwrap();
        assert_eq!(title, "Sees that one member of the pair is down");
        assert_eq!(detail, "edge OFFLINE, partner VC2 CONNECTED, GE1 STABLE");
        assert_eq!(seen(&json!({"edge": "healthy"})), None);
    }
}
