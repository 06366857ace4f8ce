//! Reading the stream: all of it, or only what concerns one device.
//!
//! What was done for a device stands under its own subject, which the server finds without reading the rest. Abstentions
//! stand in batches with those of all other devices; of their lines only those with the device are parsed. Thirty days of
//! ten thousand devices are a gigabyte of batches, so [`last`] reads the newest minutes first.

use std::{error::Error, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, pull::OrderedConfig},
    context::{GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind},
    stream::Stream,
};
use futures::StreamExt;
use tokio::time::timeout;

use crate::{
    ledger::{BATCHED, PATIENCE, SETTINGS, STREAM, TOLD, token},
    record::{Entry, Record},
    story::{self, Story},
};

/// A device about which nothing was decided for so long before the newest record of all has no last cycle.
pub const LOOK_BACK: Duration = Duration::from_secs(24 * 3_600);
/// How far back to look at first, and then, for a device's last cycle.
const STEPS: [Duration; 3] = [Duration::from_secs(30 * 60), Duration::from_secs(4 * 3_600), LOOK_BACK];

/// Why the ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing was ever written.
    #[error("there is no stream {STREAM}: no decision was recorded yet")]
    NoStream,
    /// The server cannot keep streams.
    #[error("the NATS server has no JetStream: decisions are recorded in the monitors' logs only")]
    NoJetStream,
    /// Anything else.
    #[error("the stream {STREAM} cannot be read: {0}")]
    Failed(String),
}

fn failed(error: impl std::fmt::Display) -> ReadError {
    ReadError::Failed(error.to_string())
}

/// Records with the sequence number of their message.
type Numbered = Vec<(u64, Record)>;

/// All records.
pub(crate) async fn all(jetstream: &jetstream::Context) -> Result<Vec<Record>, ReadError> {
    let stream = open(jetstream).await?;
    Ok(in_order(read(&stream, String::new(), DeliverPolicy::All, None).await?))
}

/// All records of a device.
pub(crate) async fn of_device(
    jetstream: &jetstream::Context,
    device: &str,
) -> Result<Vec<Record>, ReadError> {
    let stream = open(jetstream).await?;
    let mut records = own(&stream, device).await?;
    records.extend(batched(&stream, device, DeliverPolicy::All).await?);
    Ok(in_order(records))
}

/// The last cycle of a device.
pub(crate) async fn last(jetstream: &jetstream::Context, device: &str) -> Result<Vec<Story>, ReadError> {
    let mut stream = open(jetstream).await?;
    let own = own(&stream, device).await?;
    let newest = stream.info().await.map_err(failed)?.state.last_timestamp;
    let mut records = Vec::new();
    for step in STEPS {
        let policy = DeliverPolicy::ByStartTime { start_time: newest - step };
        let batched = batched(&stream, device, policy).await?;
        let first = batched.iter().map(|(sequence, _)| *sequence).min();
        // Whole by what lies in the span: the device's own records reach further back than the batches read so far.
        let within = own.iter().filter(|(sequence, _)| first.is_some_and(|first| *sequence >= first));
        let whole = story::is_whole(&in_order(within.chain(&batched).cloned().collect()));
        records = batched;
        if whole {
            break;
        }
    }
    records.extend(own);
    Ok(story::stories(in_order(records)))
}

async fn open(jetstream: &jetstream::Context) -> Result<Stream, ReadError> {
    use jetstream::ErrorCode;
    match timeout(PATIENCE, jetstream.get_stream(STREAM)).await {
        Err(_) => Err(failed("no answer")),
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                ReadError::NoStream
            }
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED
                    || error.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT =>
            {
                ReadError::NoJetStream
            }
            GetStreamErrorKind::Request if nobody_serves(&error) => ReadError::NoJetStream,
            _ => failed(error),
        }),
    }
}

/// Whether the server has nobody who answers requests to JetStream.
fn nobody_serves(error: &GetStreamError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<RequestError>());
    source.is_some_and(|error| error.kind() == RequestErrorKind::NoResponders)
}

