//! A closed loop: so many requests in flight, each followed by the next as soon as it is answered.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use measure::figures::{median, number, per_second, quantile, time};

use crate::Effort;

/// What was measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    /// Requests answered in a second.
    pub(crate) rate: f64,
    /// Half of the requests took no longer.
    pub(crate) p50: Duration,
    /// Of a hundred requests one took longer.
    pub(crate) p99: Duration,
    /// All requests, those of the warm-up included.
    pub(crate) total: u64,
    /// Processor time of the measured process for each request, in microseconds; 0 when it was not measured.
    pub(crate) cost: f64,
}

impl Load {
    /// Rate and latencies as the table shows them.
    pub(crate) fn shown(&self) -> String {
        let shown = format!("{}, p50 {}, p99 {}", per_second(self.rate), time(self.p50), time(self.p99));
        if self.cost > 0.0 { format!("{shown}, CPU {:.0} µs each", self.cost) } else { shown }
    }
}

/// Keeps `in_flight` requests going. `ask` gets a number that no other request of this program has.
pub(crate) async fn closed_loop<A, F>(in_flight: usize, effort: Effort, ask: A) -> anyhow::Result<Load>
where
    A: Fn(u64) -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send,
{
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    let begin = Instant::now() + effort.warm_up;
    let end = begin + effort.measure;
    let total = Arc::new(AtomicU64::new(0));
    let workers = (0..in_flight).map(|_| {
        let (ask, total) = (ask.clone(), Arc::clone(&total));
        tokio::spawn(async move {
            let mut times = Vec::new();
            let mut sent = Instant::now();
            while sent < end {
                ask(NUMBERS.fetch_add(1, Ordering::Relaxed)).await?;
                let answered = Instant::now();
                total.fetch_add(1, Ordering::Relaxed);
                if sent >= begin && answered <= end {
                    times.push(answered - sent);
                }
                sent = answered;
            }
            anyhow::Ok(times)
        })
    });
    let mut times = Vec::new();
    for worker in try_join_all(workers).await? {
        times.extend(worker?);
    }
    times.sort_unstable();
    Ok(Load {
        rate: number(times.len()) / effort.measure.as_secs_f64(),
        p50: quantile(&times, 50),
        p99: quantile(&times, 99),
        total: total.load(Ordering::Relaxed),
        cost: 0.0,
    })
}

/// Two loads measured in turn, so that whatever else the machine does meets both: of all rounds the one whose ratio of
/// rates (the first one's over the second one's) is in the middle.
pub(crate) async fn in_turn<A, FA, B, FB>(effort: Effort, mut one: A, mut other: B) -> anyhow::Result<Pair>
where
    A: FnMut() -> FA,
    FA: Future<Output = anyhow::Result<Load>>,
    B: FnMut() -> FB,
    FB: Future<Output = anyhow::Result<Load>>,
{
    let mut rounds = Vec::new();
    for _ in 0..effort.rounds {
        let (ours, bare) = (one().await?, other().await?);
        let ratio = ours.rate / bare.rate.max(1e-9);
        rounds.push(Pair { ours, bare, ratio });
    }
    Ok(median(&rounds, |round| round.ratio))
}

/// A measurement and its limit, of one round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pair {
    pub(crate) ours: Load,
    pub(crate) bare: Load,
    pub(crate) ratio: f64,
}
