//! The subjects of the notifier (spec `notifier`): messages to people, and mailbox reads.
//!
//! Slack and e-mail carry their data beside `request_id` ([`TopLevel`](crate::Carrier::TopLevel)) and their replies have no `body`; the
//! later revision's senders put the same data under `body`, which is read as well (top level first). The others use
//! `body` as every subject does.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::IgnoredAny};
use serde_json::{Map, Value};

use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, json};

/// The queue group of every notifier subject. Joining under another name would deliver each message twice.
const QUEUE: &str = "notifier";

subjects! {
    /// `notification.slack.request`: posts a text to the operator's channel.
    SendSlack: "notification.slack.request", Write, wait 10, answer 8,
        SlackRequest => Delivered, carrier TopLevel;

    /// `notification.email.request`: sends one mail from the delivery account.
    SendEmail: "notification.email.request", Write, wait 60, answer 50,
        EmailRequest => Delivered, carrier TopLevel;

    /// `get.email.request`: the unread mails of some senders in one of the configured mailboxes.
    ReadMailbox: "get.email.request", Read, wait 90, answer 80, MailboxRequest => Vec<MailboxMessage>;

    /// `mark.email.read.request`: marks one mail of a mailbox as read.
    MarkEmailRead: "mark.email.read.request", Write, wait 90, answer 80, MarkReadRequest => Value;

    /// `notification.sms.request`: sends one SMS. Served only where the provider's settings are present.
    SendSms: "notification.sms.request", Write, wait 60, answer 50, SmsRequest => SmsReply;
}

/// The (absent) body of a successful Slack or e-mail reply. Reads from anything, so that no peer's reply is unreadable.
///
/// The existing notifier answers Slack with a *text* as status, which counts as failure: requesters ignore the outcome
/// of [`SendSlack`] beyond a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered;

impl Serialize for Delivered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Delivered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Parameters of [`SendSlack`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlackRequest {
    /// The text, complete with the sender's prefix (`[service-name] `).
    pub message: String,
}

impl SlackRequest {
    /// A request to post `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl Request for SlackRequest {
    /// `message` may be any JSON value but null: what is no text is rendered as text.
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        match top_level_or_body(incoming, "message") {
            None | Some(Value::Null) => Err(Rejected::null()),
            Some(message) => Ok(Self { message: display(&message) }),
        }
    }
}

/// Parameters of [`SendEmail`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EmailRequest {
    /// The mail.
    pub email_data: EmailData,
}

/// A mail to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmailData {
    /// Addresses separated by commas (`, ` for the existing notifier).
    pub recipient: String,
    /// Subject, one line.
    pub subject: String,
    /// The text alternative; may be empty.
    pub text: String,
    /// The HTML body; refers to images as `cid:<name>`.
    pub html: String,
    /// Images shown in the HTML; the name is the content id.
    pub images: Vec<EmailFile>,
    /// Attached files; the name is the file name.
    pub attachments: Vec<EmailFile>,
}

/// An image or attachment of a mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmailFile {
    /// Content id of an image, file name of an attachment.
    pub name: String,
    /// The content in base64.
    pub data: String,
}

impl From<EmailData> for EmailRequest {
    fn from(email_data: EmailData) -> Self {
        Self { email_data }
    }
}

impl Request for EmailRequest {
    /// Missing fields and line breaks in header values: 400. `email_data` null, `""` or no object, and fields of the
    /// wrong type: 500, as the existing deployment answers. Replies never have a body.
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let Some(data) = top_level_or_body(incoming, "email_data") else { return Err(Rejected::null()) };
        let Value::Object(mut fields) = data else { return Err(undeliverable()) };
        let email_data = EmailData {
            recipient: header(required(&mut fields, "recipient")?)?,
            subject: header(required(&mut fields, "subject")?)?,
            html: required(&mut fields, "html")?,
            text: match fields.remove("text") {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text,
                Some(_) => return Err(undeliverable()),
            },
            images: files(fields.remove("images"))?,
            attachments: files(fields.remove("attachments"))?,
        };
        Ok(Self { email_data })
    }
}

