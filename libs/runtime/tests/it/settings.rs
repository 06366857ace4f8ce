//! Settings: what is read, what is refused, and how that is told.

use std::time::Duration;

use runtime::{
    ConfigErrors, DecisionMode, Environment, FromEnvironment, Invalid, LeaderElection, LogFormat, Needs,
    ProcessSettings, Reader, WriteMode,
};
use secrecy::{ExposeSecret, SecretString};

/// The shared settings of a service that uses the bus.
#[derive(Debug)]
struct Shared(ProcessSettings);

impl FromEnvironment for Shared {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        ProcessSettings::read(env, "bruin-bridge", Needs::ALL).map(Self)
    }
}

fn minimal() -> Environment {
    Environment::from([
        ("NATS_SERVER1", "nats://nats.example.com:4222"),
        ("REDIS_HOSTNAME", "redis.example.com"),
        ("ENVIRONMENT_NAME", "automation-example"),
    ])
}

fn read(environment: &Environment) -> ProcessSettings {
    environment.read::<Shared>().unwrap().0
}

fn problems(environment: &Environment) -> Vec<String> {
    let ConfigErrors(problems) = environment.read::<Shared>().unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_required_variables_suffice_and_the_rest_has_defaults() {
    let settings = read(&minimal());

    assert_eq!(settings.nats.servers, ["nats://nats.example.com:4222"]);
    assert_eq!(
        (settings.redis.host.as_str(), settings.redis.port, settings.redis.tls),
        ("redis.example.com", 6379, false)
    );
    assert!(settings.redis.password.is_none() && settings.nats.password.is_none());
    assert_eq!((settings.http_port, settings.metrics_port), (5000, 9090));
    assert_eq!((settings.write_mode, settings.decision_mode), (WriteMode::Live, DecisionMode::Live));
    assert_eq!(settings.leader_election, LeaderElection::Off);
    assert_eq!(settings.logs.format, LogFormat::Json);
    assert_eq!(settings.logs.level, tracing::Level::INFO);
    assert_eq!(settings.environment_name, "automation-example");
    assert!(settings.overrides.is_empty());
    assert_eq!(settings.current_environment, None);
    assert_eq!(settings.timezone, None);
    assert_eq!(settings.logs.papertrail, None);
    assert_eq!(settings.otlp_endpoint, None);
    assert!(!settings.is_dry_run() && !settings.is_production());
}

#[test]
fn every_shared_variable_is_read() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let environment = minimal().merged(&Environment::from([
        ("NATS_SERVER1", " nats://n1:4222, tls://n2:4222 ,n3"),
        ("NATS_CREDS_FILE", file),
        ("NATS_CA_FILE", file),
        ("NATS_USER", "bridge"),
        ("NATS_PASSWORD", "nats-password"),
        ("REDIS_PORT", "6380"),
        ("REDIS_PASSWORD", "redis-password"),
        ("REDIS_TLS", "TRUE"),
        ("HTTP_PORT", "0"),
        ("METRICS_PORT", "9091"),
        ("WRITE_MODE", "dry-run"),
        ("DECISION_MODE", "shadow"),
        ("LEADER_ELECTION", "jetstream"),
        ("UPSTREAM_OVERRIDES", "vco1.example.test=http://127.0.0.1:1/vco1"),
        ("CURRENT_ENVIRONMENT", "production"),
        ("TIMEZONE", "US/Eastern"),
        ("LOG_FORMAT", "line"),
        ("LOG_LEVEL", "WARNING"),
        ("RUST_LOG", "bus=debug,info"),
        ("PAPERTRAIL_ACTIVE", "true"),
        ("PAPERTRAIL_HOST", "logs.example.net"),
        ("PAPERTRAIL_PORT", "12345"),
        ("PAPERTRAIL_PREFIX", "bruin-bridge-1.2.3"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("SOMETHING_ELSE", "is ignored"),
    ]));

    let settings = read(&environment);

    assert_eq!(settings.nats.servers, ["nats://n1:4222", "tls://n2:4222", "nats://n3"]);
    assert_eq!(settings.nats.creds_file.as_deref(), Some(file.as_ref()));
    assert_eq!(settings.nats.ca_file.as_deref(), Some(file.as_ref()));
    assert_eq!(settings.nats.user.as_deref(), Some("bridge"));
    assert_eq!(settings.nats.password.unwrap().expose_secret(), "nats-password");
    assert_eq!((settings.redis.port, settings.redis.tls), (6380, true));
    assert_eq!(settings.redis.password.unwrap().expose_secret(), "redis-password");
    assert_eq!((settings.http_port, settings.metrics_port), (0, 9091));
    assert_eq!((settings.write_mode, settings.decision_mode), (WriteMode::DryRun, DecisionMode::Shadow));
    assert_eq!(settings.overrides.get("vco1.example.test").unwrap().as_str(), "http://127.0.0.1:1/vco1");
    assert_eq!(settings.current_environment.as_deref(), Some("production"));
    assert_eq!(settings.timezone, Some(chrono_tz::US::Eastern));
    assert_eq!(settings.logs.format, LogFormat::Line);
    assert_eq!(settings.logs.level, tracing::Level::WARN);
    assert_eq!(settings.logs.filter.as_deref(), Some("bus=debug,info"));
    let papertrail = settings.logs.papertrail.unwrap();
    assert_eq!((papertrail.host.as_str(), papertrail.port), ("logs.example.net", 12345));
    assert_eq!(papertrail.prefix.as_deref(), Some("bruin-bridge-1.2.3"));
    assert_eq!(settings.otlp_endpoint.unwrap().as_str(), "http://collector:4318/");
}

#[test]
fn each_wrong_value_is_named_with_what_is_expected() {
    let table = [
        ("NATS_SERVER1", "http://nats:4222", "http:// is not a scheme of NATS"),
        ("NATS_SERVER1", ",", "expected the URL of a NATS server"),
        ("NATS_SERVER1", "nats://svc:Ab3/xY9==@nats:4222", "expected the URL of a NATS server"),
        ("LISTEN_ADDRESS", "localhost", "expected an IP address"),
        ("NATS_CREDS_FILE", "/no/such/file", "a NATS credentials file"),
        ("NATS_CA_FILE", "/", "not a file"),
        ("NATS_USER", "somebody", "NATS_PASSWORD is missing"),
        ("NATS_PASSWORD", "something", "NATS_USER is missing"),
        ("REDIS_PORT", "65536", "expected a port number"),
        ("REDIS_TLS", "maybe", "expected true or false"),
        ("HTTP_PORT", "-1", "expected a port number, 0 for any free port"),
        ("METRICS_PORT", "9090/tcp", "expected a port number, 0 for any free port"),
        ("WRITE_MODE", "dry", "expected live or dry-run"),
        ("DECISION_MODE", "dark", "expected live or shadow"),
        ("LEADER_ELECTION", "raft", "expected off or jetstream"),
        ("UPSTREAM_OVERRIDES", "nonsense", "expected comma separated host=base-url pairs"),
        ("TIMEZONE", "Eastern", "expected an IANA time zone, e.g. US/Eastern"),
        ("LOG_FORMAT", "xml", "expected json, line or pretty"),
        ("LOG_LEVEL", "loud", "expected DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("RUST_LOG", "bus=louder", "expected log filters"),
        ("PAPERTRAIL_ACTIVE", "true", "PAPERTRAIL_HOST is missing"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://collector:4317", "expected the http(s) URL"),
    ];
    for (name, value, expected) in table {
        let problems = problems(&minimal().with(name, value));
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{name}={value}: {problems:?}");
        let secrets = ["something", "xY9"];
        assert!(
            !problems.iter().any(|problem| secrets.iter().any(|secret| problem.contains(secret))),
            "{problems:?}"
        );
    }
}

#[test]
fn empty_is_missing() {
    let environment = minimal().with("REDIS_HOSTNAME", "").with("HTTP_PORT", " ").with("TIMEZONE", "");
    assert_eq!(
        problems(&environment),
        ["REDIS_HOSTNAME is missing: expected the host name of a Redis server"]
    );
}

#[test]
fn papertrail_is_active_by_exactly_true_only() {
    for inactive in ["True", "1", "yes", "false"] {
        let environment = minimal().with("PAPERTRAIL_ACTIVE", inactive).with("PAPERTRAIL_PORT", "none");
        assert_eq!(read(&environment).logs.papertrail, None, "{inactive}");
    }
}

#[test]
fn a_service_without_the_bus_needs_none_of_the_addresses() {
    struct Alone(ProcessSettings);
    impl FromEnvironment for Alone {
        fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
            ProcessSettings::read(env, "sandbox", Needs::NOTHING).map(Self)
        }
    }
    let Alone(settings) = Environment::default().read().unwrap();
    assert_eq!(settings.environment_name, "local");
}

#[test]
fn a_service_may_do_without_the_name_of_its_environment() {
    #[derive(Debug)]
    struct Nameless(ProcessSettings);
    impl FromEnvironment for Nameless {
        fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
            let needs = Needs { environment_name: false, ..Needs::ALL };
            ProcessSettings::read(env, "digi-bridge", needs).map(Self)
        }
    }
    let Nameless(settings) = minimal().with("ENVIRONMENT_NAME", "").read().unwrap();
    assert_eq!(settings.environment_name, "local");
    let missing = Environment::default().read::<Nameless>().unwrap_err().to_string();
    assert!(missing.contains("NATS_SERVER1") && missing.contains("REDIS_HOSTNAME"), "{missing}");
    assert!(!missing.contains("ENVIRONMENT_NAME"), "{missing}");
}

/// What a service reads for itself, in every form there is.
#[derive(Debug)]
struct Own {
    base_url: url::Url,
    secret: SecretString,
    hosts: Vec<String>,
    clients: Vec<u32>,
    interval: Duration,
    wait: Duration,
    dry: bool,
    retries: u8,
    cache: bus::RedisOptions,
    zone: chrono_tz::Tz,
}

impl FromEnvironment for Own {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let base_url = env.required("BASE_URL", "a URL");
        let secret = env.secret("CLIENT_SECRET", "the client's secret");
        let hosts = env.list("HOSTS", "host names");
        let clients = env.json("CLIENTS", "a JSON list of client ids, e.g. [1,2]");
        let interval = env.seconds("INTERVAL", 600);
        let wait = env.required_seconds("WAIT");
        let dry = env.flag("DRY", false);
        let retries = env.or("RETRIES", 3, "a small number");
        let cache = env.redis("REDIS_CUSTOMER_CACHE");
        let zone = env.time_zone();
        Ok(Self {
            base_url: base_url?,
            secret: secret?,
            hosts: hosts?,
            clients: clients?,
            interval: interval?,
            wait: wait?,
            dry: dry?,
            retries: retries?,
            cache: cache?,
            zone: zone?,
        })
    }
}

