//! The settings which every service shares (spec `architecture`, "Process interface", and `00-messaging`, "Shared
//! configuration"), read once at the start.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use bus::{NatsOptions, RedisOptions};
use chrono_tz::Tz;
use tracing::Level;
use upstream::Overrides;
use url::Url;

use crate::environment::{Invalid, Reader, http_url};

/// What every process is told from outside, whatever service it runs.
#[derive(Debug, Clone)]
pub struct ProcessSettings {
    /// `NATS_SERVER1` (one URL or a comma separated list), `NATS_CREDS_FILE`, `NATS_USER`, `NATS_PASSWORD`,
    /// `NATS_CA_FILE`.
    pub nats: NatsOptions,
    /// The Redis of the large payloads: `REDIS_HOSTNAME`, `REDIS_PORT` (6379), `REDIS_PASSWORD`, `REDIS_TLS`.
    pub redis: RedisOptions,
    /// `LISTEN_ADDRESS` (0.0.0.0, which is all of them): the address of both HTTP servers.
    pub listen_address: IpAddr,
    /// `HTTP_PORT` (5000): health, readiness and a service's own routes. 0 is any free port.
    pub http_port: u16,
    /// `METRICS_PORT` (9090): every path answers with the metrics. 0 is any free port. The same number as `HTTP_PORT`:
    /// no second server, the metrics are at `/metrics` there.
    pub metrics_port: u16,
    /// `MAX_PAYLOAD_MIB` (64), in bytes here: the largest envelope that is taken or sent. One VeloCloud host with 100,000
    /// edges needs more.
    pub max_payload: usize,
    /// `WRITE_MODE` (`live`).
    pub write_mode: WriteMode,
    /// `DECISION_MODE` (`live`).
    pub decision_mode: DecisionMode,
    /// `LEADER_ELECTION` (`off`).
    pub leader_election: LeaderElection,
    /// `UPSTREAM_OVERRIDES`: development and tests only.
    pub overrides: Overrides,
    /// `ENVIRONMENT_NAME`: the name of the deployment, in log lines and alert texts. `local` where it may be absent and is.
    pub environment_name: String,
    /// `CURRENT_ENVIRONMENT`: `production`, `dev` or another. Services which need it read it as required
    /// ([`Reader::current_environment`]).
    pub current_environment: Option<String>,
    /// `TIMEZONE`, e.g. `US/Eastern`. Services which need it read it as required ([`Reader::time_zone`]).
    pub timezone: Option<Tz>,
    /// How and what is logged.
    pub logs: LogSettings,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: where spans are sent, e.g. `http://collector:4318`. Unset: nowhere.
    pub otlp_endpoint: Option<Url>,
}

/// Which of the shared settings a service does not start without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// `NATS_SERVER1` and `REDIS_HOSTNAME`.
    pub bus: bool,
    /// `ENVIRONMENT_NAME`; else it is `local` when absent.
    pub environment_name: bool,
}

impl Needs {
    /// The bus and the name of the environment, as nearly every service.
    pub const ALL: Self = Self { bus: true, environment_name: true };
    /// Neither.
    pub const NOTHING: Self = Self { bus: false, environment_name: false };
}

