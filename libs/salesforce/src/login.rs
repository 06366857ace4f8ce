//! The SOAP partner login (spec, "Login"): user name and password in, session and instance out.

use std::time::Duration;

use http::{HeaderMap, header};
use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;
use secrecy::ExposeSecret;
use upstream::{Call, Http, Login, LoginError, Session};
use url::Url;

use crate::account::{Account, Vendor};

/// Where a login goes; the API's version is part of it.
pub const LOGIN_PATH: &str = "/services/Soap/u/42.0";
/// The vendor's sessions last about two hours; the deployment has always logged in every 90 minutes. That is 80 % of
/// this, after which a session is renewed. While that fails the older session stays in use (spec, "Login").
const LIFE: Duration = Duration::from_secs(90 * 60 * 5 / 4);
/// What Salesforce says when it does not want the user (`exceptionCode`): asking again does not help, and may lock the
/// user, which others share.
const DENIED: [&str; 6] = [
    "INVALID_LOGIN",
    "LOGIN_DURING_RESTRICTED_DOMAIN",
    "LOGIN_DURING_RESTRICTED_TIME",
    "LOGIN_MUST_USE_SECURITY_TOKEN",
    "ORG_LOCKED",
    "PASSWORD_LOCKOUT",
];
/// Characters of the vendor's message about a refused login that are logged.
const SHORT: usize = 200;

/// Logs in as the vendor's user.
#[derive(Debug)]
pub struct PartnerLogin {
    vendor: Vendor,
    account: Account,
}

impl PartnerLogin {
    /// For this account.
    pub fn new(vendor: Vendor, account: Account) -> Self {
        Self { vendor, account }
    }

    /// The SOAP 1.1 envelope. Holds the password.
    fn envelope(&self) -> String {
        let Account { client_id, username, password, security_token, .. } = &self.account;
        let password = format!("{}{}", password.expose_secret(), security_token.expose_secret());
        format!(
            r#"<?xml version="1.0" encoding="utf-8"?>
<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/" xmlns:urn="urn:partner.soap.sforce.com">
<env:Header><urn:CallOptions><urn:client>RestForce/{client}</urn:client><urn:defaultNamespace>sf</urn:defaultNamespace></urn:CallOptions></env:Header>
<env:Body><urn:login><urn:username>{username}</urn:username><urn:password>{password}</urn:password></urn:login></env:Body>
</env:Envelope>"#,
            client = escape(client_id.expose_secret()),
            username = escape(username.expose_secret()),
            password = escape(&password),
        )
    }

    /// What it means that the answer is not a 200.
    fn refused(&self, status: u16, xml: &str) -> LoginError {
        let Some([code, message]) = texts(xml, ["exceptionCode", "exceptionMessage"]) else {
            return LoginError::Refused(status);
        };
        let message: String = message.unwrap_or_default().chars().take(SHORT).collect();
        tracing::warn!(vendor = self.vendor.name, code, message, "Salesforce refuses the login");
        match code {
            Some(code) if DENIED.contains(&code.trim()) => LoginError::Denied(status),
            _ => LoginError::Refused(status),
        }
    }
}

impl Login for PartnerLogin {
    async fn login(&self, http: &Http) -> Result<Session, LoginError> {
        let call = Call::post(LOGIN_PATH)
            .header("charset", "UTF-8")
            .header("SOAPAction", "login")
            .bytes("text/xml", self.envelope());
        let response = http.send(call).await?;
        let text = response.text();
        if response.status == 200 {
            return session(&text);
        }
        Err(self.refused(response.status, &text))
    }

    fn authorize(&self, session: &Session, headers: &mut HeaderMap) {
        if let Some(bearer) = session.bearer() {
            headers.insert(header::AUTHORIZATION, bearer);
        }
    }
}

