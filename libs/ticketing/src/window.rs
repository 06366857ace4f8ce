//! Day and night at a site, and the grace period that goes with each (spec `service-outage-monitor`, "Grace window").

use std::time::Duration;

use chrono::{DateTime, FixedOffset, Offset, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// How a site's clock differs from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteOffset {
    /// The fixed offset of the site in hours (`site_details.tzOffset`).
    Hours(i32),
    /// The site's offset is unknown: that of the fleet's `TIMEZONE` at the moment asked about.
    Zone(Tz),
}

impl SiteOffset {
    /// The offset of a site, or of `fallback` when the site has none or an impossible one.
    pub fn of_site(hours: Option<i32>, fallback: Tz) -> Self {
        match hours {
            Some(hours) if (-14..=14).contains(&hours) => Self::Hours(hours),
            _ => Self::Zone(fallback),
        }
    }

    /// The hour (0 to 23) at the site.
    pub fn hour(self, now: DateTime<Utc>) -> u32 {
        let offset = match self {
            Self::Hours(hours) => FixedOffset::east_opt(hours * 3_600),
            Self::Zone(zone) => Some(zone.offset_from_utc_datetime(&now.naive_utc()).fix()),
        };
        offset.map_or_else(|| now.hour(), |offset| now.with_timezone(&offset).hour())
    }
}

/// The day window and the grace period by day and by night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraceWindow {
    /// The hour (0 to 23) at which the day starts.
    pub day_start: u32,
    /// The hour (0 to 23) at which it ends; before the start = the day reaches past midnight; equal = always day.
    pub day_end: u32,
    /// The grace period by day.
    pub by_day: Duration,
    /// The grace period by night.
    pub by_night: Duration,
}

impl GraceWindow {
    /// Whether it is day at `hour`.
    pub fn is_day(&self, hour: u32) -> bool {
        match self.day_start.cmp(&self.day_end) {
            std::cmp::Ordering::Less => (self.day_start..self.day_end).contains(&hour),
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => hour >= self.day_start || hour < self.day_end,
        }
    }

    /// The grace period at a site at the moment `now`.
    pub fn grace(&self, now: DateTime<Utc>, site: SiteOffset) -> Duration {
        if self.is_day(site.hour(now)) { self.by_day } else { self.by_night }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::US;

    fn window(day_start: u32, day_end: u32) -> GraceWindow {
        GraceWindow {
            day_start,
            day_end,
            by_day: Duration::from_secs(5_400),
            by_night: Duration::from_secs(10_800),
        }
    }

    fn hours_of_day(window: GraceWindow) -> Vec<u32> {
        (0..24).filter(|hour| window.is_day(*hour)).collect()
    }

    #[test]
    fn the_day_may_reach_to_or_past_midnight_or_last_for_ever() {
        assert_eq!(hours_of_day(window(8, 0)), (8..24).collect::<Vec<_>>());
        assert_eq!(hours_of_day(window(8, 20)), (8..20).collect::<Vec<_>>());
        assert_eq!(hours_of_day(window(12, 4)), (0..4).chain(12..24).collect::<Vec<_>>());
        assert_eq!(hours_of_day(window(8, 8)), (0..24).collect::<Vec<_>>());
    }

    #[test]
    fn the_hour_is_the_sites() {
        let now: DateTime<Utc> = "2022-01-31T12:30:00Z".parse().unwrap();
        assert_eq!(SiteOffset::of_site(Some(-5), US::Pacific).hour(now), 7);
        assert_eq!(SiteOffset::of_site(Some(5), US::Pacific).hour(now), 17);
        assert_eq!(SiteOffset::of_site(None, US::Pacific).hour(now), 4);
        assert_eq!(SiteOffset::of_site(Some(99), US::Pacific).hour(now), 4);
        assert_eq!(SiteOffset::of_site(None, US::Pacific).hour("2022-07-31T12:30:00Z".parse().unwrap()), 5);
    }

    #[test]
    fn grace_is_5400_seconds_by_day_and_10800_by_night() {
        let site = SiteOffset::Hours(-5);
        for (now, seconds) in [
            ("2022-01-31T12:59:59Z", 10_800),
            ("2022-01-31T13:00:00Z", 5_400),
            ("2022-02-01T04:59:59Z", 5_400),
            ("2022-02-01T05:00:00Z", 10_800),
        ] {
            assert_eq!(window(8, 0).grace(now.parse().unwrap(), site), Duration::from_secs(seconds), "{now}");
        }
    }
}
