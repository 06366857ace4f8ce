//! Where decisions are kept: a JetStream stream when the server has one, else log lines.
//!
//! One message holds one record, or many abstentions of a cycle together; its subject is
//! `decisions.<service>.<mode>.<device>` (`_` instead of the device for a batch). Writing never fails an action: when
//! the stream cannot be reached the record goes to the log, with everything that the stream would have kept.

use std::{collections::VecDeque, future::Future, sync::Arc, time::Duration};

use async_nats::jetstream::{
    self,
    stream::{Config, DiscardPolicy, StorageType},
};
use bus::jetstream::create_stream;
use bytes::Bytes;
use opentelemetry::trace::TraceContextExt;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    reading::{self, ReadError},
    record::{Entry, Record, Settings},
    story::{self, Story},
};

/// The stream's name.
pub const STREAM: &str = "DECISIONS";
/// The header of a message that says in which span its records were written (`traceparent` of W3C).
pub const TRACE_CONTEXT: &str = "traceparent";
/// The header of a message that says with which [`Settings`] its records were decided: once for a batch of thousands.
pub(crate) const SETTINGS: &str = "settings";
/// The last token of the subject under which settings stand.
pub(crate) const TOLD: &str = "_settings";
/// How long records are kept.
const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);
/// Upper bound of the stream on disk, in bytes; the oldest records go first.
const MAX_BYTES: i64 = 1 << 30;
/// How long one message may take, and so hold an action up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// After a failed write the log is used for so long before the stream is tried again.
const PAUSE: Duration = Duration::from_secs(30);
/// A batch of abstentions is cut into messages of about so many bytes.
const BATCH: usize = 256 * 1024;
/// The last token of a batch's subject.
pub(crate) const BATCHED: &str = "_";
/// Upper bound of records which the in-memory ledger keeps.
const MEMORY: usize = 100_000;

/// Keeps records. Cheap to clone.
#[derive(Clone)]
pub struct Ledger(Arc<Store>);

#[allow(clippy::large_enum_variant, reason = "there is one, behind an Arc")]
enum Store {
    Stream { jetstream: jetstream::Context, ready: Mutex<Readiness> },
    Log,
    Memory(Mutex<VecDeque<Entry>>),
}

#[derive(Clone, Copy)]
enum Readiness {
    NotAsked,
    Ready,
    NotBefore(Instant),
}

impl Readiness {
    /// Whether a failure is so recent that nothing is tried.
    fn rests(self) -> bool {
        matches!(self, Self::NotBefore(at) if Instant::now() < at)
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &*self.0 {
            Store::Stream { .. } => "Ledger(stream)",
            Store::Log => "Ledger(log)",
            Store::Memory(_) => "Ledger(memory)",
        })
    }
}

impl Ledger {
    /// A ledger in the stream `DECISIONS`, which is created with the first record. While there is no JetStream the
    /// records go to the log.
    pub fn stream(client: async_nats::Client) -> Self {
        let mut jetstream = jetstream::new(client);
        jetstream.set_timeout(PATIENCE);
        Self(Arc::new(Store::Stream { jetstream, ready: Mutex::new(Readiness::NotAsked) }))
    }

    /// A ledger of log lines only.
    pub fn log() -> Self {
        Self(Arc::new(Store::Log))
    }

    /// A ledger for tests and demonstrations: keeps the last 100,000 records, see [`Self::kept`].
    pub fn memory() -> Self {
        Self(Arc::new(Store::Memory(Mutex::default())))
    }

    /// What a [`Self::memory`] ledger holds, oldest first; empty for the others.
    pub fn kept(&self) -> Vec<Record> {
        match &*self.0 {
            Store::Memory(entries) => {
                let entries = entries.lock();
                let records = entries.iter().filter_map(|entry| match entry {
                    Entry::Record(record) => Some(record.clone()),
                    Entry::Settings(_) => None,
                });
                records.collect()
            }
            _ => Vec::new(),
        }
    }

    /// Writes the settings in force; whether they are stored.
    pub async fn tell(&self, settings: Settings) -> bool {
        match &*self.0 {
            Store::Memory(kept) => {
                keep(kept, [Entry::Settings(settings)]);
                true
            }
            Store::Log => {
                log_settings(&settings);
                true
            }
            Store::Stream { jetstream, ready } => {
                let subject = format!("decisions.{}.{}.{TOLD}", token(&settings.service), settings.mode);
                let Ok(payload) = serde_json::to_vec(&settings) else { return false };
                let stored =
                    in_time(jetstream, ready, PATIENCE, sent(jetstream, subject, payload.into())).await;
                if !stored {
                    log_settings(&settings);
                }
                stored
            }
        }
    }

    /// Writes one record and waits until it is stored (at most 2 s).
    pub async fn write(&self, record: Record) {
        let device = token(&record.device);
        self.put(vec![record], &device).await;
    }

