//! What the tests of this service ask, store and have DRI answer.

use redis::AsyncCommands;
use serde_json::{Value, json};
use testkit::Rule;
use testkit::recordings::Stage;

/// The subject.
pub(crate) const SUBJECT: &str = "dri.parameters.request";

/// The redis key of a device's task.
pub(crate) fn key(serial: &str) -> String {
    format!("dev-dri-serial-{serial}")
}

/// What is stored for a device, and for how many seconds.
pub(crate) async fn stored(stage: &Stage, serial: &str) -> (Option<String>, i64) {
    let mut redis = stage.redis.connection().await;
    (redis.get(key(serial)).await.unwrap(), redis.ttl(key(serial)).await.unwrap())
}

/// Stores a task id, as a replica of any version does, but for ever.
pub(crate) async fn store(stage: &Stage, serial: &str, text: &str) {
    stage.store(&key(serial), text).await;
}

/// Asks for a parameter of a device; status and body.
pub(crate) async fn ask(stage: &Stage, serial: &str) -> (i64, Value) {
    stage.ask(SUBJECT, request(serial)).await
}

/// The body of a request.
pub(crate) fn request(serial: &str) -> Value {
    json!({"serial_number": serial, "parameter_set": {"ParameterNames": ["Providers"], "Source": 0}})
}

fn success(data: &Value) -> Value {
    json!({"status": "SUCCESS", "message": "All Good!", "data": data})
}

/// The list of pending tasks.
pub(crate) fn pending(transactions: &Value) -> Rule {
    let data = json!({"Transactions": transactions, "ErrorCode": 100, "Message": ""});
    Rule::on("GET", "^/acs/device/[^/]+/taskpending$").json(&success(&data))
}

/// A created task.
pub(crate) fn created(id: &Value) -> Rule {
    let data = json!({"Id": id, "ErrorCode": 100, "Message": ""});
    Rule::on("GET", "^/acs/device/[^/]+/parameter_returnid$").json(&success(&data))
}

/// A task's result, done when there is no message.
pub(crate) fn result(message: &str) -> Rule {
    let done = json!([{"Name": "Providers", "Value": "ATT", "ErrorCode": 100, "Message": ""}]);
    let parameters = if message.is_empty() { done } else { json!([]) };
    let data = json!({"Parameters": parameters, "ErrorCode": 100, "Message": message});
    Rule::on("GET", "^/acs/device/[^/]+/parameter_tid$").json(&success(&data))
}

/// A login's answer.
pub(crate) fn token(value: &str) -> Rule {
    Rule::on("POST", "^/auth/login$").json(&json!({"authorization_token": value}))
}
