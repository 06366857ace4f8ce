//! The three subjects over real NATS, Redis and gRPC, after the specification's examples.

use crate::bridge::{LIVE, METRICS, PREDICTION, T7};
use model_bridges::object;
use sandbox::kre::Prepared;
use serde_json::{Value, json};

type Scene = model_bridges::Scene<T7>;

fn question() -> Value {
    json!({
        "ticket_id": 5_100_001,
        "assets_to_predict": ["VC1234567", "VC7654321"],
        "ticket_rows": [{
            "Asset": "VC1234567", "CallTicketID": 5_100_001, "DetailID": "5200001",
            "Initial Note @ Ticket Creation": "Service Outage Trouble", "EnteredDate_N": "2021-06-01T09:30:00.85-04:00",
            "EnteredDate": "2021-06-01T09:00:00.1-04:00", "Notes": "note é", "NoteType": "ADN", "Task Result": null,
            "SLA": 1.0, "Ticket Status": "In Progress", "Unknown Key": {"a": [1]}, "task_result": "dropped",
        }],
    })
}

fn prepare(scene: &Scene, rpc: &str, answer: Value) {
    scene.prepare(rpc, Prepared::answer(object(answer)));
}

fn history() -> Value {
    json!({"ticket_id": 5_100_001, "ticket_rows": [{"Asset": "VC1234567", "Notes": "#*MetTel's IPA*#\nAI\n\n"}]})
}

fn outcome() -> Value {
    json!({"ticket_id": 5_100_001, "asset_id": "VC1234567", "automated_successfully": false})
}

#[tokio::test]
async fn a_prediction_reaches_the_model_in_its_words_and_comes_back_in_ours() {
    let scene = Scene::start(&[]).await;
    let error = json!({"code": "error_in_prediction", "message": "label not in the map"});
    prepare(
        &scene,
        "Prediction",
        json!({"success": true, "asset_predictions": [
            {"asset": "VC1234567", "task_results": [
                {"name": "Repair Completed", "probability": 0.948_438_465_595_245_4},
                {"name": "Holmdel NOC Investigate", "probability": 0.123_456_79},
                {"name": "", "probability": 0},
            ]},
            {"asset": "VC7654321", "error": error},
            {"asset": "VC3", "error": {}},
            {},
        ]}),
    );
    let (status, body) = scene.ask(PREDICTION, question()).await;
    let expected = json!([
        {"assetId": "VC1234567", "predictions": [
            {"name": "Repair Completed", "probability": 0.948_438_47},
            {"name": "Holmdel NOC Investigate", "probability": 0.123_456_79},
            {"name": "", "probability": 0.0},
        ]},
        {"assetId": "VC7654321", "error": error},
        {"assetId": "VC3", "error": {"code": "", "message": ""}},
        {"assetId": "", "predictions": []},
    ]);
    assert_eq!((status, body), (200, expected));

    let received = scene.received("Prediction").remove(0);
    assert_eq!(received["ticket_id"], "5100001");
    assert_eq!(received["assets_to_predict"], json!(["VC1234567", "VC7654321"]));
    let mut row = object(received["ticket_rows"][0].clone());
    row.retain(|_, value| !matches!(value.as_str(), Some("" | "0")));
    assert_eq!(
        Value::Object(row),
        json!({
            "asset": "VC1234567", "entered_date": "2021-06-01T09:00:00.1-04:00", "notes": "note é",
            "entered_date_n": "2021-06-01T09:30:00.85-04:00", "call_ticket_id": "5100001",
            "initial_note_ticket_creation": "Service Outage Trouble", "detail_id": "5200001", "note_type": "ADN",
            "sla": 1, "ticket_status": "In Progress",
        })
    );
}

#[tokio::test]
async fn a_model_without_predictions_or_without_success_is_answered_all_the_same() {
    let scene = Scene::start(&[]).await;
    prepare(&scene, "Prediction", json!({"success": true}));
    assert_eq!(scene.ask(PREDICTION, question()).await, (200, json!([])));
    let item = json!({"asset": "VC1", "task_results": [{"name": "a", "probability": 0.5}]});
    prepare(&scene, "Prediction", json!({"success": false, "message": "half", "asset_predictions": [item]}));
    let expected = json!([{"assetId": "VC1", "predictions": [{"name": "a", "probability": 0.5}]}]);
    assert_eq!(scene.ask(PREDICTION, question()).await, (200, expected));
}

#[tokio::test]
async fn the_simulated_model_predicts_for_the_assets_of_the_history() {
    let scene = Scene::start(&[]).await;
    let (status, body) = scene.ask(PREDICTION, question()).await;
    assert_eq!((status, &body[0]["assetId"]), (200, &json!("VC1234567")));
    assert_eq!(body[0]["predictions"].as_array().unwrap().len(), 3);
    assert_eq!(body[1]["error"]["code"], "error_in_prediction");
}

