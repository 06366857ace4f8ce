//! The models over gRPC, as the bridges call them, and their part of the control API.

use std::time::Duration;

use kre::{CallError, Code, Config, Contract, Model, Reading};
use prometheus::Registry;
use sandbox::{Fault, Mode, Running, ThirdParty};
use serde_json::{Value, json};
use tokio::time::Instant;
use upstream::Overrides;

use crate::common::{Http, sandbox};

async fn ask(
    sandbox: &Running,
    contract: Contract,
    rpc: &'static str,
    request: Value,
) -> Result<Value, CallError> {
    let (model, _) = sandbox::kre::ALL.into_iter().find(|(_, known)| *known == contract).unwrap();
    let config = Config {
        target: sandbox.addresses().models[&model].to_string().parse().unwrap(),
        tls: false,
        ca_file: None,
        deadline: Duration::from_secs(20),
        in_flight: 4,
    };
    let model = Model::open(contract, &config, &Overrides::default(), &Registry::new()).unwrap();
    let Value::Object(request) = request else { panic!("no object") };
    let until = Instant::now() + Duration::from_secs(20);
    model.rpc(rpc, Reading::default()).unwrap().ask(&request, until).await.map(Value::Object)
}

fn control(sandbox: &Running, path: &str) -> String {
    format!("{}/control/models{path}", sandbox.base_url())
}

#[tokio::test]
async fn each_model_has_its_own_contract_and_port() {
    let sandbox = sandbox().await;
    let rows = json!({"ticket_rows": [{"asset": "VC1234567"}], "assets_to_predict": ["VC1234567"]});
    let answer = ask(&sandbox, Contract::T7, "Prediction", rows).await.unwrap();
    assert_eq!(answer["asset_predictions"][0]["task_results"].as_array().unwrap().len(), 3);
    let email = json!({"email": {"email_id": "1", "subject": "router down"}});
    let answer = ask(&sandbox, Contract::EmailTagger, "GetPrediction", email.clone()).await.unwrap();
    assert_eq!(answer["prediction"][0], json!({"tag_id": "1", "probability": 0.91}));
    let answer = ask(&sandbox, Contract::RepairTickets, "GetPrediction", email).await.unwrap();
    assert_eq!(answer["predicted_class"], "VOO");
    let saved = ask(&sandbox, Contract::T7, "SaveLiveMetrics", json!({"asset_id": "VC1"})).await.unwrap();
    assert_eq!(saved["message"], "Metric saved successfully");
    assert_eq!(sandbox.received().count(ThirdParty::T7, ""), 2);
}

#[tokio::test]
async fn answers_are_prepared_and_calls_listed_by_the_control_api() {
    let sandbox = sandbox().await;
    let http = Http::new();
    let rpc = control(&sandbox, "/emailtagger/rpcs/GetPrediction");
    let prepared = json!({"answer": {"prediction": [{"tag_id": 1002, "probability": 0.67}]}});
    assert_eq!(http.send("PUT", &rpc, prepared.clone()).await.status, 200);
    let listed = http.get(&control(&sandbox, "")).await.json();
    assert_eq!(listed[1]["prepared"]["GetPrediction"]["answer"], prepared["answer"]);
    let request = json!({"email": {"email_id": "73111"}});
    let answer = ask(&sandbox, Contract::EmailTagger, "GetPrediction", request.clone()).await.unwrap();
    assert_eq!(answer["prediction"], json!([{"tag_id": "1002", "probability": 0.67}]));

    let fails = json!({"code": "RESOURCE_EXHAUSTED", "details": "busy", "times": 1});
    assert_eq!(http.send("PUT", &rpc, fails).await.status, 200);
    let refused = ask(&sandbox, Contract::EmailTagger, "GetPrediction", request.clone()).await;
    let expected = CallError::Refused { code: Code::ResourceExhausted, details: "busy".to_owned() };
    assert_eq!(refused, Err(expected));
    let answer = ask(&sandbox, Contract::EmailTagger, "GetPrediction", request.clone()).await.unwrap();
    assert_eq!(answer["prediction"].as_array().unwrap().len(), 5);

    ask(&sandbox, Contract::EmailTagger, "SaveMetrics", json!({"original_email": request})).await.unwrap();
    let saved = http.get(&control(&sandbox, "/emailtagger/calls?rpc=SaveMetrics")).await.json();
    assert_eq!(saved.as_array().unwrap().len(), 1);
    assert_eq!(saved[0]["request"]["original_email"]["email"]["email_id"], "73111");
    let calls = http.get(&control(&sandbox, "/emailtagger/calls?limit=3")).await.json();
    let codes: Vec<_> = calls.as_array().unwrap().iter().map(|call| call["code"].clone()).collect();
    assert_eq!(codes, ["OK", "OK", "RESOURCE_EXHAUSTED"]);
    assert_eq!(http.send("DELETE", &control(&sandbox, "/calls"), Value::Null).await.status, 204);
    assert!(sandbox.models().calls(ThirdParty::EmailTagger).is_empty());
}

#[tokio::test]
async fn what_no_model_can_answer_is_refused() {
    let sandbox = sandbox().await;
    let http = Http::new();
    for (path, body, status) in [
        ("/bruin/rpcs/GetPrediction", json!({}), 404),
        ("/nobody/rpcs/GetPrediction", json!({}), 404),
        ("/t7/rpcs/GetPrediction", json!({}), 400),
        ("/t7/rpcs/Prediction", json!({"answer": {"ticket_id": "one"}}), 400),
        ("/t7/rpcs/Prediction", json!({"code": "GREEN"}), 400),
        ("/t7/rpcs/Prediction", json!({"kode": "OK"}), 400),
    ] {
        let answer = http.send("PUT", &control(&sandbox, path), body).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["problem"].is_string());
    }
    assert_eq!(http.send("DELETE", &control(&sandbox, "/t7/rpcs/Prediction"), Value::Null).await.status, 200);
}

#[tokio::test]
async fn faults_strike_models_too() {
    let sandbox = sandbox().await;
    let call = async || ask(&sandbox, Contract::RepairTickets, "SaveOutputs", json!({})).await;
    for fault in [Fault::status(503), Fault::new(Mode::Garbage), Fault::new(Mode::Reset)] {
        sandbox.faults().inject(ThirdParty::RepairTickets, fault.clone().times(1));
        assert_eq!(call().await.unwrap_err().status(), 500, "{fault:?}");
    }
    assert!(sandbox.models().calls(ThirdParty::RepairTickets).is_empty());
    sandbox.faults().inject(ThirdParty::RepairTickets, Fault::new(Mode::LoseAnswer).times(1));
    assert!(matches!(call().await, Err(CallError::Broken(_))));
    assert_eq!(sandbox.models().calls(ThirdParty::RepairTickets).len(), 1);
    assert_eq!(call().await, Ok(json!({"success": true})));
}
