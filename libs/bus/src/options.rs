//! What a process says once about its bus: plain data, with defaults where a default makes sense.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// Everything [`Bus::connect`](crate::Bus::connect) needs.
#[derive(Debug, Clone)]
pub struct BusOptions {
    /// Name of the service, e.g. `bruin-bridge`: the connection's name at the server, the name under `$SRV`, the prefix
    /// of dedupe keys.
    pub service: String,
    /// Where NATS is and how to log in.
    pub nats: NatsOptions,
    /// The Redis which all services share for large payloads.
    pub redis: RedisOptions,
    /// Bounds and time limits.
    pub limits: Limits,
}

impl BusOptions {
    /// Options for `service` with one NATS URL and the Redis at `host:port`; everything else by default.
    pub fn new(
        service: impl Into<String>,
        nats_url: impl Into<String>,
        redis_host: impl Into<String>,
        redis_port: u16,
    ) -> Self {
        Self {
            service: service.into(),
            nats: NatsOptions { servers: vec![nats_url.into()], ..NatsOptions::default() },
            redis: RedisOptions { host: redis_host.into(), port: redis_port, ..RedisOptions::default() },
            limits: Limits::default(),
        }
    }
}

/// Where NATS is (spec `00-messaging`, "Connection").
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// One or several URLs, e.g. `nats://nats.example.com:4222`. An entry may itself be a comma separated list.
    /// Further members of a cluster are learnt from the server.
    pub servers: Vec<String>,
    /// A credentials file (JWT and seed).
    pub creds_file: Option<PathBuf>,
    /// User name; goes with [`Self::password`].
    pub user: Option<String>,
    /// Password of [`Self::user`].
    pub password: Option<SecretString>,
    /// PEM file with the certificate authority of the servers. Setting it makes TLS mandatory.
    pub ca_file: Option<PathBuf>,
    /// How often a connection is probed; a server that froze is noticed after about three of these, which must be in time
    /// to ask again within the shortest time limit of a read, 15 s.
    pub ping_interval: Duration,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            servers: vec!["nats://localhost:4222".to_owned()],
            creds_file: None,
            user: None,
            password: None,
            ca_file: None,
            ping_interval: Duration::from_secs(3),
        }
    }
}

/// Where the shared Redis is.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port, 6379 by default.
    pub port: u16,
    /// Password, when the server asks for one.
    pub password: Option<SecretString>,
    /// Whether to speak TLS.
    pub tls: bool,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { host: "localhost".to_owned(), port: 6379, password: None, tls: false }
    }
}

/// Bounds of one process. The defaults suit every service of the fleet.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests handled at the same time, over all subjects. 128.
    pub in_flight: usize,
    /// Of these, how many one subject may take while others are served too; 0 means three quarters of
    /// [`Self::in_flight`]. A process that serves a single subject gives it everything.
    pub in_flight_per_subject: usize,
    /// Requests which may wait for a free place, for each subject; one more is answered 503. 1,024.
    pub queued: usize,
    /// Bytes which the waiting requests of one subject may hold together; beyond it 503. 64 MiB.
    pub queued_bytes: usize,
    /// The largest envelope accepted, also from Redis, in bytes; beyond it 413. 64 MiB.
    pub max_payload_in: usize,
    /// The largest message sent inline, headers included, in bytes; also bounded by what the server announces.
    /// 1,048,576.
    pub offload_above: usize,
    /// How long the reply to a write is remembered for duplicates. 600 s.
    pub dedupe_for: Duration,
    /// How long one Redis command for a payload may take, within the request's own deadline. 10 s.
    pub store_within: Duration,
    /// How long one Redis command for the dedupe store may take before the request is executed without it. 1 s.
    pub dedupe_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 128,
            in_flight_per_subject: 0,
            queued: 1_024,
            queued_bytes: 64 << 20,
            max_payload_in: 64 << 20,
            offload_above: 1_048_576,
            dedupe_for: Duration::from_secs(600),
            store_within: Duration::from_secs(10),
            dedupe_within: Duration::from_secs(1),
        }
    }
}
