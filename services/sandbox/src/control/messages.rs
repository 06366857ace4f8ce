//! What was sent to people and devices, and mail for the mailboxes.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Problem;
use crate::Simulation;
use crate::world::outbox::{Kept, Mail, Outbox, Reboot, SlackMessage, Sms};

/// How many to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Limit {
    /// At most so many of each kind, default 100.
    limit: Option<usize>,
}

/// What was sent; lists are newest first, totals count also what is no longer kept.
#[derive(Serialize, ToSchema)]
pub(super) struct OutboxView {
    /// Number of mails.
    mails_total: u64,
    /// Mails.
    mails: Vec<Mail>,
    /// Number of Slack messages.
    slack_total: u64,
    /// Slack messages.
    slack: Vec<SlackMessage>,
    /// Number of SMS.
    sms_total: u64,
    /// SMS.
    sms: Vec<Sms>,
    /// Number of reboots asked for.
    reboots_total: u64,
    /// Reboots asked for.
    reboots: Vec<Reboot>,
}

fn newest<T: Clone>(kept: &Kept<T>, limit: usize) -> Vec<T> {
    kept.iter().rev().take(limit).cloned().collect()
}

/// What was sent.
#[utoipa::path(get, path = "/control/outbox", tag = "messages", params(Limit), responses((status = 200, body = OutboxView)))]
pub(super) async fn outbox(
    State(simulation): State<Simulation>,
    Query(limit): Query<Limit>,
) -> Json<OutboxView> {
    let limit = limit.limit.unwrap_or(100);
    Json(simulation.world.read_outbox(|outbox| OutboxView {
        mails_total: outbox.mails.total(),
        mails: newest(&outbox.mails, limit),
        slack_total: outbox.slack.total(),
        slack: newest(&outbox.slack, limit),
        sms_total: outbox.sms.total(),
        sms: newest(&outbox.sms, limit),
        reboots_total: outbox.reboots.total(),
        reboots: newest(&outbox.reboots, limit),
    }))
}

/// Forgets what was sent.
#[utoipa::path(delete, path = "/control/outbox", tag = "messages", responses((status = 204)))]
pub(super) async fn forget(State(simulation): State<Simulation>) -> StatusCode {
    simulation.world.with_outbox("mail", Outbox::clear);
    StatusCode::NO_CONTENT
}

/// A mail as it was received.
#[utoipa::path(
    get, path = "/control/outbox/mails/{number}", tag = "messages",
    responses((status = 200, content_type = "message/rfc822", body = String), (status = 404, body = Problem)),
)]
pub(super) async fn raw_mail(
    State(simulation): State<Simulation>,
    Path(number): Path<u64>,
) -> Result<Response, Problem> {
    let raw = simulation.world.read_outbox(|outbox| {
        outbox.mails.iter().find(|mail| mail.number == number).map(|mail| mail.raw.clone())
    });
    let raw = raw.ok_or_else(|| Problem::unknown(format!("no mail {number}")))?;
    Ok(([(header::CONTENT_TYPE, "message/rfc822")], raw).into_response())
}

/// A mailbox.
#[derive(Serialize, ToSchema)]
pub(super) struct MailboxView {
    /// The account.
    account: String,
    /// Its mails, oldest first.
    mails: Vec<MailboxMail>,
}

/// A mail in a mailbox.
#[derive(Serialize, ToSchema)]
pub(super) struct MailboxMail {
    /// IMAP UID.
    uid: u32,
    /// Arrival.
    at: DateTime<Utc>,
    /// Whether it was read.
    seen: bool,
    /// Size in bytes.
    size: usize,
}

/// The mailboxes that the IMAP server shows.
#[utoipa::path(get, path = "/control/mailboxes", tag = "messages", responses((status = 200, body = Vec<MailboxView>)))]
pub(super) async fn mailboxes(State(simulation): State<Simulation>) -> Json<Vec<MailboxView>> {
    Json(simulation.world.with_mailboxes(|mailboxes| {
        let view = |(account, mailbox): (&str, &crate::world::mailbox::Mailbox)| MailboxView {
            account: account.to_owned(),
            mails: mailbox
                .mails
                .iter()
                .map(|mail| MailboxMail { uid: mail.uid, at: mail.at, seen: mail.seen, size: mail.raw.len() })
                .collect(),
        };
        mailboxes.accounts().map(view).collect()
    }))
}

/// The new mail.
#[derive(Serialize, ToSchema)]
pub(super) struct Delivered {
    /// Its IMAP UID.
    uid: u32,
}

/// Puts a mail into a mailbox; the body is the whole message (headers, blank line, content).
#[utoipa::path(
    post, path = "/control/mailboxes/{account}", tag = "messages",
    request_body(content = String, content_type = "message/rfc822"),
    responses((status = 200, body = Delivered), (status = 404, body = Problem)),
)]
pub(super) async fn deliver(
    State(simulation): State<Simulation>,
    Path(account): Path<String>,
    message: String,
) -> Result<Json<Delivered>, Problem> {
    let now = simulation.world.now();
    let uid = simulation.world.with_mailboxes(|mailboxes| mailboxes.deliver(&account, now, &message));
    uid.map(|uid| Json(Delivered { uid })).ok_or_else(|| Problem::unknown(format!("no mailbox {account}")))
}
