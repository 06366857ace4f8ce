//! What the bridge wants to be told before it starts.

use runtime::Environment;

fn complete() -> Environment {
    Environment::from([
        ("BRUIN_BASE_URL", "https://api.bruin.example"),
        ("BRUIN_LOGIN_URL", "https://id.bruin.example/"),
        ("BRUIN_CLIENT_ID", "client-one"),
        ("BRUIN_CLIENT_SECRET", "secret-one"),
        ("ENVIRONMENT_NAME", "test"),
        ("NATS_SERVER1", "nats://nats.example:4222"),
        ("REDIS_HOSTNAME", "redis.example"),
    ])
}

#[test]
fn a_complete_environment_is_accepted() {
    bruin_bridge::service().check(&complete()).unwrap();
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let problems = bruin_bridge::service().check(&Environment::default()).unwrap_err().to_string();
    for name in
        ["BRUIN_BASE_URL", "BRUIN_LOGIN_URL", "BRUIN_CLIENT_ID", "BRUIN_CLIENT_SECRET", "NATS_SERVER1"]
    {
        assert!(problems.contains(&format!("{name} is missing")), "{name}: {problems}");
    }
}

#[test]
fn what_is_wrong_is_named_without_secrets() {
    for (name, value) in [
        ("BRUIN_BASE_URL", "api.bruin.example"),
        ("BRUIN_LOGIN_URL", "ftp://id.bruin.example"),
        ("BRUIN_VERIFY_TLS", "perhaps"),
        ("BRUIN_MAX_IN_FLIGHT", "-1"),
        ("BRUIN_CA_FILE", "no/such/file.pem"),
    ] {
        let problems = bruin_bridge::service().check(&complete().with(name, value)).unwrap_err().to_string();
        assert!(problems.contains(name), "{name}: {problems}");
        assert!(!problems.contains("secret-one"), "{problems}");
    }
}
