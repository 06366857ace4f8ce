//! `lit.dispatch.post`, `.update`, `.cancel` and `.upload.file` over real NATS, Redis and HTTP.

use contracts::lit::REQUIRED_KEYS;
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::salesforce::{NO_CACHE, headers, login, sessions};
use testkit::{PATIENCE, Rule};

const POST: &str = "lit.dispatch.post";
const UPDATE: &str = "lit.dispatch.update";
const CANCEL: &str = "lit.dispatch.cancel";
const UPLOAD: &str = "lit.dispatch.upload.file";

fn order() -> Value {
    let fields: Value = REQUIRED_KEYS.iter().map(|key| (key.to_uppercase(), json!("x"))).collect();
    json!({"RequestDispatch": fields})
}

fn change() -> Value {
    json!({"RequestDispatch": {"dispatch_number": "DIS1", "scope_of_work": "more"}})
}

fn cancellation() -> Value {
    let request =
        json!({"Dispatch_Number": "DIS1", "Cancellation_Reason": "r", "Cancellation_Requested_By": "b"});
    json!({"CancelDispatchRequest": request})
}

fn file() -> Value {
    json!({"dispatch_number": "DIS1", "payload": "dGVzdA==", "file_name": "a.pdf", "file_content_type": "application/pdf"})
}

fn success(number: &str) -> Value {
    json!({"Status": "Success", "Message": null, "Dispatch": {"Dispatch_Number": number}, "APIRequestID": "a13X"})
}

fn resource(name: &str) -> String {
    format!("^/lit/services/apexrest/{name}$")
}

#[tokio::test]
async fn bodies_are_sent_as_they_came_and_the_answer_is_the_reply() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    for (subject, name, body) in [
        (POST, "NewDispatch", order()),
        (UPDATE, "UpdateDispatch", change()),
        (CANCEL, "CancelDispatch", cancellation()),
    ] {
        stage.upstream.take_calls();
        stage.upstream.rules(vec![Rule::on("POST", &resource(name)).json(&success("DIS10001"))]);
        assert_eq!(stage.ask(subject, body.clone()).await, (200, success("DIS10001")));
        let call = stage.upstream.calls_to(name).remove(0);
        assert_eq!(call.json(), body);
        let expected = [Some("Bearer session-a"), Some("application/json"), Some("1"), Some(NO_CACHE)];
        assert_eq!(headers(&call), expected);
    }
}

#[tokio::test]
async fn the_status_in_the_object_is_the_status_of_the_reply() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    let error = json!({"Status": "error", "Message": "...", "Dispatch": null, "APIRequestID": "a13Z"});
    let operations = [
        (POST, "NewDispatch", order()),
        (UPDATE, "UpdateDispatch", change()),
        (CANCEL, "CancelDispatch", cancellation()),
        (UPLOAD, "UploadDispatchFile/DIS1", file()),
    ];
    for (number, (object, status)) in
        [(error, 400), (json!({"Status": "Later"}), 502)].into_iter().enumerate()
    {
        for (subject, name, body) in &operations {
            stage.upstream.rules(vec![Rule::on("POST", &resource(name)).json(&object)]);
            let reply = stage.ask_as(&format!("r{number}"), subject, body.clone()).await;
            assert_eq!(reply, (status, object.clone()), "{subject}");
        }
    }
    for (subject, name, body) in &operations {
        stage.upstream.take_calls();
        stage.upstream.rules(vec![Rule::on("POST", &resource(name)).json(&json!({"status": "Success"}))]);
        let expected = json!("LIT: the answer is not as expected: no Status");
        assert_eq!(stage.ask_as("r9", subject, body.clone()).await, (503, expected), "{subject}");
        assert_eq!(stage.upstream.calls_to(name).len(), 1, "a write is tried once");
    }
}

#[tokio::test]
async fn a_new_dispatch_without_number_is_no_success() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    let object = json!({"Status": "Success", "Message": null, "Dispatch": null});
    stage.upstream.answer(Rule::on("POST", &resource("NewDispatch")).json(&object));
    assert_eq!(stage.ask(POST, order()).await, (502, object));
}

