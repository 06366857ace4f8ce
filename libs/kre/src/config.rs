//! The settings of a bridge to a model.

use std::path::PathBuf;
use std::time::Duration;

use http::uri::Authority;
use runtime::{FromEnvironment, Invalid, Reader};

/// Where a model's entrypoint is and how it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `KRE_BASE_URL`, required: `host:port` without a scheme; the port is 443 (80 without TLS) when left out.
    pub target: Authority,
    /// `KRE_TLS` (`true`): whether the connection is by TLS. Plain text is for local tests.
    pub tls: bool,
    /// `KRE_TLS_CA_FILE`: certificates (PEM) trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// `KRE_DEADLINE` (120 s): limit of one call. A requester that waits less shortens it.
    pub deadline: Duration,
    /// `KRE_IN_FLIGHT` (64): calls at the same time. One more is answered 503.
    pub in_flight: usize,
}

/// The longest deadline that can be set. The subjects of these bridges are answered within a little more, so that a call
/// which takes too long is answered 408 by the bridge and not 500 by the bus.
const LONGEST_DEADLINE: Duration = Duration::from_secs(120);

impl Config {
    /// Reads the settings where the variable of the CA file has another name than `KRE_TLS_CA_FILE`.
    ///
    /// # Errors
    /// When one is missing or wrong; the reader knows which.
    pub fn read_with(env: &mut Reader<'_>, ca_file: &str) -> Result<Self, Invalid> {
        let target = env.required_with(
            "KRE_BASE_URL",
            "the host:port of the model's entrypoint, without a scheme",
            target,
        );
        let tls = env.flag("KRE_TLS", true);
        let ca_file =
            env.file(ca_file, "a PEM file with the certificate authority of the model's entrypoint");
        let deadline = deadline(env);
        let in_flight = in_flight(env);
        Ok(Self { target: target?, tls: tls?, ca_file: ca_file?, deadline: deadline?, in_flight: in_flight? })
    }
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        Self::read_with(env, "KRE_TLS_CA_FILE")
    }
}

fn target(text: &str) -> Result<Authority, Option<String>> {
    if text.contains("://") {
        return Err(Some("it has a scheme".to_owned()));
    }
    let authority: Authority = text.parse().map_err(|_| None)?;
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    // `port_u16` is none also for a port that is no number.
    let usable = !authority.host().is_empty()
        && !text.contains('@')
        && (port.is_empty() || authority.port_u16().is_some());
    if usable { Ok(authority) } else { Err(None) }
}

fn deadline(env: &mut Reader<'_>) -> Result<Duration, Invalid> {
    const NAME: &str = "KRE_DEADLINE";
    let deadline = env.seconds(NAME, LONGEST_DEADLINE.as_secs())?;
    if (Duration::from_millis(1)..=LONGEST_DEADLINE).contains(&deadline) {
        Ok(deadline)
    } else {
        Err(env.reject(NAME, "seconds, at most 120"))
    }
}

fn in_flight(env: &mut Reader<'_>) -> Result<usize, Invalid> {
    const NAME: &str = "KRE_IN_FLIGHT";
    const EXPECTED: &str = "the number of calls at the same time, 1 to 1000";
    let number: usize = env.or(NAME, 64, EXPECTED)?;
    if (1..=1_000).contains(&number) { Ok(number) } else { Err(env.reject(NAME, EXPECTED)) }
}

#[cfg(test)]
mod tests {
    use runtime::Environment;

    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, String> {
        let environment: Environment = settings.iter().copied().collect();
        environment.read().map_err(|errors| errors.to_string())
    }

    #[test]
    fn only_the_target_is_required() {
        let config = read(&[("KRE_BASE_URL", "tagger.kre.example.com:443")]).unwrap();
        assert_eq!(
            config,
            Config {
                target: Authority::from_static("tagger.kre.example.com:443"),
                tls: true,
                ca_file: None,
                deadline: Duration::from_secs(120),
                in_flight: 64,
            }
        );
        assert!(read(&[]).unwrap_err().contains("KRE_BASE_URL is missing: expected the host:port"));
    }

    #[test]
    fn a_target_is_host_and_port_without_a_scheme() {
        for good in ["kre.example.com", "127.0.0.1:5051", "[::1]:443"] {
            assert!(read(&[("KRE_BASE_URL", good)]).is_ok(), "{good}");
        }
        for bad in [
            "https://kre.example.com:443",
            "kre.example.com:grpc",
            "kre.example.com:99999",
            "a b",
            ":1",
            "u@kre:1",
        ] {
            let message = read(&[("KRE_BASE_URL", bad)]).unwrap_err();
            assert!(message.contains("KRE_BASE_URL"), "{bad}: {message}");
        }
    }

    #[test]
    fn limits_have_limits() {
        let with = |name, value| read(&[("KRE_BASE_URL", "kre:1"), (name, value)]);
        assert_eq!(with("KRE_DEADLINE", "0.5").unwrap().deadline, Duration::from_millis(500));
        for (name, value) in [
            ("KRE_DEADLINE", "0"),
            ("KRE_DEADLINE", "121"),
            ("KRE_IN_FLIGHT", "0"),
            ("KRE_IN_FLIGHT", "1001"),
        ] {
            assert!(with(name, value).unwrap_err().contains(name), "{name}={value}");
        }
        assert!(with("KRE_TLS_CA_FILE", "/nowhere/ca.pem").unwrap_err().contains("KRE_TLS_CA_FILE"));
    }
}
