//! What the caches' mails have in common.

use chrono::{DateTime, Utc};

/// The instant in a mail's texts: UTC as `January 05 2021 - 13:57:07`.
pub fn stamp(now: DateTime<Utc>) -> String {
    now.format("%B %d %Y - %H:%M:%S").to_string()
}

/// A text as it stands in HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_as_before() {
        assert_eq!(stamp("2021-01-05T13:57:07Z".parse().unwrap()), "January 05 2021 - 13:57:07");
    }

    #[test]
    fn a_text_stays_a_text() {
        assert_eq!(escape("<A> & B"), "&lt;A&gt; &amp; B");
    }
}
