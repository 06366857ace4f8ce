//! The settings of this service, beside those which all services share.

use runtime::{FromEnvironment, Invalid, Reader};
use secrecy::SecretString;
use url::Url;

/// Where Hawkeye is and how to log in.
#[derive(Debug)]
pub struct Config {
    /// `BASE_URL`: the root of Hawkeye's API, e.g. `https://hawkeye.example.com/api`. Required.
    pub base_url: Url,
    /// `CLIENT_USERNAME`. Required.
    pub username: String,
    /// `CLIENT_PASSWORD`. Required.
    pub password: SecretString,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let base_url = env.required_http_url("BASE_URL", "the URL of the Hawkeye API, http or https");
        let username = env.required("CLIENT_USERNAME", "the user at Hawkeye");
        let password = env.secret("CLIENT_PASSWORD", "the password of this user");
        Ok(Self { base_url: base_url?, username: username?, password: password? })
    }
}

#[cfg(test)]
mod tests {
    use runtime::Environment;

    use super::*;

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let message = Environment::default().read::<Config>().unwrap_err().to_string();
        for name in ["BASE_URL", "CLIENT_USERNAME", "CLIENT_PASSWORD"] {
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn the_password_is_not_shown_and_the_url_is_one_of_http() {
        let environment = Environment::from([
            ("BASE_URL", "https://hawkeye.example.com/api"),
            ("CLIENT_USERNAME", "user"),
            ("CLIENT_PASSWORD", "topsecret"),
        ]);
        let config = environment.read::<Config>().unwrap();
        assert!(!format!("{config:?}").contains("topsecret"));
        let error = environment.with("BASE_URL", "ftp://hawkeye.example.com").read::<Config>().unwrap_err();
        assert!(error.to_string().contains("BASE_URL"), "{error}");
    }
}
