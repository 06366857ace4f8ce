//! Looks for secrets in what was logged.

use std::path::Path;

use anyhow::Context;
use regex::Regex;
use sandbox::{environment, salesforce};

/// Passwords of the servers in experiments that need some.
pub(crate) const NATS_PASSWORD: &str = "nats-pa55word-of-prove";
/// Redis'.
pub(crate) const REDIS_PASSWORD: &str = "redis-pa55word-of-prove";

/// What no log may hold, with a name for it.
const SECRETS: [(&str, &str); 13] = [
    ("Bruin's client secret", environment::BRUIN_CLIENT_SECRET),
    ("DiGi's client secret", environment::DIGI_CLIENT_SECRET),
    ("VeloCloud's password", environment::VELOCLOUD_PASSWORD),
    ("Hawkeye's password", environment::HAWKEYE_PASSWORD),
    ("DRI's password", environment::DRI_PASSWORD),
    ("Salesforce's password", salesforce::PASSWORD),
    ("Salesforce's security token", salesforce::SECURITY_TOKEN),
    ("Slack's webhook", environment::SLACK_PATH),
    ("the SMS provider's token", environment::SMS_TOKEN),
    ("the mail account's password", environment::MAIL_PASSWORD),
    ("the mailbox's password", environment::INBOX_PASSWORD),
    ("NATS' password", NATS_PASSWORD),
    ("Redis' password", REDIS_PASSWORD),
];

/// Tokens and sessions as the sandbox makes them.
const TOKENS: &str = r"\b(bruin|velocloud|digi|hawkeye|dri|cts|lit)-\d{6}-[0-9a-f]{8}\b";

/// What was found in the logs of an experiment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Lines read.
    pub(crate) lines: usize,
    /// A secret's name and the log it is in.
    pub(crate) leaks: Vec<String>,
    /// Records that tell of a panic.
    pub(crate) panics: Vec<String>,
}

/// Reads all logs of a folder.
///
/// # Errors
/// When a log cannot be read.
pub(crate) fn search(logs: &Path) -> anyhow::Result<Found> {
    let tokens = Regex::new(TOKENS)?;
    let mut found = Found::default();
    let entries = std::fs::read_dir(logs).with_context(|| format!("cannot read {}", logs.display()))?;
    for entry in entries {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A torn line of a killed process may be no UTF-8.
        let bytes = std::fs::read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        found.lines += text.lines().count();
        for (name, _) in SECRETS.iter().filter(|(_, secret)| text.contains(secret)) {
            found.leaks.push(format!("{name} in {file}"));
        }
        if tokens.is_match(&text) {
            found.leaks.push(format!("a token in {file}"));
        }
        if let Some(line) = text.lines().find(|line| line.contains("panicked at")) {
            found.panics.push(format!("{file}: {}", line.chars().take(300).collect::<String>()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_panics_are_found() {
        let logs = tempfile::tempdir().unwrap();
        std::fs::write(logs.path().join("clean"), "one\ntwo\n").unwrap();
        assert_eq!(search(logs.path()).unwrap(), Found { lines: 2, ..Found::default() });
        let text = format!("a {NATS_PASSWORD}\nthread 'x' panicked at y\ntoken=bruin-000007-0123abcd\n");
        std::fs::write(logs.path().join("bad"), text).unwrap();
        let found = search(logs.path()).unwrap();
        assert_eq!(found.leaks, ["NATS' password in bad", "a token in bad"]);
        assert_eq!(found.panics.len(), 1);
    }
}
