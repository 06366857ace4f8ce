//! The settings of this service, beside those which all services share.

use runtime::{FromEnvironment, Invalid, Reader};

/// Where the model is and how it is called.
#[derive(Debug)]
pub struct Config {
    /// As every bridge to a model has them, except that the CA file is named by `KRE_ROOT_CERTIFICATES`.
    pub kre: kre::Config,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        Ok(Self { kre: kre::Config::read_with(env, "KRE_ROOT_CERTIFICATES")? })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime::Environment;

    use super::*;

    #[test]
    fn the_target_is_required_and_tls_is_the_default() {
        let message = Environment::default().read::<Config>().unwrap_err().to_string();
        assert!(message.contains("KRE_BASE_URL"), "{message}");
        let environment = Environment::from([("KRE_BASE_URL", "tnba.kre.example.com:443")]);
        let Config { kre } = environment.read().unwrap();
        assert!(kre.tls);
        assert_eq!((kre.deadline, kre.ca_file), (Duration::from_secs(120), None));
        let environment = environment.with("KRE_ROOT_CERTIFICATES", "/nowhere/ca.pem");
        let message = environment.read::<Config>().unwrap_err().to_string();
        assert!(message.contains("KRE_ROOT_CERTIFICATES"), "{message}");
    }
}
