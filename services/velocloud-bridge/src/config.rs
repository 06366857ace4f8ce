//! The settings of this service, beside those which all services share.

use runtime::{FromEnvironment, Invalid, Reader};
use secrecy::ExposeSecret;

use crate::credentials::{self, Credentials};

/// What the operator says about the VeloCloud hosts.
#[derive(Debug)]
pub struct Config {
    /// `VELOCLOUD_CREDENTIALS`: `host+user+password;host2+user2+password2`, in the order in which names are listed.
    pub hosts: Vec<Credentials>,
}

const EXPECTED: &str = "the VeloCloud hosts and their operators as host+user+password;host2+user2+password2";

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let text = env.secret("VELOCLOUD_CREDENTIALS", EXPECTED);
        let hosts = text.and_then(|text| {
            credentials::parse(text.expose_secret()).map_err(|problem| {
                env.reject_secret("VELOCLOUD_CREDENTIALS", &format!("{EXPECTED}; {problem}"))
            })
        });
        // Required of the existing bridge; nothing here depends on it.
        let time_zone = env.time_zone();
        let hosts = hosts?;
        time_zone?;
        for host in &hosts {
            runtime::redact::hide(host.password.expose_secret());
        }
        Ok(Self { hosts })
    }
}

#[cfg(test)]
mod tests {
    use runtime::Environment;

    use super::*;

    fn configured(credentials: &str) -> Environment {
        Environment::from([("VELOCLOUD_CREDENTIALS", credentials), ("TIMEZONE", "US/Eastern")])
    }

    #[test]
    fn a_malformed_block_is_named_and_nothing_of_it_shown() {
        let environment = configured("a.example.com+u+p;b.example.com+topsecret");
        let message = environment.read::<Config>().unwrap_err().to_string();
        assert!(message.contains("block 2 must have the form host+user+password"), "{message}");
        assert!(!message.contains("topsecret"), "{message}");
    }

    #[test]
    fn wrong_credentials_are_named_beside_a_missing_time_zone() {
        let environment = Environment::from([("VELOCLOUD_CREDENTIALS", "a.example.com+topsecret")]);
        let message = environment.read::<Config>().unwrap_err().to_string();
        for name in ["VELOCLOUD_CREDENTIALS is wrong", "TIMEZONE is missing"] {
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn the_order_of_hosts_is_kept() {
        let environment = configured("b.example.com+u+p+q;a.example.com+v+w");
        let config = environment.read::<Config>().unwrap();
        assert_eq!(
            config.hosts.iter().map(|it| it.host.as_str()).collect::<Vec<_>>(),
            ["b.example.com", "a.example.com"]
        );
        assert!(!format!("{config:?}").contains("p+q"));
    }
}