impl ProcessSettings {
    /// Reads the shared settings of `service`.
    pub fn read(env: &mut Reader<'_>, service: &str, needs: Needs) -> Result<Self, Invalid> {
        let nats = nats(env, needs.bus);
        let redis = if needs.bus || env.peek("REDIS_HOSTNAME").is_some() {
            env.redis("REDIS")
        } else {
            Ok(RedisOptions::default())
        };
        let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let listen_address =
            env.or("LISTEN_ADDRESS", everywhere, "an IP address of this machine, e.g. 127.0.0.1");
        let http_port = env.or("HTTP_PORT", 5000, "a port number, 0 for any free port");
        let metrics_port = env.or("METRICS_PORT", 9090, "a port number, 0 for any free port");
        let max_payload = max_payload(env);
        let write_mode = env.or("WRITE_MODE", WriteMode::Live, "live or dry-run");
        let decision_mode = env.or("DECISION_MODE", DecisionMode::Live, "live or shadow");
        let leader_election = env.or(
            "LEADER_ELECTION",
            LeaderElection::Off,
            "off or jetstream (one of several replicas of a monitor acts)",
        );
        let overrides = env.parse_with(
            "UPSTREAM_OVERRIDES",
            "comma separated host=base-url pairs, e.g. api.example.com=http://127.0.0.1:8080",
            false,
            None,
            |text| Overrides::parse(text).map_err(|error| Some(error.to_string())),
        );
        let environment_name = if needs.environment_name {
            env.required("ENVIRONMENT_NAME", "the name of the deployment, e.g. production")
        } else {
            env.or("ENVIRONMENT_NAME", "local".to_owned(), "the name of the deployment, e.g. production")
        };
        let current_environment = env.optional("CURRENT_ENVIRONMENT", CURRENT_ENVIRONMENT);
        let timezone = env.optional("TIMEZONE", TIMEZONE);
        let name = environment_name.clone().unwrap_or_default();
        let logs = LogSettings::read(env, service, &name);
        let otlp_endpoint = env.parse_with(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "the http(s) URL of an OpenTelemetry collector, e.g. http://collector:4318",
            false,
            None,
            http_url,
        );
        Ok(Self {
            nats: nats?,
            redis: redis?,
            listen_address: listen_address?,
            http_port: http_port?,
            metrics_port: metrics_port?,
            max_payload: max_payload?,
            write_mode: write_mode?,
            decision_mode: decision_mode?,
            leader_election: leader_election?,
            overrides: overrides?.unwrap_or_default(),
            environment_name: environment_name?,
            current_environment: current_environment?,
            timezone: timezone?,
            logs: logs?,
            otlp_endpoint: otlp_endpoint?,
        })
    }

    /// Whether requests that would change something at a third party are only validated and logged.
    pub fn is_dry_run(&self) -> bool {
        self.write_mode == WriteMode::DryRun
    }

    /// Whether `CURRENT_ENVIRONMENT` is exactly `production`.
    pub fn is_production(&self) -> bool {
        self.current_environment.as_deref() == Some("production")
    }
}

const CURRENT_ENVIRONMENT: &str = "production, dev or another name of a stage";
const TIMEZONE: &str = "an IANA time zone, e.g. US/Eastern";

/// Shared settings that only some services need.
impl Reader<'_> {
    /// `TIMEZONE`, required.
    pub fn time_zone(&mut self) -> Result<Tz, Invalid> {
        self.required("TIMEZONE", TIMEZONE)
    }

    /// `CURRENT_ENVIRONMENT`, required.
    pub fn current_environment(&mut self) -> Result<String, Invalid> {
        self.required("CURRENT_ENVIRONMENT", CURRENT_ENVIRONMENT)
    }

    /// A Redis instance by the beginning of its variables: `redis("REDIS_CUSTOMER_CACHE")` reads
    /// `REDIS_CUSTOMER_CACHE_HOSTNAME` (required), `..._PORT` (6379), `..._PASSWORD` and `..._TLS`.
    pub fn redis(&mut self, prefix: &str) -> Result<RedisOptions, Invalid> {
        let host = self.required(&format!("{prefix}_HOSTNAME"), "the host name of a Redis server");
        let port = self.or(&format!("{prefix}_PORT"), 6379, "a port number");
        let password = self.optional_secret(&format!("{prefix}_PASSWORD"), "the password of that Redis");
        let tls = self.flag(&format!("{prefix}_TLS"), false);
        Ok(RedisOptions { host: host?, port: port?, password: password?, tls: tls? })
    }
}

fn max_payload(env: &mut Reader<'_>) -> Result<usize, Invalid> {
    const NAME: &str = "MAX_PAYLOAD_MIB";
    // Redis stores no more.
    const EXPECTED: &str = "the largest envelope in MiB, 2 to 512";
    let mebibytes: usize = env.or(NAME, 64, EXPECTED)?;
    if (2..=512).contains(&mebibytes) { Ok(mebibytes << 20) } else { Err(env.reject(NAME, EXPECTED)) }
}

