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
        // Required of the existing bridge; nothing here depends on it.
        env.time_zone()?;
        let text = text?;
        let hosts = credentials::parse(text.expose_secret()).map_err(|problem| {
            env.reject_secret("VELOCLOUD_CREDENTIALS", &format!("{EXPECTED}; {problem}"))
        })?;
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
