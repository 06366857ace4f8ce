//! The four subjects over real NATS, Redis and gRPC, by the specification's examples.

use crate::bridge::{CLOSED, CREATED, OUTPUTS, PREDICTION, RepairTickets};
use contracts::repair_tickets::{NO_BODY, NO_EMAIL, NO_TICKET};
use model_bridges::{Scene, object};
use sandbox::kre::Prepared;
use serde_json::{Value, json};

fn email() -> Value {
    json!({
        "email_id": "73111", "client_id": "30000", "subject": "Router down", "body": "VC1234567 is down",
        "date": "2021-03-28T10:43:55.493", "from_address": "ops@example.com", "to": ["help@example.com"],
        "cc": "noc@example.com, it@example.com", "tag": {"type": "Repair", "probability": 0.91},
    })
}

fn outputs() -> Value {
    json!({
        "email_id": "73111", "validated_service_numbers": ["VC1234567"],
        "service_numbers_sites_map": {"VC1234567": "77"},
        "tickets_created": [
            {"site_id": "77", "service_numbers": ["VC1234567"], "ticket_id": "5550001", "not_creation_reason": ""},
        ],
        "tickets_updated": [], "tickets_could_be_created": [], "tickets_could_be_updated": [],
        "tickets_cannot_be_created": [], "validated_ticket_numbers": ["5540000"],
        "bruin_ticket_status_map": {"5540000": "InProgress"}, "bruin_ticket_call_type_map": {"5540000": "REP"},
        "bruin_ticket_category_map": {"5540000": "VOO"},
    })
}

fn created() -> Value {
    json!({
        "ticket_id": "5550001", "email_id": "73111", "parent_id": null, "client_id": "30000",
        "real_service_numbers": ["VC1234567"], "real_class": "VOO", "site_map": {"VC1234567": "77"},
    })
}

fn closed() -> Value {
    json!({
        "ticket_id": "5550001", "client_id": "30000", "ticket_status": "cancelled",
        "cancelled_reasons": ["duplicate"],
    })
}

#[tokio::test]
async fn an_email_is_inferred() {
    let scene = Scene::<RepairTickets>::start(&[]).await;
    let flags = json!({
        "tagger_is_below_threshold": false, "rta_model1_is_below_threshold": false,
        "rta_model2_is_below_threshold": false, "is_filtered": false, "in_validation_set": false,
    });
    let answer =
        json!({"potential_service_numbers": ["VC1234567"], "predicted_class": "VOO", "filter_flags": {}});
    scene.prepare("GetPrediction", Prepared::answer(object(answer)));
    let inference = json!({
        "potential_service_numbers": ["VC1234567"], "potential_ticket_numbers": [], "predicted_class": "VOO",
        "filter_flags": flags,
    });
    assert_eq!(scene.ask(PREDICTION, email()).await, (200, inference));
    let sent = &scene.calls()[0].request["email"];
    let expected = json!({
        "email_id": "73111", "parent_id": "", "client_id": "30000", "subject": "Router down",
        "body": "VC1234567 is down", "from_address": "ops@example.com", "to": ["help@example.com"],
        "cc": "noc@example.com, it@example.com", "date": "2021-03-28T10:43:55.493",
        "tag": {"type": "Repair", "probability": 0.91}, "is_auto_reply_answer": false,
        "auto_reply_answer_delay": 0.0,
    });
    assert_eq!(sent, &expected);
}

#[tokio::test]
async fn flags_which_the_model_left_out_let_nothing_be_automated() {
    let scene = Scene::<RepairTickets>::start(&[]).await;
    scene.prepare("GetPrediction", Prepared::answer(object(json!({}))));
    let (status, body) = scene.ask(PREDICTION, email()).await;
    assert_eq!((status, &body["predicted_class"]), (200, &json!("")));
    assert_eq!(body["filter_flags"]["is_filtered"], true);
    assert_eq!(body["filter_flags"].as_object().unwrap().len(), 5);
}