/// A mail that cannot be delivered as it is (spec `notifier`, "Serves" 2).
fn undeliverable() -> Rejected {
    Rejected { status: 500, body: Value::Null }
}

fn required(fields: &mut Map<String, Value>, name: &str) -> Result<String, Rejected> {
    match fields.remove(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(undeliverable()),
        None => Err(Rejected::null()),
    }
}

/// Refuses text that would smuggle further headers into the mail (spec `notifier`, Improve 11).
fn header(text: String) -> Result<String, Rejected> {
    if text.contains(['\r', '\n']) { Err(Rejected::null()) } else { Ok(text) }
}

fn files(list: Option<Value>) -> Result<Vec<EmailFile>, Rejected> {
    let items = match list {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(undeliverable()),
    };
    items
        .into_iter()
        .map(|item| match item {
            Value::Object(mut fields) => Ok(EmailFile {
                name: header(required(&mut fields, "name")?)?,
                data: required(&mut fields, "data")?,
            }),
            _ => Err(undeliverable()),
        })
        .collect()
}

/// Parameters of [`ReadMailbox`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MailboxRequest {
    /// One of the configured mailboxes.
    pub email_account: String,
    /// A list of sender addresses; each matches parts of the From header. Empty: nothing is found.
    pub email_filter: Value,
    /// How many days to look back, whole days: 1 (the default) reads everything since yesterday 00:00.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup_days: Option<Value>,
    /// At most so many mails for each entry of `email_filter`, the oldest first. Absent or null: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_messages: Option<Value>,
}

/// Which mails of a mailbox are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The entries of the filter. What cannot be searched for is among them: it finds nothing.
    pub senders: Vec<String>,
    /// How many days to look back.
    pub lookup_days: u32,
    /// At most so many mails for each sender, the oldest first.
    pub max_messages: Option<usize>,
}

impl MailboxRequest {
    /// A request for the mails of these senders since yesterday.
    pub fn new(email_account: impl Into<String>, email_filter: Vec<String>) -> Self {
        Self { email_account: email_account.into(), email_filter: email_filter.into(), ..Self::default() }
    }

    /// Which mails are wanted.
    ///
    /// # Errors
    /// [`Rejected`] when filter or options are of the wrong kind.
    pub fn wanted(&self) -> Result<Wanted, Rejected> {
        let senders = senders(&self.email_filter)?;
        let days = whole_number(self.lookup_days.as_ref(), "lookup_days", MAX_LOOKUP_DAYS)?;
        let messages = whole_number(self.max_messages.as_ref(), "max_messages", u64::MAX)?;
        Ok(Wanted {
            senders,
            lookup_days: days.and_then(|days| u32::try_from(days).ok()).unwrap_or(1),
            max_messages: messages.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
        })
    }
}

const NO_BODY: &str = r#"Must include "body" in request"#;
const NO_MAILBOX_FIELDS: &str =
    r#"You must include "email_account" and "email_filter" in the "body" field of the response request"#;
const NO_MARK_FIELDS: &str =
    r#"You must include "msg_uid" and "email_account" in the "body" field of the response request"#;

/// Ten years: more is a caller's mistake, and would leave the calendar sooner or later.
const MAX_LOOKUP_DAYS: u64 = 3_650;

impl Request for MailboxRequest {
    /// An unknown mailbox is refused before anything is said about the kind of the other fields: these stay as they came
    /// until somebody asks what is [`wanted`](MailboxRequest::wanted).
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let mut body = body_with(incoming, ["email_account", "email_filter"], NO_MAILBOX_FIELDS)?;
        Ok(Self {
            email_account: display(&body.remove("email_account").unwrap_or_default()),
            email_filter: body.remove("email_filter").unwrap_or_default(),
            lookup_days: body.remove("lookup_days"),
            max_messages: body.remove("max_messages"),
        })
    }
}

/// The entries of a filter. A text in place of a list is taken character by character, as in the existing deployment,
/// each of them once: what they find is one set.
fn senders(filter: &Value) -> Result<Vec<String>, Rejected> {
    let bad = || Rejected::text(r#""email_filter" must be a list of sender addresses"#);
    match filter {
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(bad)).collect()
        }
        Value::String(text) => {
            let characters: BTreeSet<char> = text.chars().collect();
            Ok(characters.into_iter().map(String::from).collect())
        }
        _ => Err(bad()),
    }
}

