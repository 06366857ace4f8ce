//! The connection to NATS: how it is made, whether it stands, and leaving a server that is about to stop.
//!
//! async-nats reconnects by itself; this file adds what it leaves open (nats.md, "Pitfalls"): a [`Status`] others can
//! wait for, so that nothing is queued while disconnected; back-off with jitter; moving away from a server in lame
//! duck mode; and the client's own state is looked at every quarter of a second besides, should an event be lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State as ClientState;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use secrecy::ExposeSecret;
use tokio::sync::watch;

use crate::events::{Errors, Events};
use crate::metrics::Metrics;
use crate::options::NatsOptions;
use crate::quiet::Quiet;
use crate::{ConnectError, State};

/// How long one attempt to connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often lost events are made up for.
const CHECK_EVERY: Duration = Duration::from_millis(250);
/// Messages of one subscription that may wait inside the client. Our own bounds apply long before.
const SUBSCRIPTION_CAPACITY: usize = 65_536;

/// What is known about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: State,
    /// Grows with each new connection.
    pub(crate) generation: u64,
    /// New requests wait: the connection is about to move to another server.
    pub(crate) held: bool,
}

impl Status {
    fn usable(self) -> bool {
        self.state == State::Connected && !self.held
    }
}

/// The bus is closed; nothing will be sent any more.
#[derive(Debug)]
pub(crate) struct Closed;

pub(crate) struct Link {
    pub(crate) client: Client,
    status: watch::Sender<Status>,
    state: watch::Sender<State>,
    headers: AtomicBool,
    moving: AtomicBool,
    /// Whether a certificate authority was given, so that TLS is a must.
    ca_file: bool,
}

impl Link {
    /// Starts connecting. Of the events somebody has to act on some: [`Self::supervise`].
    pub(crate) async fn open(
        service: &str,
        options: &NatsOptions,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Arc<Events>), ConnectError> {
        let servers = servers(&options.servers)?;
        let events = Arc::new(Events::new(metrics));
        let noted = Arc::clone(&events);
        let connect = ConnectOptions::new()
            .name(service)
            .retry_on_initial_connect()
            .max_reconnects(None)
            .connection_timeout(CONNECT_WITHIN)
            .ping_interval(options.ping_interval)
            .request_timeout(None)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .reconnect_delay_callback(pause)
            .event_callback(move |event| {
                noted.note(event);
                std::future::ready(())
            });
        let connect = authenticated(connect, options).await?;
        let client = connect
            .connect(servers)
            .await
            .map_err(|error| ConnectError::Option { option: "NATS_SERVER1", reason: error.to_string() })?;
        let link = Self {
            client,
            status: watch::Sender::new(Status { state: State::Connecting, generation: 0, held: false }),
            state: watch::Sender::new(State::Connecting),
            headers: AtomicBool::new(false),
            moving: AtomicBool::new(false),
            ca_file: options.ca_file.is_some(),
        };
        link.refresh();
        Ok((link, events))
    }

    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Whether a message that is handed over now goes out now.
    pub(crate) fn usable(&self) -> bool {
        self.status.borrow().usable() && self.client.connection_state() == ClientState::Connected
    }

    /// Whether there is a connection, also one that new requests wait for.
    pub(crate) fn connected(&self) -> bool {
        self.status.borrow().state == State::Connected
            && self.client.connection_state() == ClientState::Connected
    }

    /// Resolves when the connection can be used for a new request, at once if it can.
    pub(crate) async fn wait_usable(&self) -> Result<(), Closed> {
        self.wait(Status::usable).await
    }

    /// Resolves when there is a connection, also one that new requests wait for.
    pub(crate) async fn wait_connected(&self) -> Result<(), Closed> {
        self.wait(|status| status.state == State::Connected).await
    }

    async fn wait(&self, good: impl Fn(Status) -> bool) -> Result<(), Closed> {
        let present = *self.status.borrow();
        if good(present) && self.client.connection_state() == ClientState::Connected {
            return Ok(());
        }
        let mut status = self.status.subscribe();
        loop {
            let wanted = status.wait_for(|status| good(*status) || status.state == State::Closed).await;
            let state = wanted.map_err(|_| Closed)?.state;
            if state == State::Closed {
                return Err(Closed);
            }
            if self.client.connection_state() == ClientState::Connected {
                return Ok(());
            }
            // The client knows already that the connection is gone; here it will be known in a moment.
            status.changed().await.map_err(|_| Closed)?;
        }
    }