#[tokio::test]
async fn what_became_of_an_email_is_saved() {
    let scene = Scene::<RepairTickets>::start(&[]).await;
    assert_eq!(scene.ask_as("b1", OUTPUTS, &outputs()).await, (200, json!({"success": true})));
    let mut sent = outputs();
    sent["validated_tickets"] = json!([]);
    assert_eq!(Value::Object(scene.calls()[0].request.clone()), sent);

    let nothing = json!({
        "email_id": "73111",
        "tickets_cannot_be_created":
            [{"site_id": "", "service_numbers": [], "ticket_id": "", "not_creation_reason": "No inference data"}],
        "validated_ticket_numbers": null,
    });
    assert_eq!(scene.ask_as("b2", OUTPUTS, &nothing).await, (200, json!({"success": true})));
    let sent = &scene.calls()[1].request;
    assert_eq!(sent["tickets_cannot_be_created"], nothing["tickets_cannot_be_created"]);
    assert_eq!(sent["validated_ticket_numbers"], json!([]));

    scene.prepare("SaveOutputs", Prepared::answer(object(json!({}))));
    assert_eq!(scene.ask_as("b3", OUTPUTS, &outputs()).await, (200, json!({"success": false})));
}

#[tokio::test]
async fn an_older_monitors_validated_tickets_are_translated() {
    let scene = Scene::<RepairTickets>::start(&[]).await;
    let mut old = outputs();
    old["validated_ticket_numbers"] = json!([
        {"ticket_id": "5540001", "ticket_status": "New", "call_type": "CHG", "category": "VAS"},
    ]);
    assert_eq!(scene.ask(OUTPUTS, old).await, (200, json!({"success": true})));
    let sent = &scene.calls()[0].request;
    assert_eq!(sent["validated_ticket_numbers"], json!(["5540001"]));
    assert_eq!(sent["bruin_ticket_status_map"], json!({"5540000": "InProgress", "5540001": "New"}));
    assert_eq!(sent["bruin_ticket_category_map"]["5540001"], "VAS");
}

#[tokio::test]
async fn feedback_is_saved() {
    let scene = Scene::<RepairTickets>::start(&[]).await;
    assert_eq!(scene.ask(CREATED, created()).await, (200, json!({"success": true})));
    assert_eq!(scene.ask(CLOSED, closed()).await, (200, json!({"success": true})));
    let resolved = json!({"ticket_id": "5550001", "ticket_status": "resolved", "cancelled_reasons": []});
    assert_eq!(scene.ask_as("d2", CLOSED, &resolved).await, (200, json!({"success": true})));
    let calls = scene.calls();
    let mut sent = created();
    sent["parent_id"] = json!("");
    assert_eq!(Value::Object(calls[0].request.clone()), sent);
    assert_eq!(Value::Object(calls[1].request.clone()), closed());
    let rpcs: Vec<_> = calls.iter().map(|call| call.rpc.as_str()).collect();
    assert_eq!(
        rpcs,
        ["SaveCreatedTicketsFeedback", "SaveClosedTicketsFeedback", "SaveClosedTicketsFeedback"]
    );
}

#[tokio::test]
async fn numbers_for_ids_become_text() {
    let scene = Scene::<RepairTickets>::start(&[]).await;
    let mut body = created();
    body["ticket_id"] = json!(5_550_001);
    body["clientId"] = json!(30_000);
    body["site_map"] = json!({"VC1234567": 77});
    assert_eq!(scene.ask(CREATED, body).await.0, 200);
    let sent = scene.calls().remove(0).request;
    assert_eq!((&sent["ticket_id"], &sent["site_map"]["VC1234567"]), (&json!("5550001"), &json!("77")));
    let mut body = email();
    body["email_id"] = json!(73_111);
    assert_eq!(scene.ask(PREDICTION, body).await.0, 200);
    assert_eq!(scene.calls()[1].request["email"]["email_id"], "73111");
}