#[tokio::test]
async fn a_cancellation_is_answered_in_either_shape() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    for (id, status, expected) in [("a", "Success", 200), ("b", "error", 400), ("c", "?", 502)] {
        let inner = json!({"Status": status, "APIRequestID": "a13Q", "Message": "Cancellation Request Submitted for DIS1"});
        let object = json!({"CancelDispatchServiceResponse": inner});
        stage.upstream.rules(vec![Rule::on("POST", &resource("CancelDispatch")).json(&object)]);
        assert_eq!(stage.ask_as(id, CANCEL, cancellation()).await, (expected, object));
    }
}

#[tokio::test]
async fn a_file_is_sent_as_a_json_string_with_its_name_and_type() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    let uploaded =
        json!({"Status": "Success", "Message": "File ID:00P1", "Dispatch": null, "APIRequestID": null});
    stage.upstream.answer(Rule::on("POST", &resource("UploadDispatchFile/DIS1")).json(&uploaded));
    assert_eq!(stage.ask(UPLOAD, file()).await, (200, uploaded.clone()));
    let call = stage.upstream.calls_to("/DIS1").remove(0);
    assert_eq!(call.body, r#""dGVzdA==""#);
    assert_eq!(call.header("content-type"), Some("application/pdf"));
    assert_eq!(call.header("filename"), Some("a.pdf"));
    assert_eq!(call.header("x-prettyprint"), Some("1"));

    stage.upstream.take_calls();
    let body = json!({"dispatch_number": "DIS1", "payload": "\"é\"\n", "file_name": "naïve file.txt"});
    assert_eq!(stage.ask_as("b", UPLOAD, body).await, (200, uploaded));
    let call = stage.upstream.calls_to("/DIS1").remove(0);
    assert_eq!(call.json(), json!("\"é\"\n"));
    assert_eq!(call.header("content-type"), Some("application/octet-stream"));
    assert_eq!(call.headers.get("filename").unwrap().as_bytes(), "naïve file.txt".as_bytes());
}

#[tokio::test]
async fn a_large_file_passes() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    stage.upstream.answer(Rule::on("POST", &resource("UploadDispatchFile/DIS1")).json(&success("DIS1")));
    let mut body = file();
    body["payload"] = json!("A".repeat(3_000_000));
    assert_eq!(stage.ask(UPLOAD, body).await.0, 200);
    assert_eq!(stage.upstream.calls_to("/DIS1").remove(0).body.len(), 3_000_002);
}

