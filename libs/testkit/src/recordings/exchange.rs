//! The recordings as they are on disk.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Rule, Via, folders};

/// One recorded exchange.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What it shows; unique in its file.
    pub name: String,
    /// The subject of the request; `None` only watches what the service does by itself.
    pub subject: Option<String>,
    /// The request's envelope.
    #[serde(default)]
    pub message: Option<Value>,
    /// The request's bytes, instead of `message`.
    #[serde(default)]
    pub raw: Option<String>,
    /// What the third party answers.
    pub upstream: ThirdParty,
    /// What other services answer, by subject.
    #[serde(default)]
    pub peers: Map<String, Value>,
    /// What came of it.
    pub expect: Expected,
    /// Other outcomes that are right.
    #[serde(default)]
    pub(super) accept: Vec<Alternative>,
    /// Only this beginning of the reply's body matters.
    #[serde(default)]
    pub text: Option<String>,
}

/// The third party during an exchange.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum ThirdParty {
    /// It answers by these rules.
    Rules(Vec<Rule>),
    /// `"down"`: it refuses connections.
    Down(DownWord),
}

/// The word `down`.
#[derive(Debug, Clone, Copy, Deserialize)]
pub enum DownWord {
    /// Refuses connections.
    #[serde(rename = "down")]
    Down,
}

/// The recorded outcome.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The reply's envelope, or `timeout`, or `no responders`; absent when nothing was asked.
    #[serde(default)]
    pub reply: Option<Value>,
    /// The calls that the third party received.
    pub upstream: Vec<RecordedCall>,
    /// The requests to other services.
    #[serde(default)]
    pub peers: Vec<RecordedRequest>,
    /// What Redis holds afterwards.
    #[serde(default)]
    pub redis: Kept,
    /// Whether the reply came through Redis.
    #[serde(default)]
    pub via_redis: bool,
}

/// What Redis holds, by key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub struct Kept {
    keys: Map<String, Value>,
    told: bool,
}

impl Kept {
    /// Whether the recording says that there is nothing, and not just nothing.
    pub fn is_nothing(&self) -> bool {
        self.told && self.keys.is_empty()
    }
}

impl From<Map<String, Value>> for Kept {
    fn from(keys: Map<String, Value>) -> Self {
        Self { keys, told: true }
    }
}

impl Deref for Kept {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.keys
    }
}

/// A call to the third party.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedCall {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, sorted.
    pub query: Vec<(String, String)>,
    /// The body: null, JSON, or `{"form": [[name, value], ..]}`.
    #[serde(default)]
    pub body: Value,
    /// Some headers.
    #[serde(default)]
    pub headers: Map<String, Value>,
}

/// A request to another service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedRequest {
    /// The subject.
    pub subject: String,
    /// The parameters.
    pub body: Value,
}

/// Parts of the outcome which may be otherwise.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alternative {
    #[serde(default)]
    pub(super) why: String,
    pub(super) status: Option<Statuses>,
    pub(super) reply: Option<Value>,
    pub(super) reply_of: Option<String>,
    pub(super) calls: Option<Calls>,
    pub(super) peers: Option<AnyWord>,
    pub(super) redis: Option<AnyWord>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(super) enum Statuses {
    One(i64),
    FromTo(i64, i64),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Calls {
    Number(usize),
    Compared(Comparison),
    These(Vec<RecordedCall>),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Comparison {
    Any,
    More,
    Fewer,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AnyWord {
    Any,
}

impl Exchange {
    /// The bytes of the request.
    pub fn payload(&self) -> Vec<u8> {
        match (&self.raw, &self.message) {
            (Some(raw), _) => raw.clone().into_bytes(),
            (None, Some(message)) => message.to_string().into_bytes(),
            (None, None) => Vec::new(),
        }
    }

    /// How the request travels; told by the name only.
    pub fn via(&self) -> Via {
        let name = self.name.to_lowercase();
        if name.contains("key missing") || name.contains("token is gone") {
            Via::LostToken
        } else if name.contains("prefix token") {
            Via::PrefixToken
        } else if name.contains("in redis") || name.contains("through redis") {
            Via::Token
        } else {
            Via::Size
        }
    }

    /// The id which the reply must echo; `None` when the request cannot be read, or is lost in Redis.
    pub(super) fn request_id(&self) -> Option<Value> {
        if self.via() == Via::LostToken {
            return None;
        }
        let from_raw = || serde_json::from_str(self.raw.as_deref()?).ok();
        let message = self.message.clone().or_else(from_raw)?;
        message.is_object().then(|| message.get("request_id").cloned().unwrap_or_default())
    }
}

/// The folder of the recordings: `$RECORDINGS_DIR`, or `../shared/recordings` beside the workspace.
///
/// # Errors
/// When there is none.
pub fn folder() -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("RECORDINGS_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => folders::workspace().context("no workspace found")?.join("../shared/recordings"),
    };
    anyhow::ensure!(
        folder.is_dir(),
        "no recordings in {}: set RECORDINGS_DIR to the folder with the recorded exchanges",
        folder.display()
    );
    Ok(folder)
}

/// The exchanges of a file.
///
/// # Errors
/// When it cannot be read, or has a field that the player does not know.
pub fn load(file: &Path) -> anyhow::Result<Vec<Exchange>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("not recordings: {}", file.display()))
}