/// The pace of a job.
struct Job(Duration);

impl FromEnvironment for Job {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        env.job_interval("PACE", 659).map(Self)
    }
}

#[test]
fn jobs_run_every_whole_minutes_unless_it_is_less_than_one() {
    for (set, seconds) in
        [("14400", 14_400.0), ("179", 120.0), ("119.9", 60.0), ("60", 60.0), ("59", 59.0), ("0.5", 0.5)]
    {
        let job: Job = Environment::from([("PACE", set)]).read().unwrap();
        assert_eq!(job.0, Duration::from_secs_f64(seconds), "{set}");
    }
    assert_eq!(Environment::default().read::<Job>().unwrap().0, Duration::from_secs(600));
}

#[test]
fn a_service_reads_its_own_settings() {
    let own: Own = Environment::from([
        ("BASE_URL", "https://api.example.com/"),
        ("CLIENT_SECRET", "very-secret-value"),
        ("HOSTS", "a.example.com, b.example.com,"),
        ("CLIENTS", "[1,2]"),
        ("INTERVAL", "0.5"),
        ("WAIT", "180"),
        ("DRY", "1"),
        ("REDIS_CUSTOMER_CACHE_HOSTNAME", "redis-customer-cache"),
        ("REDIS_CUSTOMER_CACHE_PORT", "6390"),
        ("TIMEZONE", "US/Eastern"),
    ])
    .read()
    .unwrap();

    assert_eq!(own.base_url.as_str(), "https://api.example.com/");
    assert_eq!(own.secret.expose_secret(), "very-secret-value");
    assert_eq!(own.hosts, ["a.example.com", "b.example.com"]);
    assert_eq!(own.clients, [1, 2]);
    assert_eq!((own.interval, own.wait), (Duration::from_millis(500), Duration::from_secs(180)));
    assert_eq!((own.dry, own.retries), (true, 3));
    assert_eq!((own.cache.host.as_str(), own.cache.port), ("redis-customer-cache", 6390));
    assert_eq!(own.zone, chrono_tz::US::Eastern);
    assert!(!format!("{own:?}").contains("very-secret"), "Debug hides secrets");
}