#[tokio::test]
async fn with_the_setting_the_file_itself_is_sent() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[("LIT_UPLOAD_RAW", "true")]).await;
    stage.upstream.answer(Rule::on("POST", &resource("UploadDispatchFile/DIS1")).json(&success("DIS1")));
    for (id, payload) in [("a", "dGVzdA=="), ("b", "dGVzdA"), ("c", "dGVz\r\ndA==\n")] {
        stage.upstream.take_calls();
        let mut body = file();
        body["payload"] = json!(payload);
        assert_eq!(stage.ask_as(id, UPLOAD, body).await.0, 200);
        assert_eq!(stage.upstream.calls_to("/DIS1").remove(0).body, "test");
    }
    let mut body = file();
    body["payload"] = json!("not base64!");
    let refused = (400, json!(r#""payload" must be base64"#));
    assert_eq!(stage.ask_as("d", UPLOAD, body).await, refused);
}

#[tokio::test]
async fn what_is_missing_or_cannot_be_sent_is_named() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    let upload = "Must include the following keys in request: ['dispatch_number', 'payload', 'file_name']";
    let cancel = "Must include the following keys in request: ['Dispatch_Number', 'Cancellation_Reason', 'Cancellation_Requested_By']";
    let with = |name: &str, value: Value| {
        let mut body = file();
        body[name] = value;
        body
    };
    for (subject, body, text) in [
        (POST, json!({}), r#"Must include "RequestDispatch" in request"#),
        (UPDATE, json!({}), r#"Must include "RequestDispatch" in request"#),
        (UPDATE, json!({"RequestDispatch": {"x": 1}}), r#"Must include "Dispatch_Number" in request"#),
        (CANCEL, json!({}), r#"Must include "CancelDispatchRequest" in request"#),
        (CANCEL, json!({"CancelDispatchRequest": {"Dispatch_Number": "DIS1"}}), cancel),
        (UPLOAD, json!({"dispatch_number": "DIS1", "file_name": "a.pdf"}), upload),
        (
            UPLOAD,
            with("file_name", json!("a\r\nEvil: 1")),
            r#""file_name" must be a text without control characters"#,
        ),
        (
            UPLOAD,
            with("dispatch_number", json!("..")),
            "Cannot be asked of LIT: `dispatch_number` cannot be part of a path",
        ),
    ] {
        assert_eq!(stage.ask(subject, body).await, (400, json!(text)));
    }
    let (status, text) =
        stage.ask(POST, json!({"RequestDispatch": {"date_of_dispatch": "2021-03-02"}})).await;
    let text = text.as_str().unwrap();
    assert_eq!(status, 400);
    let begin = "Must include the following keys in request: ['date_of_dispatch', 'mettel_bruin_ticketid', ";
    assert!(text.starts_with(begin) && text.ends_with("'mettel_department_phone_number']"), "{text}");
    assert!(stage.upstream.calls().iter().all(|call| !call.path.contains("apexrest")));
}

#[tokio::test]
async fn a_dispatch_is_never_ordered_twice() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    stage.upstream.rules(vec![Rule::on("POST", &resource("NewDispatch")).drops()]);
    let first = stage.ask(POST, order()).await;
    assert_eq!(first, (503, json!("LIT: connection closed before the answer was complete")));
    assert_eq!(stage.ask(POST, order()).await, first);
    assert_eq!(stage.upstream.calls_to("/NewDispatch").len(), 1);

    stage.upstream.take_calls();
    stage.upstream.rules(vec![Rule::on("POST", &resource("NewDispatch")).json(&success("DIS1"))]);
    let hold = stage.upstream.hold();
    let both = async { tokio::join!(stage.ask_as("b", POST, order()), stage.ask_as("b", POST, order())) };
    let release = async {
        let sent = |calls: &[testkit::Received]| calls.iter().any(|call| call.path.ends_with("/NewDispatch"));
        assert!(stage.upstream.until(PATIENCE, sent).await);
        drop(hold);
    };
    let ((one, two), ()) = tokio::join!(both, release);
    assert_eq!((one.0, &one), (200, &two));
    assert_eq!(stage.upstream.calls_to("/NewDispatch").len(), 1);
}

#[tokio::test]
async fn an_expired_session_is_renewed_and_the_write_repeated_once() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    let new = resource("NewDispatch");
    stage.upstream.rules(vec![Rule::on("POST", &new).json(&success("DIS1"))]);
    assert_eq!(stage.ask_as("a", POST, order()).await.0, 200);
    stage.upstream.rules(vec![
        Rule::on("POST", &new).status(401).times(1),
        login("lit", "session-b"),
        Rule::on("POST", &new).json(&success("DIS2")),
    ]);
    assert_eq!(stage.ask_as("b", POST, order()).await, (200, success("DIS2")));
    assert_eq!(sessions(&stage.upstream, "/NewDispatch"), ["session-a", "session-a", "session-b"]);
    stage.upstream.rules(vec![Rule::on("POST", &new).status(500).text("why")]);
    let expected =
        "Error Code 500 for https://lit.example.test/services/apexrest/NewDispatch. Response content: why";
    assert_eq!(stage.ask_as("c", POST, order()).await, (500, json!(expected)));
}

#[tokio::test]
async fn a_dry_run_validates_answers_and_sends_nothing() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[("WRITE_MODE", "dry-run")]).await;
    let (status, body) = stage.ask(POST, order()).await;
    assert_eq!((status, &body["Dispatch"]["Dispatch_Number"]), (200, &json!("DRY-RUN")));
    let (status, body) = stage.ask(UPDATE, change()).await;
    assert_eq!((status, &body["Dispatch"]["Dispatch_Number"]), (200, &json!("DIS1")));
    let (status, body) = stage.ask(CANCEL, cancellation()).await;
    assert_eq!((status, &body["CancelDispatchServiceResponse"]["Status"]), (200, &json!("Success")));
    let (status, body) = stage.ask(UPLOAD, file()).await;
    assert_eq!((status, &body["Message"]), (200, &json!("File ID:dry-run")));
    for subject in [POST, UPDATE, CANCEL, UPLOAD] {
        assert_eq!(stage.ask(subject, json!({})).await.0, 400);
    }
    assert!(stage.upstream.calls().iter().all(|call| !call.path.contains("apexrest")));
}
