//! Whatever goes wrong, no error, `Debug` text or log line shows a secret.

use std::{io::Write, sync::Arc, time::Duration};

use crate::common::{Bearer, SECRET, login, settings, with_login};
use parking_lot::Mutex;
use prometheus::Registry;
use serde_json::json;
use testkit::{Rule, StubUpstream};
use tracing_subscriber::fmt::MakeWriter;
use upstream::{Call, Overrides, Retry, Session, Settings, Upstream};
use url::Url;

/// Collects everything logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A call that is secret all over.
fn call(path: &'static str) -> Call {
    Call::post(path)
        .segment("key", format!("{SECRET}-segment"))
        .query("key", format!("{SECRET}-query"))
        .header("x-key", format!("{SECRET}-header"))
        .json(&json!({"password": format!("{SECRET}-body")}))
        .read()
        .retry(Retry::once_after(Duration::from_millis(1)))
        .within(Duration::from_millis(500))
}

#[tokio::test]
async fn no_text_of_this_crate_shows_a_secret() {
    let log = Log::default();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).init();
    let stub = StubUpstream::start().await;
    stub.answer(login(1))
        .answer(Rule::on("POST", "^/drop").drops())
        .answer(Rule::on("POST", "^/cut").text(SECRET).cut_off())
        .answer(
            Rule::on("POST", "^/refused")
                .status(401)
                .text(SECRET)
                .header("Set-Cookie", &format!("s={SECRET}")),
        )
        .answer(Rule::on("POST", "^/busy").status(503).text(SECRET))
        .answer(Rule::on("POST", "^/large").text(&SECRET.repeat(1000)))
        .answer(Rule::on("POST", "^/slow").delay(Duration::from_secs(5)))
        .answer(
            Rule::on("POST", "^/loop").status(307).header("Location", &format!("/loop/{SECRET}?k={SECRET}")),
        );
    let settings = Settings { response_limit: 1000, follow_redirects: true, ..settings(&stub) };
    let third_party = with_login(settings.clone());
    let mut texts = vec![format!("{third_party:?}")];
    for path in [
        "/ok/{key}",
        "/drop/{key}",
        "/cut/{key}",
        "/refused/{key}",
        "/busy/{key}",
        "/large/{key}",
        "/slow/{key}",
        "/loop/{key}",
    ] {
        texts.push(format!("{:?}", call(path)));
        let outcome = third_party.send(call(path)).await;
        texts.push(format!("{outcome:?}"));
        texts.extend(outcome.err().map(|error| format!("{error} {error:?} {}", error.kind())));
    }
    // What cannot be sent.
    for broken in [call("/no-segment"), call("/x/{key}").header("bad name", "x")] {
        texts.push(format!("{:?}", third_party.send(broken).await));
    }
    texts.push(format!(
        "{:?}",
        third_party.send(call("/x/{key}").header("x-key", format!("{SECRET}\n"))).await
    ));
    // A base URL that is itself a secret, and nobody there.
    stub.down().await;
    texts.push(format!("{:?}", third_party.send(call("/x/{key}")).await));
    let hook = Url::parse(&format!("{}/services/{SECRET}?t={SECRET}", stub.url())).unwrap();
    let hooked = Upstream::new(Settings::new("hook", hook), Bearer, &Registry::new()).unwrap();
    texts.push(format!("{:?} {:?}", hooked, hooked.send(Call::post("").anonymous()).await));
    texts.push(format!("{:?}", hooked.login_now().await.unwrap_err()));
    // Logins.
    texts.push(format!("{:?}", Session::new(SECRET)));
    texts.push(format!("{:?}", upstream::basic(SECRET, &SECRET.into())));
    texts.push(format!("{:?}", upstream::bearer(&SECRET.into())));
    texts.push(format!("{:?}", Overrides::parse(&format!("a.test={SECRET}")).unwrap_err()));
    stub.up().await;
    for answer in
        [Rule::on("POST", "/login").status(400).text(SECRET), Rule::on("POST", "/login").text(SECRET)]
    {
        stub.rules(vec![answer]);
        let failed = with_login(settings.clone()).login_now().await.unwrap_err();
        texts.push(format!("{failed} {failed:?}"));
    }
    let registry = Registry::new();
    let counted = Upstream::new(settings, Bearer, &registry).unwrap();
    stub.rules(vec![login(1)]);
    counted.send(call("/x/{key}")).await.unwrap();
    counted.send(Call::get(format!("/{SECRET}"))).await.unwrap();
    texts.push(format!("{:?}", registry.gather()));

    let logged = String::from_utf8(log.0.lock().clone()).unwrap();
    // Only lines of this crate: what the HTTP client logs at lower levels is filtered by whoever switches it on.
    texts.extend(logged.lines().filter(|line| line.contains(" upstream")).map(str::to_owned));
    assert!(logged.contains("logged in") && logged.contains("login failed") && logged.contains("repeating"));
    for text in texts {
        assert!(!text.contains(SECRET), "{text}");
    }
}
