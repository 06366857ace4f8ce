//! `cts.dispatch.get` over real NATS, Redis and HTTP.

use redis::AsyncCommands as _;
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::salesforce::{LOGIN, headers, login, logins, sessions};
use testkit::{PATIENCE, Rule, Via};

const GET: &str = "cts.dispatch.get";
const QUERY: &str = "^/cts/services/data/v42.0/query/$";

fn records(names: &[&str]) -> Vec<Value> {
    names
        .iter()
        .map(|name| json!({"attributes": {"type": "Service__c"}, "Name": name, "Zip__c": null}))
        .collect()
}

fn result(names: &[&str]) -> Value {
    json!({"totalSize": names.len(), "done": true, "records": records(names)})
}

fn query(names: &[&str]) -> Rule {
    Rule::on("GET", QUERY).json(&result(names))
}

fn asked(stage: &Stage) -> Vec<String> {
    let calls = stage.upstream.calls_to("/query/");
    calls.iter().map(|call| call.query.iter().find(|(name, _)| name == "q").unwrap().1.clone()).collect()
}

#[tokio::test]
async fn one_is_asked_for_by_its_number_and_comes_as_it_is() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.answer(query(&["S-100001"]));
    assert_eq!(stage.ask(GET, json!({"dispatch_number": "S-100001"})).await, (200, result(&["S-100001"])));
    let call = stage.upstream.calls_to("/query/").remove(0);
    let expected = [Some("Bearer session-a"), Some("application/json"), Some("1"), None];
    assert_eq!(headers(&call), expected);
    let soql = asked(&stage).remove(0);
    assert!(soql.starts_with("SELECT Id,Name,Billing_Invoice_Date__c,"), "{soql}");
    assert!(soql.ends_with(" FROM Service__c WHERE Name = 'S-100001'"), "{soql}");
}

#[tokio::test]
async fn the_login_is_as_specified() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    assert!(stage.upstream.until(PATIENCE, |calls| logins(calls) == 1).await);
    let call = stage.upstream.take_calls().remove(0);
    assert_eq!(call.header("content-type"), Some("text/xml"));
    assert_eq!((call.header("charset"), call.header("soapaction")), (Some("UTF-8"), Some("login")));
    let body = String::from_utf8(call.body.to_vec()).unwrap();
    for part in [
        "<urn:client>RestForce/client-one</urn:client>",
        "<urn:username>user&amp;one@example.test</urn:username>",
        "<urn:password>secret&lt;one&gt;token-one</urn:password>",
    ] {
        assert!(body.contains(part), "{body}");
    }
}

#[tokio::test]
async fn unknown_null_and_evil_numbers_find_nothing_but_are_asked_for() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.answer(query(&[]));
    for (number, literal) in [
        (json!("S-999999"), "'S-999999'"),
        (json!(null), "''"),
        (json!(""), "''"),
        (json!(7), "'7'"),
        (json!("x' OR Name != '"), r"'x\' OR Name != \''"),
    ] {
        stage.upstream.take_calls();
        let body = json!({"dispatch_number": number, "igz_dispatches_only": true});
        assert_eq!(stage.ask(GET, body).await, (200, result(&[])));
        let soql = asked(&stage).remove(0);
        assert!(soql.ends_with(&format!(" WHERE Name = {literal}")), "{soql}");
    }
}

#[tokio::test]
async fn all_are_asked_for_and_production_has_a_field_more() {
    for (environment, fields) in [("dev", 68), ("production", 69), ("other", 68)] {
        let (stage, _running) =
            Stage::with(&cts_bridge::service(), &[("CURRENT_ENVIRONMENT", environment)]).await;
        stage.upstream.answer(query(&["S-2", "S-1"]));
        assert_eq!(stage.ask(GET, json!({})).await, (200, result(&["S-2", "S-1"])));
        let soql = asked(&stage).remove(0);
        let selected = soql.strip_prefix("SELECT ").unwrap().split(" FROM ").next().unwrap();
        assert_eq!(selected.split(',').count(), fields, "{environment}");
        assert_eq!(selected.contains("API_Resource_Name__c"), environment == "production");
        assert!(
            soql.contains("'Complete Pending Collateral','Canceled') AND Open_Date__c >= LAST_MONTH"),
            "{soql}"
        );
    }
}

