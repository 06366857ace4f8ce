//! Logging something that may happen thousands of times a second once per interval.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The interval.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts occurrences and says when it is time to log them.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<(Option<Instant>, u64)>);

impl Quiet {
    /// Counts one occurrence. `Some(n)` when a line should be written, which then stands for `n` occurrences.
    pub(crate) fn count(&self) -> Option<u64> {
        self.count_all(1)
    }

    /// The same for several occurrences, at least one.
    pub(crate) fn count_all(&self, occurrences: u64) -> Option<u64> {
        let mut guard = self.0.lock();
        let (logged, count) = &mut *guard;
        *count += occurrences;
        if logged.is_some_and(|at| at.elapsed() < INTERVAL) {
            return None;
        }
        *logged = Some(Instant::now());
        Some(std::mem::take(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_occurrence_is_logged_and_the_rest_waits_for_the_interval() {
        let quiet = Quiet::default();
        assert_eq!(quiet.count(), Some(1));
        assert_eq!(quiet.count(), None);
        assert_eq!(quiet.count_all(2), None);
        quiet.0.lock().0 = Instant::now().checked_sub(INTERVAL);
        assert_eq!(quiet.count(), Some(4));
    }
}
