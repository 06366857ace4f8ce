//! When the machine stood still. A shared machine's processors are given to others for up to half a second at a time, and
//! what was to be done then is late whoever did it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the watching thread wants to go on.
const EVERY: Duration = Duration::from_millis(5);
/// When it is so late the machine stood still: a thread that sleeps most of the time is let on by Linux much earlier,
/// also between others that always compute.
const LATE: Duration = Duration::from_millis(50);

/// A thread that wants nothing but to go on every few milliseconds. It ends with this value.
#[derive(Debug)]
pub struct Watch {
    /// As long as there are two of it somebody wants to know.
    wanted: Arc<()>,
    thread: JoinHandle<Standstills>,
}

/// The times in which a [`Watch`] was not let on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standstills(Vec<(Instant, Instant)>);

impl Watch {
    /// Watches from now on.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start() -> std::io::Result<Self> {
        let wanted = Arc::new(());
        let watched = Arc::clone(&wanted);
        let thread = std::thread::Builder::new().name("standstills".to_owned()).spawn(move || {
            let mut found = Standstills::default();
            let mut before = Instant::now();
            while Arc::strong_count(&watched) > 1 {
                std::thread::sleep(EVERY);
                let now = Instant::now();
                found.add(before, now);
                before = now;
            }
            found
        })?;
        Ok(Self { wanted, thread })
    }

    /// What was found until now.
    pub fn end(self) -> Standstills {
        drop(self.wanted);
        // It cannot panic.
        self.thread.join().unwrap_or_default()
    }
}

impl Standstills {
    /// From `before`, when the thread lay down, it slept until `now`.
    fn add(&mut self, before: Instant, now: Instant) {
        if now.duration_since(before) >= EVERY + LATE {
            self.0.push((before + EVERY, now));
        }
    }

    /// How much of the time between two instants the machine stood still.
    pub fn between(&self, from: Instant, to: Instant) -> Duration {
        let first = self.0.partition_point(|(_, end)| *end <= from);
        let during = self.0.iter().skip(first).take_while(|(begin, _)| *begin < to);
        during.map(|(begin, end)| (*end).min(to).duration_since((*begin).max(from))).sum()
    }

    /// How often it stood still, for how long in all, and the longest of these times.
    pub fn told(&self) -> (usize, Duration, Duration) {
        let lasted = || self.0.iter().map(|(begin, end)| end.duration_since(*begin));
        (self.0.len(), lasted().sum(), lasted().max().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_time_in_which_the_machine_stood_still() {
        let began = Instant::now();
        let at = |millis| began + Duration::from_millis(millis);
        let mut found = Standstills::default();
        for (before, now) in [(0, 5), (5, 54), (100, 305), (305, 311), (400, 505)] {
            found.add(at(before), at(now));
        }
        assert_eq!(found.told(), (2, Duration::from_millis(300), Duration::from_millis(200)));
        for (from, to, expected) in [
            (0, 100, 0),
            (0, 1_000, 300),
            (150, 200, 50),
            (0, 206, 101),
            (304, 405, 1),
            (305, 405, 0),
            (500, 900, 5),
        ] {
            assert_eq!(found.between(at(from), at(to)), Duration::from_millis(expected), "{from} to {to}");
        }
    }

    #[test]
    fn a_watch_ends_when_it_is_told_to() {
        let began = Instant::now();
        let (_, all, longest) = Watch::start().unwrap().end().told();
        assert!(longest <= all && all <= began.elapsed());
    }
}
