//! Where a mail server really is, and whether it is spoken to over TLS.

use url::Url;

/// A mail server: its name, by which it is known and verified, and the address that is really connected to.
///
/// They differ in development and tests only (`UPSTREAM_OVERRIDES`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The name, e.g. `smtp.gmail.com`; certificates are checked against it.
    pub name: &'static str,
    /// The host to connect to.
    pub host: String,
    /// The port to connect to.
    pub port: u16,
    /// Whether the connection is secured. Only an override with a plain scheme says no.
    pub secure: bool,
}

/// An override that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("UPSTREAM_OVERRIDES: {name}= expects {plain}://host:port (no TLS) or {tls}://host:port")]
pub struct BadOverride {
    name: &'static str,
    plain: &'static str,
    tls: &'static str,
}

impl Endpoint {
    /// The SMTP server of the delivery account, port 587 with STARTTLS. Overrides: `smtp://` is without TLS,
    /// `smtp+starttls://` with.
    ///
    /// # Errors
    /// When the override has another scheme or no host.
    pub fn smtp(replaced_by: Option<&Url>) -> Result<Self, BadOverride> {
        Self::resolve("smtp.gmail.com", 587, replaced_by, "smtp", "smtp+starttls")
    }

    /// The IMAP server of the mailboxes, port 993 with TLS. Overrides: `imap://` is without TLS, `imaps://` with.
    ///
    /// # Errors
    /// When the override has another scheme or no host.
    pub fn imap(replaced_by: Option<&Url>) -> Result<Self, BadOverride> {
        Self::resolve("imap.gmail.com", 993, replaced_by, "imap", "imaps")
    }

    /// Host and port as one text.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    fn resolve(
        name: &'static str,
        port: u16,
        replaced_by: Option<&Url>,
        plain: &'static str,
        tls: &'static str,
    ) -> Result<Self, BadOverride> {
        let Some(url) = replaced_by else {
            return Ok(Self { name, host: name.to_owned(), port, secure: true });
        };
        let bad = || BadOverride { name, plain, tls };
        let secure = if url.scheme() == tls {
            true
        } else if url.scheme() == plain {
            false
        } else {
            return Err(bad());
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { name, host, port: url.port().unwrap_or(port), secure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_override_the_real_servers_are_spoken_to_over_tls() {
        let smtp = Endpoint::smtp(None).unwrap();
        assert_eq!((smtp.address(), smtp.secure), (("smtp.gmail.com", 587), true));
        let imap = Endpoint::imap(None).unwrap();
        assert_eq!((imap.address(), imap.secure), (("imap.gmail.com", 993), true));
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn plain_schemes_mean_no_tls_and_the_name_stays() {
        let smtp = Endpoint::smtp(Some(&url("smtp://127.0.0.1:2525"))).unwrap();
        assert_eq!((smtp.name, smtp.address(), smtp.secure), ("smtp.gmail.com", ("127.0.0.1", 2525), false));
        let imap = Endpoint::imap(Some(&url("imaps://[::1]:1143"))).unwrap();
        assert_eq!((imap.address(), imap.secure), (("::1", 1143), true));
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        for base in ["http://127.0.0.1:1", "smtp:x", "smtps://h:1"] {
            let error = Endpoint::smtp(Some(&url(base))).unwrap_err().to_string();
            assert!(error.starts_with("UPSTREAM_OVERRIDES: smtp.gmail.com="), "{base}: {error}");
        }
    }
}
