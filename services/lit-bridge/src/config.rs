//! The settings of this service, beside those which all services share.

use runtime::{FromEnvironment, Invalid, Reader};
use salesforce::{Account, Vendor};

/// Whose organisation it is.
pub const LIT: Vendor = Vendor { name: "lit", title: "LIT" };

/// How to log in at LIT, and how files are sent there.
#[derive(Debug)]
pub struct Config {
    /// `LIT_DOMAIN`, `LIT_CLIENT_ID` and so on.
    pub account: Account,
    /// `LIT_UPLOAD_RAW`: whether a file's base64 text is decoded and the file itself sent; default false: the text is sent
    /// as a JSON string, as ever (Improve).
    pub upload_raw: bool,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let account = Account::read(env, LIT);
        let upload_raw = env.flag("LIT_UPLOAD_RAW", false);
        Ok(Self { account: account?, upload_raw: upload_raw? })
    }
}
