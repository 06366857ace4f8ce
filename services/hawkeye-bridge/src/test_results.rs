//! `hawkeye.test.request`: the results of the tests of some probes, each with what was measured.

use std::sync::Arc;

use bus::Reply;
use contracts::RawFields;
use contracts::hawkeye::TestResultsRequest;
use contracts::id::Id;
use futures::{StreamExt, stream};
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use upstream::Call;

use crate::failure::Failure;
use crate::hawkeye::{Hawkeye, IN_FLIGHT, Listing};

/// A result as it was listed.
struct Listed {
    uid: Arc<str>,
    summary: Box<RawValue>,
}

/// A result as it is replied.
#[derive(Serialize)]
struct Joined {
    summary: Box<RawValue>,
    metrics: Box<RawValue>,
}

/// Answers with the results by uid of their probe. What cannot be read is left out, unless nothing can be.
pub async fn answer(hawkeye: &Hawkeye, request: &TestResultsRequest, until: Instant) -> Reply {
    // Asked once each (Improve 11).
    let uids: IndexSet<String> = request.probe_uids.iter().cloned().collect();
    let probes = uids.len();
    let read = uids.into_iter().map(|uid| list(hawkeye, request, uid, until));
    let listings: Vec<_> = stream::iter(read).buffered(IN_FLIGHT).collect().await;
    let listed = match listed(listings) {
        Ok(listed) => listed,
        Err(failure) => {
            tracing::error!(%failure, probes, "the test results of no probe can be read");
            return failure.reply();
        }
    };
    let read = listed.into_iter().map(|listed| joined(hawkeye, listed, until));
    // In order, so that the results of a probe stay as they were listed.
    let joined: Vec<_> = stream::iter(read).buffered(IN_FLIGHT).collect().await;
    let mut results: IndexMap<Arc<str>, Vec<Joined>> = IndexMap::new();
    for (uid, result) in joined.into_iter().flatten() {
        results.entry(uid).or_default().push(result);
    }
    Reply::ok(&results)
}

/// The list of a probe's results.
async fn list(
    hawkeye: &Hawkeye,
    request: &TestResultsRequest,
    uid: String,
    until: Instant,
) -> (Arc<str>, Result<Listing, Failure>) {
    let call = Call::get("/testsresults")
        .query("startDate", &request.interval.start)
        .query("endDate", &request.interval.end)
        .query("probeFrom", &uid);
    (Arc::from(uid), hawkeye.list(&call, until).await)
}

/// The results that were listed, each with the uid of its probe, in order.
///
/// # Errors
/// When no list could be read although some were asked for; the first failure.
fn listed(listings: Vec<(Arc<str>, Result<Listing, Failure>)>) -> Result<Vec<Listed>, Failure> {
    let mut all = Vec::new();
    let mut nothing = None;
    let mut read = 0;
    for (probe_uid, listing) in listings {
        match listing {
            Ok(Listing { records, cut }) => {
                read += 1;
                if let Some(failure) = cut {
                    let results = records.len();
                    tracing::error!(%probe_uid, %failure, results, "not all test results of a probe could be read");
                }
                let of_probe = |summary| Listed { uid: Arc::clone(&probe_uid), summary };
                all.extend(records.into_iter().map(of_probe));
            }
            Err(failure) => {
                tracing::error!(%probe_uid, %failure, "the test results of a probe cannot be read");
                nothing = nothing.or(Some(failure));
            }
        }
    }
    match nothing {
        Some(failure) if read == 0 => Err(failure),
        _ => Ok(all),
    }
}

/// A result with what it measured; `None` when that cannot be read.
async fn joined(hawkeye: &Hawkeye, listed: Listed, until: Instant) -> Option<(Arc<str>, Joined)> {
    let Listed { uid, summary } = listed;
    let metrics = metrics(hawkeye, &summary, until).await?;
    Some((uid, Joined { summary, metrics }))
}

/// What a result measured; `None`, logged, when that cannot be read.
async fn metrics(hawkeye: &Hawkeye, summary: &RawValue, until: Instant) -> Option<Box<RawValue>> {
    let fields: RawFields<'_> = serde_json::from_str(summary.get()).unwrap_or_default();
    let Some(id) = fields.get("id").and_then(|id| serde_json::from_str::<Id>(id.get()).ok()) else {
        tracing::error!("a test result has no id, leaving it out");
        return None;
    };
    match hawkeye.metrics(&id, until).await {
        Ok(metrics) => Some(metrics),
        Err(failure) => {
            tracing::error!(%id, %failure, "the details of a test result cannot be read, leaving it out");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "as listings come")]
    fn listing(records: &[&str], cut: bool) -> Result<Listing, Failure> {
        let raw = |text: &&str| RawValue::from_string((*text).to_owned()).unwrap();
        Ok(Listing {
            records: records.iter().map(raw).collect(),
            cut: cut.then(|| Failure::unexpected("cut")),
        })
    }

    #[test]
    fn one_list_that_could_be_read_is_enough() {
        let failed = || Err(Failure::unexpected("x"));
        let read = |listings: Vec<(&str, Result<Listing, Failure>)>| {
            let listings = listings.into_iter().map(|(uid, listing)| (Arc::from(uid), listing));
            listed(listings.collect())
                .map(|all| all.iter().map(|one| format!("{}{}", one.uid, one.summary)).collect::<Vec<_>>())
        };
        assert_eq!(read(vec![]).unwrap(), Vec::<String>::new());
        assert_eq!(read(vec![("a", failed()), ("b", listing(&[], false))]).unwrap(), Vec::<String>::new());
        let some = vec![("a", listing(&["1", "2"], true)), ("b", failed()), ("c", listing(&["3"], false))];
        assert_eq!(read(some).unwrap(), ["a1", "a2", "c3"]);
        assert_eq!(read(vec![("a", failed()), ("b", failed())]).unwrap_err(), Failure::unexpected("x"));
    }
}
