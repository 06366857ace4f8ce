//! How instants are written in notes and read from third parties.

use chrono::{DateTime, Duration, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use contracts::instant::without_leap_second;

/// `T` of the specifications: `2022-01-31 05:00:00.123456-05:00`; the fraction has six digits and is there only when it
/// is not zero (spec `service-outage-monitor`, "Formats").
pub fn stamp(at: DateTime<Utc>, zone: Tz) -> String {
    let local = at.with_timezone(&zone);
    let micros = at.timestamp_subsec_micros() % 1_000_000;
    if micros == 0 {
        local.format("%Y-%m-%d %H:%M:%S%:z").to_string()
    } else {
        format!("{}.{micros:06}{}", local.format("%Y-%m-%d %H:%M:%S"), local.format("%:z"))
    }
}

/// Reads an instant as Bruin and VeloCloud write them: ISO 8601 with `T` or a blank, with or without fraction and
/// offset, or `9/25/2020 6:31:54 AM`. Text without an offset is taken in `assumed` (setting `BRUIN_TIMEZONE`).
pub fn read(text: &str, assumed: Tz) -> Option<DateTime<Utc>> {
    const WITH_OFFSET: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
    const NAIVE: [&str; 4] =
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S"];
    let text = text.trim();
    let with_offset = || WITH_OFFSET.iter().find_map(|format| DateTime::parse_from_str(text, format).ok());
    let naive = || NAIVE.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    DateTime::parse_from_rfc3339(text)
        .ok()
        .or_else(with_offset)
        .map(|at| at.to_utc())
        .or_else(|| naive().map(|at| local(at, assumed)))
        .map(without_leap_second)
}

/// The instant of a wall clock reading: the earlier one when clocks went back, an hour later when it was skipped.
fn local(at: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    zone.from_local_datetime(&at)
        .earliest()
        .or_else(|| zone.from_local_datetime(&at.checked_add_signed(Duration::hours(1))?).earliest())
        .map_or_else(|| at.and_utc(), |found| found.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{US, UTC};

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_stamp_has_six_digits_of_fraction_only_when_it_is_not_zero() {
        for (at, expected) in [
            ("2022-01-31T10:00:00.123456Z", "2022-01-31 05:00:00.123456-05:00"),
            ("2022-01-31T15:03:12.004512Z", "2022-01-31 10:03:12.004512-05:00"),
            ("2022-01-31T14:51:00Z", "2022-01-31 09:51:00-05:00"),
            ("2022-07-31T14:51:00.0000001Z", "2022-07-31 10:51:00-04:00"),
        ] {
            assert_eq!(stamp(utc(at), US::Eastern), expected);
        }
        assert_eq!(
            stamp(utc("2022-01-31T10:00:00.5Z"), chrono_tz::Asia::Kolkata),
            "2022-01-31 15:30:00.500000+05:30"
        );
    }

    #[test]
    fn instants_are_read_in_every_form_that_third_parties_write() {
        for (text, expected) in [
            ("2022-01-31T09:00:00.000-05:00", "2022-01-31T14:00:00Z"),
            ("2022-01-31T14:00:00.000Z", "2022-01-31T14:00:00Z"),
            ("2022-01-31 09:00:00.25-0500", "2022-01-31T14:00:00.25Z"),
            ("2022-01-31 09:00:00-05:00", "2022-01-31T14:00:00Z"),
            ("2022-01-31T14:00:00", "2022-01-31T14:00:00Z"),
            ("2022-01-31 14:00:00.123456", "2022-01-31T14:00:00.123456Z"),
            ("9/25/2020 6:31:54 AM", "2020-09-25T06:31:54Z"),
            ("12/5/2020 12:01:02 PM", "2020-12-05T12:01:02Z"),
            (" 9/25/2020 12:31:54 AM ", "2020-09-25T00:31:54Z"),
        ] {
            assert_eq!(read(text, UTC), Some(utc(expected)), "{text}");
        }
        for text in ["", "yesterday", "2022-13-01T00:00:00Z", "0000-00-00 00:00:00"] {
            assert_eq!(read(text, UTC), None, "{text}");
        }
    }

    #[test]
    fn text_without_offset_is_taken_in_the_assumed_zone() {
        assert_eq!(read("9/25/2020 6:31:54 AM", US::Eastern), Some(utc("2020-09-25T10:31:54Z")));
        // Clocks went back: the earlier of the two. Clocks went forward: the reading never was.
        assert_eq!(read("11/1/2020 1:30:00 AM", US::Eastern), Some(utc("2020-11-01T05:30:00Z")));
        assert_eq!(read("3/8/2020 2:30:00 AM", US::Eastern), Some(utc("2020-03-08T07:30:00Z")));
    }
}