fn whole_number(value: Option<&Value>, name: &str, most: u64) -> Result<Option<u64>, Rejected> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().filter(|number| *number <= most) {
            Some(number) => Ok(Some(number)),
            None => Err(Rejected::text(format!(r#""{name}" must be a whole number, not negative"#))),
        },
    }
}

/// One mail, in the reply of [`ReadMailbox`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailboxMessage {
    /// The full raw message as text, lines ended by `\n`. `None` where an old notifier could not read it.
    pub message: Option<String>,
    /// The decoded subject, on one line; empty when there is none.
    #[serde(deserialize_with = "lenient_text")]
    pub subject: String,
    /// The plain text; empty for mails that are HTML only.
    #[serde(deserialize_with = "lenient_text")]
    pub body: String,
    /// The mail's UID in the "All Mail" folder, for [`MarkEmailRead`].
    #[serde(deserialize_with = "lenient_text")]
    pub msg_uid: String,
}

fn lenient_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => String::new(),
        value => display(&value),
    })
}

/// Parameters of [`MarkEmailRead`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MarkReadRequest {
    /// UID of the mail, as [`MailboxMessage::msg_uid`] gave it.
    pub msg_uid: String,
    /// The mailbox it was read from.
    pub email_account: String,
}

impl Request for MarkReadRequest {
    /// `msg_uid` may be a number. What is no UID at all passes here: the subject answers 500 for it, not 400.
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let body = body_with(incoming, ["msg_uid", "email_account"], NO_MARK_FIELDS)?;
        let text = |name| body.get(name).map(display).unwrap_or_default();
        Ok(Self { msg_uid: text("msg_uid"), email_account: text("email_account") })
    }
}

/// Parameters of [`SendSms`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SmsRequest {
    /// Digits with country code, without `+`.
    pub sms_to: String,
    /// The text.
    pub sms_data: String,
}

impl Request for SmsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let body = incoming.body_object().ok_or_else(Rejected::null)?;
        let sms_to = match body.get("sms_to") {
            Some(Value::String(number)) => number.trim().trim_start_matches('+').to_owned(),
            Some(Value::Number(number)) if number.is_u64() => number.to_string(),
            _ => return Err(Rejected::null()),
        };
        match body.get("sms_data") {
            Some(Value::String(text)) if !text.is_empty() && !sms_to.is_empty() => {
                Ok(Self { sms_to, sms_data: text.clone() })
            }
            _ => Err(Rejected::null()),
        }
    }
}

/// What the SMS provider answered. The reply's own status is the provider's, so that a refusal is no success.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmsReply {
    /// The provider's HTTP status.
    pub status: u16,
    /// What the provider answered: the JSON of a success, the text of a refusal (or of a success that is no JSON).
    pub body: Value,
}

/// A field beside `request_id`, else the same field inside an object `body` (the later revision's envelope).
fn top_level_or_body(incoming: &Incoming<'_>, name: &str) -> Option<Value> {
    match incoming.field(name) {
        Some(raw) => serde_json::from_str(raw.get()).ok(),
        None => incoming.body_object()?.remove(name),
    }
}

/// The `body` with all of `fields`: present is enough, null counts as present, as in the existing deployment.
fn body_with(
    incoming: &Incoming<'_>,
    fields: [&str; 2],
    missing: &str,
) -> Result<Map<String, Value>, Rejected> {
    match incoming.body() {
        None => Err(Rejected::text(NO_BODY)),
        Some(raw) if raw.get() == "null" => Err(Rejected::text(NO_BODY)),
        Some(raw) => json::object(raw)
            .filter(|body| fields.iter().all(|name| body.contains_key(*name)))
            .ok_or_else(|| Rejected::text(missing)),
    }
}

/// A JSON value as the existing deployment shows it in texts: `['a', 1]`, `{'a': None}`, `True`. Texts as they are.
fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => nested(other),
    }
}

fn nested(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(nested).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{}: {}", quoted(name), nested(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
    if text.contains('\'') && !text.contains('"') {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', "\\'"))
    }
}