#[tokio::test]
async fn fields_of_the_later_state_are_taken() {
    let scene = Scene::<RepairTickets>::start(&[]).await;
    let mut body = email();
    body["is_auto_reply_answer"] = json!(true);
    body["autoReplyAnswerDelay"] = json!("0.5");
    assert_eq!(scene.ask(PREDICTION, body).await.0, 200);
    let sent = &scene.calls()[0].request["email"];
    assert_eq!(
        (&sent["is_auto_reply_answer"], &sent["auto_reply_answer_delay"]),
        (&json!(true), &json!(0.5))
    );
    let ticket = json!({"ticket_id": "1", "ticket_status": "New", "category": "VOO", "call_type": "REP", "site_id": 7});
    assert_eq!(scene.ask(OUTPUTS, json!({"validated_tickets": [ticket]})).await.0, 200);
    assert_eq!(scene.calls()[1].request["validated_tickets"][0]["site_id"], "7");
}

#[tokio::test]
async fn a_request_without_what_it_is_about_is_refused_and_not_sent() {
    let scene = Scene::<RepairTickets>::start(&[]).await;
    for (subject, text) in
        [(PREDICTION, NO_EMAIL), (OUTPUTS, NO_BODY), (CREATED, NO_TICKET), (CLOSED, NO_TICKET)]
    {
        for body in [json!(null), json!({}), json!([]), json!("x"), json!(7)] {
            assert_eq!(scene.ask(subject, body.clone()).await, (400, json!(text)), "{subject} {body}");
        }
    }
    assert_eq!(scene.ask(PREDICTION, json!({"subject": "x"})).await, (400, json!(NO_EMAIL)));
    assert_eq!(scene.ask(CREATED, json!({"ticket_id": ""})).await, (400, json!(NO_TICKET)));
    assert_eq!(scene.ask(CLOSED, json!({"client_id": "1"})).await, (400, json!(NO_TICKET)));
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn a_request_that_does_not_fit_the_contract_is_refused_by_field_and_not_sent() {
    let scene = Scene::<RepairTickets>::start(&[]).await;
    let mut copied = email();
    copied["send_cc"] = json!(["noc@example.com"]);
    for (subject, body, text) in [
        (PREDICTION, copied, "Error: Email has no field named send_cc"),
        (PREDICTION, json!({"email_id": "1", "to": [null]}), "Error: email.to: expected a string"),
        (
            PREDICTION,
            json!({"email_id": "1", "tag": {"probability": "high"}}),
            "Error: email.tag.probability: expected a number",
        ),
        (PREDICTION, json!({"email_id": true}), "Error: email.email_id: expected a string"),
        (
            OUTPUTS,
            json!({"validated_ticket_numbers": [{"status": 1}]}),
            "Error: validated_ticket_numbers: expected a string",
        ),
        (
            OUTPUTS,
            json!({"validated_ticket_numbers": [{"ticket_id": "1", "status": 1}]}),
            "Error: validated_ticket_numbers has no field named status",
        ),
        (
            OUTPUTS,
            json!({"tickets_created": [{}, {"service_numbers": "VC1"}]}),
            "Error: tickets_created[1].service_numbers: expected an array",
        ),
        (OUTPUTS, json!({"tickets_created": [{"id": 1}]}), "Error: Ticket has no field named id"),
        (
            OUTPUTS,
            json!({"service_numbers_sites_map": {"VC1": null}}),
            "Error: service_numbers_sites_map.VC1: expected a string",
        ),
        (CREATED, json!({"ticket_id": "1", "real_class": 1}), "Error: real_class: expected a string"),
        (CREATED, json!({"ticket_id": "1", "site_map": []}), "Error: site_map: expected an object"),
        (
            CLOSED,
            json!({"ticket_id": "1", "cancelled_reasons": ["a", null]}),
            "Error: cancelled_reasons: expected a string",
        ),
        (
            CLOSED,
            json!({"ticket_id": "1", "reason": "x"}),
            "Error: SaveClosedTicketsFeedbackRequest has no field named reason",
        ),
    ] {
        assert_eq!(scene.ask(subject, body).await, (500, json!(text)), "{subject}");
    }
    assert!(scene.calls().is_empty());
}