/// The session in the answer to a login. Renewed every 90 minutes, or sooner if Salesforce says that it is shorter.
///
/// # Errors
/// Says what the answer lacks.
pub fn session(xml: &str) -> Result<Session, LoginError> {
    let wanted = ["sessionId", "serverUrl", "sessionSecondsValid", "passwordExpired"];
    let [id, server, seconds, expired] = texts(xml, wanted).ok_or(LoginError::Unreadable("not XML"))?;
    // Such a session is good for nothing but a new password.
    if expired.as_deref() == Some("true") {
        return Err(LoginError::Unreadable("the password has expired"));
    }
    let id = id.filter(|id| !id.is_empty()).ok_or(LoginError::Unreadable("no sessionId"))?;
    let instance = server.as_deref().and_then(instance).ok_or(LoginError::Unreadable("no serverUrl"))?;
    let said = seconds.and_then(|seconds| seconds.parse().ok()).filter(|seconds| *seconds > 0);
    let life = said.map_or(LIFE, |seconds| LIFE.min(Duration::from_secs(seconds)));
    let session = Session::new(id).expiring_in(life).at(instance);
    if session.bearer().is_none() {
        return Err(LoginError::Unreadable("the sessionId cannot be sent"));
    }
    Ok(session)
}

/// Where calls go: the host of `serverUrl` without the text `-api`.
fn instance(server_url: &str) -> Option<Url> {
    let url = Url::parse(server_url.trim()).ok()?;
    let host = url.host_str()?.replace("-api", "");
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Url::parse(&format!("https://{host}{port}")).ok().filter(Url::has_host)
}

/// The texts of the first elements with these names, whatever their namespace; `None` when it is not XML.
fn texts<const N: usize>(xml: &str, wanted: [&str; N]) -> Option<[Option<String>; N]> {
    let mut found = [const { None }; N];
    let mut open: Option<(usize, String)> = None;
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = start.local_name();
                let place = wanted.iter().position(|wanted| name.as_ref() == *wanted);
                open = place.map(|place| (place, String::new()));
            }
            Event::Empty(empty) => {
                let name = empty.local_name();
                if let Some(place) = wanted.iter().position(|wanted| name.as_ref() == *wanted) {
                    keep(&mut found, place, String::new());
                }
            }
            Event::Text(text) => {
                if let Some((_, so_far)) = &mut open {
                    so_far.push_str(&text.xml10_content());
                }
            }
            Event::CData(text) => {
                if let Some((_, so_far)) = &mut open {
                    so_far.push_str(&text.xml10_content());
                }
            }
            Event::GeneralRef(reference) => {
                if let Some((_, so_far)) = &mut open {
                    match reference.resolve_char_ref().ok()? {
                        Some(letter) => so_far.push(letter),
                        None => so_far.push_str(resolve_predefined_entity(&reference.xml10_content())?),
                    }
                }
            }
            Event::End(_) => {
                if let Some((place, text)) = open.take() {
                    keep(&mut found, place, text);
                }
            }
            Event::Eof => return Some(found),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// The first one counts.
