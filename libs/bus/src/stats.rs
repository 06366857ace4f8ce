//! What is counted for each served subject, for `$SRV.STATS`.

use std::time::Duration;

use parking_lot::Mutex;

/// The figures of one subject since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// The subject.
    pub subject: String,
    /// Its queue group.
    pub queue_group: String,
    /// Requests answered.
    pub requests: u64,
    /// Of these, answered with a status of 500 or above.
    pub errors: u64,
    /// The last such status; empty when there was none.
    pub last_error: String,
    /// Time spent, from arrival to reply, over all requests.
    pub processing_time: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Stats(Mutex<EndpointStats>);

impl Stats {
    pub(crate) fn count(&self, status: u16, took: Duration) {
        let mut stats = self.0.lock();
        stats.requests += 1;
        stats.processing_time += took;
        if status >= 500 {
            stats.errors += 1;
            stats.last_error = format!("status {status}");
        }
    }

    pub(crate) fn read(&self, subject: &str, queue_group: &str) -> EndpointStats {
        let stats = self.0.lock().clone();
        EndpointStats { subject: subject.to_owned(), queue_group: queue_group.to_owned(), ..stats }
    }
}
