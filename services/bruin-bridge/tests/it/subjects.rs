//! Every subject: success, each upstream status, missing and malformed input, unknown fields.

use crate::cases::{Case, cases, own_text, with_unknown};
use crate::common::Bridge;
use serde_json::{Value, json};
use testkit::Rule;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

#[tokio::test]
async fn successes_are_called_and_reshaped_as_specified() {
    let bridge = Bridge::start().await;
    for (number, case) in cases().iter().enumerate() {
        let Case { subject, body, answer, reply, .. } = case;
        bridge.stage.upstream.rules(vec![Rule::on(case.method, "").json(answer)]);
        bridge.take_calls();
        let got = bridge.ask_as(&format!("ok {number}"), subject, &with_unknown(body)).await;
        assert_eq!(got, (200, reply.clone()), "{subject}");
        let [call] = &bridge.take_calls()[..] else { panic!("{subject}: not one call") };
        let mut query = call.query.clone();
        query.sort();
        let query: Vec<_> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!((call.method.as_str(), call.path.as_str()), (case.method, case.path), "{subject}");
        assert_eq!(query, case.query, "{subject}");
        assert_eq!(call.json(), case.sent, "{subject}");
        assert_eq!(call.header("authorization"), Some("Bearer tok"), "{subject}");
        assert_eq!(call.header("content-type"), Some("application/json-patch+json"), "{subject}");
        assert_eq!(
            call.header("cache-control"),
            Some("no-cache, no-store, no-transform, max-age=0, only-if-cached"),
            "{subject}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_upstream_status_is_answered_as_specified() {
    let bridge = Bridge::start().await;
    let message = json!({"message": "m"});
    for (number, case) in cases().iter().enumerate() {
        // The pages of the basic list are tried again with pauses; one status is enough there.
        let statuses: &[u16] = match case.subject {
            "bruin.ticket.basic.request" => &[404],
            _ => &[400, 401, 403, 404, 409, 429, 500, 503, 512, 513],
        };
        for status in statuses {
            bridge.stage.upstream.rules(vec![Rule::on(case.method, "^/api/").status(*status).json(&message)]);
            let got = bridge.ask_as(&format!("{number} {status}"), case.subject, &case.body).await;
            let expected_status = match (case.subject, status) {
                ("bruin.ticket.creation.outage.request", 513) | (_, 500..=512) => 500,
                (_, status) => u64::from(*status),
            };
            let expected = match (own_text(case.subject, *status), status) {
                (Some(text), _) => text,
                _ if case.subject == "bruin.ticket.request" => json!([]),
                (None, 401) => json!("Got 401 from Bruin"),
                (None, 404) if case.knows_404 => json!("Resource not found"),
                (None, 500..=512) => json!("Got internal error from Bruin"),
                _ => message.clone(),
            };
            assert_eq!(got.0, expected_status, "{} {status}", case.subject);
            if !expected.is_null() {
                assert_eq!(got.1, expected, "{} {status}", case.subject);
            }
        }
    }
    let url = format!("Check mistypings in URL: {}/api/Ticket/repair", bridge.stage.upstream.url());
    bridge.stage.upstream.rules(vec![Rule::on("POST", "^/api/").status(404)]);
    let body = json!({"client_id": 1, "service_number": "VC1"});
    assert_eq!(bridge.ask("bruin.ticket.creation.outage.request", &body).await, (404, json!(url)));
}

#[tokio::test]
async fn malformed_and_missing_input_is_refused_at_once() {
    let bridge = Bridge::start().await;
    for Case { subject, body, .. } in &cases() {
        for envelope in [
            json!({"request_id": 7}),
            json!({"request_id": 7, "body": null}),
            json!({"request_id": 7, "body": "text"}),
            json!({"request_id": 7, "body": [body]}),
            json!({"request_id": 7, "body": {}}),
        ] {
            let reply = bridge.envelope(subject, &envelope).await;
            assert_eq!(
                (&reply["request_id"], &reply["status"]),
                (&json!(7), &json!(400)),
                "{subject} {envelope}"
            );
            assert!(reply["body"].is_string(), "{subject} {envelope}");
        }
        for field in body.as_object().unwrap().keys().filter(|field| *field != "service_numbers") {
            let mut odd = body.clone();
            odd[field.as_str()] = json!({"a": [true]});
            let (status, reply) = bridge.ask_as(&format!("{subject} {field}"), subject, &odd).await;
            assert!(status == 400 || field == "ticket_contact", "{subject} {field}: {status} {reply}");
        }
    }
    // The contact of an outage ticket may be any object, so that one was sent.
    assert!(bridge.take_calls().iter().all(|call| call.path == "/api/Ticket/repair"));
}

#[tokio::test]
async fn answers_that_are_not_as_promised_are_failures_without_secrets() {
    let bridge = Bridge::start().await;
    let page = "<html>Bearer tok</html>".repeat(100);
    for (number, case) in cases().iter().enumerate() {
        let odd = [
            Rule::on(case.method, "^/api/").text(&page).header("Content-Type", "text/html"),
            Rule::on(case.method, "^/api/").text("{\"a\": ").header("Content-Type", "application/json"),
            Rule::on(case.method, "^/api/").json(&json!([1])),
            Rule::on(case.method, "^/api/").json(&json!("text")),
            Rule::on(case.method, "^/api/").status(204),
        ];
        for (which, rule) in odd.into_iter().enumerate() {
            bridge.stage.upstream.rules(vec![rule]);
            let (status, body) =
                bridge.ask_as(&format!("odd {number} {which}"), case.subject, &case.body).await;
            assert!(which >= 2 || status == 500, "{} {which}: {status} {body}", case.subject);
            assert!(!body.to_string().contains("Bearer"), "{}: {body}", case.subject);
        }
    }
}

#[tokio::test]
async fn attributes_that_cannot_be_read_are_not_a_missing_attribute() {
    let bridge = Bridge::start().await;
    let device = json!({"client_id": 1, "status": "A", "service_number": "VC1"});
    for (subject, key) in [
        ("bruin.inventory.attributes.serial", "Serial Number"),
        ("bruin.inventory.management.status", "Management Status"),
    ] {
        let odd = || (500, json!("Got an unexpected answer from Bruin"));
        let none = || (200, json!(null));
        for (attributes, expected) in [
            (json!(null), odd()),
            (json!({}), odd()),
            (json!("text"), odd()),
            (json!([{"key": key}]), odd()),
            (json!([{"key": key}, {"key": key, "value": "second"}]), odd()),
            (json!([{"key": key, "value": null}]), none()),
            (json!([{"value": "x"}, 5, null]), none()),
        ] {
            let answer = json!({"attributes": attributes});
            bridge.stage.upstream.rules(vec![Rule::on("GET", "^/api/").json(&answer)]);
            let got = bridge.ask_as(&format!("{subject} {answer}"), subject, &device).await;
            assert_eq!(got, expected, "{subject} {answer}");
        }
    }
}

#[tokio::test]
async fn some_later_subjects_pass_everything_on() {
    let bridge = Bridge::start().await;
    let (message, device) = (json!({"message": "m"}), json!({"client_id": "1", "service_number": "VC1"}));
    let subscription = json!({"ticket_id": 1, "user_email": "a@example.com", "subscription_type": 2});
    let user = json!({"subscriptionType": 2, "user": {"email": "a@example.com"}});
    let status = json!({"email_id": 7, "email_status": "New"});
    let set = json!({
        "emailId": 7, "status": "New", "resolution": "Marked as New by Intelygenz Ai", "updatedBy": "Intelygenz Ai"
    });
    let reply = json!({"parent_email_id": 7, "reply_body": "<b>", "html_reply_body": false});
    let content = json!({"content": "<b>", "emailId": 7});
    for (subject, body, path, query, sent) in [
        ("bruin.get.asset.topics", device, "/api/Ticket/topics", "ServiceNumber", json!(null)),
        ("bruin.subscribe.user", subscription, "/api/Ticket/1/subscribeUser", "", user),
        ("bruin.email.status", status, "/api/Email/status", "", set),
        ("bruin.email.reply", reply, "/api/Notification/email/ReplyAll", "IsContentHTMLEncoded", content),
    ] {
        for status in [200, 201, 404, 500, 513] {
            let rule = |method| Rule::on(method, "^/api/").status(status).json(&message);
            bridge.stage.upstream.rules(vec![rule("GET"), rule("POST")]);
            let got = bridge.ask_as(&format!("{subject} {status}"), subject, &body).await;
            assert_eq!(got, (u64::from(status), message.clone()), "{subject}");
            let [call] = &bridge.take_calls()[..] else { panic!("{subject}: not one call") };
            assert_eq!((call.path.as_str(), call.json()), (path, sent.clone()), "{subject}");
            assert_eq!(call.query.last().map_or("", |(name, _)| name), query, "{subject}");
        }
    }
}

#[tokio::test]
async fn some_later_subjects_pass_on_texts_and_refusals_too() {
    let bridge = Bridge::start().await;
    let message = json!({"message": "m"});
    for (subject, body) in [
        ("bruin.get.asset.topics", json!({"client_id": "1", "service_number": "VC1"})),
        (
            "bruin.subscribe.user",
            json!({"ticket_id": 1, "user_email": "a@example.com", "subscription_type": 2}),
        ),
        ("bruin.email.status", json!({"email_id": 7, "email_status": "New"})),
        ("bruin.email.reply", json!({"parent_email_id": 7, "reply_body": "x"})),
    ] {
        for status in [200, 202, 404, 502] {
            let rule = |method| Rule::on(method, "^/api/").status(status).text("Accepted\n for later");
            bridge.stage.upstream.rules(vec![rule("GET"), rule("POST")]);
            let got = bridge.ask_as(&format!("text {status}"), subject, &body).await;
            assert_eq!(got, (u64::from(status), json!("Accepted for later")), "{subject}");
        }
        let rule = |method| Rule::on(method, "^/api/").status(401).json(&message);
        bridge.stage.upstream.rules(vec![rule("GET"), rule("POST")]);
        bridge.take_calls();
        assert_eq!(bridge.ask_as("refused", subject, &body).await, (401, message.clone()), "{subject}");
        assert_eq!(bridge.take_calls().len(), 2, "{subject}: once more with a new token");
        let rule = |method| Rule::on(method, "^/api/").json(&message);
        bridge.stage.upstream.rules(vec![rule("GET"), rule("POST")]);
        let again = bridge.ask_as("refused", subject, &body).await;
        assert_eq!(again, (200, message.clone()), "{subject}: a refusal is not remembered");
    }
}

/// What the bridge sends to Bruin for a request, and what it replies.
async fn sent(bridge: &Bridge, id: &str, subject: &str, body: &Value) -> (Value, (u64, Value)) {
    bridge.take_calls();
    let reply = bridge.ask_as(id, subject, body).await;
    let [call] = &bridge.take_calls()[..] else { panic!("{subject}: not one call") };
    (call.json(), reply)
}

#[tokio::test]
async fn fields_of_a_later_revision_are_sent_on() {
    const OUTAGE: &str = "bruin.ticket.creation.outage.request";
    let bridge = Bridge::start().await;
    let answer = json!({"assets": [{"ticketId": 0, "errorCode": 471}]});
    bridge.stage.upstream.rules(vec![
        Rule::on("POST", "/repair$").json(&answer),
        Rule::on("PUT", "/status$").json(&json!({})),
        Rule::on("PUT", "/details/work$").json(&json!({"message": "success"})),
    ]);

    let repair = json!({
        "ClientID": 1, "WTNs": ["VC1", "VC2"], "RequestDescription": "MetTel's IPA -- Service Outage Trouble",
    });
    let mut body = json!({"client_id": 1, "service_number": ["VC1", "VC2"], "get_full_response": false});
    let (call, reply) = sent(&bridge, "plain", OUTAGE, &body).await;
    assert_eq!((call, reply.0), (repair.clone(), 503));
    body["interfaces"] = json!(["GE1", "GE2"]);
    body["get_full_response"] = json!(true);
    let (call, reply) = sent(&bridge, "full", OUTAGE, &body).await;
    let mut with_interfaces = repair;
    with_interfaces["WtnInterfaces"] = json!({"VC1": ["GE1", "GE2"]});
    assert_eq!((call, reply), (with_interfaces, (200, answer)), "without the special statuses");

    let line = json!({"ticket_id": 1, "detail_id": 2, "interfaces": ["GE1"]});
    let resolved = sent(&bridge, "r", "bruin.ticket.status.resolve", &line).await.0;
    assert_eq!(resolved, json!({"Status": "R", "Interfaces": ["GE1"]}));
    let opened = sent(&bridge, "o", "bruin.ticket.status.open", &line).await.0;
    assert_eq!(opened, json!({"Status": "O"}));

    let queue = json!({"ticket_id": 1, "detail_id": 2, "queue_name": "Q", "work_queue_id": 620});
    let (call, reply) = sent(&bridge, "w", "bruin.ticket.change.work", &queue).await;
    assert_eq!(call, json!({"details": [{"detailId": 2}], "notes": [], "resultTypeId": 620}));
    assert_eq!(reply, (200, json!({"message": "success"})));
}

#[tokio::test]
async fn a_blank_in_a_query_is_sent_as_a_plus() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bruin = format!("http://{}", listener.local_addr().unwrap());
    let bridge = Bridge::start_with(&[("BRUIN_BASE_URL", &bruin)]).await;
    let body = json!({"service_number": "VC 1+"});
    let answering = async {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        (line, stream) // closed only when the answer has been read
    };
    let (reply, (line, _)) = futures::join!(bridge.ask("bruin.customer.get.info", &body), answering);
    assert_eq!(reply, (200, json!([])));
    assert_eq!(line, "GET /api/Inventory?ServiceNumber=VC+1%2B HTTP/1.1\r\n");
}

#[tokio::test]
async fn what_is_not_found_has_texts_of_its_own() {
    let bridge = Bridge::start().await;
    for ((subject, body, answer), expected) in [
        (
            ("bruin.single_ticket.basic.request", json!({"ticket_id": 9}), json!({"responses": []})),
            (404, json!({})),
        ),
        (
            ("bruin.ticket.overview.request", json!({"ticket_id": 9}), json!({"responses": []})),
            (200, json!([])),
        ),
        (
            ("bruin.get.site", json!({"client_id": 1, "site_id": "2"}), json!({"documents": null})),
            (404, json!("No site information was found for site 2 and client 1")),
        ),
        (
            ("bruin.get.ticket.contacts", json!({"client_id": 1}), json!({"results": []})),
            (404, json!("No ticket contacts information was found for client 1")),
        ),
        (
            ("bruin.mark.email.done", json!({"email_id": 1}), json!({"success": false})),
            (400, json!("Problem marking email 1 as done")),
        ),
        (
            ("bruin.link.ticket.email", json!({"email_id": 1, "ticket_id": 2}), json!({})),
            (400, json!("Problem linking ticket 2 and email 1")),
        ),
        (
            ("bruin.customer.get.info", json!({"service_number": "VC1"}), json!({"documents": null})),
            (200, json!([])),
        ),
    ] {
        bridge
            .stage
            .upstream
            .rules(vec![Rule::on("GET", "").json(&answer), Rule::on("POST", "").json(&answer)]);
        assert_eq!(bridge.ask_as(subject, subject, &body).await, expected, "{subject}");
    }
    bridge.stage.upstream.rules(vec![Rule::on("GET", "").status(204)]);
    let circuit = bridge.ask("bruin.get.circuit.id", &json!({"circuit_id": "x"})).await;
    assert_eq!(circuit, (204, json!("204 No Content")));
    bridge.stage.upstream.rules(vec![Rule::on("POST", "").status(204)]);
    let tag = bridge.ask("bruin.email.tag.request", &json!({"email_id": 1, "tag_id": 2})).await;
    assert_eq!(tag, (204, json!("")));
    bridge.stage.upstream.rules(vec![Rule::on("POST", "").status(201).json(&json!({"success": "yes"}))]);
    let link = bridge.ask("bruin.link.ticket.email", &json!({"email_id": 1, "ticket_id": 2})).await;
    assert_eq!(link, (200, json!({"success": "yes"})), "exactly 200");
}
