//! Instants and spans as people read them.

use chrono::{DateTime, TimeDelta, Utc};

/// The moment at which something is rendered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// The world's time.
    pub(super) at: DateTime<Utc>,
    /// For a reader whose script writes the relative times: the text then stays the same while time passes.
    pub(super) live: bool,
}

impl Now {
    /// `3 min ago`, with the absolute time on hover, as an element.
    pub(super) fn ago(&self, at: &DateTime<Utc>) -> String {
        self.element("ago", at, || relative(*at, self.at))
    }

    /// `in 3 min`, likewise; what is overdue comes `now`.
    pub(super) fn until(&self, at: &DateTime<Utc>) -> String {
        self.element("ago until", at, || relative((*at).max(self.at), self.at))
    }

    fn element(&self, class: &str, at: &DateTime<Utc>, text: impl FnOnce() -> String) -> String {
        let text = if self.live { String::new() } else { text() };
        let machine = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let absolute = at.format("%Y-%m-%d %H:%M:%S UTC");
        format!(r#"<time class="{class}" datetime="{machine}" title="{absolute}">{text}</time>"#)
    }
}

/// `3 min ago` or `in 3 min`; `now` when less than a second lies between.
pub(super) fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let passed = now - at;
    match passed.num_seconds() {
        0 => "now".to_owned(),
        seconds if seconds > 0 => format!("{} ago", span(passed)),
        _ => format!("in {}", span(-passed)),
    }
}

/// A span by its largest unit: `12 s`, `3 min`, `5 h`, `2 d`.
pub(super) fn span(span: TimeDelta) -> String {
    match (span.num_days(), span.num_hours(), span.num_minutes()) {
        (days, ..) if days > 1 => format!("{days} d"),
        (_, hours, _) if hours > 1 => format!("{hours} h"),
        (_, _, minutes) if minutes > 1 => format!("{minutes} min"),
        _ => format!("{} s", span.num_seconds()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_by_their_largest_unit() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(100);
        for (seconds, expected) in [
            (0, "now"),
            (5, "5 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7_300, "2 h ago"),
            (200_000, "2 d ago"),
            (-9, "in 9 s"),
            (-600, "in 10 min"),
        ] {
            assert_eq!(relative(now - TimeDelta::seconds(seconds), now), expected, "{seconds}");
        }
    }

    #[test]
    fn the_text_of_a_live_time_does_not_change_with_the_time() {
        let at = DateTime::UNIX_EPOCH;
        let render = |seconds| Now { at: at + TimeDelta::seconds(seconds), live: true }.ago(&at);
        assert_eq!(render(1), render(2));
        assert!(render(1).contains(r#"title="1970-01-01 00:00:00 UTC""#));
    }
}
