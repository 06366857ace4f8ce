//! The page, without script.

use sandbox::ThirdParty;
use sandbox::world::notes::NewNote;
use sandbox::world::tickets::{NewTicket, Topic};
use serde_json::json;

use crate::common::{Http, client_of, ordinary, sandbox};

#[tokio::test]
async fn it_says_what_to_do_when_there_is_nothing() {
    let sandbox = sandbox().await;
    let html = Http::new().get(&sandbox.base_url()).await.text;
    assert!(html.contains("No tickets. Break an edge to see one."));
    assert!(html.contains("120 edges, page 1 of 5"));
    for part in ["style.css", "live.js"] {
        assert_eq!(Http::new().get(&format!("{}/page/{part}", sandbox.base_url())).await.status, 200);
    }
    assert!(!html.contains("https://"), "no external assets");
}

#[tokio::test]
async fn its_forms_break_heal_and_lead_back_to_the_search() {
    let sandbox = sandbox().await;
    let edge = ordinary(&sandbox, 0);
    let referer = format!("{}/?search=abc&page=2", sandbox.base_url());
    let http = Http::new().with("referer", &referer);
    let post =
        async |path: String| http.post(&format!("{}/page/{path}", sandbox.base_url()), json!("")).await;

    let answer = post(format!("edges/{}/break", edge.serial)).await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.headers["location"].to_str().unwrap(),
        format!("/?search=abc&page=2#edge-{}", edge.serial)
    );
    let html = http.get(&format!("{}/?search={}", sandbox.base_url(), edge.serial)).await.text;
    assert!(html.contains(r#"<span class="state down">down</span>"#), "{html}");

    let break_link = format!("/page/links/{}/{}/break", edge.serial, edge.links[0].interface);
    assert!(html.contains(&break_link), "the link of a down edge is not broken itself");

    post(format!("links/{}/{}/break", edge.serial, edge.links[0].interface)).await;
    post("heal".to_owned()).await;
    assert!(sandbox.world().network(|network| network.outages.iter().all(|outage| outage.ended.is_some())));
}

#[tokio::test]
async fn it_shows_tickets_with_notes_and_messages_escaped() {
    let sandbox = sandbox().await;
    let edge = ordinary(&sandbox, 0);
    let world = sandbox.world();
    let now = world.now();
    world.with_tickets(|tickets| {
        let new = NewTicket {
            client: client_of(&sandbox, &edge),
            site: Some(edge.site),
            topic: Topic::Outage,
            serials: vec![edge.serial.clone()],
            created_by: "Intelygenz Ai".to_owned(),
            severity: 2,
            description: None,
        };
        let id = tickets.create(new, now);
        let note =
            NewNote { value: "#*MetTel's IPA*#\n<script>alert(1)</script>".to_owned(), ..NewNote::default() };
        tickets.add_notes(id, &[note], now).unwrap();
    });
    world.with_outbox("slack", |outbox| outbox.slack(now, "ticket <b>created</b>".to_owned()));
    let html = Http::new().get(&sandbox.base_url()).await.text;
    assert!(html.contains("In-Progress, severity 2, Service Outage Trouble"));
    assert!(!html.contains("<script>alert"), "notes are text");
    assert!(!html.contains("<b>created</b>"), "messages are text");
    assert!(html.contains("Slack (1)"));
}

#[tokio::test]
async fn its_fault_form_injects_and_removes() {
    let sandbox = sandbox().await;
    let http = Http::new().with("content-type", "application/x-www-form-urlencoded");
    let party = format!("{}/page/third-parties/bruin", sandbox.base_url());
    let form = json!("mode=status&latency_ms=0&status=503");
    assert_eq!(http.post(&format!("{party}/fault"), form).await.status, 303);
    assert_eq!(sandbox.faults().standing(ThirdParty::Bruin)[0].fault.status, Some(503));
    assert!(http.get(&sandbox.base_url()).await.text.contains("answers 503"));
    http.post(&format!("{party}/clear"), json!("")).await;
    assert!(sandbox.faults().standing(ThirdParty::Bruin).is_empty());
    let bad = http.post(&format!("{party}/fault"), json!("mode=latency&latency_ms=x&status=")).await;
    assert_eq!(bad.status, 400);

    let before = sandbox.world().now();
    http.post(&format!("{}/page/clock", sandbox.base_url()), json!("minutes=10")).await;
    assert_eq!((sandbox.world().now() - before).num_minutes(), 10);
}