#[test]
fn all_problems_are_in_one_message_without_secrets() {
    let environment = Environment::from([
        ("CLIENT_SECRET", "topsecret-value"),
        ("BASE_URL", "not a url but topsecret-value and bob@example.com"),
        ("CLIENTS", "[1,"),
        ("INTERVAL", "-1"),
        ("DRY", "perhaps"),
        ("RETRIES", "300"),
    ]);

    let message = environment.read::<Own>().unwrap_err().to_string();

    insta::assert_snapshot!(message, @r#"
    8 environment variables are missing or wrong:
      BASE_URL is "not a url but [redacted] and [redacted]": expected a URL (relative URL without a base)
      CLIENTS is "[1,": expected a JSON list of client ids, e.g. [1,2] (EOF while parsing a value at line 1 column 3)
      INTERVAL is "-1": expected a number of seconds (cannot convert float seconds to Duration: value is negative)
      WAIT is missing: expected a number of seconds
      DRY is "perhaps": expected true or false
      RETRIES is "300": expected a small number (number too large to fit in target type)
      REDIS_CUSTOMER_CACHE_HOSTNAME is missing: expected the host name of a Redis server
      TIMEZONE is missing: expected an IANA time zone, e.g. US/Eastern
    "#);
}

#[test]
fn rejected_secrets_are_not_shown() {
    #[derive(Debug)]
    struct Keyed;
    impl FromEnvironment for Keyed {
        fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
            let key = env.secret("KEY", "64 hexadecimal digits")?;
            if key.expose_secret().len() == 64 {
                Ok(Self)
            } else {
                Err(env.reject_secret("KEY", "64 hexadecimal digits"))
            }
        }
    }
    let message = Environment::from([("KEY", "short-key")]).read::<Keyed>().unwrap_err().to_string();
    assert!(
        message.contains("KEY is wrong (a secret, not shown): expected 64 hexadecimal digits"),
        "{message}"
    );
    assert!(!message.contains("short-key"), "{message}");
}

