//! What the Salesforce organisations of CTS and LIT have in common: the SOAP partner login, sessions that expire, and how
//! errors are written.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, HeaderName, StatusCode, header};
use quick_xml::NsReader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use serde_json::json;

use crate::Simulation;
use crate::faults::ThirdParty;
use crate::http::{header_text, json_with};

/// Where logins go.
pub const LOGIN_PATH: &str = "/services/Soap/u/42.0";
/// The security token of the users of both organisations; follows the password.
pub const SECURITY_TOKEN: &str = "sandboxToken";
/// The client id of both organisations.
pub const CLIENT_ID: &str = "sandbox-client";
/// The password of both users; what XML must escape is on purpose.
pub const PASSWORD: &str = "sandbox<&>salesforce";

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const PARTNER: &str = "urn:partner.soap.sforce.com";

/// An organisation.
#[derive(Debug, Clone, Copy)]
pub struct Organisation {
    /// Whose it is.
    pub third_party: ThirdParty,
    /// What comes before `.salesforce.com` in the login server's name.
    pub domain: &'static str,
    /// The host that logins name, with `-api` in it.
    pub api_host: &'static str,
    /// The host of all other calls.
    pub instance: &'static str,
    /// The user.
    pub username: &'static str,
}

/// CTS's organisation.
pub const CTS: Organisation = Organisation {
    third_party: ThirdParty::Cts,
    domain: "cts-sandbox.my",
    api_host: "cts-api.salesforce.sandbox.example",
    instance: "cts.salesforce.sandbox.example",
    username: "engine@cts.sandbox.example",
};

/// LIT's organisation.
pub const LIT: Organisation = Organisation {
    third_party: ThirdParty::Lit,
    domain: "lit-sandbox.my",
    api_host: "lit-api.salesforce.sandbox.example",
    instance: "lit.salesforce.sandbox.example",
    username: "engine@lit.sandbox.example",
};

impl Organisation {
    /// The host of the login server.
    pub fn login_host(&self) -> String {
        format!("{}.salesforce.com", self.domain)
    }

    /// The routes: the login, and `api` for whoever is logged in.
    pub(crate) fn router(
        &'static self,
        simulation: &Simulation,
        api: Router<Simulation>,
    ) -> Router<Simulation> {
        let guard = from_fn_with_state((simulation.clone(), self), with_session);
        let login = async |State(simulation): State<Simulation>, headers: HeaderMap, body: Bytes| {
            self.login(&simulation, &headers, &body)
        };
        Router::new().route(LOGIN_PATH, post(login)).merge(api.layer(guard))
    }

    fn login(&self, simulation: &Simulation, headers: &HeaderMap, body: &[u8]) -> Response {
        let kind = header_text(headers, header::CONTENT_TYPE).unwrap_or_default();
        if !kind.starts_with("text/xml") {
            return fault("soapenv:Client", "content-type of the request should be text/xml");
        }
        if header_text(headers, HeaderName::from_static("soapaction")).is_none() {
            return fault("soapenv:Client", "SOAPAction HTTP header missing");
        }
        let Some(login) = std::str::from_utf8(body).ok().and_then(LoginRequest::read) else {
            return fault("soapenv:Client", "The request is not a login");
        };
        let password = format!("{PASSWORD}{SECURITY_TOKEN}");
        let client = format!("RestForce/{CLIENT_ID}");
        if login.username != self.username || login.password != password || login.client != client {
            return invalid_login();
        }
        let life = simulation.options.salesforce_session_life;
        let session = simulation.sessions.open(self.third_party, "", life);
        let (host, seconds) = (self.api_host, life.as_secs());
        let result = format!(
            "<loginResponse><result><metadataServerUrl>https://{host}/services/Soap/m/42.0/00D000000000001\
             </metadataServerUrl><passwordExpired>false</passwordExpired><sandbox>true</sandbox>\
             <serverUrl>https://{host}{LOGIN_PATH}/00D000000000001</serverUrl><sessionId>{session}</sessionId>\
             <userId>005000000000001AAA</userId><userInfo><sessionSecondsValid>{seconds}</sessionSecondsValid>\
             <userName>{user}</userName></userInfo></result></loginResponse>",
            user = escape(self.username),
        );
        soap(StatusCode::OK, &result)
    }
}