    /// Writes records which belong together, in as few messages as their size allows, and waits until they are stored (at
    /// most 2 s for each message).
    pub async fn write_many(&self, records: Vec<Record>) {
        if !records.is_empty() {
            self.put(records, BATCHED).await;
        }
    }

    async fn put(&self, mut records: Vec<Record>, device: &str) {
        match &*self.0 {
            Store::Memory(kept) => keep(kept, records.into_iter().map(Entry::Record)),
            Store::Log => log(&records),
            Store::Stream { ready, .. } if ready.lock().rests() => log(&records),
            Store::Stream { jetstream, ready } => {
                let settings = in_header(&mut records);
                let messages = batches(&records);
                let within = PATIENCE.saturating_mul(u32::try_from(messages.len()).unwrap_or(u32::MAX));
                let write = publish(jetstream, records.first(), messages, &settings, device);
                if !in_time(jetstream, ready, within, write).await {
                    out_of_header(&mut records, &settings);
                    log(&records);
                }
            }
        }
    }

    /// The records of a device, or of all, in the order in which they were written. Only the stream and the memory can
    /// be read; the log gives none.
    ///
    /// # Errors
    /// When there is no stream, or it cannot be read.
    pub async fn read(&self, device: Option<&str>) -> Result<Vec<Record>, ReadError> {
        match &*self.0 {
            Store::Stream { jetstream, .. } => match device {
                Some(device) => reading::of_device(jetstream, device).await,
                None => reading::all(jetstream).await,
            },
            Store::Memory(_) | Store::Log => {
                let mut records = self.kept();
                records.retain(|record| device.is_none_or(|device| record.device == device));
                Ok(records)
            }
        }
    }

    /// Shows everything in the order in which it was written, of a device or of all: all of it, or what is not older than
    /// `back` before the newest. The settings come first, those of all times.
    ///
    /// # Errors
    /// When there is no stream, or it cannot be read.
    pub async fn entries(
        &self,
        device: Option<&str>,
        back: Option<Duration>,
        mut each: impl FnMut(Entry) + Send,
    ) -> Result<(), ReadError> {
        match &*self.0 {
            Store::Stream { jetstream, .. } => reading::entries(jetstream, device, back, &mut each).await,
            Store::Memory(kept) => {
                let kept: Vec<Entry> = kept.lock().iter().cloned().collect();
                let newest = kept.iter().filter_map(|entry| entry.record().map(|record| record.at)).max();
                let oldest = newest.zip(back).map(|(newest, back)| newest - back);
                let (records, settings): (Vec<_>, Vec<_>) =
                    kept.into_iter().partition(|entry| matches!(entry, Entry::Record(_)));
                let records = records.into_iter().filter(|entry| {
                    entry.record().is_some_and(|record| {
                        device.is_none_or(|device| record.device == device)
                            && oldest.is_none_or(|oldest| record.at >= oldest)
                    })
                });
                settings.into_iter().chain(records).for_each(each);
                Ok(())
            }
            Store::Log => Ok(()),
        }
    }

    /// What was last decided about a device, by each service and mode. Reads as little of the stream as that takes: of
    /// the batches only the newest, at most those of [`crate::LOOK_BACK`].
    ///
    /// # Errors
    /// When there is no stream, or it cannot be read.
    pub async fn last(&self, device: &str) -> Result<Vec<Story>, ReadError> {
        match &*self.0 {
            Store::Stream { jetstream, .. } => reading::last(jetstream, device).await,
            Store::Memory(_) | Store::Log => Ok(story::stories(self.read(Some(device)).await?)),
        }
    }
}

/// Writes to the stream, which is created before; whether all of that was done in time. After a failure nobody tries again
/// for a while.
async fn in_time(
    jetstream: &jetstream::Context,
    ready: &Mutex<Readiness>,
    within: Duration,
    write: impl Future<Output = bool>,
) -> bool {
    let present = *ready.lock();
    if present.rests() {
        return false;
    }
    let there = matches!(present, Readiness::Ready);
    let done = timeout(within, async { (there || created(jetstream).await) && write.await });
    let done = done.await.unwrap_or(false);
    *ready.lock() = if done { Readiness::Ready } else { Readiness::NotBefore(Instant::now() + PAUSE) };
    done
}

