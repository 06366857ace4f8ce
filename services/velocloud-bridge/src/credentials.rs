//! `VELOCLOUD_CREDENTIALS`: which hosts there are and who logs in to them.

use secrecy::SecretString;

/// One VCO host and the operator who logs in there.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The host as requests name it, e.g. `vco1.example.com`; compared exactly.
    pub host: String,
    /// The operator's name.
    pub user: String,
    /// The operator's password.
    pub password: SecretString,
}

/// Reads `host+user+password;host2+user2+password2`. Only the first two `+` of a block separate, so a password may hold
/// further ones (Improve 16). Blanks around the parts are dropped, empty blocks are skipped.
///
/// # Errors
/// A message which names the offending block by its number and never quotes it.
pub fn parse(text: &str) -> Result<Vec<Credentials>, String> {
    let mut hosts: Vec<Credentials> = Vec::new();
    for (index, block) in text.split(';').enumerate().filter(|(_, block)| !block.trim().is_empty()) {
        let number = index + 1;
        let parts: Vec<&str> = block.splitn(3, '+').map(str::trim).collect();
        let [host, user, password] = parts.as_slice() else {
            return Err(format!("block {number} must have the form host+user+password"));
        };
        for (part, name) in [(host, "host"), (user, "user"), (password, "password")] {
            if part.is_empty() {
                return Err(format!("block {number} has an empty {name}"));
            }
        }
        let valid = url::Url::parse(&format!("https://{host}/"))
            .is_ok_and(|url| url.path() == "/" && url.username().is_empty() && url.query().is_none());
        if !valid {
            return Err(format!("block {number}: the part before the first + is no host name"));
        }
        if hosts.iter().any(|other| other.host == *host) {
            return Err(format!("block {number} repeats a host"));
        }
        let (host, user) = ((*host).to_owned(), (*user).to_owned());
        hosts.push(Credentials { host, user, password: SecretString::from(*password) });
    }
    if hosts.is_empty() { Err("names no host".to_owned()) } else { Ok(hosts) }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(text: &str) -> Vec<(String, String, String)> {
        let hosts = parse(text).unwrap();
        hosts.into_iter().map(|it| (it.host, it.user, it.password.expose_secret().to_owned())).collect()
    }

    fn block(host: &str, user: &str, password: &str) -> (String, String, String) {
        (host.to_owned(), user.to_owned(), password.to_owned())
    }

    #[test]
    fn blocks_are_split_at_semicolons_and_at_the_first_two_plus_signs() {
        assert_eq!(
            read(" a.example.com + op one+ s+e+cret ;b.example.com:8443+u+p;"),
            [block("a.example.com", "op one", "s+e+cret"), block("b.example.com:8443", "u", "p")]
        );
    }

    #[test]
    fn malformed_blocks_are_told_by_number_and_without_secrets() {
        for (text, message) in [
            ("", "names no host"),
            (" ; ", "names no host"),
            ("a.example.com+u+p;b.example.com+secret", "block 2 must have the form host+user+password"),
            ("+u+secret", "block 1 has an empty host"),
            ("a.example.com++secret", "block 1 has an empty user"),
            ("a.example.com+u+ ", "block 1 has an empty password"),
            ("a/b+u+secret", "block 1: the part before the first + is no host name"),
            ("x y+u+secret", "block 1: the part before the first + is no host name"),
            ("me@a+u+secret", "block 1: the part before the first + is no host name"),
            ("a.example.com+u+secret;a.example.com+v+secret", "block 2 repeats a host"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, message, "{text}");
            assert!(!error.contains("secret"));
        }
    }
}
