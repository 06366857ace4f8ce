//! What the tests of the simulators share: a started sandbox, and a plain HTTP client.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use runtime::Clock;
use sandbox::environment as env;
use sandbox::world::network::{Activation, Edge, Network};
use sandbox::{Running, Sandbox, SandboxOptions};
use serde_json::{Value, json};

/// A Monday morning.
pub(crate) fn monday() -> DateTime<Utc> {
    "2022-01-31T15:00:00Z".parse().unwrap()
}

/// A sandbox of 120 edges whose time stands still.
pub(crate) async fn sandbox() -> Running {
    start(120).await
}

pub(crate) async fn start(edges: usize) -> Running {
    let clock = Clock::frozen(monday());
    Sandbox::start(SandboxOptions { clock, edges, ..Default::default() }).await.unwrap()
}

/// The n-th edge for which the condition holds.
pub(crate) fn pick(sandbox: &Running, number: usize, condition: impl Fn(&Edge) -> bool) -> Edge {
    sandbox
        .world()
        .network(|network| network.edges.iter().filter(|edge| condition(edge)).nth(number).unwrap().clone())
}

/// An ordinary edge: in service, no pair, with a link, and an active inventory item.
pub(crate) fn ordinary(sandbox: &Running, number: usize) -> Edge {
    pick(sandbox, number, |edge| {
        edge.activation == Activation::Activated
            && edge.standby.is_none()
            && !edge.links.is_empty()
            && sandbox
                .world()
                .inventory(|inventory| inventory.assets(&edge.serial).iter().any(|asset| asset.active))
    })
}

pub(crate) fn client_of(sandbox: &Running, edge: &Edge) -> i64 {
    sandbox.world().network(|network| network.enterprise_of(edge).unwrap().client)
}

/// Host, enterprise id and edge id.
pub(crate) fn identity(sandbox: &Running, edge: &Edge) -> (String, i64, i64) {
    let of = |network: &Network| {
        (network.host_of(edge).to_owned(), network.enterprise_of(edge).unwrap().id, edge.id)
    };
    sandbox.world().network(of)
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }
}

/// An HTTP client with headers of its own.
pub(crate) struct Http {
    client: reqwest::Client,
    headers: HeaderMap,
}

impl Http {
    pub(crate) fn new() -> Self {
        // The workspace's reqwest brings no cryptography of its own; a second installation is refused, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, headers: HeaderMap::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// Sends a request; JSON null: no body, text: sent as it is.
    pub(crate) async fn try_send(
        &self,
        method: &str,
        url: &str,
        body: &Value,
    ) -> Result<Answer, reqwest::Error> {
        let request = self.client.request(method.parse().unwrap(), url).headers(self.headers.clone());
        let request = match body {
            Value::Null => request,
            Value::String(text) => request.body(text.clone()),
            json => request.body(json.to_string()),
        };
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }

    pub(crate) async fn send(&self, method: &str, url: &str, body: Value) -> Answer {
        self.try_send(method, url, &body).await.unwrap()
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send("GET", url, Value::Null).await
    }

    pub(crate) async fn post(&self, url: &str, body: Value) -> Answer {
        self.send("POST", url, body).await
    }
}

/// Logs in at Bruin.
pub(crate) async fn bruin(sandbox: &Running) -> Http {
    let basic = BASE64_STANDARD.encode(format!("{}:{}", env::BRUIN_CLIENT_ID, env::BRUIN_CLIENT_SECRET));
    let url = format!("{}/identity/connect/token", sandbox.bruin_url());
    let form = json!("grant_type=client_credentials&scope=public_api");
    let answer = Http::new().with("authorization", &format!("Basic {basic}")).post(&url, form).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    Http::new().with("authorization", &format!("Bearer {token}"))
}

/// Logs in at the DiGi service.
pub(crate) async fn digi(sandbox: &Running) -> Http {
    let basic = BASE64_STANDARD.encode(format!("{}:{}", env::DIGI_CLIENT_ID, env::DIGI_CLIENT_SECRET));
    let url = format!("{}/Identity/rest/oauth/token", sandbox.digi_url());
    let form = json!("grant_type=client_credentials&scope=write%3Adms");
    let answer = Http::new().with("authorization", &format!("Basic {basic}")).post(&url, form).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    Http::new().with("authorization", &format!("Bearer {token}"))
}

/// Logs in at a VeloCloud host.
pub(crate) async fn velocloud(sandbox: &Running, host: &str) -> Http {
    let url = format!("{}/portal/rest/login/operatorLogin", sandbox.velocloud_url(host));
    let credentials = json!({"username": env::VELOCLOUD_USER, "password": env::VELOCLOUD_PASSWORD});
    let answer = Http::new().post(&url, credentials).await;
    assert_eq!(answer.status, 200);
    let mut cookies = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let session = cookies.find_map(|cookie| cookie.strip_prefix("velocloud.session=")).unwrap();
    Http::new().with("cookie", &format!("velocloud.session={}", session.split(';').next().unwrap()))
}
