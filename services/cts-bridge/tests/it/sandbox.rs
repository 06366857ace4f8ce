//! The service against the sandbox, as the fleet runs it on one machine.

use redis::AsyncCommands as _;
use runtime::{Environment, Hosted};
use sandbox::{Fault, Mode, Running, Sandbox, SandboxOptions, ThirdParty};
use serde_json::{Value, json};
use testkit::recordings::Stage;

const GET: &str = "cts.dispatch.get";

/// Settings which lead to the sandbox instead of the stub.
fn settings(sandbox: &Running, environment: &str) -> Vec<(String, String)> {
    let mut settings = sandbox.environment_for("cts-bridge");
    settings.push(("CURRENT_ENVIRONMENT".to_owned(), environment.to_owned()));
    settings.push(("ENVIRONMENT_NAME".to_owned(), "dev".to_owned()));
    settings
}

async fn sandbox() -> Running {
    Sandbox::start(SandboxOptions { edges: 40, ..Default::default() }).await.unwrap()
}

async fn stage(sandbox: &Running, environment: &str) -> (Stage, Hosted) {
    let stage = Stage::start("cts-bridge").await;
    let settings = settings(sandbox, environment);
    let environment = Environment::from_iter(stage.environment()).merged(&settings.into_iter().collect());
    let running = testkit::run(&cts_bridge::service(), environment).await;
    (stage, running)
}

#[tokio::test]
async fn dispatches_are_read_page_by_page_while_sessions_end_and_answers_get_lost() {
    let sandbox = sandbox().await;
    sandbox.simulation().cts.set_page(4);
    let (stage, _running) = stage(&sandbox, "production").await;
    let (status, all) = stage.ask(GET, json!({})).await;
    let records = all["records"].as_array().unwrap();
    assert_eq!((status, &all["done"], &all["totalSize"]), (200, &json!(true), &json!(records.len())));
    assert!(records.len() > 8, "{}", records.len());
    let invoiced = records.iter().any(|record| record["Status__c"] == "Invoiced");
    assert!(!invoiced && records.iter().all(|record| record.get("API_Resource_Name__c").is_some()));

    let number = records[3]["Name"].as_str().unwrap();
    let mut redis = stage.redis.connection().await;
    let () = redis.set(format!("dev-{number}"), "{}").await.unwrap();
    sandbox.sessions().expire(ThirdParty::Cts);
    sandbox.faults().inject(ThirdParty::Cts, Fault::new(Mode::LoseAnswer).on("/query/01g").times(1));
    let (status, ours) = stage.ask(GET, json!({"igz_dispatches_only": true})).await;
    assert_eq!((status, ours["records"].as_array().unwrap()), (200, &vec![records[3].clone()]));

    let one = stage.ask(GET, json!({"dispatch_number": number})).await;
    let expected = json!({"totalSize": 1, "done": true, "records": [records[3]]});
    assert_eq!(one, (200, expected));
    let evil = stage.ask(GET, json!({"dispatch_number": "x' OR Name != '"})).await;
    assert_eq!(evil, (200, json!({"totalSize": 0, "done": true, "records": []})));
}

#[tokio::test]
async fn dispatches_are_created_and_changed_once() {
    let sandbox = sandbox().await;
    let (stage, _running) = stage(&sandbox, "dev").await;
    let before = sandbox.simulation().cts.all().len();
    let mut order: Value =
        contracts::cts::REQUIRED_KEYS.iter().map(|key| ((*key).to_owned(), json!("x"))).collect();
    order["mettel_bruin_ticket_id"] = json!("4000009");
    let (status, created) = stage.ask("cts.dispatch.post", order.clone()).await;
    assert_eq!((status, &created["success"]), (200, &json!(true)));
    assert_eq!(stage.ask("cts.dispatch.post", order).await, (200, created.clone()), "answered from memory");
    let record = sandbox.simulation().cts.all().pop().unwrap();
    assert_eq!(
        (sandbox.simulation().cts.all().len(), record.id()),
        (before + 1, created["id"].as_str().unwrap())
    );

    sandbox.sessions().expire(ThirdParty::Cts);
    let change = json!({"dispatch_id": record.id(), "payload": {"Site_Notes__c": "gate code changed"}});
    assert_eq!(stage.ask("cts.dispatch.update", change).await, (200, json!({})));
    let record = sandbox.simulation().cts.named(record.number()).unwrap();
    assert_eq!(record.text("Site_Notes__c"), "gate code changed");
}
