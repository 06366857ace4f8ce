//! A third party with a bearer token, for the tests of this crate.

use std::time::Duration;

use http::HeaderMap;
use prometheus::Registry;
use serde_json::{Value, json};
use testkit::{Rule, StubUpstream};
use upstream::{Call, Http, Login, LoginError, Session, Settings, Upstream, basic};

/// Far longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Every secret of these tests has this in it, so that one search finds each leak.
pub(crate) const SECRET: &str = "s3cr3t";

/// Client credentials as Bruin's and DiGi's.
pub(crate) struct Bearer;

impl Login for Bearer {
    async fn login(&self, http: &Http) -> Result<Session, LoginError> {
        let credentials = basic("client", &format!("{SECRET}-client").into());
        let call = Call::post("/login")
            .secret_header(http::header::AUTHORIZATION, credentials)
            .form(&[("grant_type", "client_credentials")]);
        let answer = http.send(call).await?;
        if !answer.is_success() {
            return Err(LoginError::Refused(answer.status));
        }
        let body: Value = answer.json().map_err(|_| LoginError::Unreadable("no JSON"))?;
        let token = body["access_token"].as_str().ok_or(LoginError::Unreadable("no access_token"))?;
        let life = body["expires_in"].as_f64().map(Duration::from_secs_f64);
        let session = Session::new(token).expiring_in(life);
        Ok(match body["base_url"].as_str() {
            Some(base_url) => session.at(base_url.parse().map_err(|_| LoginError::Unreadable("no URL"))?),
            None => session,
        })
    }

    fn authorize(&self, session: &Session, headers: &mut HeaderMap) {
        if let Some(value) = session.bearer() {
            headers.insert(http::header::AUTHORIZATION, value);
        }
    }
}

/// A login that gives the token number `n`.
pub(crate) fn login(n: u32) -> Rule {
    Rule::on("POST", "^/login$").json(&json!({"access_token": format!("{SECRET}-{n}")}))
}

pub(crate) fn settings(stub: &StubUpstream) -> Settings {
    Settings::new("test", stub.base())
}

pub(crate) fn with_login(settings: Settings) -> Upstream {
    Upstream::new(settings, Bearer, &Registry::new()).unwrap()
}

/// The sum of a counter over all its labels, or over those with `label`.
pub(crate) fn count(registry: &Registry, name: &str, label: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name);
    family.map_or(0.0, |family| {
        let metrics = family.get_metric().iter();
        let chosen = metrics
            .filter(|metric| label.is_empty() || metric.get_label().iter().any(|l| l.value() == label));
        chosen.map(|metric| metric.get_counter().get_value()).sum()
    })
}
