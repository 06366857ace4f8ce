//! Numbers as people read them, and what many measurements come to.

use std::time::Duration;

/// `12,345 /s`.
pub fn per_second(rate: f64) -> String {
    format!("{} /s", thousands(rate))
}

/// A number with separators, without decimals.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts, far below the limits")]
pub fn thousands(number: f64) -> String {
    let digits = (number.max(0.0).round() as u64).to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with separators.
pub fn count(count: impl TryInto<usize>) -> String {
    thousands(number(count.try_into().unwrap_or(usize::MAX)))
}

/// Milliseconds or seconds with two digits that count.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..0.01 => format!("{:.2} ms", seconds * 1_000.0),
        ..1.0 => format!("{:.1} ms", seconds * 1_000.0),
        _ => format!("{seconds:.2} s"),
    }
}

/// A count as a number to calculate with.
#[allow(clippy::cast_precision_loss, reason = "counts, far below the limit")]
pub fn number(count: usize) -> f64 {
    count as f64
}

/// Of the sorted times, the one that so many percent do not exceed.
pub fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}

/// The one in the middle by `key`.
pub fn median<T: Clone + Default>(values: &[T], key: impl Fn(&T) -> f64) -> T {
    let mut sorted: Vec<&T> = values.iter().collect();
    sorted.sort_by(|one, other| key(one).total_cmp(&key(other)));
    sorted.get(sorted.len() / 2).copied().cloned().unwrap_or_default()
}

/// The straight line that is nearest to some points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Its height at 0.
    pub base: f64,
    /// How much it rises with each 1.
    pub slope: f64,
    /// How much of the points' spread it explains, up to 1 (the coefficient of determination).
    pub fit: f64,
}

impl Line {
    /// Through points `(x, y)`, by least squares; `None` when they have one `x` only.
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let count = number(points.len());
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let sum = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>();
        let width = sum(&|point| (point.0 - x).powi(2));
        if points.len() < 2 || width <= 0.0 {
            return None;
        }
        let slope = sum(&|point| (point.0 - x) * (point.1 - y)) / width;
        let base = y - slope * x;
        let missed = sum(&|point| (point.1 - base - slope * point.0).powi(2));
        let spread = sum(&|point| (point.1 - y).powi(2));
        let fit = if spread > 0.0 { 1.0 - missed / spread } else { 1.0 };
        Some(Self { base, slope, fit })
    }

    /// Its height at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.base + self.slope * x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
        assert_eq!(count(1_000_u64), "1,000");
        assert_eq!(time(Duration::from_micros(256)), "0.26 ms");
        assert_eq!(time(Duration::from_millis(82)), "82.0 ms");
        assert_eq!(time(Duration::from_millis(6_900)), "6.90 s");
    }

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&times, 50), Duration::from_millis(51));
        assert_eq!(quantile(&times, 99), Duration::from_millis(100));
        assert_eq!(quantile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0], |value| *value) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_line_goes_through_points_that_lie_on_it() {
        let line = Line::through(&[(1.0, 5.0), (2.0, 7.0), (4.0, 11.0)]).unwrap();
        assert!((line.base - 3.0).abs() < 1e-9 && (line.slope - 2.0).abs() < 1e-9);
        assert!((line.fit - 1.0).abs() < 1e-9 && (line.at(10.0) - 23.0).abs() < 1e-9);
        assert!(Line::through(&[(0.0, 0.0), (1.0, 1.0), (2.0, 8.0)]).unwrap().fit < 0.9);
        assert_eq!(Line::through(&[(1.0, 5.0), (1.0, 6.0)]), None);
    }
}