#[tokio::test]
async fn only_ours_are_those_with_a_key_in_redis() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    let mut redis = stage.redis.connection().await;
    for (key, value) in
        [("dev-S-2", r#"{"ticket_id":"1"}"#), ("dev-S-4", ""), ("other-S-1", "x"), ("S-3", "x")]
    {
        let () = redis.set(key, value).await.unwrap();
    }
    let mut whole = result(&["S-4", "S-1", "S-2", "S-3"]);
    whole["records"].as_array_mut().unwrap().extend([json!({"Name": null}), json!({}), json!({"Name": 2})]);
    stage.upstream.answer(Rule::on("GET", QUERY).json(&whole));
    assert_eq!(
        stage.ask(GET, json!({"igz_dispatches_only": true})).await,
        (200, json!({"totalSize": 4, "done": true, "records": records(&["S-4", "S-2"])}))
    );
    assert_eq!(stage.ask(GET, json!({"igz_dispatches_only": "true"})).await, (200, whole));
    stage.upstream.rules(vec![query(&[])]);
    assert_eq!(stage.ask(GET, json!({"igz_dispatches_only": true})).await, (200, result(&[])));
}

#[tokio::test]
async fn without_redis_nobody_knows_which_are_ours() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.answer(query(&["S-1"]));
    stage.redis.kill9();
    let (status, text) = stage.ask(GET, json!({"igz_dispatches_only": true})).await;
    assert_eq!(
        (status, text),
        (503, json!("Redis does not answer, so which dispatches are ours is not known"))
    );
    assert_eq!(stage.ask(GET, json!({})).await, (200, result(&["S-1"])));
    stage.redis.restart().await;
    let back = async { while stage.ask(GET, json!({"igz_dispatches_only": true})).await.0 != 200 {} };
    tokio::time::timeout(PATIENCE, back).await.unwrap();
}

fn page(names: &[&str], next: Option<&str>) -> Value {
    let next = next.map(|locator| format!("/services/data/v42.0/query/{locator}"));
    json!({"totalSize": 5, "done": next.is_none(), "nextRecordsUrl": next, "records": records(names)})
}

#[tokio::test]
async fn all_pages_become_one_result_also_when_the_session_ends_in_between() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    let more = |locator: &str| format!("^/cts/services/data/v42.0/query/{locator}$");
    stage.upstream.rules(vec![
        Rule::on("GET", QUERY).json(&page(&["S-1", "S-2"], Some("01gA-2"))),
        Rule::on("GET", &more("01gA-2")).status(401).times(1),
        login("cts", "session-b"),
        Rule::on("GET", &more("01gA-2")).json(&page(&["S-3", "S-4"], Some("01gA-4"))),
        Rule::on("GET", &more("01gA-4")).json(&page(&["S-5"], None)),
    ]);
    let whole =
        json!({"totalSize": 5, "done": true, "records": records(&["S-1", "S-2", "S-3", "S-4", "S-5"])});
    // The login of the start may still be under way.
    let _ = stage.ask(GET, json!({"dispatch_number": "S-1"})).await;
    assert_eq!(stage.ask(GET, json!({})).await, (200, whole));
    assert_eq!(sessions(&stage.upstream, "/query/01gA-4").last().unwrap(), "session-b");
}

#[tokio::test]
async fn a_result_that_never_ends_or_leads_elsewhere_is_refused() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    let endless = page(&["S-1"], Some("01gA-1"));
    stage.upstream.answer(Rule::on("GET", "^/cts/services/data/v42.0/query/").json(&endless));
    let (status, text) = stage.ask(GET, json!({})).await;
    assert_eq!((status, text), (503, json!("CTS: the answer is not as expected: the result is too large")));
    let mut elsewhere = endless.clone();
    elsewhere["nextRecordsUrl"] = json!("https://elsewhere.example/services/data/v42.0/query/01g");
    stage.upstream.rules(vec![Rule::on("GET", QUERY).json(&elsewhere)]);
    let (status, text) = stage.ask(GET, json!({})).await;
    assert_eq!((status, text), (503, json!("CTS: the answer is not as expected: no usable nextRecordsUrl")));
}