#[tokio::test]
async fn what_is_saved_is_answered_by_the_models_message() {
    let scene = Scene::start(&[]).await;
    let empty = json!({"ticket_id": "5100001", "ticket_rows": []});
    let nulls = json!({"ticket_id": null, "asset_id": null, "automated_successfully": null});
    let mut yes = outcome();
    yes["automated_successfully"] = json!(true);
    for (id, subject, body, expected) in [
        ("b", METRICS, history(), "Saved 1 metrics"),
        ("c", METRICS, empty, "Saved 0 metrics"),
        ("e", LIVE, outcome(), "Metric saved successfully"),
        ("f", LIVE, yes, "Metric saved successfully"),
        ("g", LIVE, nulls, "Metric saved successfully"),
    ] {
        assert_eq!(scene.ask_as(id, subject, &body).await, (200, json!(expected)), "{id}");
    }
    let saved = scene.received("SaveMetrics");
    assert_eq!(saved[0]["ticket_rows"][0]["notes"], "#*MetTel's IPA*#\nAI\n\n");
    assert_eq!((&saved[1]["ticket_id"], &saved[1]["ticket_rows"]), (&json!("5100001"), &json!([])));
    let lives = scene.received("SaveLiveMetrics");
    let values: Vec<&Value> = lives.iter().map(|live| &live["automated_successfully"]).collect();
    assert_eq!(values, [&json!(false), &json!(true), &json!(false)]);
    assert_eq!((&lives[2]["ticket_id"], &lives[2]["asset_id"]), (&json!("0"), &json!("")));
    prepare(&scene, "SaveMetrics", json!({}));
    assert_eq!(scene.ask_as("h", METRICS, &history()).await, (200, json!("")));
}

#[tokio::test]
async fn what_is_missing_is_refused_and_the_model_not_asked() {
    let scene = Scene::start(&[]).await;
    let no_prediction =
        r#"You must specify {.."body": {"ticket_id", "ticket_rows", "assets_to_predict"}..} in the request"#;
    let no_metrics = r#"You must specify {.."body": {"ticket_id", "ticket_rows"}..} in the request"#;
    let no_live = r#"You must specify {.."body": {"ticket_id", "asset_id", "automated_successfully"}..} in the request"#;
    let rows = json!([{"Asset": "VC1234567"}]);
    for (subject, body, text) in [
        (PREDICTION, json!({"ticket_id": 5_100_001, "ticket_rows": rows}), no_prediction),
        (PREDICTION, json!(null), no_prediction),
        (PREDICTION, json!([1]), no_prediction),
        (
            PREDICTION,
            json!({"ticket_id": 0, "ticket_rows": rows, "assets_to_predict": ["VC1"]}),
            no_prediction,
        ),
        (
            PREDICTION,
            json!({"ticket_id": 1, "ticket_rows": [null], "assets_to_predict": ["VC1"]}),
            no_prediction,
        ),
        (METRICS, json!({"ticket_id": 5_100_001}), no_metrics),
        (METRICS, json!({"ticket_id": 5_100_001, "ticket_rows": null}), no_metrics),
        (LIVE, json!({"ticket_id": 5_100_001, "asset_id": "VC1234567"}), no_live),
        (LIVE, json!({}), no_live),
    ] {
        assert_eq!(scene.ask(subject, body.clone()).await, (400, json!(text)), "{subject} {body}");
    }
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_named_and_nothing_is_sent() {
    let scene = Scene::start(&[]).await;
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    for (subject, body, text) in [
        (
            PREDICTION,
            with(question(), "ticket_rows", json!([{"Asset": "VC1", "Zip": 10_041}])),
            "Error: ticket_rows[0].zip: expected a string",
        ),
        (
            PREDICTION,
            with(question(), "ticket_rows", json!([{}, {"SLA": 1.5}])),
            "Error: ticket_rows[1].sla: expected an integer of 32 bits",
        ),
        (
            PREDICTION,
            with(question(), "ticket_id", json!("one")),
            "Error: ticket_id: expected an integer of 64 bits",
        ),
        (
            PREDICTION,
            with(question(), "assets_to_predict", json!(["VC1", null])),
            "Error: assets_to_predict: expected a string",
        ),
        (
            PREDICTION,
            with(question(), "assets_to_predict", json!("VC1")),
            "Error: assets_to_predict: expected an array",
        ),
        (
            METRICS,
            with(history(), "ticket_id", json!(1.5)),
            "Error: ticket_id: expected an integer of 64 bits",
        ),
        (
            LIVE,
            with(outcome(), "automated_successfully", json!("yes")),
            "Error: automated_successfully: expected true or false",
        ),
        (LIVE, with(outcome(), "asset_id", json!(7)), "Error: asset_id: expected a string"),
    ] {
        // Under an id of its own each: the bus knows writes by them.
        assert_eq!(scene.ask_as(text, subject, &body).await, (500, json!(text)), "{body}");
    }
    assert!(scene.calls().is_empty());
}
