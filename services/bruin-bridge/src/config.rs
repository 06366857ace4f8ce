//! The settings of this service (spec `bruin-bridge`, "Configuration").

use std::path::PathBuf;

use runtime::{FromEnvironment, Invalid, Reader};
use secrecy::SecretString;
use url::Url;

/// Where Bruin is and how it is talked to.
#[derive(Debug, Clone)]
pub struct Config {
    /// `BRUIN_BASE_URL`: the API's base URL; paths are appended to it.
    pub base_url: Url,
    /// `BRUIN_LOGIN_URL`: the login server's base URL.
    pub login_url: Url,
    /// `BRUIN_CLIENT_ID`: who logs in.
    pub client_id: String,
    /// `BRUIN_CLIENT_SECRET`: what it logs in with.
    pub client_secret: SecretString,
    /// `IPA_SYSTEM_USERNAME_IN_BRUIN`: the system's user name, written into e-mails that are marked as done. Other
    /// services compare the creator of tickets with it.
    pub system_user: String,
    /// `BRUIN_MAX_IN_FLIGHT`: calls to Bruin at the same time; further ones wait within their deadline.
    pub in_flight: usize,
    /// `BRUIN_VERIFY_TLS`: whether Bruin's certificates are checked. Only test installations switch it off.
    pub verify_tls: bool,
    /// `BRUIN_CA_FILE`: certificates trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let base_url = env.required_http_url("BRUIN_BASE_URL", "the base URL of Bruin's API");
        let login_url = env.required_http_url("BRUIN_LOGIN_URL", "the base URL of Bruin's login server");
        let client_id = env.required("BRUIN_CLIENT_ID", "the client id for Bruin's login");
        let client_secret = env.secret("BRUIN_CLIENT_SECRET", "the client secret for Bruin's login");
        let system_user = env.or(
            "IPA_SYSTEM_USERNAME_IN_BRUIN",
            "Intelygenz Ai".to_owned(),
            "the system's user name in Bruin",
        );
        let in_flight = env.or_within(
            "BRUIN_MAX_IN_FLIGHT",
            100,
            1..=1_000_000,
            "how many calls to Bruin run at the same time, 1 to 1000000",
        );
        let verify_tls = env.flag("BRUIN_VERIFY_TLS", true);
        let ca_file = env.file("BRUIN_CA_FILE", "a PEM file with certificates to trust");
        Ok(Self {
            base_url: base_url?,
            login_url: login_url?,
            client_id: client_id?,
            client_secret: client_secret?,
            system_user: system_user?,
            in_flight: in_flight?,
            verify_tls: verify_tls?,
            ca_file: ca_file?,
        })
    }
}

#[cfg(test)]
mod tests {
    use runtime::Environment;

    use super::*;

    fn with(in_flight: &str) -> Environment {
        Environment::from([
            ("BRUIN_BASE_URL", "https://api.bruin.example"),
            ("BRUIN_LOGIN_URL", "https://id.bruin.example/"),
            ("BRUIN_CLIENT_ID", "client-one"),
            ("BRUIN_CLIENT_SECRET", "secret-one"),
            ("BRUIN_MAX_IN_FLIGHT", in_flight),
        ])
    }

    #[test]
    fn as_many_calls_run_at_the_same_time_as_there_can_be_places() {
        for (in_flight, expected) in [("", 100), ("1", 1), ("1000000", 1_000_000)] {
            assert_eq!(with(in_flight).read::<Config>().unwrap().in_flight, expected);
        }
        for in_flight in ["0", "1000001", "18446744073709551615"] {
            let message = with(in_flight).read::<Config>().unwrap_err().to_string();
            assert!(message.contains(&format!("BRUIN_MAX_IN_FLIGHT is \"{in_flight}\"")), "{message}");
        }
    }
}