#[tokio::test]
async fn a_refused_session_is_renewed_once_for_all_and_then_is_the_answer() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.rules(vec![query(&["S-1"])]);
    assert_eq!(stage.ask(GET, json!({})).await.0, 200);
    let refused = Rule::on("GET", QUERY).status(401).json(&json!([{"errorCode": "INVALID_SESSION_ID"}]));
    stage.upstream.rules(vec![refused.clone().times(3), login("cts", "session-b"), query(&["S-1"])]);
    let one = || stage.ask(GET, json!({}));
    let (a, b, c) = tokio::join!(one(), one(), one());
    assert_eq!([a.0, b.0, c.0], [200, 200, 200]);
    stage.upstream.rules(vec![refused, login("cts", "session-c")]);
    let (status, text) = stage.ask(GET, json!({"dispatch_number": "S-1"})).await;
    let text = text.as_str().unwrap();
    assert_eq!(status, 500);
    let url = "Expired session for https://cts.example.test/services/data/v42.0/query/?q=SELECT%20Id";
    assert!(text.starts_with(url), "{text}");
    assert!(text.contains("INVALID_SESSION_ID") && !text.contains("session-"), "{text}");
}

#[tokio::test]
async fn every_refusal_is_a_500_at_once_that_names_class_url_and_answer() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    for (status, class) in [
        (300, "More than one record for https://cts.example.test/"),
        (400, "Malformed request https://cts.example.test/"),
        (403, "Request refused for https://cts.example.test/"),
        (404, "Resource not found: https://cts.example.test/"),
        (302, "Error Code 302 for https://cts.example.test/"),
        (409, "Error Code 409 for https://cts.example.test/"),
        (500, "Error Code 500 for https://cts.example.test/"),
        (503, "Error Code 503 for https://cts.example.test/"),
    ] {
        stage.upstream.take_calls();
        stage
            .upstream
            .rules(vec![Rule::on("GET", QUERY).status(status).json(&json!([{"errorCode": "WHY"}]))]);
        let (replied, text) = stage.ask(GET, json!({"dispatch_number": "S-1"})).await;
        let text = text.as_str().unwrap();
        assert_eq!(replied, 500);
        assert!(text.starts_with(class), "{status}: {text}");
        assert!(text.ends_with(r#"Response content: [{"errorCode":"WHY"}]"#), "{text}");
        assert_eq!(stage.upstream.calls_to("/query/").len(), 1, "{status} is not tried again");
    }
}

#[tokio::test]
async fn passing_trouble_is_tried_again_and_lasting_trouble_is_told() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    for (trouble, text) in [
        (Rule::on("GET", QUERY).text("<html>Maintenance</html>"), "the answer is not as expected: not JSON"),
        (
            Rule::on("GET", QUERY).text("{\"records\": [").cut_off(),
            "connection closed before the answer was complete",
        ),
        (Rule::on("GET", QUERY).drops(), "connection closed before the answer was complete"),
        (Rule::on("GET", QUERY).json(&json!([])), "the answer is not as expected: not an object"),
    ] {
        stage.upstream.rules(vec![trouble.clone().times(2), query(&["S-1"])]);
        assert_eq!(stage.ask(GET, json!({})).await, (200, result(&["S-1"])));
        stage.upstream.rules(vec![trouble]);
        assert_eq!(stage.ask(GET, json!({})).await, (503, json!(format!("CTS: {text}"))));
    }
    stage.upstream.down().await;
    let (status, text) = stage.ask(GET, json!({})).await;
    assert_eq!(status, 503);
    assert!(text.as_str().unwrap().starts_with("CTS: cannot connect"), "{text}");
}

