//! What no simulator sends: answers without end, wrong content types, a certificate of an unknown issuer. A stub is in
//! Bruin's place.

use std::time::Duration;

use anyhow::Context;
use async_nats::Client;
use futures::future::join_all;
use measure::Service;
use measure::figures::time;
use sandbox::environment::{BRUIN_HOST, BRUIN_LOGIN_HOST};
use serde_json::json;
use testkit::{Front, Rule, StubUpstream};

use super::exchange;
use crate::experiment::{Lab, Outcome};
use crate::stage::Stage;

const SUBJECT: &str = "bruin.ticket.details.request";
const PATH: &str = "/details$";
/// Details as Bruin sends them.
const GOOD: &str = r#"{"ticketDetails":[],"ticketNotes":[]}"#;
/// What the bridge's memory may grow by while answers come that have no end, in MB: the largest answer that is read has
/// 64 MiB, and four that are large are read at the same time.
const GROWTH: f64 = 500.0;

pub(super) async fn run(
    lab: &Lab,
    stage: &Stage,
    client: &Client,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let stub = StubUpstream::start().await;
    let token = json!({"access_token": "of-the-stub", "expires_in": 3_600, "token_type": "Bearer", "scope": "public_api"});
    stub.fallback(vec![Rule::on("POST", "/identity/connect/token$").json(&token)]);
    let bridge = start(stage, &stub.url()).await?;
    content_types(&stub, client, outcome).await?;
    endless(lab, &stub, client, &bridge, outcome).await?;
    bridge.program.stop().await?;
    unknown_issuer(stage, &stub, client, outcome).await
}

async fn start(stage: &Stage, url: &str) -> anyhow::Result<Service> {
    let overrides = format!("{BRUIN_HOST}={url},{BRUIN_LOGIN_HOST}={url}");
    stage.begin("bruin-bridge", "bruin-bridge-of-the-stub", &[("UPSTREAM_OVERRIDES", &overrides)]).await
}

async fn content_types(stub: &StubUpstream, client: &Client, outcome: &mut Outcome) -> anyhow::Result<()> {
    let rule = || Rule::on("GET", PATH);
    let cases = [
        ("JSON as text/html", rule().text(GOOD).header("content-type", "text/html"), 200),
        ("JSON without a type", rule().text(GOOD).header("content-type", ""), 200),
        ("JSON as an image", rule().text(GOOD).header("content-type", "image/png"), 200),
        (
            "an image as JSON",
            rule().text("\u{fffd}PNG\r\n\u{1a}\n\0\0").header("content-type", "application/json"),
            500,
        ),
        // What a bridge only passes on it does not look into; nothing is null.
        ("a list for an object", rule().text("[1,2]").header("content-type", "application/json"), 200),
        ("nothing", rule(), 200),
        (
            "half a document",
            rule().text("{\"ticketDetails\":[").header("content-type", "application/json"),
            500,
        ),
    ];
    let mut found = Vec::new();
    let mut right = true;
    for (number, (name, rule, expected)) in cases.into_iter().enumerate() {
        stub.rules(vec![rule]);
        let (status, _, _) = exchange(client, SUBJECT, &json!({"ticket_id": 100 + number})).await?;
        right &= status == expected;
        found.push(format!("{name} {status}"));
    }
    outcome.check("content types: what is JSON is read, all else is a 500", right, found.join(", "));
    Ok(())
}

async fn endless(
    lab: &Lab,
    stub: &StubUpstream,
    client: &Client,
    bridge: &Service,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let requests = lab.effort.pick(6, 32);
    let before = bridge.program.memory()?.resident;
    stub.rules(vec![Rule::on("GET", PATH).text(&"[0,".repeat(100_000)).endless()]);
    let bodies: Vec<_> = (0..requests).map(|number| json!({"ticket_id": 1_000 + number})).collect();
    let replies = join_all(bodies.iter().map(|body| exchange(client, SUBJECT, body))).await;
    let mut slowest = Duration::ZERO;
    let mut refused = 0;
    for reply in replies {
        let (status, _, took) = reply?;
        slowest = slowest.max(took);
        refused += usize::from(status == 500);
    }
    outcome.check(
        format!("answers without end: {requests} refused with 500"),
        refused == requests,
        format!("{refused}, slowest after {}", time(slowest)),
    );
    let grown = bridge.program.memory()?.peak - before;
    outcome.check(format!("memory grows by less than {GROWTH} MB"), grown < GROWTH, format!("{grown:.0} MB"));
    stub.rules(vec![Rule::on("GET", PATH).text(GOOD)]);
    let (status, _, _) = exchange(client, SUBJECT, &json!({"ticket_id": 1})).await?;
    outcome.check("good afterwards", status == 200, status);
    Ok(())
}

async fn unknown_issuer(
    stage: &Stage,
    stub: &StubUpstream,
    client: &Client,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let there = stub.base().socket_addrs(|| None)?.into_iter().next().context("the stub has no address")?;
    let front = Front::tls(there, "localhost", "http/1.1").await;
    stub.take_calls();
    let bridge = start(stage, &format!("https://localhost:{}", front.address().port())).await?;
    let (status, body, took) = exchange(client, SUBJECT, &json!({"ticket_id": 1})).await?;
    outcome.check(
        "a certificate of an unknown issuer: 500, and nothing is sent to it",
        status == 500 && stub.take_calls().is_empty(),
        format!("{status} {body} after {}", time(took)),
    );
    bridge.program.stop().await
}
