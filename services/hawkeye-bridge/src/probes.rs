//! `hawkeye.probe.request`: the list of probes.

use bus::Reply;
use contracts::hawkeye::ProbesRequest;
use tokio::time::Instant;
use upstream::Call;

use crate::hawkeye::Hawkeye;

/// Answers with the probes, exactly as Hawkeye gives them; with those that could be read when not all could.
pub async fn answer(hawkeye: &Hawkeye, request: &ProbesRequest, until: Instant) -> Reply {
    match hawkeye.list(&call(request), until).await {
        Ok(listing) => {
            if let Some(failure) = &listing.cut {
                let probes = listing.records.len();
                tracing::error!(%failure, probes, "not all probes could be read, answering with those that could");
            }
            Reply::ok(&listing.records)
        }
        Err(failure) => {
            tracing::error!(%failure, "the probes cannot be read");
            failure.reply()
        }
    }
}

fn call(request: &ProbesRequest) -> Call {
    let ProbesRequest { serial_number, status } = request;
    [("serial_number", serial_number), ("status", status)].into_iter().fold(
        Call::get("/probes"),
        |call, (name, filter)| match filter {
            Some(filter) => call.query(name, filter),
            None => call,
        },
    )
}
