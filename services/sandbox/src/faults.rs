//! Faults that the control API injects into a third party, and how they strike.
//!
//! A [`Fault`] is a standing order ("answer 503 to half of the calls for the next minute"). Every simulator asks
//! [`Faults::strike`] before it answers; HTTP simulators do so through [`crate::http::guard`], the mail servers by
//! themselves. Faults of one third party add up in latency; the first other effect that applies wins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use runtime::Clock;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A third party that the sandbox simulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThirdParty {
    /// Ticketing and inventory, login server included.
    Bruin,
    /// Every simulated VeloCloud Orchestrator.
    VeloCloud,
    /// The reboot service of the out-of-band units.
    Digi,
    /// The Slack webhook.
    Slack,
    /// The outgoing mail server.
    Smtp,
    /// The mailbox server.
    Imap,
    /// The SMS provider.
    Sms,
    /// The Hawkeye (Ixia) probes and their test results.
    Hawkeye,
    /// The T7 prediction model, over gRPC.
    T7,
    /// The Email Tagger model, over gRPC.
    EmailTagger,
    /// The Repair Tickets model, over gRPC.
    RepairTickets,
    /// The parameters of devices at DRI.
    Dri,
    /// The dispatches of CTS, in Salesforce.
    Cts,
    /// The dispatches of LIT, in Salesforce.
    Lit,
}

impl ThirdParty {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 14] = [
        Self::Bruin,
        Self::VeloCloud,
        Self::Digi,
        Self::Slack,
        Self::Smtp,
        Self::Imap,
        Self::Sms,
        Self::Hawkeye,
        Self::T7,
        Self::EmailTagger,
        Self::RepairTickets,
        Self::Dri,
        Self::Cts,
        Self::Lit,
    ];

    /// The name in the control API: `bruin`, `velocloud`, ...
    pub fn name(self) -> &'static str {
        match self {
            Self::Bruin => "bruin",
            Self::VeloCloud => "velocloud",
            Self::Digi => "digi",
            Self::Slack => "slack",
            Self::Smtp => "smtp",
            Self::Imap => "imap",
            Self::Sms => "sms",
            Self::Hawkeye => "hawkeye",
            Self::T7 => "t7",
            Self::EmailTagger => "emailtagger",
            Self::RepairTickets => "repairtickets",
            Self::Dri => "dri",
            Self::Cts => "cts",
            Self::Lit => "lit",
        }
    }

    /// The name that people read.
    pub fn title(self) -> &'static str {
        match self {
            Self::Bruin => "Bruin",
            Self::VeloCloud => "VeloCloud",
            Self::Digi => "DiGi",
            Self::Slack => "Slack",
            Self::Smtp => "SMTP",
            Self::Imap => "IMAP",
            Self::Sms => "SMS",
            Self::Hawkeye => "Hawkeye",
            Self::T7 => "T7",
            Self::EmailTagger => "Email Tagger",
            Self::RepairTickets => "Repair Tickets",
            Self::Dri => "DRI",
            Self::Cts => "CTS",
            Self::Lit => "LIT",
        }
    }

    /// The third party with this [`name`](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|third_party| third_party.name() == name)
    }
}

/// What a fault does to a call that it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only slow: the call is answered as usual after `latency_ms`.
    Latency,
    /// Logins are refused; calls with a valid token or session still work.
    RefuseLogins,
    /// The call is not executed and answered with `status`.
    Status,
    /// The call is not executed and answered 429 with `Retry-After: 1`.
    RateLimit,
    /// The call is not executed and answered 200 with an HTML page.
    Garbage,
    /// The connection is reset before the call is executed.
    Reset,
    /// The call **is** executed, then the connection is reset: the answer is lost.
    LoseAnswer,
    /// The call **is** executed, then half of the answer is sent and the connection is closed.
    Truncate,
}

/// One injected fault. `{"mode": "status", "status": 503}` strikes every call until it is removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens; absent: `status` when a status is given, otherwise `latency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Milliseconds that a struck call waits first (real time, not the world's).
    #[serde(default)]
    pub latency_ms: u64,
    /// The HTTP status of mode `status` (SMTP and IMAP: a temporary failure below 500, else a permanent one). Default 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Share of calls that are struck, 0 to 1. Default 1.
    #[serde(default = "always")]
    pub rate: f64,
    /// Only calls whose path contains this text, e.g. `/notes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The fault is gone after this many strikes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The fault is gone after this many seconds of the world's clock.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
    /// The fault is gone at this instant of the world's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

fn always() -> f64 {
    1.0
}

