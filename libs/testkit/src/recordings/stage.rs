//! Servers, stubs and a requester: everything around the service whose recordings are played.

use std::{
    collections::BTreeSet,
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use parking_lot::Mutex;
use redis::{AsyncCommands, RedisResult};
use runtime::{Clock, Environment, Hosted, Runnable};
use serde_json::{Value, json};

use super::{
    compare::{Outcome, mismatches},
    exchange::{Exchange, ThirdParty, folder, load},
    profile::Profile,
};
use crate::{Nats, OldPeer, PATIENCE, Redis, StubPeers, StubUpstream, hosting, ports::Port};

/// How long a reply may take. The third party answers at once, so only repetitions take time.
const REPLY_WITHIN: Duration = Duration::from_secs(30);
/// The name of the environment that was recorded; the keys of a service's own state begin with it.
const ENVIRONMENT: &str = "dev";
/// How long calls and requests may come in after the reply, or after the start where nothing is asked.
const FOLLOW_WITHIN: Duration = Duration::from_secs(10);

/// What surrounds one service under test. Everything in it can be used directly as well.
#[derive(Debug)]
pub struct Stage {
    /// The NATS server.
    pub nats: Nats,
    /// The Redis server, of payloads and of the service's own state.
    pub redis: Redis,
    /// The third party. Calls to logins are answered without rules.
    pub upstream: StubUpstream,
    /// The other services.
    pub peers: StubPeers,
    /// An old requester.
    pub requester: OldPeer,
    name: String,
    refused: Port,
    cookies: Mutex<BTreeSet<String>>,
    /// What was stored for the next exchange: it was there before.
    stored: Mutex<BTreeSet<String>>,
}

/// What is wrong, by exchange.
#[derive(Debug, Default)]
pub struct Report {
    /// How many exchanges were played.
    pub played: usize,
    /// Name of the exchange and its mismatches.
    pub wrong: Vec<(String, Vec<String>)>,
}

impl Report {
    /// Ends the test with all mismatches if there are any.
    ///
    /// # Panics
    /// When there are mismatches, or nothing was played.
    pub fn assert_clean(&self) {
        assert!(self.played > 0, "nothing was played");
        assert!(self.wrong.is_empty(), "{self}");
    }

    /// Adds another report.
    pub fn add(&mut self, other: Self) {
        self.played += other.played;
        self.wrong.extend(other.wrong);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {} exchanges are wrong", self.wrong.len(), self.played)?;
        for (name, wrong) in &self.wrong {
            writeln!(f, "{name}")?;
            for line in wrong {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

impl Stage {
    /// Starts everything for a file of recordings, by its name without `.json`.
    pub async fn start(name: &str) -> Self {
        let (nats, redis, upstream) = tokio::join!(Nats::start(), Redis::start(), StubUpstream::start());
        let requester = OldPeer::connect(&nats.url(), &redis.url()).await;
        let peers = StubPeers::start_with_redis(&nats.url(), &redis.url()).await;
        let refused = match Port::reserve() {
            Ok(port) => port,
            Err(error) => panic!("{error:#}"),
        };
        let profile = Profile::of(name);
        let cookies =
            profile.fallback.iter().filter_map(|rule| rule.sets_cookie().map(str::to_owned)).collect();
        upstream.fallback(profile.fallback);
        let (name, cookies) = (name.to_owned(), Mutex::new(cookies));
        Self { nats, redis, upstream, peers, requester, name, refused, cookies, stored: Mutex::default() }
    }

    /// The stage of a service and the service on it, with some settings more; returns when it has started.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn with(service: &Runnable, settings: &[(&str, &str)]) -> (Self, Hosted) {
        let stage = Self::start(service.name()).await;
        let running = stage.run(service, settings).await;
        (stage, running)
    }

    /// Runs a service with [`Self::environment`] and some settings more; returns when it has started.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn run(&self, service: &Runnable, settings: &[(&str, &str)]) -> Hosted {
        self.run_at(service, &Clock::system(), settings).await
    }

    /// The same at a time of the test's own.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn run_at(&self, service: &Runnable, clock: &Clock, settings: &[(&str, &str)]) -> Hosted {
        hosting::run_at(service, self.settings(settings), clock).await
    }

    /// Why a service does not start with such settings: the error with all its causes.
    ///
    /// # Panics
    /// When it does start.
    pub async fn why_not(&self, service: &Runnable, settings: &[(&str, &str)]) -> String {
        hosting::why_not(service, self.settings(settings)).await
    }

    fn settings(&self, more: &[(&str, &str)]) -> Environment {
        Environment::from_iter(self.environment()).merged(&more.iter().copied().collect())
    }

    /// The environment of the service, as the recordings show that it was (add to it or replace parts at will):
    ///
    /// | file | settings |
    /// | --- | --- |
    /// | all | `NATS_SERVER1`, `REDIS_HOSTNAME`, `REDIS_PORT`, the same for `REDIS_CUSTOMER_CACHE_*`, `ENVIRONMENT_NAME` and `CURRENT_ENVIRONMENT` `dev`, `TIMEZONE` `US/Eastern`, `HTTP_PORT` and `METRICS_PORT` 0 |
    /// | `bruin-bridge` | `BRUIN_BASE_URL` and `BRUIN_LOGIN_URL` are the stub; logins answer the token `tok`; `IPA_SYSTEM_USERNAME_IN_BRUIN` `Intelygenz Ai` |
    /// | `bruin-bridge.nologin` | the same, logins fail with 500 unless an exchange says otherwise |
    /// | `velocloud-bridge` | hosts `vco1.example.test` (`operator-one`, `secret-one`, first session `one-a`) and `vco2.example.test` (`operator-two`, `secret-two`, `two-a`) at `/vco1` and `/vco2` of the stub, by `UPSTREAM_OVERRIDES` |
    /// | `velocloud-bridge.down` | also `vco3.example.test`, which refuses connections; `vco2`'s logins fail with 500 |
    /// | `digi-bridge` | `DIGI_BASE_URL` is the stub, `client-one` with `secret: one`; logins answer the token `token-a` |
    /// | `digi-bridge.relogin` | the same, tokens live 2 s |
    /// | `dri-bridge` | `BASE_URL` is the stub, `user@example.test` with `secret: one`; logins answer the token `tok`; tasks live 450 s |
    /// | `hawkeye-bridge` | `BASE_URL` is `/api` of the stub, `user-one` with `secret-one`; logins answer the recorded cookie `PHPSESSID` |
    /// | `cts-bridge`, `lit-bridge` | the login server is `test.salesforce.com`, at the stub; logins answer the session `session-a` for the instance `cts.example.test` or `lit.example.test`, at `/cts` or `/lit` of the stub (there is no file) |
    /// | `notifier` | `SLACK_WEBHOOK` `https://hooks.example.test/services/T000/B000/secret`, overridden to the stub; mailbox `inbox@example.test`; mail servers refuse connections |
    /// | `customer-cache` | four `VELOCLOUD_HOSTS`, recipient `ops@example.test`, nothing on the black lists; its Redis is the stage's |
    /// | `hawkeye-customer-cache` | recipient `ops@example.test`; its Redis is the stage's |
    ///
    /// Where the file shows nothing of a value (client secrets), any value does.
    pub fn environment(&self) -> Vec<(String, String)> {
        let shared = [
            ("ENVIRONMENT_NAME", ENVIRONMENT.to_owned()),
            ("CURRENT_ENVIRONMENT", "dev".to_owned()),
            ("TIMEZONE", "US/Eastern".to_owned()),
        ];
        let refused = self.refused.address().to_string();
        let own = Profile::of(&self.name).settings.iter().map(|(name, value)| {
            let value = value
                .replace("{stub}", &self.upstream.url())
                .replace("{refused-address}", &refused)
                .replace("{refused}", &format!("http://{refused}"));
            (*name, value)
        });
        let servers = hosting::settings(&self.nats, &self.redis);
        servers.into_iter().chain(shared).chain(own).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Asks the service as an old requester does; status and body of the reply, which echoes the id.
    ///
    /// # Panics
    /// When there is no reply within 20 s, or it is none of the fleet.
    pub async fn ask(&self, subject: &str, body: Value) -> (i64, Value) {
        self.ask_as("r-1", subject, body).await
    }

    /// The same under an id of its own: what was answered under another is not remembered for it.
    ///
    /// # Panics
    /// As [`Self::ask`].
    pub async fn ask_as(&self, id: &str, subject: &str, body: Value) -> (i64, Value) {
        let envelope = json!({"request_id": id, "body": body});
        let mut reply = self.requester.request(subject, &envelope, PATIENCE).await.envelope();
        assert_eq!(reply.get("request_id"), Some(&json!(id)), "{subject}");
        let Some(status) = reply.get("status").and_then(Value::as_i64) else {
            panic!("{subject}: no status in {reply}")
        };
        (status, reply.get_mut("body").map(Value::take).unwrap_or_default())
    }

    /// Stores a text in Redis, for ever. It is there before the exchange that is played next: if the recording has nothing
    /// in Redis afterwards, it must be gone then.
    ///
    /// # Panics
    /// When Redis refuses.
    pub async fn store(&self, key: &str, text: &str) {
        let set: RedisResult<()> = self.redis.connection().await.set(key, text).await;
        if let Err(error) = set {
            panic!("Redis: {key}: {error}")
        }
        self.stored.lock().insert(key.to_owned());
    }

    /// What Redis has under a key.
    ///
    /// # Panics
    /// When Redis refuses.
    pub async fn stored(&self, key: &str) -> Option<String> {
        match self.redis.connection().await.get(key).await {
            Ok(text) => text,
            Err(error) => panic!("Redis: {key}: {error}"),
        }
    }

    /// The exchanges of the stage's file.
    ///
    /// # Panics
    /// When the file cannot be found or read.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let file = || -> anyhow::Result<PathBuf> { Ok(folder()?.join(format!("{}.json", self.name))) };
        match file().and_then(|file| load(&file)) {
            Ok(exchanges) => exchanges,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Plays the whole file in its order.
    pub async fn play_all(&self) -> Report {
        self.play_where(|_| true).await
    }

    /// Plays the exchanges which `chosen` is true of, in their order.
    pub async fn play_where(&self, chosen: impl Fn(&Exchange) -> bool) -> Report {
        let all = self.exchanges();
        let mut report = Report::default();
        for exchange in all.iter().filter(|exchange| chosen(exchange)) {
            report.add(self.play(exchange, &all).await);
        }
        report
    }

    /// Plays one exchange; `all` is its whole file, for replies that refer to each other.
    pub async fn play(&self, exchange: &Exchange, all: &[Exchange]) -> Report {
        let mut exchange = exchange.clone();
        if exchange.subject.is_some() {
            let profile = Profile::of(&self.name);
            exchange.expect.upstream.retain(|call| !profile.is_login(&call.path));
        }
        let wrong = match self.outcome(&exchange).await {
            Ok(outcome) => mismatches(&exchange, all, &outcome),
            Err(error) => vec![format!("cannot be played: {error:#}")],
        };
        let wrong = if wrong.is_empty() { Vec::new() } else { vec![(exchange.name.clone(), wrong)] };
        Report { played: 1, wrong }
    }

    async fn outcome(&self, exchange: &Exchange) -> anyhow::Result<Outcome> {
        // What earlier exchanges left says nothing about this one.
        let stored = std::mem::take(&mut *self.stored.lock());
        let before: BTreeSet<_> = self.state().await?.difference(&stored).cloned().collect();
        self.prepare(exchange).await;
        let reply = match &exchange.subject {
            Some(subject) => {
                let sent =
                    self.requester.request_bytes(subject, exchange.payload(), exchange.via(), REPLY_WITHIN);
                Some(sent.await)
            }
            None => None,
        };
        self.follow(exchange).await;
        let left = if exchange.expect.redis.is_nothing() {
            self.left(&before, !exchange.accept.is_empty()).await?
        } else {
            BTreeSet::new()
        };
        let profile = Profile::of(&self.name);
        let mut calls = self.upstream.take_calls();
        if exchange.subject.is_some() {
            calls.retain(|call| !profile.is_login(&call.path));
        }
        let mut redis = Vec::new();
        let mut connection = self.redis.connection().await;
        for key in exchange.expect.redis.keys() {
            let value: Option<String> = connection.get(key).await.context("Redis")?;
            redis.push((key.clone(), value, connection.ttl(key).await.context("Redis")?));
        }
        let cookies = self.cookies.lock().clone();
        Ok(Outcome { reply, calls, requests: self.peers.take_requests(), redis, left, cookies })
    }

    /// The keys of a service's own state: as the existing services name them, so neither payloads nor what only new ones
    /// have.
    async fn state(&self) -> anyhow::Result<BTreeSet<String>> {
        let keys = self.redis.connection().await.keys(format!("{ENVIRONMENT}-*")).await;
        keys.context("Redis")
    }

    /// The keys which are there although neither `before` was nor anything should be, when there was time for them to go.
    async fn left(&self, before: &BTreeSet<String>, alternative: bool) -> anyhow::Result<BTreeSet<String>> {
        let until = Instant::now() + Self::patience(alternative);
        loop {
            let left: BTreeSet<_> = self.state().await?.difference(before).cloned().collect();
            if left.is_empty() || Instant::now() >= until {
                return Ok(left);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How long what should come or go is waited for. An accepted alternative may need none of it.
    fn patience(alternative: bool) -> Duration {
        if alternative { Duration::from_millis(100) } else { FOLLOW_WITHIN }
    }

    async fn prepare(&self, exchange: &Exchange) {
        if exchange.subject.is_some() {
            self.upstream.take_calls();
            self.peers.take_requests();
        }
        self.peers.recorded(&exchange.peers).await;
        match &exchange.upstream {
            ThirdParty::Rules(rules) => {
                let cookies = rules.iter().filter_map(|rule| rule.sets_cookie().map(str::to_owned));
                self.cookies.lock().extend(cookies);
                self.upstream.rules(rules.clone());
                self.upstream.up().await;
            }
            ThirdParty::Down(_) => self.upstream.down().await,
        }
    }

    /// Waits for what should still come. Where nothing was asked, everything since the start counts.
    async fn follow(&self, exchange: &Exchange) {
        let profile = Profile::of(&self.name);
        let watching = exchange.subject.is_none();
        let expected = &exchange.expect;
        let login = |path: &str| !watching && profile.is_login(path);
        let calls = expected.upstream.len();
        let patience = Self::patience(!exchange.accept.is_empty());
        let until = Instant::now() + patience;
        self.upstream
            .until(patience, |got| got.iter().filter(|call| !login(&call.path)).count() >= calls)
            .await;
        let left = until.saturating_duration_since(Instant::now());
        self.peers.until(left, |got| got.len() >= expected.peers.len()).await;
        if !expected.redis.is_empty() {
            self.until_stored(expected.redis.len(), expected.redis.keys(), until).await;
        }
    }

    async fn until_stored(&self, count: usize, keys: impl Iterator<Item = &String> + Clone, until: Instant) {
        let mut connection = self.redis.connection().await;
        loop {
            let mut found = 0;
            for key in keys.clone() {
                found += usize::from(connection.exists(key).await.unwrap_or(false));
            }
            if found >= count || Instant::now() >= until {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