fn keep(found: &mut [Option<String>], place: usize, text: String) {
    if let Some(slot) = found.get_mut(place) {
        slot.get_or_insert(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CTS: Vendor = Vendor { name: "cts", title: "CTS" };

    fn answer(result: &str) -> String {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com"><soapenv:Body><loginResponse><result><metadataServerUrl>https://m-api.example.test/</metadataServerUrl>{result}</result></loginResponse></soapenv:Body></soapenv:Envelope>"#
        )
    }

    fn partner() -> PartnerLogin {
        let account = Account {
            login_url: Url::parse("https://test.salesforce.com").unwrap(),
            client_id: "client-1".into(),
            username: "a&b@example.test".into(),
            password: "p<w>'\"&".into(),
            security_token: "T0ken".into(),
            verify_tls: true,
            ca_file: None,
        };
        PartnerLogin::new(CTS, account)
    }

    #[test]
    fn a_user_who_is_not_wanted_is_told_from_passing_trouble() {
        let fault = |code: &str| {
            format!(
                "<soapenv:Fault><faultcode>sf:{code}</faultcode><detail><sf:LoginFault><sf:exceptionCode>{code}\
                 </sf:exceptionCode><sf:exceptionMessage>why</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault>"
            )
        };
        for code in ["INVALID_LOGIN", "LOGIN_MUST_USE_SECURITY_TOKEN", "PASSWORD_LOCKOUT"] {
            assert_eq!(partner().refused(500, &fault(code)), LoginError::Denied(500), "{code}");
        }
        for text in [&fault("SERVER_UNAVAILABLE"), &fault("UNKNOWN_EXCEPTION"), "<html>", "INVALID_LOGIN", ""]
        {
            assert_eq!(partner().refused(503, text), LoginError::Refused(503), "{text}");
        }
    }

    #[test]
    fn the_envelope_is_as_specified_and_escapes_what_people_choose() {
        let envelope = partner().envelope();
        let wanted = ["client", "defaultNamespace", "username", "password"];
        let expected = ["RestForce/client-1", "sf", "a&b@example.test", "p<w>'\"&T0ken"];
        assert_eq!(texts(&envelope, wanted).unwrap().map(Option::unwrap), expected);
        assert!(
            envelope.contains("<urn:password>p&lt;w&gt;&apos;&quot;&amp;T0ken</urn:password>"),
            "{envelope}"
        );
        let soap = r#"xmlns:env="http://schemas.xmlsoap.org/soap/envelope/""#;
        assert!(envelope.contains(soap) && envelope.contains(r#"xmlns:urn="urn:partner.soap.sforce.com""#));
    }

    #[test]
    fn a_session_has_an_id_an_instance_and_a_life() {
        let read = |result: &str| session(&answer(result));
        for (result, instance, seconds) in [
            (
                "<serverUrl>https://na1-api.example.test/services/Soap/u/42.0/00D1</serverUrl><sessionId>00D1!A.b&amp;c</sessionId>",
                "https://na1.example.test/",
                6_750,
            ),
            (
                "<passwordExpired>false</passwordExpired><serverUrl>https://acme.my.example.test:8443/x</serverUrl><sessionId><![CDATA[00D1!A.b&c]]></sessionId><userInfo><sessionSecondsValid>7200</sessionSecondsValid></userInfo>",
                "https://acme.my.example.test:8443/",
                6_750,
            ),
            (
                "<sf:serverUrl> http://acme.example.test </sf:serverUrl><sf:sessionId>00D1!A.b&#38;c</sf:sessionId><sessionSecondsValid>900</sessionSecondsValid>",
                "https://acme.example.test/",
                900,
            ),
        ] {
            let session = read(result).unwrap();
            assert_eq!(session.secret.expose_secret(), "00D1!A.b&c");
            assert_eq!(session.base_url.as_ref().map(Url::as_str), Some(instance));
            assert_eq!(session.expires_in, Some(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn an_answer_without_what_is_needed_gives_no_session() {
        const SERVER: &str = "<serverUrl>https://na1.example.test/x</serverUrl>";
        for (result, why) in [
            (SERVER.to_owned(), "no sessionId"),
            (format!("{SERVER}<sessionId></sessionId>"), "no sessionId"),
            (format!("{SERVER}<sessionId/>"), "no sessionId"),
            (format!("{SERVER}<sessionId>a&#10;b</sessionId>"), "the sessionId cannot be sent"),
            ("<sessionId>s</sessionId>".to_owned(), "no serverUrl"),
            ("<serverUrl>elsewhere</serverUrl><sessionId>s</sessionId>".to_owned(), "no serverUrl"),
            ("<serverUrl>https://-api/</serverUrl><sessionId>s</sessionId>".to_owned(), "no serverUrl"),
            (
                format!("{SERVER}<sessionId>s</sessionId><passwordExpired>true</passwordExpired>"),
                "the password has expired",
            ),
        ] {
            assert_eq!(session(&answer(&result)).unwrap_err(), LoginError::Unreadable(why), "{result}");
        }
        for text in ["<a><b></a>", "<sessionId>&unknown;</sessionId>", "<"] {
            assert_eq!(session(text).unwrap_err(), LoginError::Unreadable("not XML"), "{text}");
        }
        for text in ["", "hello", "{}", "<!DOCTYPE html><html><body>x</body></html>"] {
            assert_eq!(session(text).unwrap_err(), LoginError::Unreadable("no sessionId"), "{text}");
        }
    }
}
