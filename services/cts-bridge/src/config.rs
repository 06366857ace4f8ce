//! The settings of this service, beside those which all services share.

use runtime::{FromEnvironment, Invalid, Reader};
use salesforce::{Account, Vendor};

/// Whose organisation it is.
pub const CTS: Vendor = Vendor { name: "cts", title: "CTS" };

/// How to log in at CTS, and what is asked there.
#[derive(Debug)]
pub struct Config {
    /// `CTS_DOMAIN`, `CTS_CLIENT_ID` and so on.
    pub account: Account,
    /// `CURRENT_ENVIRONMENT`: `production` has a field more, `dev` alone may write. Required.
    pub current_environment: String,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let account = Account::read(env, CTS);
        let current_environment = env.current_environment();
        Ok(Self { account: account?, current_environment: current_environment? })
    }
}