impl Fault {
    /// A fault of this mode that strikes every call.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode: Some(mode),
            latency_ms: 0,
            status: None,
            rate: 1.0,
            path: None,
            times: None,
            for_seconds: None,
            until: None,
        }
    }

    /// Every call is answered with this status.
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::new(Mode::Status) }
    }

    /// Every call waits this long.
    pub fn latency(latency: Duration) -> Self {
        Self {
            latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
            ..Self::new(Mode::Latency)
        }
    }

    /// The same fault for calls whose path contains `path` only.
    #[must_use]
    pub fn on(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// The same fault for this many strikes only.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// The effective mode.
    pub fn mode(&self) -> Mode {
        match (self.mode, self.status) {
            (Some(mode), _) => mode,
            (None, Some(_)) => Mode::Status,
            (None, None) => Mode::Latency,
        }
    }

    fn effect(&self) -> Option<Effect> {
        match self.mode() {
            Mode::Latency => None,
            Mode::RefuseLogins => Some(Effect::RefuseLogin),
            Mode::Status => Some(Effect::Status(self.status.unwrap_or(500))),
            Mode::RateLimit => Some(Effect::Status(429)),
            Mode::Garbage => Some(Effect::Garbage),
            Mode::Reset => Some(Effect::Reset),
            Mode::LoseAnswer => Some(Effect::LoseAnswer),
            Mode::Truncate => Some(Effect::Truncate),
        }
    }

    fn over(&self, now: DateTime<Utc>) -> bool {
        self.times == Some(0) || self.until.is_some_and(|until| now >= until)
    }
}

/// Whether a call logs in or uses what a login gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A login.
    Login,
    /// Everything else.
    Call,
}

/// What a simulator has to do to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strike {
    /// Wait this long first.
    pub latency: Duration,
    /// Then do this; `None`: answer as usual.
    pub effect: Option<Effect>,
}

/// The effect of a strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Refuse this login as with wrong credentials.
    RefuseLogin,
    /// Do not execute, answer this status (429: with `Retry-After`).
    Status(u16),
    /// Do not execute, answer something unreadable.
    Garbage,
    /// Do not execute, reset the connection.
    Reset,
    /// Execute, then reset the connection.
    LoseAnswer,
    /// Execute, then send half of the answer and close.
    Truncate,
}

/// A fault in force, with its number.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Standing {
    /// Number for removal.
    pub id: u64,
    /// How many calls it has struck.
    pub strikes: u64,
    /// The fault as injected; `times` counts down, `for` has become `until`.
    pub fault: Fault,
}

/// The faults of all third parties. Clones share them.
#[derive(Clone)]
pub struct Faults {
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    standing: BTreeMap<ThirdParty, Vec<Standing>>,
    next_id: u64,
    random: Xoshiro256PlusPlus,
}

impl Faults {
    /// No faults. `seed` decides which calls a `rate` below 1 strikes.
    pub fn new(clock: Clock, seed: u64) -> Self {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { clock, inner: Arc::new(Mutex::new(Inner { standing: BTreeMap::new(), next_id: 1, random })) }
    }

    /// Puts a fault in force and returns its number.
    pub fn inject(&self, third_party: ThirdParty, mut fault: Fault) -> u64 {
        if let Some(seconds) = fault.for_seconds.take() {
            let seconds = i64::try_from(seconds.min(1 << 40)).unwrap_or(i64::MAX);
            let end = chrono::TimeDelta::try_seconds(seconds)
                .and_then(|duration| self.clock.now().checked_add_signed(duration));
            fault.until = match (fault.until, end) {
                (Some(until), Some(end)) => Some(until.min(end)),
                (until, end) => until.or(end),
            };
        }
        let mut inner = self.inner.lock();
        let id = inner.next_id;
        inner.next_id += 1;
        inner.standing.entry(third_party).or_default().push(Standing { id, strikes: 0, fault });
        id
    }

    /// Removes one fault; false when there is none of that number.
    pub fn remove(&self, third_party: ThirdParty, id: u64) -> bool {
        let mut inner = self.inner.lock();
        let Some(standing) = inner.standing.get_mut(&third_party) else { return false };
        let before = standing.len();
        standing.retain(|one| one.id != id);
        standing.len() != before
    }

    /// Removes all faults of one third party, or of all.
    pub fn clear(&self, third_party: Option<ThirdParty>) {
        let mut inner = self.inner.lock();
        match third_party {
            Some(third_party) => drop(inner.standing.remove(&third_party)),
            None => inner.standing.clear(),
        }
    }

    /// The faults in force at a third party.
    pub fn standing(&self, third_party: ThirdParty) -> Vec<Standing> {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        inner.standing.get_mut(&third_party).map_or_else(Vec::new, |standing| {
            standing.retain(|one| !one.fault.over(now));
            standing.clone()
        })
    }

    /// Decides what happens to one call. `path` is the request's path, or the command for the mail servers.
    pub fn strike(&self, third_party: ThirdParty, step: Step, path: &str) -> Strike {
        let now = self.clock.now();
        let Inner { standing, random, .. } = &mut *self.inner.lock();
        let Some(standing) = standing.get_mut(&third_party) else { return Strike::default() };
        standing.retain(|one| !one.fault.over(now));
        let mut strike = Strike::default();
        for one in standing {
            let fault = &mut one.fault;
            let applies = (fault.mode() != Mode::RefuseLogins || step == Step::Login)
                && fault.path.as_deref().is_none_or(|part| path.contains(part))
                && (strike.effect.is_none() || fault.mode() == Mode::Latency)
                && (fault.rate >= 1.0 || random.random::<f64>() < fault.rate);
            if applies {
                strike.latency += Duration::from_millis(fault.latency_ms);
                strike.effect = strike.effect.or(fault.effect());
                one.strikes += 1;
                fault.times = fault.times.map(|times| times.saturating_sub(1));
            }
        }
        strike
    }
}