fn nats(env: &mut Reader<'_>, required: bool) -> Result<NatsOptions, Invalid> {
    let expected =
        "the URL of a NATS server, e.g. nats://nats.example.com:4222, or several separated by commas";
    let secret = env.peek("NATS_SERVER1").is_some_and(|text| text.contains('@') && nats_urls(text).is_err());
    let servers = if secret {
        // Where its password ends cannot be told.
        Err(env.reject_secret("NATS_SERVER1", expected))
    } else if required {
        env.required_with("NATS_SERVER1", expected, nats_urls).map(Some)
    } else {
        env.parse_with("NATS_SERVER1", expected, false, None, nats_urls)
    };
    let creds_file = env.file("NATS_CREDS_FILE", "a NATS credentials file");
    let user = env.optional::<String>("NATS_USER", "a user name at NATS");
    let password = env.optional_secret("NATS_PASSWORD", "the password of NATS_USER");
    let both = match (&user, &password) {
        (Ok(Some(_)), Ok(None)) => {
            Err(env.reject("NATS_PASSWORD", "the password of NATS_USER, which is set"))
        }
        (Ok(None), Ok(Some(_))) => Err(env.reject("NATS_USER", "the user that goes with NATS_PASSWORD")),
        _ => Ok(()),
    };
    let ca_file = env.file("NATS_CA_FILE", "a PEM file with the certificate authority of NATS");
    both?;
    let default = NatsOptions::default();
    Ok(NatsOptions {
        servers: servers?.unwrap_or_else(|| default.servers.clone()),
        creds_file: creds_file?,
        user: user?,
        password: password?,
        ca_file: ca_file?,
        ..default
    })
}

fn nats_urls(text: &str) -> Result<Vec<String>, Option<String>> {
    let servers = text.split(',').map(str::trim).filter(|server| !server.is_empty());
    let servers = servers.map(nats_url).collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() { Err(None) } else { Ok(servers) }
}

/// One server of the list; `nats://` may be left out.
fn nats_url(text: &str) -> Result<String, Option<String>> {
    let full = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let url = Url::parse(&full).map_err(|error| Some(error.to_string()))?;
    if !matches!(url.scheme(), "nats" | "tls" | "ws" | "wss") {
        return Err(Some(format!("{}:// is not a scheme of NATS", url.scheme())));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Some("no host".to_owned()));
    }
    if let Some(password) = url.password() {
        crate::redact::hide(password);
    }
    Ok(full)
}

impl Reader<'_> {
    /// The path of a file that must exist; may be absent.
    pub fn file(&mut self, name: &str, expected: &str) -> Result<Option<PathBuf>, Invalid> {
        self.parse_with(name, expected, false, None, |text| match std::fs::metadata(text) {
            Ok(found) if found.is_file() => Ok(PathBuf::from(text)),
            Ok(_) => Err(Some("not a file".to_owned())),
            Err(error) => Err(Some(error.to_string())),
        })
    }
}

/// A setting that is one word of a few.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text.to_ascii_lowercase().as_str() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord(concat!($(" ", $word,)+))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word,)+ })
            }
        }
    };
}