/// What was done for a device, or would have been.
async fn own(stream: &Stream, device: &str) -> Result<Numbered, ReadError> {
    let subject = format!("decisions.*.*.{}", token(device));
    read(stream, subject, DeliverPolicy::All, Some(device)).await
}

async fn batched(stream: &Stream, device: &str, policy: DeliverPolicy) -> Result<Numbered, ReadError> {
    read(stream, format!("decisions.*.*.{BATCHED}"), policy, Some(device)).await
}

/// Everything in order, the settings of all times first.
pub(crate) async fn entries(
    jetstream: &jetstream::Context,
    device: Option<&str>,
    back: Option<Duration>,
    each: &mut (dyn FnMut(Entry) + Send),
) -> Result<(), ReadError> {
    let mut stream = open(jetstream).await?;
    let newest = stream.info().await.map_err(failed)?.state.last_timestamp;
    let settings = format!("decisions.*.*.{TOLD}");
    let mut told = std::collections::HashSet::new();
    visit(&stream, settings, DeliverPolicy::All, None, &mut |_, entry| {
        // They are told every hour.
        if let Entry::Settings(settings) = &entry
            && told.insert(settings.id.clone())
        {
            each(entry);
        }
    })
    .await?;
    let policy =
        back.map_or(DeliverPolicy::All, |back| DeliverPolicy::ByStartTime { start_time: newest - back });
    visit(&stream, String::new(), policy, device, &mut |_, entry| {
        if matches!(entry, Entry::Record(_)) {
            each(entry);
        }
    })
    .await
}

/// The records of what the subject (empty: any) and the policy select, of one device or of all.
async fn read(
    stream: &Stream,
    filter_subject: String,
    deliver_policy: DeliverPolicy,
    device: Option<&str>,
) -> Result<Numbered, ReadError> {
    let mut records = Vec::new();
    visit(stream, filter_subject, deliver_policy, device, &mut |sequence, entry| {
        if let Entry::Record(record) = entry {
            records.push((sequence, record));
        }
    })
    .await?;
    Ok(records)
}

/// Shows what the subject (empty: any) and the policy select, of one device or of all, with the number of its message.
async fn visit(
    stream: &Stream,
    filter_subject: String,
    deliver_policy: DeliverPolicy,
    device: Option<&str>,
    each: &mut (dyn FnMut(u64, Entry) + Send),
) -> Result<(), ReadError> {
    // How a line begins to speak of the device; what it says is checked after parsing.
    let needle = device.map(|device| format!("\"device\":{}", serde_json::Value::from(device)));
    let config = OrderedConfig { filter_subject, deliver_policy, ..OrderedConfig::default() };
    let consumer = timeout(PATIENCE, stream.create_consumer(config)).await;
    let consumer = consumer.map_err(|_| failed("no answer"))?.map_err(failed)?;
    let mut left = consumer.cached_info().num_pending;
    if left == 0 {
        return Ok(());
    }
    let mut messages = consumer.messages().await.map_err(failed)?;
    while left > 0 {
        let next = timeout(PATIENCE, messages.next()).await.map_err(|_| failed("no answer"))?;
        let Some(message) = next else { break };
        let message = message.map_err(failed)?;
        let info = message.info().map_err(failed)?;
        left = info.pending;
        let sequence = info.stream_sequence;
        let settings = message.headers.as_ref().and_then(|headers| headers.get(SETTINGS));
        for line in message.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if needle.as_ref().is_some_and(|needle| !contains(line, needle.as_bytes())) {
                continue;
            }
            let Some(mut entry) = Entry::read(line) else { continue };
            if let Entry::Record(record) = &mut entry {
                if device.is_some_and(|device| record.device != device) {
                    continue;
                }
                if let (true, Some(settings)) = (record.settings.is_empty(), settings) {
                    settings.as_str().clone_into(&mut record.settings);
                }
            }
            each(sequence, entry);
        }
    }
    Ok(())
}

fn contains(line: &[u8], needle: &[u8]) -> bool {
    line.windows(needle.len()).any(|window| window == needle)
}

/// Those of one message stay in their order.
fn in_order(mut records: Numbered) -> Vec<Record> {
    records.sort_by_key(|(sequence, _)| *sequence);
    records.into_iter().map(|(_, record)| record).collect()
}
