//! The runs of tests, and what came of them.

use chrono::{DateTime, TimeDelta, Utc};

use super::{PAST, Probe, ProbeService, Probes, TEST_EVERY, TestKind};

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Within all thresholds.
    Passed,
    /// Beyond one at least.
    Failed,
    /// The probe did not reach what it measures against.
    Error,
}

impl Outcome {
    /// As Hawkeye writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Error => "Error",
        }
    }
}

/// One run of a test.
#[derive(Debug, Clone, Copy)]
pub struct Run<'p> {
    /// The probe.
    pub probe: &'p Probe,
    /// The test.
    pub test: TestKind,
    /// When.
    pub at: DateTime<Utc>,
    /// Id of the result.
    pub id: i64,
}

/// A value that was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Name, e.g. `Jitter (ms)`.
    pub name: &'static str,
    /// Between whom.
    pub pair: &'static str,
    /// The value.
    pub value: String,
    /// The threshold, empty for an informative one.
    pub threshold: &'static str,
    /// `0`: must not exceed it, `1`: must not fall below it, `-1`: informative.
    pub threshold_type: &'static str,
    /// `Passed` or `Failed`, empty for an informative one.
    pub status: &'static str,
}

impl Run<'_> {
    /// What came of it.
    pub fn outcome(&self) -> Outcome {
        if self.probe.down(self.test.service()).at(self.at) {
            Outcome::Error
        } else if self.probe.failing(self.test).at(self.at) {
            Outcome::Failed
        } else {
            Outcome::Passed
        }
    }

    /// Number of the test at Hawkeye.
    pub fn test_id(&self) -> i64 {
        300 + self.probe.id * 3 + place_of(self.test)
    }

    /// The part of Hawkeye that ran it.
    pub fn module(&self) -> &'static str {
        match self.test.service() {
            ProbeService::NodeToNode => "NodeToNode",
            ProbeService::RealService => "RealService",
        }
    }

    /// What was measured; nothing after an error.
    pub fn metrics(&self) -> Vec<Metric> {
        let failed = match self.outcome() {
            Outcome::Error => return Vec::new(),
            outcome => outcome == Outcome::Failed,
        };
        let measured = |(place, measure): (usize, &Measure)| {
            let beyond = measure.bad.filter(|_| failed);
            let (low, high) = beyond.unwrap_or(measure.good);
            let seed = self.id.wrapping_mul(31).wrapping_add(i64::try_from(place).unwrap_or_default());
            let value = f64::from(low + spread(seed, high - low)) / 100.0;
            Metric {
                name: measure.name,
                pair: pair(self.test),
                value: value.to_string(),
                threshold: measure.threshold,
                threshold_type: if measure.at_least { "1" } else { "0" },
                status: if beyond.is_some() { Outcome::Failed.name() } else { Outcome::Passed.name() },
            }
        };
        let mut metrics: Vec<Metric> = measures(self.test).iter().enumerate().map(measured).collect();
        if self.test == TestKind::Voice {
            metrics.push(Metric {
                name: "Source and destination ports",
                pair: pair(self.test),
                value: "n/a".to_owned(),
                threshold: "",
                threshold_type: "-1",
                status: "",
            });
        }
        metrics
    }
}

/// The runs of some probes in an interval, newest first, found by their place without making a list of them.
#[derive(Debug)]
pub struct Runs<'p> {
    probes: &'p Probes,
    tests: Vec<(&'p Probe, TestKind)>,
    /// The first and the last instant, as multiples of [`TEST_EVERY`]; the last may lie before the first.
    first: i64,
    last: i64,
}

impl<'p> Runs<'p> {
    /// How many there are.
    pub fn len(&self) -> usize {
        usize::try_from(self.last - self.first + 1).unwrap_or(0) * self.tests.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those at the places from `offset`, at most `limit`.
    pub fn page(&self, offset: usize, limit: usize) -> impl Iterator<Item = Run<'p>> {
        (offset..offset.saturating_add(limit).min(self.len())).filter_map(|place| self.get(place))
    }

    fn get(&self, place: usize) -> Option<Run<'p>> {
        let step = self.last - i64::try_from(place.checked_div(self.tests.len())?).ok()?;
        let (probe, test) = *self.tests.get(place.checked_rem(self.tests.len())?)?;
        Some(self.probes.run(probe, test, step))
    }
}

