//! Date-times as peers and third parties write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// Reads an ISO-8601 date-time leniently: `T` or blanks between date and time, seconds and fraction optional, an offset
/// (`Z`, `+01:00`, `-0500`) or none, which counts as UTC; a date alone is its midnight. `None` for anything else,
/// `0000-00-00 00:00:00` included.
///
/// ```
/// use contracts::instant::parse;
/// assert_eq!(parse("2022-01-31 10:00:00.123456"), parse("2022-01-31T05:00:00.123456-05:00"));
/// assert_eq!(parse("0000-00-00 00:00:00"), None);
/// ```
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10)?;
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    let rest = rest.strip_prefix(['T', 't']).unwrap_or(rest).trim();
    if rest.is_empty() {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc());
    }
    let (time, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let time = ["%H:%M:%S%.f", "%H:%M"]
        .iter()
        .find_map(|format| chrono::NaiveTime::parse_from_str(time.trim_end(), format).ok())?;
    let local = NaiveDateTime::new(date, time);
    local.checked_sub_offset(offset_of(offset)?).map(|utc| without_leap_second(utc.and_utc()))
}

/// A leap second as the first one after it: what no clock shows at another offset cannot be written and read again.
pub fn without_leap_second(at: DateTime<Utc>) -> DateTime<Utc> {
    let after = |nanos| DateTime::from_timestamp(at.timestamp().checked_add(1)?, nanos);
    at.timestamp_subsec_nanos().checked_sub(1_000_000_000).and_then(after).unwrap_or(at)
}

fn offset_of(text: &str) -> Option<chrono::FixedOffset> {
    let seconds = match text {
        "" | "Z" | "z" => 0,
        _ => {
            let (sign, digits) = text.split_at_checked(1)?;
            let digits: String = digits.chars().filter(|c| *c != ':').collect();
            if !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let (hours, minutes): (i32, i32) = match digits.len() {
                2 => (digits.parse().ok()?, 0),
                4 => (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?),
                _ => return None,
            };
            let seconds = hours * 3600 + minutes * 60;
            if sign == "-" { -seconds } else { seconds }
        }
    };
    chrono::FixedOffset::east_opt(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_forms_mean_the_same_instant() {
        let expected = parse("2022-01-31T10:00:00Z").unwrap();
        for text in [
            "2022-01-31 10:00:00",
            "2022-01-31T10:00:00.000Z",
            "2022-01-31 10:00:00.000000+00:00",
            "2022-01-31T05:00:00-05:00",
            "2022-01-31T05:00:00-0500",
            "2022-01-31T11:00+01",
            "2022-01-31T10:00Z",
            " 2022-01-31 10:00 ",
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_leap_second_is_the_first_one_after_it() {
        assert_eq!(parse("2016-12-31T23:59:60.25Z"), parse("2017-01-01T00:00:00.25Z"));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "x",
            "2022-02-30",
            "0000-00-00 00:00:00",
            "2022-01-31T25:00:00",
            "2022-01-31T10:00:00+xx",
            "1642240800",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn what_chrono_writes_is_read_back(seconds in 0i64..4_000_000_000) {
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            prop_assert_eq!(parse(&at.to_rfc3339()), Some(at));
            prop_assert_eq!(parse(&at.format("%Y-%m-%d %H:%M:%S%.6f").to_string()), Some(at));
        }
    }
}