#[tokio::test]
async fn without_a_login_the_reply_says_so_and_the_next_one_is_tried_on_demand() {
    let stage = Stage::start("cts-bridge").await;
    let fault = "<Fault><faultcode>INVALID_LOGIN</faultcode><detail><sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>\
                 <sf:exceptionMessage>Invalid username, password, security token</sf:exceptionMessage></detail></Fault>";
    stage.upstream.rules(vec![Rule::on("POST", LOGIN).status(500).text(fault)]);
    let _running = stage.run(&cts_bridge::service(), &[]).await;
    let (status, text) = stage.ask(GET, json!({})).await;
    let text = text.as_str().unwrap();
    assert_eq!(status, 503);
    assert!(text.starts_with("CTS: no session: "), "{text}");
    assert!(text.ends_with("the login was refused with status 500"), "{text}");
    stage.upstream.rules(vec![query(&["S-1"])]);
    let answered = async {
        // The bridge lets a moment pass between two logins.
        while stage.ask(GET, json!({})).await.0 != 200 {}
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap();
}

#[tokio::test]
async fn a_session_is_renewed_before_it_ends() {
    let stage = Stage::start("cts-bridge").await;
    let short = "<serverUrl>https://cts-api.example.test/x</serverUrl><sessionId>s</sessionId>\
                 <sessionSecondsValid>1</sessionSecondsValid>";
    stage.upstream.fallback(vec![Rule::on("POST", LOGIN).text(&format!("<result>{short}</result>"))]);
    let _running = stage.run(&cts_bridge::service(), &[]).await;
    assert!(stage.upstream.until(PATIENCE, |calls| logins(calls) >= 3).await);
}

#[tokio::test]
async fn the_instance_of_a_new_session_counts() {
    let (stage, running) = Stage::with(&cts_bridge::service(), &[("UPSTREAM_OVERRIDES", "")]).await;
    drop(running);
    let overrides = format!(
        "test.salesforce.com={0},cts.example.test={0}/cts,moved.example.test={0}/moved",
        stage.upstream.url()
    );
    let _running = stage.run(&cts_bridge::service(), &[("UPSTREAM_OVERRIDES", &overrides)]).await;
    stage.upstream.rules(vec![query(&["S-1"])]);
    assert_eq!(stage.ask(GET, json!({})).await.0, 200);
    let moved =
        "<r><serverUrl>https://moved-api.example.test/x</serverUrl><sessionId>session-b</sessionId></r>";
    stage.upstream.rules(vec![
        Rule::on("GET", QUERY).status(401),
        Rule::on("POST", LOGIN).text(moved),
        Rule::on("GET", "^/moved/services/data/v42.0/query/$").json(&result(&["S-2"])),
    ]);
    assert_eq!(stage.ask(GET, json!({})).await, (200, result(&["S-2"])));
}

#[tokio::test]
async fn large_results_travel_through_redis_and_few_calls_are_made_at_a_time() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    let note = "n".repeat(200);
    let many: Vec<Value> =
        (0..8_000).map(|n| json!({"Name": format!("S-{n}"), "Site_Notes__c": note})).collect();
    let whole = json!({"totalSize": 8_000, "done": true, "records": many});
    stage.upstream.answer(Rule::on("GET", QUERY).json(&whole));
    assert_eq!(stage.ask(GET, json!({})).await, (200, whole.clone()));
    for via in [Via::Token, Via::PrefixToken] {
        let request = br#"{"request_id":"r","body":{}}"#.to_vec();
        let reply = stage.requester.request_bytes(GET, request, via, PATIENCE).await.envelope();
        assert_eq!((&reply["status"], &reply["body"]["totalSize"]), (&json!(200), &json!(8_000)));
    }
    stage.upstream.rules(vec![query(&["S-1"])]);
    let hold = stage.upstream.hold();
    let asked = (0..20).map(|_| stage.ask(GET, json!({})));
    let asked: futures::future::JoinAll<_> = asked.collect();
    let release = async {
        let eight = |calls: &[testkit::Received]| {
            calls.iter().filter(|call| call.path.ends_with("/query/")).count() >= 8
        };
        assert!(stage.upstream.until(PATIENCE, eight).await);
        drop(hold);
    };
    let (answers, ()) = tokio::join!(asked, release);
    assert!(answers.iter().all(|answer| answer.0 == 200));
    assert!(stage.upstream.most_in_flight() <= 8, "{}", stage.upstream.most_in_flight());
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_400_and_the_service_goes_on() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.answer(query(&[]));
    for payload in
        ["", "hello", "null", "[1]", "{", "\u{0}", r#"{"is_stored":true}"#, "{}", r#"{"body":null}"#]
    {
        for subject in [GET, "cts.dispatch.post", "cts.dispatch.update"] {
            let sent = stage.requester.request_bytes(subject, payload.into(), Via::Size, PATIENCE);
            assert_eq!(sent.await.envelope()["status"], 400, "{subject} {payload:?}");
        }
    }
    let no_body = json!(r#"Must include "body" in request"#);
    let reply = stage.requester.request(GET, &json!({"request_id": [1]}), PATIENCE).await.envelope();
    assert_eq!(reply, json!({"request_id": [1], "body": no_body, "status": 400}));
    let (status, text) = stage.ask(GET, json!([])).await;
    assert_eq!((status, text), (400, json!(r#""body" must be an object"#)));
    assert_eq!(stage.ask(GET, json!({})).await.0, 200);
}