impl Probes {
    /// The runs from `from` to `until`, both included, of one probe or of all, as they can be seen at `now`.
    pub fn runs(
        &self,
        probe: Option<&str>,
        from: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Runs<'_> {
        let chosen: Vec<&Probe> = match probe {
            Some(uid) => self.by_uid(uid).into_iter().collect(),
            None => self.list().iter().collect(),
        };
        let tests =
            chosen.into_iter().flat_map(|probe| probe.tests().map(move |test| (probe, test))).collect();
        let begin = self.begin();
        let from = from.map_or(begin, |from| from.max(begin));
        let until = until.map_or(now, |until| until.min(now));
        // Rounded up, so that the first run is not before `from`.
        let first = step_of(from + TEST_EVERY - TimeDelta::nanoseconds(1));
        Runs { probes: self, tests, first, last: step_of(until) }
    }

    /// The run with this id, if it can be seen at `now`.
    pub fn run_by_id(&self, id: i64, now: DateTime<Utc>) -> Option<Run<'_>> {
        let per_step = self.per_step();
        let (step, rest) = (id.div_euclid(per_step), id.rem_euclid(per_step));
        let probe = self.list().get(usize::try_from(rest / 3).ok()?)?;
        let test = *TestKind::ALL.get(usize::try_from(rest % 3).ok()?)?;
        let runs = probe.tests().any(|known| known == test);
        let run = self.run(probe, test, step);
        (runs && run.at >= self.begin() && run.at <= now).then_some(run)
    }

    fn run<'p>(&self, probe: &'p Probe, test: TestKind, step: i64) -> Run<'p> {
        let at =
            DateTime::from_timestamp(step.saturating_mul(TEST_EVERY.num_seconds()), 0).unwrap_or_default();
        let id = step.saturating_mul(self.per_step()) + (probe.id - 1) * 3 + place_of(test);
        Run { probe, test, at, id }
    }

    fn begin(&self) -> DateTime<Utc> {
        self.born - PAST
    }

    /// Ids of one instant.
    fn per_step(&self) -> i64 {
        i64::try_from(self.list().len()).unwrap_or_default().max(1) * 3
    }
}

/// The last instant at which probes reported.
pub(super) fn last_run(now: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(step_of(now) * TEST_EVERY.num_seconds(), 0).unwrap_or(now)
}

fn step_of(instant: DateTime<Utc>) -> i64 {
    instant.timestamp().div_euclid(TEST_EVERY.num_seconds())
}

fn place_of(test: TestKind) -> i64 {
    match test {
        TestKind::Icmp => 0,
        TestKind::NetworkKpi => 1,
        TestKind::Voice => 2,
    }
}

fn pair(test: TestKind) -> &'static str {
    match test {
        TestKind::Icmp => "",
        TestKind::NetworkKpi => "from->to",
        TestKind::Voice => "Voice from->to",
    }
}

/// What a test measures; values in hundredths.
struct Measure {
    name: &'static str,
    threshold: &'static str,
    /// The value must not fall below the threshold, rather than not exceed it.
    at_least: bool,
    good: (i32, i32),
    /// In a failed run; `None`: stays good.
    bad: Option<(i32, i32)>,
}

const fn most(
    name: &'static str,
    threshold: &'static str,
    good: (i32, i32),
    bad: Option<(i32, i32)>,
) -> Measure {
    Measure { name, threshold, at_least: false, good, bad }
}

const ICMP: [Measure; 3] = [
    most("Latency (ms)", "80", (900, 4_000), Some((9_000, 25_000))),
    most("Jitter (ms)", "20", (10, 400), None),
    most("Loss", "5", (0, 100), Some((700, 4_000))),
];
const NETWORK_KPI: [Measure; 6] = [
    most("Delay (ms)", "100", (800, 4_500), Some((12_000, 30_000))),
    most("Jitter (ms)", "20", (10, 500), Some((2_500, 9_000))),
    most("Jitter Max (ms)", "60", (500, 2_000), None),
    most("Loss", "1", (0, 50), None),
    most("Datagrams Out of Order", "1", (0, 20), None),
    most("Max loss burst", "5", (0, 100), None),
];
const VOICE: [Measure; 3] = [
    most("Delay (ms)", "100", (100, 4_500), None),
    most("Loss", "1", (0, 50), Some((300, 1_500))),
    Measure { name: "MOS", threshold: "3.8", at_least: true, good: (410, 439), bad: Some((150, 340)) },
];

fn measures(test: TestKind) -> &'static [Measure] {
    match test {
        TestKind::Icmp => &ICMP,
        TestKind::NetworkKpi => &NETWORK_KPI,
        TestKind::Voice => &VOICE,
    }
}

/// A number from 0 up to and including `most` that follows from the seed.
fn spread(seed: i64, most: i32) -> i32 {
    let mixed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33;
    i32::try_from(mixed.rem_euclid(i64::from(most) + 1)).unwrap_or(0)
}