    /// The number of the present connection.
    pub(crate) fn generation(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Resolves when the connection `generation` is no longer the present one.
    pub(crate) async fn lost(&self, generation: u64) {
        let mut status = self.status.subscribe();
        let _ = status
            .wait_for(|status| status.generation > generation || status.state != State::Connected)
            .await;
    }

    /// Whether the connection `generation` is no longer the present one.
    pub(crate) fn was_lost(&self, generation: u64) -> bool {
        self.generation() != generation || self.client.connection_state() != ClientState::Connected
    }

    /// Whether the server understands headers. A 2.1 server ends the connection when it sees one.
    pub(crate) fn headers(&self) -> bool {
        self.headers.load(Ordering::Relaxed)
    }

    /// Begins to move to another server; `false` when that is going on already.
    pub(crate) fn begin_move(&self) -> bool {
        !self.moving.swap(true, Ordering::Relaxed)
    }

    /// The move has ended.
    pub(crate) fn end_move(&self) {
        self.moving.store(false, Ordering::Relaxed);
    }

    /// Makes new requests wait (or go on).
    pub(crate) fn hold(&self, held: bool) {
        self.status.send_modify(|status| status.held = held);
    }

    /// Ends the connection for good.
    pub(crate) async fn close(&self) {
        self.status.send_modify(|status| status.state = State::Closed);
        self.state.send_replace(State::Closed);
        let _ = tokio::time::timeout(Duration::from_secs(1), self.client.drain()).await;
    }

    /// Brings [`Status`] up to date with the client.
    pub(crate) fn refresh(&self) {
        let info = self.client.try_server_info();
        if let Some(info) = &info {
            self.headers.store(info.headers, Ordering::Relaxed);
        }
        let generation = self.generation();
        let state = match self.client.connection_state() {
            ClientState::Connected if info.is_some() => State::Connected,
            ClientState::Disconnected => State::Disconnected,
            ClientState::Connected | ClientState::Pending => State::Connecting,
        };
        self.status.send_if_modified(|status| {
            if status.state == State::Closed || (status.state == state && status.generation == generation) {
                return false;
            }
            status.state = state;
            status.generation = generation;
            true
        });
        self.state.send_if_modified(|known| {
            let changed = *known != State::Closed && *known != state;
            if changed {
                *known = state;
            }
            changed
        });
    }

    /// Follows the client's events until `stop`; calls `leave` when the server announces that it is going to stop.
    pub(crate) async fn supervise(&self, events: &Events, metrics: &Metrics, leave: impl Fn()) {
        let mut check = tokio::time::interval(CHECK_EVERY);
        check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (slow, trouble) = (Quiet::default(), Quiet::default());
        let mut connections = self.generation();
        let mut logged = *self.state.borrow();
        let mut dropped = metrics.slow_consumer_drops.get();
        loop {
            tokio::select! {
                () = events.came() => {}
                _ = check.tick() => {}
            }
            self.refresh();
            if events.take_connected() {
                // The event comes a moment before the client itself knows.
                for _ in 0..50 {
                    if self.status.borrow().state != State::Connecting {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    self.refresh();
                }
            }
            let generation = self.generation();
            metrics.reconnects.inc_by(generation.saturating_sub(connections.max(1)));
            connections = generation;
            let state = *self.state.borrow();
            if state != logged {
                match state {
                    State::Connected => tracing::info!("connected to NATS"),
                    State::Disconnected => tracing::warn!("connection to NATS lost, reconnecting"),
                    State::Connecting | State::Closed => {}
                }
                logged = state;
            }
            let drops = metrics.slow_consumer_drops.get();
            if drops > dropped
                && let Some(count) = slow.count_all(drops - dropped)
            {
                tracing::error!(count, "messages dropped: this process reads too slowly");
            }
            dropped = drops;
            if events.take_lame_duck() {
                tracing::warn!("the NATS server is going to stop");
                leave();
            }
            let Errors { count, last } = events.take_errors();
            if let Some(error) = last
                && let Some(count) = trouble.count_all(count)
            {
                self.log(&error, count);
            }
        }
    }

    /// Logs an error, which stands for `count` of them.
    fn log(&self, error: &Event, count: u64) {
        match error {
            Event::ServerError(error) => tracing::warn!(%error, count, "NATS reports an error"),
            Event::ClientError(error) => {
                let settings = settings_behind(&error.to_string(), self.ca_file);
                tracing::warn!(%error, count, "cannot connect to NATS, trying again: check {settings}");
            }
            _ => {}
        }
    }

    /// Whether there is another server to go to.
    pub(crate) async fn has_alternative(&self) -> bool {
        let pool = tokio::time::timeout(Duration::from_secs(1), self.client.server_pool()).await;
        matches!(pool, Ok(Ok(servers)) if servers.len() > 1)
    }
}

fn servers(urls: &[String]) -> Result<Vec<ServerAddr>, ConnectError> {
    let servers = urls
        .iter()
        .flat_map(|entry| entry.split(','))
        .map(str::trim)
        .filter(|url| !url.is_empty())
        .map(|url| {
            // The URL may hold a password, so the message does not repeat it.
            url.parse::<ServerAddr>().map_err(|error| ConnectError::Option {
                option: "NATS_SERVER1",
                reason: format!("not a NATS URL such as nats://nats.example.com:4222 ({error})"),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() {
        return Err(ConnectError::Option { option: "NATS_SERVER1", reason: "no server given".to_owned() });
    }
    Ok(servers)
}

async fn authenticated(
    mut connect: ConnectOptions,
    options: &NatsOptions,
) -> Result<ConnectOptions, ConnectError> {
    if let Some(file) = &options.creds_file {
        connect = connect.credentials_file(file).await.map_err(|error| ConnectError::Option {
            option: "NATS_CREDS_FILE",
            reason: format!("cannot read {}: {error}", file.display()),
        })?;
    }
    if let Some(user) = &options.user {
        let password = options.password.as_ref().map(|password| password.expose_secret().to_owned());
        connect = connect.user_and_password(user.clone(), password.unwrap_or_default());
    }
    if let Some(file) = &options.ca_file {
        if !file.is_file() {
            return Err(ConnectError::Option {
                option: "NATS_CA_FILE",
                reason: format!("there is no file {}", file.display()),
            });
        }
        connect = connect.add_root_certificates(file.clone()).require_tls(true);
    }
    Ok(connect)
}

/// The settings that stand behind a failure to connect. The client tells a certificate that it does not trust from a
/// server that is gone by nothing: both are an `IO error`.
fn settings_behind(error: &str, ca_file: bool) -> &'static str {
    let error = error.to_lowercase();
    if ["authorization", "authentication"].iter().any(|word| error.contains(word)) {
        "NATS_USER and NATS_PASSWORD, or NATS_CREDS_FILE"
    } else if error.contains("tls") || (ca_file && error.contains("io error")) {
        "NATS_CA_FILE, that NATS_SERVER1 is the name in the server's certificate, and that the server runs"
    } else {
        "NATS_SERVER1, and that the server runs"
    }
}

/// The pause before attempt number `attempt`: 0.1 s doubling up to [`LONGEST_PAUSE`], each shortened at random by up to
/// half so that a fleet does not come back in step.
fn pause(attempt: usize) -> Duration {
    if attempt <= 1 {
        return Duration::from_millis(rand::random_range(0..50));
    }
    let exponent = u32::try_from(attempt - 2).unwrap_or(u32::MAX).min(10);
    let longest = Duration::from_millis(100).saturating_mul(1 << exponent).min(LONGEST_PAUSE);
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_separated_list_of_servers_is_accepted() {
        let urls = ["nats://a:4222, nats://b:4223".to_owned(), "c".to_owned()];
        let hosts: Vec<_> = servers(&urls).unwrap().iter().map(|server| server.host().to_owned()).collect();
        assert_eq!(hosts, ["a", "b", "c"]);
    }

    #[test]
    fn a_url_that_is_none_is_named_without_repeating_it() {
        let error = servers(&["nats://user:secret@:bad port".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("NATS_SERVER1") && !error.contains("secret"), "{error}");
        assert!(servers(&[" , ".to_owned()]).is_err());
    }

    #[test]
    fn a_failure_to_connect_names_the_settings_behind_it() {
        assert!(settings_behind("authorization violation", false).contains("NATS_PASSWORD"));
        assert!(settings_behind("TLS error", false).contains("NATS_CA_FILE"));
        assert!(settings_behind("IO error", false).contains("NATS_SERVER1"));
        assert!(settings_behind("IO error", true).contains("NATS_CA_FILE"));
    }

    #[test]
    fn pauses_grow_to_ten_seconds_and_never_beyond() {
        for attempt in 0..200 {
            assert!(pause(attempt) <= LONGEST_PAUSE);
        }
        assert!(pause(1) < Duration::from_millis(50));
        assert!(pause(50) >= LONGEST_PAUSE / 2);
    }
}
