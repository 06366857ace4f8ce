//! Sending calls to Bruin.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bus::Reply;
use bytes::Bytes;
use contracts::Effect;
use http::{HeaderMap, Method, header};
use prometheus::{IntCounterVec, Opts, Registry};
use runtime::Context;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use upstream::{Call, CallError, Coalesce, Response, Upstream};
use url::Url;

use crate::config::Config;
use crate::login::BruinLogin;

/// Bruin's REST API. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bruin(Arc<Inner>);

struct Inner {
    upstream: Upstream,
    base_url: Url,
    system_user: String,
    dry_run: bool,
    reads: Coalesce<Reply>,
    /// Counts the writes that are over: a read which came after one never shares a call that began before it.
    writes: AtomicU64,
    started: Instant,
}

/// No call takes longer; the subjects' own deadlines are shorter (spec, Improve 5).
const LONGEST_CALL: Duration = Duration::from_secs(80);
/// Sent with every call, GETs included, as the existing deployment does.
const CONTENT_TYPE: &str = "application/json-patch+json";
const CACHE_CONTROL: &str = "no-cache, no-store, no-transform, max-age=0, only-if-cached";

impl Bruin {
    pub(crate) fn new(ctx: &Context, config: Config) -> anyhow::Result<Self> {
        let usage = ApiUsage::register(&ctx.metrics).context("metrics of Bruin's API")?;
        let settings = upstream::Settings {
            overrides: ctx.process.overrides.clone(),
            timeout: LONGEST_CALL,
            in_flight: config.in_flight,
            // Slow reads must not starve writes (spec, Improve 11).
            kept_for_writes: config.in_flight / 4,
            verify_tls: config.verify_tls,
            // The login is another server's, and gets the secret.
            always_verify_login: true,
            ca_file: config.ca_file,
            follow_redirects: true,
            ..upstream::Settings::new("bruin", config.base_url.clone())
        };
        let login = BruinLogin {
            url: config.login_url,
            client_id: config.client_id,
            client_secret: config.client_secret,
            usage: usage.clone(),
        };
        let upstream = Upstream::new(settings, login, &ctx.metrics)?;
        upstream.on_answer(move |answer| usage.count(answer.method, answer.route, answer.status));
        Ok(Self(Arc::new(Inner {
            upstream,
            base_url: config.base_url,
            system_user: config.system_user,
            dry_run: ctx.process.is_dry_run(),
            reads: Coalesce::new(),
            writes: AtomicU64::new(0),
            started: Instant::now(),
        })))
    }

    /// Waits a moment for the first token.
    pub(crate) fn first_login(&self) -> impl Future<Output = ()> + Send {
        self.0.upstream.first_login()
    }

    /// Keeps a token until `stop`.
    pub(crate) fn login_in_background(
        &self,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let upstream = self.0.upstream.clone();
        async move { upstream.login_in_background(stop).await }
    }

    pub(crate) fn logged_in(&self) -> bool {
        self.0.upstream.logged_in()
    }

    /// The system's user name in Bruin.
    pub(crate) fn system_user(&self) -> &str {
        &self.0.system_user
    }

    /// The full URL of a path.
    pub(crate) fn url_of(&self, path: &str) -> String {
        format!("{}{path}", self.0.base_url.as_str().trim_end_matches('/'))
    }

    /// Sends a call that changes nothing.
    pub(crate) fn read(
        &self,
        call: Call,
        deadline: Instant,
    ) -> impl Future<Output = Result<Response, CallError>> + Send {
        self.send(call.read(), deadline)
    }

    /// Sends a call that changes nothing and on which a write waits, so it may have the places kept for writes. That it
    /// counts as a write has no other consequence: no call is repeated by [`Upstream`] here.
    pub(crate) fn look_up(
        &self,
        call: Call,
        deadline: Instant,
    ) -> impl Future<Output = Result<Response, CallError>> + Send {
        self.send(call.write(), deadline)
    }

