//! What came of a replay, as an engineer reads it at a glance.

use std::{collections::BTreeMap, fmt::Write};

use chrono::{DateTime, Utc};
use decisions::Mode;
use service_outage_monitor::replay::{
    Change, Difference, Report,
    answer::{Answer, Deed},
};

/// Differences between what is recorded and what today's rules say.
pub(crate) fn of_rules(report: &Report, most: usize) -> String {
    let mut text = overview(report);
    let _ = writeln!(text, "{} the same, {} different", report.same, report.different);
    list(&mut text, report, most, ("recorded", "today"));
    text
}

/// Differences that other settings make.
pub(crate) fn of_settings(report: &Report, set: &BTreeMap<String, String>, most: usize) -> String {
    let mut text = overview(report);
    let set: Vec<String> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
    // Writing to a String can not fail.
    let _ =
        writeln!(text, "With {}: {} the same, {} different", set.join(" "), report.same, report.different);
    for (action, (more, less)) in &report.actions {
        let counts = [(*more, "more"), (*less, "fewer")];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let _ = writeln!(text, "  {}: {}", words(action), counts.join(", "));
    }
    if report.rules_differ > 0 {
        let _ = writeln!(
            text,
            "{} decisions are different by today's rules already, with the recorded settings (fleet replay tells which)",
            report.rules_differ
        );
    }
    list(&mut text, report, most, ("recorded settings", "with these"));
    text
}

fn overview(report: &Report) -> String {
    let mut text = String::new();
    let decisions = report.same + report.different;
    let _ = match report.span {
        Some((first, last)) => {
            writeln!(text, "{decisions} decisions from {} to {} UTC", stamp(first), stamp(last))
        }
        None => writeln!(text, "no decisions"),
    };
    if report.not_replayed > 0 {
        let _ = writeln!(
            text,
            "{} records cannot be asked again: of another service, or recorded by an older version",
            report.not_replayed
        );
    }
    if report.without_settings > 0 {
        let _ = writeln!(
            text,
            "{} decisions have no settings on record: the defaults were taken",
            report.without_settings
        );
    }
    text
}

fn list(text: &mut String, report: &Report, most: usize, (before, after): (&str, &str)) {
    for difference in report.differences.iter().take(most) {
        entry(text, difference, before, after);
    }
    let told = report.differences.len().min(most);
    if report.different > told {
        let _ = writeln!(text, "\n... and {} more (--all)", report.different - told);
    }
}

fn entry(text: &mut String, difference: &Difference, before: &str, after: &str) {
    let Difference { at, device, rule, service, .. } = difference;
    let shadow = if difference.mode == Mode::Shadow { ", shadow" } else { "" };
    let _ = writeln!(text, "\n{device}  {} UTC  {rule}  ({service}{shadow})", stamp(*at));
    let width = before.len().max(after.len()).max("facts".len()) + 1;
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "    {:<width$} {value}", format!("{name}:"));
    };
    row(before, &answer(&difference.before));
    row(after, &answer(&difference.after));
    if difference.change == Change::Unclear {
        row("unclear", "what decides it is not on record");
    }
    let facts: Vec<String> = difference.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if !facts.is_empty() {
        row("facts", &facts.join(", "));
    }
}

fn answer(answer: &Answer) -> String {
    let all = |deeds: &[Deed], between: &str| {
        let deeds: Vec<String> = deeds.iter().map(deed).collect();
        deeds.join(between)
    };
    match answer {
        Answer::Act(deeds) => all(deeds, ", "),
        Answer::InTurn(deeds) => all(deeds, ", else "),
        Answer::Nothing { rule, reason } => format!("nothing, because {reason} ({rule})"),
        Answer::GoOn => "goes on; what follows is not on record".to_owned(),
    }
}

fn deed(deed: &Deed) -> String {
    let due = deed.due.map(|due| format!(" due {} UTC", stamp(due))).unwrap_or_default();
    format!("{} ({}){due}", deed.action, deed.target)
}

/// What an action means for tickets.
fn words(action: &str) -> &str {
    match action {
        "create_ticket" => "tickets opened",
        "resolve_line" => "lines resolved",
        "open_line" => "lines re-opened",
        "append_note" => "notes written",
        "set_severity" => "severities set",
        "schedule_forward" => "forwards to HNOC scheduled",
        "forward" => "lines forwarded",
        "reboot_digi" => "DiGi units rebooted",
        other => other,
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
