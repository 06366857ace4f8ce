//! The service against the sandbox, as the fleet runs it on one machine.

use redis::AsyncCommands as _;
use runtime::{Environment, Hosted};
use sandbox::{Fault, Mode, Running, Sandbox, SandboxOptions, ThirdParty};
use serde_json::{Value, json};
use testkit::recordings::Stage;

async fn stage(sandbox: &Running) -> (Stage, Hosted) {
    let stage = Stage::start("lit-bridge").await;
    let mut settings = sandbox.environment_for("lit-bridge");
    settings.push(("ENVIRONMENT_NAME".to_owned(), "dev".to_owned()));
    let environment = Environment::from_iter(stage.environment()).merged(&settings.into_iter().collect());
    let running = testkit::run(&lit_bridge::service(), environment).await;
    (stage, running)
}

#[tokio::test]
async fn a_dispatch_lives_from_order_to_cancellation() {
    let sandbox = Sandbox::start(SandboxOptions { edges: 40, ..Default::default() }).await.unwrap();
    let (stage, _running) = stage(&sandbox).await;
    let mut order: Value =
        contracts::lit::REQUIRED_KEYS.iter().map(|key| ((*key).to_owned(), json!("x"))).collect();
    order["date_of_dispatch"] = json!("2022-02-01");
    let (status, created) = stage.ask("lit.dispatch.post", json!({"RequestDispatch": order})).await;
    assert_eq!(status, 200);
    let number = created["Dispatch"]["Dispatch_Number"].as_str().unwrap();

    let mut redis = stage.redis.connection().await;
    let () = redis.set(format!("dev-{number}"), "{}").await.unwrap();
    sandbox.sessions().expire(ThirdParty::Lit);
    sandbox.faults().inject(ThirdParty::Lit, Fault::new(Mode::Reset).on("GetOpenDispatchList").times(1));
    let (status, ours) = stage.ask("lit.dispatch.get", json!({"igz_dispatches_only": true})).await;
    assert_eq!((status, &ours["DispatchList"]), (200, &json!([created["Dispatch"]])));
    let (status, all) = stage.ask("lit.dispatch.get", json!({})).await;
    assert_eq!((status, all["DispatchList"].as_array().unwrap().len() > 5), (200, true));

    let change = json!({"RequestDispatch": {"Dispatch_Number": number, "Scope_of_Work": "more"}});
    let (status, changed) = stage.ask("lit.dispatch.update", change).await;
    assert_eq!((status, &changed["Dispatch"]["Scope_of_Work"]), (200, &json!("more")));
    let file = json!({"dispatch_number": number, "payload": "dGVzdA==", "file_name": "a.pdf"});
    let (status, uploaded) = stage.ask("lit.dispatch.upload.file", file).await;
    assert_eq!((status, uploaded["Message"].as_str().unwrap().starts_with("File ID:00P")), (200, true));
    assert_eq!(sandbox.simulation().lit.files(number)[0].content, "\"dGVzdA==\"");

    let request =
        json!({"Dispatch_Number": number, "Cancellation_Reason": "r", "Cancellation_Requested_By": "b"});
    let (status, cancelled) =
        stage.ask("lit.dispatch.cancel", json!({"CancelDispatchRequest": request})).await;
    assert_eq!((status, &cancelled["CancelDispatchServiceResponse"]["Status"]), (200, &json!("Success")));
    let (status, unknown) = stage.ask("lit.dispatch.get", json!({"dispatch_number": "DIS0"})).await;
    assert_eq!((status, &unknown["Message"]), (400, &json!("List has no rows for assignment to SObject")));
}
