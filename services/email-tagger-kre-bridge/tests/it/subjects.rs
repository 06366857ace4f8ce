//! The two subjects over real NATS, Redis and gRPC, by the specification's examples.

use crate::bridge::{EmailTagger, METRICS, PREDICTION};
use contracts::email_tagger::{NO_EMAIL, NO_OUTCOME};
use model_bridges::{Scene, object};
use sandbox::kre::Prepared;
use serde_json::{Value, json};

fn email() -> Value {
    json!({
        "email": {
            "email_id": "73111", "client_id": "30000", "subject": "Router down", "body": "VC1234567 is down",
            "date": "2021-03-28T10:43:55.493", "parent_id": null, "from_address": "ops@example.com",
        },
        "tag_ids": [],
    })
}

fn outcome() -> Value {
    json!({
        "original_email": {
            "email": {
                "email_id": "73111", "client_id": "30000", "subject": "Router down", "body": "...",
                "date": "2021-03-28T10:43:55.493", "parent_id": "73110",
            },
            "tag_ids": ["4", "3"],
        },
        "ticket": {
            "ticket_id": 3_499_114, "ticket_status": "New", "call_type": "REP", "category": "VOO",
            "creation_date": "3/28/2021 10:50:00 AM",
        },
    })
}

fn predicts(tags: &Value) -> Prepared {
    Prepared::answer(object(json!({"success": true, "email_id": "73111", "prediction": tags})))
}

#[tokio::test]
async fn tags_are_rated() {
    let scene = Scene::<EmailTagger>::start(&[]).await;
    scene.prepare(
        "GetPrediction",
        predicts(&json!([{"tag_id": 1002, "probability": 0.67}, {"tag_id": 1004, "probability": 0.27}, {}])),
    );
    let (status, body) = scene.ask(PREDICTION, email()).await;
    assert_eq!(
        (status, body),
        (
            200,
            json!([
                {"tag_id": "1002", "probability": 0.67},
                {"tag_id": "1004", "probability": 0.27},
                {"tag_id": "0", "probability": 0.0},
            ])
        )
    );
    let call = scene.calls().remove(0);
    assert_eq!(
        Value::Object(call.request),
        json!({
            "email": {
                "email_id": "73111", "date": "2021-03-28T10:43:55.493", "subject": "Router down",
                "body": "VC1234567 is down", "parent_id": "", "previous_email_id": "", "client_id": "30000",
            },
            "tag_ids": [],
        })
    );
}

#[tokio::test]
async fn nothing_predicted_is_null_also_without_success() {
    let scene = Scene::<EmailTagger>::start(&[]).await;
    for answer in [json!({"success": true, "email_id": "73111"}), json!({"message": "no idea"})] {
        scene.prepare("GetPrediction", Prepared::answer(object(answer)));
        assert_eq!(scene.ask(PREDICTION, email()).await, (200, Value::Null));
    }
    let tags = json!([{"tag_id": 7, "probability": 1}]);
    scene.prepare("GetPrediction", Prepared::answer(object(json!({"success": false, "prediction": tags}))));
    assert_eq!(scene.ask(PREDICTION, email()).await, (200, json!([{"tag_id": "7", "probability": 1.0}])));
}

#[tokio::test]
async fn the_outcome_is_saved() {
    let scene = Scene::<EmailTagger>::start(&[]).await;
    assert_eq!(scene.ask(METRICS, outcome()).await, (200, json!("Saved 1 metrics")));
    let call = scene.calls().remove(0);
    assert_eq!((call.rpc.as_str(), call.code), ("SaveMetrics", "OK"));
    assert_eq!(call.request["original_email"]["tag_ids"], json!(["4", "3"]));
    assert_eq!(call.request["original_email"]["email"]["parent_id"], "73110");
    assert_eq!(
        call.request["ticket"],
        json!({
            "ticket_id": "3499114", "call_type": "REP", "category": "VOO",
            "creation_date": "3/28/2021 10:50:00 AM", "status": "",
        })
    );

    scene.prepare("SaveMetrics", Prepared::answer(object(json!({}))));
    let unset = json!({"original_email": null, "ticket": null});
    assert_eq!(scene.ask_as("unset", METRICS, &unset).await, (200, json!("")));
    assert_eq!(scene.calls()[1].request, object(json!({})));
}

#[tokio::test]
async fn a_lone_tag_is_a_list_of_one() {
    let scene = Scene::<EmailTagger>::start(&[]).await;
    let mut body = outcome();
    body["original_email"]["tag_ids"] = json!("5");
    assert_eq!(scene.ask(METRICS, body).await.0, 200);
    assert_eq!(scene.calls()[0].request["original_email"]["tag_ids"], json!(["5"]));
}

#[tokio::test]
async fn a_request_without_what_it_is_about_is_refused_and_not_sent() {
    let scene = Scene::<EmailTagger>::start(&[]).await;
    for body in [
        json!(null),
        json!({}),
        json!("email"),
        json!({"email": {"subject": "Router down"}}),
        json!({"email": {"email_id": ""}}),
        json!({"email": "73111"}),
    ] {
        assert_eq!(scene.ask(PREDICTION, body.clone()).await, (400, json!(NO_EMAIL)), "{body}");
    }
    for body in [json!(null), json!([]), json!({"original_email": {"email": {"email_id": "1"}}})] {
        assert_eq!(scene.ask(METRICS, body.clone()).await, (400, json!(NO_OUTCOME)), "{body}");
    }
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn a_request_that_does_not_fit_the_contract_is_refused_by_field_and_not_sent() {
    let scene = Scene::<EmailTagger>::start(&[]).await;
    for (body, text) in [
        (json!({"email": {"email_id": 123}}), "Error: email.email_id: expected a string"),
        (json!({"email": {"email_id": "1", "subject": []}}), "Error: email.subject: expected a string"),
        (
            json!({"email": {"email_id": "1"}, "tag_ids": [null]}),
            "Error: tag_ids: expected an integer of 64 bits",
        ),
        (json!({"email": {"email_id": "1"}, "tagIds": {}}), "Error: tag_ids: expected an array"),
    ] {
        assert_eq!(scene.ask(PREDICTION, body).await, (500, json!(text)));
    }
    let body = json!({"original_email": {"email": []}, "ticket": null});
    assert_eq!(
        scene.ask(METRICS, body).await,
        (500, json!("Error: original_email.email: expected an object"))
    );
    let body = json!({"original_email": null, "ticket": {"ticket_id": 1.5}});
    assert_eq!(
        scene.ask(METRICS, body).await,
        (500, json!("Error: ticket.ticket_id: expected an integer of 64 bits"))
    );
    assert!(scene.calls().is_empty());
}