/// A word that a setting does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("one of:{0}")]
pub struct UnknownWord(&'static str);

words! {
    /// `WRITE_MODE`: what bridges and the notifier do with requests that would change something at a third party
    /// (spec `deployment`, section 9).
    WriteMode {
        /// Carry them out.
        #[default]
        Live = "live",
        /// Validate, log and answer as accepted, send nothing.
        DryRun = "dry-run",
    }
}

words! {
    /// `DECISION_MODE`: what monitors do with what their rules decide.
    DecisionMode {
        /// Carry it out.
        #[default]
        Live = "live",
        /// Record what would have been done and touch nothing.
        Shadow = "shadow",
    }
}

words! {
    /// `LEADER_ELECTION`: which of several replicas of a monitor acts.
    LeaderElection {
        /// Each does: there must be only one.
        #[default]
        Off = "off",
        /// The one that holds a lease in the JetStream bucket `LEASES`.
        Jetstream = "jetstream",
    }
}

words! {
    /// `LOG_FORMAT`.
    LogFormat {
        /// One JSON object on each line.
        #[default]
        Json = "json",
        /// The existing deployment's lines, which the operator's log collector parses.
        Line = "line",
        /// For people.
        Pretty = "pretty",
    }
}

/// How and what is logged.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// `LOG_FORMAT` (`json`).
    pub format: LogFormat,
    /// `LOG_LEVEL` (`INFO`): the least severe level of the fleet's own code. Libraries are a level quieter.
    pub level: Level,
    /// `RUST_LOG`: filters by module, e.g. `bus=debug,info`; overrides the level.
    pub filter: Option<String>,
    /// `ENVIRONMENT_NAME` again: it stands in each record.
    pub environment: String,
    /// The service, for records outside of any service's span.
    pub service: String,
    /// Set when `PAPERTRAIL_ACTIVE` is exactly `true`.
    pub papertrail: Option<PapertrailSettings>,
}

/// Where records go a second time, as syslog over UDP (spec `00-messaging`, "Logs").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PapertrailSettings {
    /// `PAPERTRAIL_HOST`.
    pub host: String,
    /// `PAPERTRAIL_PORT`.
    pub port: u16,
    /// `PAPERTRAIL_PREFIX`, by default `<ENVIRONMENT_NAME>-<service>` of each record. Dashboards filter by it.
    pub prefix: Option<String>,
}

impl LogSettings {
    /// Reads the settings of the logs of `service`.
    pub fn read(env: &mut Reader<'_>, service: &str, environment: &str) -> Result<Self, Invalid> {
        let format = env.or("LOG_FORMAT", LogFormat::Json, "json, line or pretty");
        let level = env.parse_with(
            "LOG_LEVEL",
            "DEBUG, INFO, WARNING, ERROR or CRITICAL",
            false,
            Some("INFO".to_owned()),
            |text| level(text).ok_or(None),
        );
        let filter = env.parse_with("RUST_LOG", "log filters, e.g. bus=debug,info", false, None, |text| {
            match tracing_subscriber::EnvFilter::try_new(text) {
                Ok(_) => Ok(text.to_owned()),
                Err(error) => Err(Some(error.to_string())),
            }
        });
        let active = env.optional::<String>("PAPERTRAIL_ACTIVE", "true to log to Papertrail as well")?;
        let papertrail = if active.as_deref() == Some("true") { papertrail(env).map(Some) } else { Ok(None) };
        Ok(Self {
            format: format?,
            level: level?.unwrap_or(Level::INFO),
            filter: filter?,
            environment: environment.to_owned(),
            service: service.to_owned(),
            papertrail: papertrail?,
        })
    }
}

fn papertrail(env: &mut Reader<'_>) -> Result<PapertrailSettings, Invalid> {
    let host = env.required("PAPERTRAIL_HOST", "a host name, as PAPERTRAIL_ACTIVE is true");
    let port = env.required("PAPERTRAIL_PORT", "a port number, as PAPERTRAIL_ACTIVE is true");
    let prefix = env.optional("PAPERTRAIL_PREFIX", "a word in each line, else <ENVIRONMENT_NAME>-<service>");
    Ok(PapertrailSettings { host: host?, port: port?, prefix: prefix? })
}

fn level(text: &str) -> Option<Level> {
    Some(match text.to_ascii_uppercase().as_str() {
        "TRACE" => Level::TRACE,
        "DEBUG" => Level::DEBUG,
        "INFO" => Level::INFO,
        "WARN" | "WARNING" => Level::WARN,
        "ERROR" | "CRITICAL" => Level::ERROR,
        _ => return None,
    })
}
