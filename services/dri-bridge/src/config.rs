//! The settings of this service, beside those which all services share.

use std::time::Duration;

use runtime::{FromEnvironment, Invalid, LONGEST_SECONDS, Reader};
use secrecy::SecretString;
use url::Url;

/// Where DRI is, how to log in, and how long a task counts.
#[derive(Debug)]
pub struct Config {
    /// `BASE_URL`: what `/auth/..` and `/acs/..` are appended to. Required.
    pub base_url: Url,
    /// `USERNAME`: the e-mail address of the login. Required. Note that shells may define it.
    pub username: String,
    /// `PASSWORD`. Required.
    pub password: SecretString,
    /// `DRI_DATA_REDIS_TTL`: for how many whole seconds a device's task is remembered, from its creation; default 300.
    /// As long the same data are given out without asking the device again.
    pub task_life: Duration,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        const TASK_LIFE: &str = "a number of seconds, 1 to 315360000 (ten years)";
        let base_url = env.required_http_url("BASE_URL", "the URL of the DRI API, http or https");
        let username = env.required("USERNAME", "the e-mail address of the login at DRI");
        let password = env.secret("PASSWORD", "the password of the login at DRI");
        let task_life = env.or_within("DRI_DATA_REDIS_TTL", 300, 1..=LONGEST_SECONDS, TASK_LIFE);
        Ok(Self {
            base_url: base_url?,
            username: username?,
            password: password?,
            task_life: Duration::from_secs(task_life?.into()),
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
        for name in ["BASE_URL", "USERNAME", "PASSWORD"] {
            assert!(message.contains(name), "{message}");
        }
        assert!(!message.contains("DRI_DATA_REDIS_TTL"), "{message}");
    }

    #[test]
    fn a_task_lives_for_some_seconds() {
        let environment = Environment::from([
            ("BASE_URL", "https://dri.example.com"),
            ("USERNAME", "user@example.com"),
            ("PASSWORD", "topsecret"),
        ]);
        let config = environment.read::<Config>().unwrap();
        assert_eq!(config.task_life, Duration::from_secs(300));
        assert!(!format!("{config:?}").contains("topsecret"));
        for odd in ["0", "-1", "soon", "315360001"] {
            let error = environment.clone().with("DRI_DATA_REDIS_TTL", odd).read::<Config>().unwrap_err();
            assert!(error.to_string().contains("DRI_DATA_REDIS_TTL"), "{error}");
        }
        let error = environment.with("BASE_URL", "ftp://dri.example.com").read::<Config>().unwrap_err();
        assert!(error.to_string().contains("BASE_URL"), "{error}");
    }
}
