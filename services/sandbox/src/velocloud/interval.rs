//! The interval of a request: its ends are ISO text, text with a blank and an offset, or epoch milliseconds.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// As sent.
#[derive(Debug, Deserialize)]
pub(super) struct RawInterval {
    start: Value,
    #[serde(default)]
    end: Value,
}

/// As meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
}

impl RawInterval {
    /// The instants; an absent end is now. `Err` names what cannot be read.
    pub(super) fn read(&self, now: DateTime<Utc>) -> Result<Interval, String> {
        let start = instant(&self.start).ok_or_else(|| format!("invalid interval start {}", self.start))?;
        let end = match &self.end {
            Value::Null => now,
            end => instant(end).ok_or_else(|| format!("invalid interval end {end}"))?,
        };
        Ok(Interval { start, end })
    }
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    if let Some(number) = value.as_f64() {
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds of any real date are exact")]
        return DateTime::from_timestamp_millis(number as i64);
    }
    let text = value.as_str()?.trim();
    let with_offset = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)));
    let local = || text.replacen(' ', "T", 1).parse::<chrono::NaiveDateTime>().map(|time| time.and_utc());
    with_offset.map(Into::into).or_else(|_| local()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_in_use_is_read() {
        let expected: DateTime<Utc> = "2021-04-05T12:00:00.123Z".parse().unwrap();
        for form in [
            r#""2021-04-05T12:00:00.123Z""#,
            r#""2021-04-05 12:00:00.123+00:00""#,
            r#""2021-04-05 08:00:00.123000-04:00""#,
            r#""2021-04-05 12:00:00.123""#,
            "1617624000123",
        ] {
            assert_eq!(instant(&serde_json::from_str(form).unwrap()), Some(expected), "{form}");
        }
        assert_eq!(instant(&Value::from("yesterday")), None);
        assert_eq!(instant(&Value::Null), None);
    }
}
