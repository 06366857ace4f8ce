//! Whose organisation it is, and how to log in there.

use std::path::PathBuf;

use runtime::{Invalid, Reader};
use secrecy::SecretString;
use url::Url;

/// A vendor whose dispatches are kept in an organisation of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vendor {
    /// In metrics and logs, e.g. `cts`.
    pub name: &'static str,
    /// In texts, and what the names of the settings begin with, e.g. `CTS`.
    pub title: &'static str,
}

/// The vendor's login. Below, `CTS` stands for the vendor's title. `CTS_CLIENT_SECRET` and `CTS_LOGIN_URL` belong to the
/// deployment too, but no login needs them.
#[derive(Debug, Clone)]
pub struct Account {
    /// From `CTS_DOMAIN`: `login`, `test` or a My Domain name. Required. Here as the URL of the login server.
    pub login_url: Url,
    /// `CTS_CLIENT_ID`: how the client calls itself. Required.
    pub client_id: SecretString,
    /// `CTS_CLIENT_USERNAME`. Required.
    pub username: SecretString,
    /// `CTS_CLIENT_PASSWORD`. Required.
    pub password: SecretString,
    /// `CTS_CLIENT_SECURITY_TOKEN`: follows the password. Required.
    pub security_token: SecretString,
    /// `CTS_VERIFY_TLS`: whether Salesforce's certificate is checked; default true.
    pub verify_tls: bool,
    /// `CTS_CA_FILE`: certificates (PEM) trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl Account {
    /// Reads the settings of a vendor.
    ///
    /// # Errors
    /// When one is missing or wrong; the reader knows which.
    pub fn read(env: &mut Reader<'_>, vendor: Vendor) -> Result<Self, Invalid> {
        let title = vendor.title;
        let named = |end: &str| format!("{title}_{end}");
        let login_url = env.required_with(
            &named("DOMAIN"),
            "what comes before .salesforce.com in the login server's name: login, test or a My Domain name",
            login_url,
        );
        let client_id = env.secret(&named("CLIENT_ID"), &format!("the client id at {title}"));
        let username = env.secret(&named("CLIENT_USERNAME"), &format!("the user name at {title}"));
        let password = env.secret(&named("CLIENT_PASSWORD"), &format!("the password at {title}"));
        let security_token =
            env.secret(&named("CLIENT_SECURITY_TOKEN"), &format!("the user's security token at {title}"));
        let verify_tls = env.flag(&named("VERIFY_TLS"), true);
        let ca_file =
            env.file(&named("CA_FILE"), &format!("a PEM file with the certificate authority of {title}"));
        Ok(Self {
            login_url: login_url?,
            client_id: client_id?,
            username: username?,
            password: password?,
            security_token: security_token?,
            verify_tls: verify_tls?,
            ca_file: ca_file?,
        })
    }
}

fn login_url(domain: &str) -> Result<Url, Option<String>> {
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
    };
    if !domain.split('.').all(label) {
        return Err(None);
    }
    Url::parse(&format!("https://{domain}.salesforce.com")).map_err(|error| Some(error.to_string()))
}

#[cfg(test)]
mod tests {
    use runtime::{Environment, FromEnvironment};

    use super::*;

    const CTS: Vendor = Vendor { name: "cts", title: "CTS" };

    #[derive(Debug)]
    struct Config(Account);

    impl FromEnvironment for Config {
        fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
            Account::read(env, CTS).map(Self)
        }
    }

    fn environment(domain: &str) -> Environment {
        Environment::from([
            ("CTS_DOMAIN", domain),
            ("CTS_CLIENT_ID", "hidden-client"),
            ("CTS_CLIENT_USERNAME", "hidden-user"),
            ("CTS_CLIENT_PASSWORD", "hidden-password"),
            ("CTS_CLIENT_SECURITY_TOKEN", "hidden-token"),
        ])
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let message = Environment::default().read::<Config>().unwrap_err().to_string();
        for name in ["DOMAIN", "CLIENT_ID", "CLIENT_USERNAME", "CLIENT_PASSWORD", "CLIENT_SECURITY_TOKEN"] {
            assert!(message.contains(&format!("CTS_{name} is missing")), "{message}");
        }
    }

    #[test]
    fn the_domain_becomes_the_login_server_and_nothing_else() {
        for (domain, url) in [
            ("test", "https://test.salesforce.com/"),
            ("acme--dev.sandbox.my", "https://acme--dev.sandbox.my.salesforce.com/"),
        ] {
            assert_eq!(environment(domain).read::<Config>().unwrap().0.login_url.as_str(), url);
        }
        for domain in ["evil.example/", "user@evil", "a..b", ".", "a b", "a#"] {
            let message = environment(domain).read::<Config>().unwrap_err().to_string();
            assert!(message.contains("CTS_DOMAIN"), "{domain}: {message}");
        }
    }

    #[test]
    fn certificates_are_checked_by_default_and_secrets_are_not_shown() {
        let config = environment("login").read::<Config>().unwrap();
        assert!(config.0.verify_tls);
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
