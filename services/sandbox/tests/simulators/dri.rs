//! The DRI API over HTTP, and the bridge's way through it.

use std::time::Duration;

use sandbox::environment as env;
use sandbox::{Running, ThirdParty};
use serde_json::{Value, json};

use crate::common::{Http, ordinary, sandbox};

const PROVIDERS: &str = "InternetGatewayDevice.DeviceInfo.X_8C192D_lte_info.Providers";

async fn login(sandbox: &Running) -> Http {
    let form = format!("email={}&password={}", env::DRI_USER.replace('@', "%40"), env::DRI_PASSWORD);
    let answer = Http::new().post(&format!("{}/auth/login", sandbox.dri_url()), json!(form)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let token = answer.json()["authorization_token"].as_str().unwrap().to_owned();
    Http::new().with("authorization", &format!("Bearer {token}"))
}

/// DRI as one logged-in caller sees one device.
struct Device {
    http: Http,
    url: String,
}

impl Device {
    async fn of(sandbox: &Running, serial: &str) -> Self {
        Self { http: login(sandbox).await, url: format!("{}/acs/device/{serial}", sandbox.dri_url()) }
    }

    async fn pending(&self) -> Value {
        self.http.get(&format!("{}/taskpending", self.url)).await.json()
    }

    /// Starts a task and returns its id.
    async fn create(&self, names: &[&str]) -> i64 {
        let set = json!({"ParameterNames": names, "Source": 0}).to_string();
        let data = set.replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
        let answer = self.http.get(&format!("{}/parameter_returnid?data={data}", self.url)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["data"]["Id"].as_i64().unwrap()
    }

    async fn result(&self, id: i64) -> Value {
        self.http.get(&format!("{}/parameter_tid?transactionid={id}", self.url)).await.json()
    }
}

/// Sets a device by the control API.
async fn set(sandbox: &Running, serial: &str, device: Value) -> Value {
    let url = format!("{}/control/dri/devices/{serial}", sandbox.base_url());
    let answer = Http::new().send("PUT", &url, device).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn a_task_is_pending_and_then_done() {
    let sandbox = sandbox().await;
    let serial = ordinary(&sandbox, 0).serial;
    let device = Device::of(&sandbox, &serial).await;
    assert_eq!(
        device.pending().await,
        json!({"status": "SUCCESS", "message": "All Good!", "data": {"Transactions": [], "ErrorCode": 100, "Message": ""}})
    );
    let id = device.create(&[PROVIDERS, "Nothing.Known"]).await;
    assert_eq!(device.pending().await["data"]["Transactions"], json!([{"Id": id}]));
    assert_eq!(device.result(id).await["data"]["Message"], "Pending");

    sandbox.world().advance(Duration::from_secs(6));
    assert_eq!(device.pending().await["data"]["Transactions"], json!([]));
    let data = device.result(id).await["data"].clone();
    assert_eq!(data["Message"], "");
    assert_eq!(data["Parameters"][0]["Name"], PROVIDERS);
    assert!(["ATT", "Verizon"].contains(&data["Parameters"][0]["Value"].as_str().unwrap()));
    assert_eq!(data["Parameters"][1]["ErrorCode"], 9005);
    assert_eq!(device.create(&[PROVIDERS]).await, id + 1);
}

#[tokio::test]
async fn parameters_and_outcome_of_a_device_are_set() {
    let sandbox = sandbox().await;
    let view =
        set(&sandbox, "700001", json!({"takes": 20, "parameters": {PROVIDERS: "Example Mobile"}})).await;
    assert_eq!(view["device"]["outcome"], "completes");
    let device = Device::of(&sandbox, "700001").await;
    let id = device.create(&[PROVIDERS]).await;
    sandbox.world().advance(Duration::from_secs(19));
    assert_eq!(device.result(id).await["data"]["Message"], "Pending");
    sandbox.world().advance(Duration::from_secs(1));
    assert_eq!(device.result(id).await["data"]["Parameters"][0]["Value"], "Example Mobile");

    set(&sandbox, "700001", json!({"outcome": "rejected"})).await;
    assert_eq!(device.result(id).await["data"]["Message"], "Rejected");
    set(&sandbox, "700001", json!({"outcome": "stays_pending"})).await;
    sandbox.world().advance(Duration::from_secs(600));
    assert_eq!(device.result(id).await["data"]["Message"], "Pending");
    let view = set(&sandbox, "700001", json!({"outcome": "unknown_device"})).await;
    assert_eq!((&view["device"], view["tasks"].as_array().unwrap().len()), (&json!(null), 1));
    assert_eq!(device.pending().await["status"], "FAILED");
    let view = set(&sandbox, "700001", json!({})).await;
    assert_eq!(view["device"]["parameters"][PROVIDERS], "Example Mobile", "parameters stay");

    let list = Http::new().get(&format!("{}/control/dri/devices", sandbox.base_url())).await.json();
    assert_eq!((&list[0]["serial"], list.as_array().unwrap().len()), (&json!("700001"), 1));
    let url = format!("{}/control/dri/devices/700001", sandbox.base_url());
    assert_eq!(Http::new().send("PUT", &url, json!({"outcome": "explodes"})).await.status, 400);
    assert_eq!(Http::new().get(&url).await.json()["tasks"][0]["id"], id);
    let document = Http::new().get(&format!("{}/control/openapi.json", sandbox.base_url())).await.json();
    assert!(document["paths"]["/control/dri/devices/{serial}"]["put"].is_object());
}

#[tokio::test]
async fn a_creation_that_times_out_creates_the_task_all_the_same() {
    let sandbox = sandbox().await;
    set(&sandbox, "700001", json!({"outcome": "creation_times_out"})).await;
    let device = Device::of(&sandbox, "700001").await;
    let data = "%7B%22ParameterNames%22:%5B%5D%7D";
    let answer = device.http.get(&format!("{}/parameter_returnid?data={data}", device.url)).await;
    assert_eq!(answer.status, 504);
    let id = device.pending().await["data"]["Transactions"][0]["Id"].as_i64().unwrap();
    sandbox.world().advance(Duration::from_secs(6));
    assert_eq!(device.result(id).await["data"]["Parameters"], json!([]));
}

#[tokio::test]
async fn what_dri_does_not_know_is_told() {
    let sandbox = sandbox().await;
    let device = Device::of(&sandbox, "no-such-device").await;
    assert_eq!(device.pending().await["status"], "FAILED");
    let serial = ordinary(&sandbox, 0).serial;
    let device = Device::of(&sandbox, &serial).await;
    assert_eq!(
        device.result(1).await,
        json!({"status": "FAILED", "message": "There are no tasks in transaction ID=1"})
    );
    // Another device's task is none of this one's.
    let id = Device::of(&sandbox, &ordinary(&sandbox, 1).serial).await.create(&[PROVIDERS]).await;
    assert_eq!(device.result(id).await["status"], "FAILED");
    for data in ["", "data=", "data=%7B", "data=%5B%5D"] {
        let answer = device.http.get(&format!("{}/parameter_returnid?{data}", device.url)).await;
        assert_eq!(answer.status, 400, "{data}");
    }
}

#[tokio::test]
async fn tokens_are_needed_and_expire() {
    let sandbox = sandbox().await;
    let url = format!("{}/acs/device/700001/taskpending", sandbox.dri_url());
    assert_eq!(Http::new().get(&url).await.status, 401);
    let wrong = json!(format!("email={}&password=wrong", env::DRI_USER));
    assert_eq!(Http::new().post(&format!("{}/auth/login", sandbox.dri_url()), wrong).await.status, 401);

    let http = login(&sandbox).await;
    assert_eq!(http.get(&url).await.status, 200);
    sandbox.world().advance(Duration::from_secs(3_600));
    assert_eq!(http.get(&url).await.status, 401);
    let http = login(&sandbox).await;
    sandbox.sessions().expire(ThirdParty::Dri);
    assert_eq!(http.get(&url).await.status, 401);
}

#[tokio::test]
async fn refused_logins_strike_logins_only() {
    let sandbox = sandbox().await;
    let http = login(&sandbox).await;
    let faults = format!("{}/control/third-parties/dri/faults", sandbox.base_url());
    assert_eq!(Http::new().post(&faults, json!({"mode": "refuse_logins"})).await.status, 200);
    assert_eq!(http.get(&format!("{}/acs/device/700001/taskpending", sandbox.dri_url())).await.status, 200);
    let form = json!(format!("email={}&password={}", env::DRI_USER, env::DRI_PASSWORD));
    assert_eq!(Http::new().post(&format!("{}/auth/login", sandbox.dri_url()), form).await.status, 401);
}
