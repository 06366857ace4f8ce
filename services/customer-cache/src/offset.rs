//! The offset of a site's local time (spec `customer-cache`, Behaviour 5.6 and Improve 13).

use chrono::{DateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value};

/// Hours between UTC and a site's local time at `now`, cut to whole hours towards zero.
///
/// From the site's `timeZone` (a name under `US/`); from the ZIP of its address when that is null or empty. Whatever goes
/// wrong, a document without `timeZone` included: the offset of `fallback`.
pub fn tz_offset(site: &Map<String, Value>, now: DateTime<Utc>, fallback: Tz) -> i32 {
    let zone = zone_of_site(site).unwrap_or(fallback);
    zone.offset_from_utc_datetime(&now.naive_utc()).fix().local_minus_utc() / 3600
}

fn zone_of_site(site: &Map<String, Value>) -> Option<Tz> {
    match site.get("timeZone")? {
        Value::String(name) if !name.is_empty() => format!("US/{name}").parse().ok(),
        Value::Null | Value::String(_) => zone_of_zip(site.get("address")?.get("zip")?.as_str()?),
        _ => None,
    }
}

/// The time zone of most places of a US ZIP (`12345` or `12345-6789`), by its first three digits.
///
/// The specification tabulates standard-time offsets; a zone with that offset also knows daylight saving. Arizona, which
/// has none, is told apart. `None` for a ZIP that is not in use.
pub fn zone_of_zip(zip: &str) -> Option<Tz> {
    let digits = zip.split('-').next()?.trim();
    if digits.len() != 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let prefix: u16 = digits.get(..3)?.parse().ok()?;
    let zone = match prefix {
        6..=9 => Tz::America__Puerto_Rico,
        2..=5
        | 10..=323
        | 326..=349
        | 373..=374
        | 376..=379
        | 400..=418
        | 425..=426
        | 430..=462
        | 465..=475
        | 478..=499 => Tz::America__New_York,
        324..=325
        | 350..=372
        | 375
        | 380..=399
        | 420..=424
        | 427
        | 463..=464
        | 476..=477
        | 500..=575
        | 578..=585
        | 587..=589
        | 600..=690
        | 692
        | 700..=798 => Tz::America__Chicago,
        850..=865 => Tz::America__Phoenix,
        576..=577 | 586 | 590..=599 | 691 | 693 | 799..=834 | 836..=837 | 840..=886 | 979 => {
            Tz::America__Denver
        }
        835 | 838 | 889..=962 | 970..=978 | 980..=994 => Tz::America__Los_Angeles,
        995..=999 => Tz::America__Anchorage,
        963..=968 => Tz::Pacific__Honolulu,
        _ => return None,
    };
    Some(zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn offset(site: Value, now: &str) -> i32 {
        let Value::Object(site) = site else { panic!("an object") };
        tz_offset(&site, now.parse().unwrap(), Tz::US__Eastern)
    }

    const JANUARY: &str = "2022-01-15T12:00:00Z";
    const JULY: &str = "2022-07-15T12:00:00Z";

    #[test]
    fn a_named_zone_gives_its_present_offset() {
        assert_eq!(offset(json!({"timeZone": "Pacific"}), JANUARY), -8);
        assert_eq!(offset(json!({"timeZone": "Pacific"}), JULY), -7);
        assert_eq!(offset(json!({"timeZone": "Hawaii"}), JULY), -10);
        assert_eq!(offset(json!({"timeZone": "Arizona"}), JULY), -7);
    }

    #[test]
    fn without_a_name_the_zip_decides() {
        let site = json!({"timeZone": null, "address": {"zip": "94568-1840"}});
        assert_eq!(offset(site.clone(), JANUARY), -8);
        assert_eq!(offset(site, JULY), -7);
        assert_eq!(offset(json!({"timeZone": "", "address": {"zip": "85001"}}), JULY), -7);
        assert_eq!(offset(json!({"timeZone": null, "address": {"zip": "00901"}}), JULY), -4);
        assert_eq!(offset(json!({"timeZone": null, "address": {"zip": "96813"}}), JULY), -10);
    }

    #[test]
    fn whatever_goes_wrong_falls_back() {
        for site in [
            json!({}),
            json!({"address": {"zip": "96813"}}),
            json!({"timeZone": "Nowhere"}),
            json!({"timeZone": null, "address": null}),
            json!({"timeZone": null, "address": {"zip": null}}),
            json!({"timeZone": null, "address": {"zip": "1234"}}),
            json!({"timeZone": null, "address": {"zip": "00000"}}),
            json!({"timeZone": 5}),
            json!({"timeZone": ["Pacific"], "address": {"zip": "96813"}}),
            json!({"timeZone": false, "address": {"zip": "96813"}}),
        ] {
            assert_eq!(offset(site.clone(), JANUARY), -5, "{site}");
        }
    }

    #[test]
    fn half_hours_are_cut_towards_zero() {
        let now = JANUARY.parse().unwrap();
        assert_eq!(tz_offset(&Map::new(), now, Tz::Asia__Kolkata), 5);
        assert_eq!(tz_offset(&Map::new(), now, Tz::America__St_Johns), -3);
    }

    #[test]
    fn the_standard_offsets_are_those_of_the_table() {
        let now: DateTime<Utc> = JANUARY.parse().unwrap();
        for (prefixes, hours) in [
            (vec![6, 9], -4),
            (vec![2, 5, 10, 323, 326, 349, 374, 379, 418, 426, 462, 475, 499], -5),
            (vec![324, 350, 375, 399, 424, 427, 464, 477, 500, 575, 585, 589, 600, 690, 692, 798], -6),
            (vec![576, 586, 599, 691, 693, 799, 834, 837, 840, 850, 886, 979], -7),
            (vec![835, 838, 889, 962, 970, 978, 980, 994], -8),
            (vec![995, 999], -9),
            (vec![963, 968], -10),
        ] {
            for prefix in prefixes {
                let zone = zone_of_zip(&format!("{prefix:03}01")).unwrap();
                let offset = zone.offset_from_utc_datetime(&now.naive_utc()).fix().local_minus_utc();
                assert_eq!(offset, hours * 3600, "{prefix:03}");
            }
        }
        for unknown in ["00001", "00101", "42801", "42901", "69401", "88701", "96901"] {
            assert_eq!(zone_of_zip(unknown), None, "{unknown}");
        }
    }

    proptest! {
        #[test]
        fn any_zip_is_survived(zip in "\\PC*") {
            let _ = zone_of_zip(&zip);
        }
    }
}