async fn with_session(
    State((simulation, organisation)): State<(Simulation, &'static Organisation)>,
    request: Request,
    next: Next,
) -> Response {
    let token =
        header_text(request.headers(), header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
    if token.is_some_and(|token| simulation.sessions.valid(organisation.third_party, "", token)) {
        return next.run(request).await;
    }
    let message = "Session expired or invalid".to_owned();
    Refusal(StatusCode::UNAUTHORIZED, "INVALID_SESSION_ID", message).into_response()
}

/// An error as Salesforce's REST interface writes it: status, code and message.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) &'static str, pub(crate) String);

impl Refusal {
    /// A body that is not what it should be.
    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        Self(StatusCode::BAD_REQUEST, "JSON_PARSER_ERROR", error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        json_with(status, &json!([{"message": message, "errorCode": code}]))
    }
}

/// The refusal of a wrong user name, password or token.
pub(crate) fn invalid_login() -> Response {
    fault("INVALID_LOGIN", "Invalid username, password, security token; or user locked out.")
}

fn fault(code: &str, message: &str) -> Response {
    let text = format!(
        "<soapenv:Fault><faultcode>{code}</faultcode><faultstring>{code}: {message}</faultstring><detail>\
         <sf:LoginFault xsi:type=\"sf:LoginFault\"><sf:exceptionCode>{code}</sf:exceptionCode>\
         <sf:exceptionMessage>{message}</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault>"
    );
    soap(StatusCode::INTERNAL_SERVER_ERROR, &text)
}

fn soap(status: StatusCode, body: &str) -> Response {
    let envelope = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"{SOAP}\" xmlns=\"{PARTNER}\" \
         xmlns:sf=\"urn:fault.partner.soap.sforce.com\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    );
    (status, [(header::CONTENT_TYPE, "text/xml; charset=utf-8")], envelope).into_response()
}

/// What a login carries.
#[derive(Debug, Default, PartialEq, Eq)]
struct LoginRequest {
    client: String,
    username: String,
    password: String,
}

impl LoginRequest {
    /// Reads an envelope; every element must be where it belongs, in its namespace.
    fn read(xml: &str) -> Option<Self> {
        let mut request = Self::default();
        let mut reader = NsReader::from_str(xml);
        // The elements that are open, outermost first; those of other namespaces have no name here.
        let mut open: Vec<String> = Vec::new();
        let mut logs_in = false;
        loop {
            let (namespace, event) = reader.read_resolved_event().ok()?;
            let piece = match event {
                Event::Start(start) => {
                    let prefix = match namespace {
                        ResolveResult::Bound(namespace) if namespace.as_ref() == SOAP => "soap:",
                        ResolveResult::Bound(namespace) if namespace.as_ref() == PARTNER => "partner:",
                        _ => "?:",
                    };
                    open.push(format!("{prefix}{}", start.local_name().as_ref()));
                    logs_in |= open.join("/") == "soap:Envelope/soap:Body/partner:login";
                    continue;
                }
                Event::End(_) => {
                    open.pop();
                    continue;
                }
                Event::Eof => return logs_in.then_some(request),
                Event::Text(text) => text.xml10_content().into_owned(),
                Event::CData(text) => text.xml10_content().into_owned(),
                Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                    Some(letter) => letter.to_string(),
                    None => resolve_predefined_entity(&reference.xml10_content())?.to_owned(),
                },
                _ => continue,
            };
            let place = match open.join("/").as_str() {
                "soap:Envelope/soap:Header/partner:CallOptions/partner:client" => &mut request.client,
                "soap:Envelope/soap:Body/partner:login/partner:username" => &mut request.username,
                "soap:Envelope/soap:Body/partner:login/partner:password" => &mut request.password,
                _ => continue,
            };
            place.push_str(&piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read_where_it_belongs() {
        let envelope = |namespace: &str| {
            format!(
                "<e:Envelope xmlns:e=\"{SOAP}\" xmlns:u=\"{namespace}\"><e:Header><u:CallOptions>\
                 <u:client>RestForce/c</u:client></u:CallOptions></e:Header><e:Body><u:login><u:username>a&amp;b\
                 </u:username><u:password>&#60;p<![CDATA[&]]></u:password></u:login></e:Body></e:Envelope>"
            )
        };
        let read = LoginRequest::read(&envelope(PARTNER)).unwrap();
        assert_eq!(
            (read.client.as_str(), read.username.as_str(), read.password.as_str()),
            ("RestForce/c", "a&b", "<p&")
        );
        assert_eq!(LoginRequest::read(&envelope("urn:other")), None);
        for text in ["", "hello", "<a>", "<login><username>x</username></login>"] {
            assert_eq!(LoginRequest::read(text), None, "{text}");
        }
    }
}
