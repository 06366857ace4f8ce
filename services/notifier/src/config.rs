//! The notifier's settings (spec `notifier`, "Configuration"). A missing or wrong one stops the start.

use std::collections::HashMap;

use lettre::Address;
use runtime::{FromEnvironment, Invalid, Reader, redact};
use secrecy::SecretString;
use url::Url;

use crate::mailbox::Accounts;
use crate::sms::SmsAccount;

/// What the notifier needs beside the settings that every service has.
#[derive(Debug)]
pub struct Config {
    /// `SLACK_WEBHOOK`, an `https` URL. Whoever knows it can post, so it is a secret.
    pub slack_webhook: Url,
    /// `EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_USERNAME`: SMTP login and sender.
    pub delivery_account: Address,
    /// `EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_PASSWORD`.
    pub delivery_password: SecretString,
    /// `MONITORABLE_EMAIL_ACCOUNTS`: JSON object of mailbox and password.
    pub mailboxes: Accounts,
    /// `HIDE_MAILBOX_FAILURES` (`false`): a mailbox that cannot be read is answered as an empty one, as the existing
    /// deployment does. For a transition only (Improve 6).
    pub hide_mailbox_failures: bool,
    /// `TELESTAX_URL`, `TELESTAX_ACCOUNT_SID`, `TELESTAX_AUTH_TOKEN`, `TELESTAX_FROM_PHONE_NUMBER`: all four, or SMS are
    /// not served.
    pub sms: Option<SmsAccount>,
}

const WEBHOOK: &str = "the URL of a Slack webhook, https://...";
const ACCOUNTS: &str = r#"a JSON object of mailboxes and passwords, e.g. {"inbox@example.com":"..."}"#;

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let slack_webhook = webhook(env);
        let delivery_account = env.required(
            "EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_USERNAME",
            "the e-mail address that mails are sent from, e.g. bot@example.com",
        );
        let delivery_password =
            env.secret("EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_PASSWORD", "the password of that account");
        let mailboxes = mailboxes(env);
        let hide_mailbox_failures = env.flag("HIDE_MAILBOX_FAILURES", false);
        let sms = sms(env);
        Ok(Self {
            slack_webhook: slack_webhook?,
            delivery_account: delivery_account?,
            delivery_password: delivery_password?,
            mailboxes: mailboxes?,
            hide_mailbox_failures: hide_mailbox_failures?,
            sms: sms?,
        })
    }
}

fn webhook(env: &mut Reader<'_>) -> Result<Url, Invalid> {
    // The path is the secret, and it is part of a URL: hence read as a secret and parsed here.
    use secrecy::ExposeSecret as _;
    let text = env.secret("SLACK_WEBHOOK", WEBHOOK)?;
    let url = Url::parse(text.expose_secret().trim()).ok();
    match url.filter(|url| url.scheme() == "https" && url.has_host()) {
        Some(url) => {
            redact::hide(url.path());
            Ok(url)
        }
        None => Err(env.reject_secret("SLACK_WEBHOOK", WEBHOOK)),
    }
}

fn mailboxes(env: &mut Reader<'_>) -> Result<Accounts, Invalid> {
    use secrecy::ExposeSecret as _;
    let text = env.secret("MONITORABLE_EMAIL_ACCOUNTS", ACCOUNTS)?;
    match serde_json::from_str::<HashMap<String, String>>(text.expose_secret()) {
        Ok(accounts) => Ok(accounts
            .into_iter()
            .map(|(account, password)| {
                redact::hide(&password);
                (account, SecretString::from(password))
            })
            .collect()),
        Err(_) => Err(env.reject_secret("MONITORABLE_EMAIL_ACCOUNTS", ACCOUNTS)),
    }
}

fn sms(env: &mut Reader<'_>) -> Result<Option<SmsAccount>, Invalid> {
    let url = env.optional::<Url>("TELESTAX_URL", "the URL of the SMS provider's messages resource");
    let account_sid = env.optional("TELESTAX_ACCOUNT_SID", "the account at the SMS provider");
    let auth_token = env.optional_secret("TELESTAX_AUTH_TOKEN", "the token of that account");
    let from = env.optional("TELESTAX_FROM_PHONE_NUMBER", "the number that SMS come from");
    Ok(match (url?, account_sid?, auth_token?, from?) {
        (Some(url), Some(account_sid), Some(auth_token), Some(from)) => {
            Some(SmsAccount { url, account_sid, auth_token, from })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::Environment;

    fn environment() -> Environment {
        Environment::from([
            ("SLACK_WEBHOOK", "https://hooks.slack.com/services/T000/B000/secret"),
            ("EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_USERNAME", "bot@example.com"),
            ("EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_PASSWORD", "secret"),
            ("MONITORABLE_EMAIL_ACCOUNTS", r#"{"inbox@example.com":"secret"}"#),
        ])
    }

    #[test]
    fn sms_needs_all_four_settings() {
        assert!(environment().read::<Config>().unwrap().sms.is_none());
        let three = environment()
            .with("TELESTAX_URL", "https://sms.example.com/Messages")
            .with("TELESTAX_ACCOUNT_SID", "AC1")
            .with("TELESTAX_AUTH_TOKEN", "token");
        assert!(three.read::<Config>().unwrap().sms.is_none());
        let four = three.with("TELESTAX_FROM_PHONE_NUMBER", "15550199999");
        assert_eq!(four.read::<Config>().unwrap().sms.unwrap().account_sid, "AC1");
    }

    #[test]
    fn wrong_settings_are_named_together_without_their_secrets() {
        let wrong = environment()
            .with("SLACK_WEBHOOK", "http://hooks.slack.com/services/T000/B000/secret")
            .with("EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_USERNAME", "bot")
            .with("MONITORABLE_EMAIL_ACCOUNTS", r#"["secret"]"#)
            .with("EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_PASSWORD", "");
        let Err(errors) = wrong.read::<Config>() else { panic!("accepted") };
        let message = errors.to_string();
        for name in [
            "SLACK_WEBHOOK",
            "EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_USERNAME",
            "MONITORABLE_EMAIL_ACCOUNTS",
            "EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_PASSWORD",
        ] {
            assert!(message.contains(name), "{name}: {message}");
        }
        assert!(!message.contains("T000") && !message.contains("\"secret\""), "{message}");
    }
}