/// Creates the stream unless it is there; whether that could be done.
async fn created(jetstream: &jetstream::Context) -> bool {
    let config = Config {
        name: STREAM.to_owned(),
        subjects: vec!["decisions.>".to_owned()],
        max_age: KEEP,
        max_bytes: MAX_BYTES,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        ..Config::default()
    };
    // Below the patience for the whole, so that the reason can be told.
    let reason = match timeout(PATIENCE / 2, create_stream(jetstream, config)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    tracing::warn!(reason, "no JetStream for the decisions' ledger: they go to the log");
    false
}

/// Adds to what a memory holds.
fn keep(kept: &Mutex<VecDeque<Entry>>, entries: impl IntoIterator<Item = Entry>) {
    let mut kept = kept.lock();
    kept.extend(entries);
    while kept.len() > MEMORY {
        kept.pop_front();
    }
}

/// Takes the settings' id out of records which all have the same one, as those of one executor do.
fn in_header(records: &mut [Record]) -> String {
    let id = records.first().map(|record| record.settings.clone()).unwrap_or_default();
    for record in records.iter_mut().filter(|record| record.settings == id) {
        record.settings.clear();
    }
    id
}

/// Puts the settings' id back into records that were sent to no stream.
fn out_of_header(records: &mut [Record], id: &str) {
    for record in records.iter_mut().filter(|record| record.settings.is_empty()) {
        id.clone_into(&mut record.settings);
    }
}

/// One message; whether it is stored.
async fn sent(jetstream: &jetstream::Context, subject: String, payload: Bytes) -> bool {
    match jetstream.publish(subject, payload).await {
        Ok(ack) => ack.await.is_ok(),
        Err(_) => false,
    }
}

async fn publish(
    jetstream: &jetstream::Context,
    first: Option<&Record>,
    messages: Vec<Bytes>,
    settings: &str,
    device: &str,
) -> bool {
    let Some(first) = first else { return true };
    let subject = format!("decisions.{}.{}.{device}", token(&first.service), first.mode);
    let mut acks = Vec::new();
    for payload in messages {
        let mut headers = trace_context();
        if !settings.is_empty() {
            headers.insert(SETTINGS, settings);
        }
        let sent = jetstream.publish_with_headers(subject.clone(), headers, payload);
        match sent.await {
            Ok(ack) => acks.push(ack),
            Err(_) => return false,
        }
    }
    for ack in acks {
        if ack.await.is_err() {
            return false;
        }
    }
    true
}

/// The W3C trace context of the present span, so that a record leads to the requests around it. Empty where spans are
/// not kept.
fn trace_context() -> async_nats::HeaderMap {
    let mut headers = async_nats::HeaderMap::new();
    let context = tracing::Span::current().context();
    let span = context.span().span_context().clone();
    if span.is_valid() {
        let flags = span.trace_flags().to_u8();
        let parent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
        headers.insert(TRACE_CONTEXT, parent.as_str());
    }
    headers
}

/// Records as JSON lines, in messages of about [`BATCH`] bytes.
fn batches(records: &[Record]) -> Vec<Bytes> {
    let mut messages = Vec::new();
    let mut lines = Vec::new();
    for record in records {
        // A record holds only text, numbers and JSON values: writing it can not fail.
        if serde_json::to_writer(&mut lines, record).is_ok() {
            lines.push(b'\n');
        }
        if lines.len() >= BATCH {
            messages.push(Bytes::from(std::mem::take(&mut lines)));
        }
    }
    if !lines.is_empty() {
        messages.push(Bytes::from(lines));
    }
    messages
}

fn log_settings(settings: &Settings) {
    let json = serde_json::to_string(settings).unwrap_or_default();
    tracing::info!(target: "decisions", settings = json, "settings of the decisions");
}

fn log(records: &[Record]) {
    for record in records {
        let json = serde_json::to_string(record).unwrap_or_default();
        tracing::info!(target: "decisions", device = record.device, rule = record.rule, record = json, "decision");
    }
}

/// A text as one token of a NATS subject.
pub(crate) fn token(text: &str) -> String {
    let clean: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' }).collect();
    if clean.is_empty() { "-".to_owned() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Mode, Step};
    use proptest::prelude::*;

    fn record(device: &str) -> Record {
        Record {
            at: chrono::DateTime::UNIX_EPOCH,
            service: "monitor".into(),
            mode: Mode::Live,
            device: device.into(),
            rule: "healthy".into(),
            settings: String::new(),
            step: Step::Abstained { reason: "healthy".into(), facts: serde_json::Value::Null },
        }
    }

    #[test]
    fn a_large_batch_is_cut_without_losing_a_record() {
        let records: Vec<Record> = (0..5_000).map(|n| record(&format!("VC{n}"))).collect();
        let messages = batches(&records);
        assert!(messages.len() > 1);
        let back: Vec<Record> = messages
            .iter()
            .flat_map(|message| serde_json::Deserializer::from_slice(message).into_iter::<Record>())
            .map(Result::unwrap)
            .collect();
        assert_eq!(back, records);
    }

    #[test]
    fn what_goes_to_the_log_has_its_settings_again() {
        let decided = Record { settings: "ab12".to_owned(), ..record("VC1") };
        let mut records = vec![decided.clone(), Record { device: "VC2".to_owned(), ..decided.clone() }];
        let before = records.clone();
        let id = in_header(&mut records);
        assert_eq!((id.as_str(), records.iter().all(|record| record.settings.is_empty())), ("ab12", true));
        out_of_header(&mut records, &id);
        assert_eq!(records, before);
    }

    proptest! {
        #[test]
        fn any_serial_makes_one_subject_token(serial in ".*") {
            let token = token(&serial);
            prop_assert!(!token.is_empty());
            prop_assert!(!token.contains(['.', '*', '>', ' ']));
        }
    }
}