#[test]
fn the_debug_form_of_an_environment_has_no_values() {
    let text = format!("{:?}", Environment::from([("PASSWORD", "hidden-value")]));
    assert!(text.contains("PASSWORD") && !text.contains("hidden-value"), "{text}");
}

#[test]
fn a_time_span_is_ten_years_at_most() {
    #[derive(Debug)]
    struct Spans(Duration, Duration);
    impl FromEnvironment for Spans {
        fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
            let (interval, wait) = (env.seconds("INTERVAL", 600), env.required_seconds("WAIT"));
            Ok(Self(interval?, wait?))
        }
    }
    let with = |value: &str| Environment::from([("INTERVAL", value), ("WAIT", value)]).read::<Spans>();
    let Spans(interval, wait) = with("315360000").unwrap();
    assert_eq!((interval, wait), (Duration::from_secs(315_360_000), Duration::from_secs(315_360_000)));
    for absurd in ["315360001", "1e19", "1e300", "inf"] {
        let message = with(absurd).unwrap_err().to_string();
        for name in ["INTERVAL", "WAIT"] {
            let expected = format!(
                "{name} is \"{absurd}\": expected a number of seconds (more than ten years, 315360000 s)"
            );
            assert!(message.contains(&expected), "{message}");
        }
    }
    assert!(with("NaN").is_err());
}

#[test]
fn numbers_within_bounds_and_urls_of_http_are_told_from_others() {
    #[derive(Debug)]
    struct Bounded(u32, url::Url);
    impl FromEnvironment for Bounded {
        fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
            let places = env.or_within("PLACES", 7, 1..=9, "1 to 9");
            let url = env.required_http_url("URL", "the URL of the third party");
            Ok(Self(places?, url?))
        }
    }
    let with =
        |places: &str, url: &str| Environment::from([("PLACES", places), ("URL", url)]).read::<Bounded>();
    for (places, expected) in [("", 7), ("1", 1), (" 9 ", 9)] {
        let Bounded(places, url) = with(places, "https://api.example.com/base").unwrap();
        assert_eq!((places, url.as_str()), (expected, "https://api.example.com/base"));
    }
    for places in ["0", "10", "-1", "many"] {
        let message = with(places, "http://localhost:1").unwrap_err().to_string();
        assert!(message.contains(&format!("PLACES is \"{places}\": expected 1 to 9")), "{message}");
    }
    for url in ["ftp://api.example.com", "api.example.com", "mailto:a@example.com", "https://", "file:///tmp"]
    {
        let message = with("", url).unwrap_err().to_string();
        assert!(message.contains("expected the URL of the third party ("), "{message}");
    }
    assert!(with("", "").unwrap_err().to_string().contains("URL is missing"));
}