    /// Sends a call that changes something. In dry-run mode `accepted` is the answer and nothing is sent.
    pub(crate) async fn write(
        &self,
        call: Call,
        deadline: Instant,
        accepted: impl FnOnce() -> Value,
    ) -> Result<Response, CallError> {
        if !self.0.dry_run {
            return self.send(call.write(), deadline).await;
        }
        tracing::info!(route = call.route_name(), "dry-run: not sent to Bruin");
        let body = Bytes::from(accepted().to_string());
        Ok(Response { status: 200, headers: HeaderMap::new(), body, session_refused: false })
    }

    /// Either of both, by the subject's effect.
    pub(crate) async fn send_as(
        &self,
        effect: Effect,
        call: Call,
        deadline: Instant,
        accepted: impl FnOnce() -> Value,
    ) -> Result<Response, CallError> {
        match effect {
            Effect::Read => self.read(call, deadline).await,
            Effect::Write => self.write(call, deadline, accepted).await,
        }
    }

    async fn send(&self, call: Call, deadline: Instant) -> Result<Response, CallError> {
        let route = call.route_name();
        let call = call
            .constant_header(header::CONTENT_TYPE, CONTENT_TYPE)
            .constant_header(header::CACHE_CONTROL, CACHE_CONTROL)
            .form_query();
        let answer = self.0.upstream.send(call.until(deadline)).await;
        match &answer {
            Ok(response) if response.is_success() => {}
            Ok(response) => tracing::warn!(route, status = response.status, "Bruin refused"),
            Err(error) => tracing::warn!(route, %error, "no answer from Bruin"),
        }
        answer
    }

    /// Lets identical reads in flight share one piece of work (spec, Improve 12). Shared are only reads whose deadlines
    /// lie in the same second, and never across the end of a write: callers write a note and read it back.
    pub(crate) async fn shared<W>(
        &self,
        mut question: String,
        deadline: Instant,
        work: impl FnOnce() -> W,
    ) -> Reply
    where
        W: Future<Output = Reply> + Send + 'static,
    {
        let second = deadline.saturating_duration_since(self.0.started).as_secs();
        let writes = self.0.writes.load(Ordering::Acquire);
        // A `String` takes everything that is written to it.
        let _ = write!(question, " {second} {writes}");
        self.0.reads.run(question, work).await
    }

    /// A write is over, whatever its outcome.
    pub(crate) fn written(&self) {
        self.0.writes.fetch_add(1, Ordering::Release);
    }
}

/// The metric which dashboards sum over: `bruin_api_usage_total`, once for each HTTP answer, login included.
#[derive(Clone)]
pub(crate) struct ApiUsage(IntCounterVec);

impl ApiUsage {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let options = Opts::new("bruin_api_usage_total", "Answers of Bruin by method, endpoint and status");
        let counter = IntCounterVec::new(options, &["method", "endpoint_", "response_status"])?;
        registry.register(Box::new(counter.clone()))?;
        Ok(Self(counter))
    }

    /// Counts an answer, or with `None` that there was none.
    pub(crate) fn count(&self, method: &Method, route: &str, status: Option<u16>) {
        let status = status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        self.0.with_label_values(&[method.as_str(), &endpoint(route), &status]).inc();
    }
}

/// The label of a route: every place for an id reads `{id}`, no slash at the end.
fn endpoint(route: &str) -> Cow<'_, str> {
    if !route.contains('{') {
        return Cow::Borrowed(route.trim_end_matches('/'));
    }
    let mut label = String::with_capacity(route.len());
    let mut rest = route.trim_end_matches('/');
    while let Some((before, place)) = rest.split_once('{') {
        label.push_str(before);
        label.push_str("{id}");
        rest = place.split_once('}').map_or("", |(_, after)| after);
    }
    label.push_str(rest);
    Cow::Owned(label)
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn endpoints_hold_no_ids() {
        for (route, label) in [
            ("/api/Ticket/{ticket_id}/details/{detail_id}/status", "/api/Ticket/{id}/details/{id}/status"),
            ("/api/Ticket/{ticket_id}", "/api/Ticket/{id}"),
            ("/api/Ticket/", "/api/Ticket"),
            ("/identity/connect/token", "/identity/connect/token"),
        ] {
            assert_eq!(endpoint(route), label);
        }
    }
}
