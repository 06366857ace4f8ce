//! The settings of this service, beside those which all services share.

use std::path::PathBuf;
use std::time::Duration;

use runtime::{FromEnvironment, Invalid, Reader};
use secrecy::SecretString;
use url::Url;

/// Where DiGi is and how to log in.
#[derive(Debug)]
pub struct Config {
    /// `DIGI_BASE_URL`: what `/Identity/..` and `/DeviceManagement_API/..` are appended to. Required.
    pub base_url: Url,
    /// `DIGI_CLIENT_ID`: the OAuth client. Required.
    pub client_id: String,
    /// `DIGI_CLIENT_SECRET`. Required.
    pub client_secret: SecretString,
    /// `DIGI_TOKEN_TTL`: seconds after which a token counts as old even if DiGi says that it lasts longer. Required.
    /// A token is renewed after 80 % of its life; an old one stays in use while no login succeeds.
    pub token_ttl: Duration,
    /// `DIGI_VERIFY_TLS`: whether DiGi's certificate is checked; default true.
    pub verify_tls: bool,
    /// `DIGI_CA_FILE`: certificates (PEM) trusted beside the system's, for an internal certificate.
    pub ca_file: Option<PathBuf>,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let base_url = env.required_http_url("DIGI_BASE_URL", "the URL of the DiGi API, http or https");
        let client_id = env.required("DIGI_CLIENT_ID", "the OAuth client id at DiGi");
        let client_secret = env.secret("DIGI_CLIENT_SECRET", "the OAuth client secret at DiGi");
        let token_ttl = env.required_seconds("DIGI_TOKEN_TTL");
        let verify_tls = env.flag("DIGI_VERIFY_TLS", true);
        let ca_file = env.file("DIGI_CA_FILE", "a PEM file with the certificate authority of DiGi");
        Ok(Self {
            base_url: base_url?,
            client_id: client_id?,
            client_secret: client_secret?,
            token_ttl: token_ttl?,
            verify_tls: verify_tls?,
            ca_file: ca_file?,
        })
    }
}

#[cfg(test)]
mod tests {
    use runtime::Environment;

    use super::*;

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let message = Environment::default().read::<Config>().unwrap_err().to_string();
        for name in ["DIGI_BASE_URL", "DIGI_CLIENT_ID", "DIGI_CLIENT_SECRET", "DIGI_TOKEN_TTL"] {
            assert!(message.contains(name), "{message}");
        }
    }

    fn complete() -> Environment {
        Environment::from([
            ("DIGI_BASE_URL", "https://digi.example.com/base"),
            ("DIGI_CLIENT_ID", "client"),
            ("DIGI_CLIENT_SECRET", "topsecret"),
            ("DIGI_TOKEN_TTL", "3600"),
        ])
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (name, value) in [
            ("DIGI_BASE_URL", "ftp://digi.example.com"),
            ("DIGI_CA_FILE", "no/such/file.pem"),
            ("DIGI_TOKEN_TTL", "1e19"),
        ] {
            let message = complete().with(name, value).read::<Config>().unwrap_err().to_string();
            assert!(message.contains(&format!("{name} is \"{value}\"")), "{message}");
        }
    }

    #[test]
    fn the_name_of_the_environment_may_be_absent() {
        let environment =
            complete().with("NATS_SERVER1", "nats://nats.example").with("REDIS_HOSTNAME", "redis.example");
        crate::service().check(&environment).unwrap();
    }

    #[test]
    fn certificates_are_checked_by_default() {
        let config = complete().read::<Config>().unwrap();
        assert!(config.verify_tls);
        assert_eq!(config.token_ttl, Duration::from_secs(3600));
        assert!(!format!("{config:?}").contains("topsecret"));
    }
}
