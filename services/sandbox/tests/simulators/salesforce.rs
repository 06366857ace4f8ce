//! The organisations of CTS and LIT over HTTP, and what people there do through the control API.

use std::time::Duration;

use sandbox::salesforce::{CLIENT_ID, CTS, LIT, Organisation, PASSWORD, SECURITY_TOKEN};
use sandbox::{Fault, Mode, Running, ThirdParty};
use serde_json::{Value, json};

use crate::common::{Answer, Http, sandbox};

const SOAP: &str = "/services/Soap/u/42.0";

fn base(sandbox: &Running, organisation: Organisation) -> String {
    if organisation.third_party == ThirdParty::Cts { sandbox.cts_url() } else { sandbox.lit_url() }
}

async fn log_in(sandbox: &Running, organisation: Organisation, password: &str) -> Answer {
    let password = password.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let user = organisation.username;
    let envelope = format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:u=\"urn:partner.soap.sforce.com\">\
         <e:Header><u:CallOptions><u:client>RestForce/{CLIENT_ID}</u:client></u:CallOptions></e:Header><e:Body>\
         <u:login><u:username>{user}</u:username><u:password>{password}</u:password></u:login></e:Body></e:Envelope>"
    );
    let http = Http::new().with("content-type", "text/xml").with("soapaction", "login");
    http.post(&format!("{}{SOAP}", base(sandbox, organisation)), json!(envelope)).await
}

/// Logs in and returns a client with the session.
async fn session(sandbox: &Running, organisation: Organisation) -> Http {
    let answer = log_in(sandbox, organisation, &format!("{PASSWORD}{SECURITY_TOKEN}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let after = answer.text.split("<sessionId>").nth(1).unwrap();
    Http::new().with("authorization", &format!("Bearer {}", after.split('<').next().unwrap()))
}

fn query_url(sandbox: &Running, soql: &str) -> String {
    let q: String = url_encoded(soql);
    format!("{}/services/data/v42.0/query/?q={q}", sandbox.cts_url())
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

async fn control(sandbox: &Running, method: &str, path: &str, body: Value) -> Answer {
    Http::new().send(method, &format!("{}/control/{path}", sandbox.base_url()), body).await
}

#[tokio::test]
async fn a_login_tells_session_and_instance_and_a_wrong_one_is_a_fault() {
    let sandbox = sandbox().await;
    for organisation in [CTS, LIT] {
        let answer = log_in(&sandbox, organisation, &format!("{PASSWORD}{SECURITY_TOKEN}")).await;
        assert_eq!(answer.status, 200);
        let server = format!("<serverUrl>https://{}{SOAP}/", organisation.api_host);
        assert!(answer.text.contains(&server), "{}", answer.text);
        assert!(answer.text.contains("<sessionSecondsValid>7200</sessionSecondsValid>"), "{}", answer.text);
        assert_eq!(organisation.api_host.replace("-api", ""), organisation.instance);

        let refused = log_in(&sandbox, organisation, PASSWORD).await;
        assert_eq!(refused.status, 500);
        let code = "<sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>";
        assert!(refused.text.contains(code), "{}", refused.text);
    }
    let url = format!("{}{SOAP}", sandbox.cts_url());
    assert_eq!(Http::new().with("content-type", "text/xml").post(&url, json!("<x/>")).await.status, 500);
}

#[tokio::test]
async fn logins_can_be_refused_by_a_fault_and_are_recorded() {
    let sandbox = sandbox().await;
    sandbox.faults().inject(ThirdParty::Lit, Fault::new(Mode::RefuseLogins));
    let refused = log_in(&sandbox, LIT, &format!("{PASSWORD}{SECURITY_TOKEN}")).await;
    assert_eq!((refused.status, refused.text.contains("INVALID_LOGIN")), (500, true));
    session(&sandbox, CTS).await;
    assert_eq!(sandbox.received().count(ThirdParty::Lit, SOAP), 1);
}

#[tokio::test]
async fn sessions_are_needed_and_expire() {
    let sandbox = sandbox().await;
    let cts = session(&sandbox, CTS).await;
    let url = query_url(&sandbox, "SELECT Id FROM Service__c");
    assert_eq!(cts.get(&url).await.status, 200);
    let open = format!("{}/services/apexrest/GetOpenDispatchList", sandbox.lit_url());
    assert_eq!(cts.get(&open).await.status, 401, "a session of CTS is none of LIT");
    sandbox.world().advance(Duration::from_secs(7_200));
    let expired = cts.get(&url).await;
    let expected = json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]);
    assert_eq!((expired.status, expired.json()), (401, expected));
    assert_eq!(Http::new().get(&url).await.status, 401);
}

#[tokio::test]
async fn queries_choose_fields_and_records() {
    let sandbox = sandbox().await;
    let cts = session(&sandbox, CTS).await;
    let one =
        cts.get(&query_url(&sandbox, "SELECT Name,Status__c FROM Service__c WHERE Name = 'S-100002'")).await;
    let record = &one.json()["records"][0];
    let keys: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["attributes", "Name", "Status__c"]);
    assert_eq!((&one.json()["totalSize"], &one.json()["done"]), (&json!(1), &json!(true)));
    assert_eq!(record["attributes"]["type"], "Service__c");
    let none = cts.get(&query_url(&sandbox, "SELECT Id FROM Service__c WHERE Name = 'S-9'")).await;
    assert_eq!(none.json(), json!({"totalSize": 0, "done": true, "records": []}));
    for (soql, code) in [
        ("SELECT Id FROM Service__c WHERE", "MALFORMED_QUERY"),
        ("SELECT Nope__c FROM Service__c", "INVALID_FIELD"),
        ("SELECT Id FROM Account", "INVALID_TYPE"),
        ("", "MALFORMED_QUERY"),
    ] {
        let refused = cts.get(&query_url(&sandbox, soql)).await;
        assert_eq!((refused.status, &refused.json()[0]["errorCode"]), (400, &json!(code)), "{soql}");
    }
}

#[tokio::test]
async fn long_results_have_pages() {
    let sandbox = sandbox().await;
    let cts = session(&sandbox, CTS).await;
    let size = control(&sandbox, "PUT", "cts/page-size", json!({"records": 5})).await;
    assert_eq!(size.json(), json!({"records": 5}));
    assert_eq!(control(&sandbox, "PUT", "cts/page-size", json!({"records": 0})).await.status, 400);

    let mut page = cts.get(&query_url(&sandbox, "SELECT Name FROM Service__c")).await.json();
    let total = page["totalSize"].as_u64().unwrap();
    let mut names = Vec::new();
    loop {
        names.extend(page["records"].as_array().unwrap().iter().map(|record| record["Name"].clone()));
        let Some(next) = page["nextRecordsUrl"].as_str() else { break };
        assert_eq!(page["done"], false);
        page = cts.get(&format!("{}{next}", sandbox.cts_url())).await.json();
    }
    assert_eq!(page["done"], true);
    assert_eq!(names.len() as u64, total);
    assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len() as u64, total);
    let gone = cts.get(&format!("{}/services/data/v42.0/query/01gX-5", sandbox.cts_url())).await;
    assert_eq!((gone.status, &gone.json()[0]["errorCode"]), (400, &json!("INVALID_QUERY_LOCATOR")));
}

#[tokio::test]
async fn records_are_created_and_changed() {
    let sandbox = sandbox().await;
    let cts = session(&sandbox, CTS).await;
    let objects = format!("{}/services/data/v42.0/sobjects/Service__c/", sandbox.cts_url());
    let order = json!({"mettel_bruin_ticket_id": "4000009", "job_site": "HQ", "time_zone": "Pacific Time", "other": 1});
    let created = cts.post(&objects, order).await;
    assert_eq!((created.status, &created.json()["success"]), (201, &json!(true)));
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let refused = cts.post(&objects, json!({"job_site": "HQ"})).await;
    assert_eq!((refused.status, &refused.json()["success"]), (200, &json!(false)));
    let unknown = cts.post(&objects, json!({"Nope__c": 1})).await;
    assert_eq!((unknown.status, &unknown.json()[0]["errorCode"]), (400, &json!("INVALID_FIELD")));

    let url = format!("{objects}{id}");
    let changed = cts.send("PATCH", &url, json!({"Site_Notes__c": "gate code changed"})).await;
    assert_eq!((changed.status, changed.text.as_str()), (204, ""));
    let soql = "SELECT Id,Ext_Ref_Num__c,Site_Notes__c,Description__c FROM Service__c WHERE Ext_Ref_Num__c = '4000009'";
    let record = cts.get(&query_url(&sandbox, soql)).await.json()["records"][0].clone();
    assert_eq!((&record["Id"], &record["Site_Notes__c"]), (&json!(id), &json!("gate code changed")));
    assert_eq!(record["Description__c"], "Onsite Timezone: Pacific Time");
    for (url, body, status) in [
        (&url, json!({"Nope__c": 1}), 400),
        (&url, json!({"Name": "S-1"}), 400),
        (&url, json!([]), 400),
        (&format!("{objects}a26NONE"), json!({"Site_Notes__c": "x"}), 404),
    ] {
        assert_eq!(cts.send("PATCH", url, body.clone()).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn people_at_cts_enter_and_work_on_dispatches() {
    let sandbox = sandbox().await;
    let entered =
        control(&sandbox, "POST", "cts/dispatches", json!({"Ext_Ref_Num__c": "4000002"})).await.json();
    let path = format!("cts/dispatches/{}", entered["Name"].as_str().unwrap());
    assert_eq!(
        (&entered["Status__c"], &entered["Open_Date__c"]),
        (&json!("Open"), &json!("2022-01-31T15:00:00.000+0000"))
    );
    for (step, status) in
        [("schedule", "Scheduled"), ("arrive", "On Site"), ("complete", "Completed"), ("cancel", "Canceled")]
    {
        let record = control(&sandbox, "POST", &format!("{path}/{step}"), Value::Null).await.json();
        assert_eq!(record["Status__c"], status);
        assert_eq!(record["API_Resource_Name__c"], "Terry Tech");
    }
    let changed = control(&sandbox, "PATCH", &path, json!({"Status__c": "Open", "Zip__c": null})).await;
    assert_eq!(changed.json()["Status__c"], "Open");
    assert_eq!(control(&sandbox, "PATCH", &path, json!({"Nope": 1})).await.status, 400);
    assert_eq!(control(&sandbox, "POST", "cts/dispatches", json!({"Id": "x"})).await.status, 400);
    let before =
        control(&sandbox, "GET", "cts/dispatches", Value::Null).await.json().as_array().unwrap().len();
    assert_eq!(control(&sandbox, "DELETE", &path, Value::Null).await.json(), json!({"changed": true}));
    assert_eq!(control(&sandbox, "DELETE", &path, Value::Null).await.json(), json!({"changed": false}));
    assert_eq!(control(&sandbox, "GET", &path, Value::Null).await.status, 404);
    let after =
        control(&sandbox, "GET", "cts/dispatches", Value::Null).await.json().as_array().unwrap().len();
    assert_eq!(
        (after + 1, control(&sandbox, "POST", &format!("{path}/explode"), Value::Null).await.status),
        (before, 400)
    );
}

#[tokio::test]
async fn lit_takes_orders_changes_and_cancellations() {
    let sandbox = sandbox().await;
    let lit = session(&sandbox, LIT).await;
    let post = async |resource: &str, body: Value| {
        lit.post(&format!("{}/services/apexrest/{resource}", sandbox.lit_url()), body).await
    };
    let get = async |resource: &str| {
        lit.get(&format!("{}/services/apexrest/{resource}", sandbox.lit_url())).await.json()
    };
    let order = json!({"RequestDispatch": {"MetTel_Bruin_TicketID": "4000001", "date_of_dispatch": "2022-02-01", "Other": 1}});
    let created = post("NewDispatch", order).await.json();
    assert_eq!(
        (&created["Status"], &created["Dispatch"]["Dispatch_Status"]),
        (&json!("Success"), &json!("New Dispatch"))
    );
    assert_eq!(created["Dispatch"]["Date_of_Dispatch"], "2022-02-01");
    let number = created["Dispatch"]["Dispatch_Number"].as_str().unwrap().to_owned();
    for (body, message) in [
        (
            json!({"RequestDispatch": {"mettel_bruin_ticketid": "1", "date_of_dispatch": "soon"}}),
            "Invalid date: soon",
        ),
        (json!({"RequestDispatch": {}}), "Required fields are missing: [MetTel_Bruin_TicketID]"),
    ] {
        let refused = post("NewDispatch", body).await.json();
        assert_eq!((&refused["Status"], &refused["Message"]), (&json!("error"), &json!(message)));
    }
    assert_eq!(post("NewDispatch", json!({})).await.json()[0]["errorCode"], "APEX_ERROR");
    assert_eq!(post("NewDispatch", json!("hello")).await.status, 400);

    let change = json!({"RequestDispatch": {"dispatch_number": number, "scope_of_work": "more", "dispatch_status": "x"}});
    let changed = post("UpdateDispatch", change).await.json();
    assert_eq!(
        (&changed["Dispatch"]["Scope_of_Work"], &changed["Dispatch"]["Dispatch_Status"]),
        (&json!("more"), &json!("New Dispatch"))
    );
    let unknown = json!({"RequestDispatch": {"dispatch_number": "DIS0"}});
    assert_eq!(post("UpdateDispatch", unknown).await.json()["Status"], "error");

    let cancel = |number: &str| json!({"CancelDispatchRequest": {"Dispatch_Number": number, "Cancellation_Reason": "r", "Cancellation_Requested_By": "b"}});
    let cancelled = post("CancelDispatch", cancel(&number)).await.json();
    let message = format!("Cancellation Request Submitted for {number}");
    assert_eq!(cancelled["CancelDispatchServiceResponse"]["Message"], message);
    let unknown = post("CancelDispatch", cancel("DIS0")).await.json();
    assert_eq!(unknown["CancelDispatchServiceResponse"]["Status"], "error");

    assert_eq!(get(&format!("GetDispatch/{number}")).await["Dispatch"]["Dispatch_Number"], number);
    let unknown = get("GetDispatch/DIS0").await;
    assert_eq!(unknown["Message"], "List has no rows for assignment to SObject");
    assert_eq!((&unknown["Status"], &unknown["Dispatch"]), (&json!("error"), &Value::Null));
    let list = get("GetOpenDispatchList").await;
    let open = list["DispatchList"].as_array().unwrap();
    assert!(open.iter().any(|dispatch| dispatch["Dispatch_Number"] == number));
    assert!(open.iter().all(|dispatch| dispatch["Dispatch_Status"] != "Close Out"));
    assert_eq!(list["Message"], format!("Total Number of Dispatches: {}", open.len()));
}

#[tokio::test]
async fn lit_takes_files_of_limited_size() {
    let sandbox = sandbox().await;
    let lit = session(&sandbox, LIT).await.with("filename", "a.txt").with("content-type", "text/plain");
    let url = |number: &str| format!("{}/services/apexrest/UploadDispatchFile/{number}", sandbox.lit_url());
    let answer = lit.post(&url("DIS10001"), json!("\"dGVzdA==\"")).await.json();
    let id = answer["Message"].as_str().unwrap().strip_prefix("File ID:").unwrap().to_owned();
    assert_eq!((&answer["Status"], &answer["APIRequestID"]), (&json!("Success"), &Value::Null));
    let files = control(&sandbox, "GET", "lit/dispatches/DIS10001/files", Value::Null).await.json();
    let expected = json!([{"id": id, "dispatch": "DIS10001", "name": "a.txt", "content_type": "text/plain", "bytes": 10}]);
    assert_eq!(files, expected);
    let content = control(&sandbox, "GET", &format!("lit/dispatches/DIS10001/files/{id}"), Value::Null).await;
    assert_eq!(content.text, "\"dGVzdA==\"");
    assert_eq!(control(&sandbox, "GET", "lit/dispatches/DIS10001/files/x", Value::Null).await.status, 404);

    let large = lit.post(&url("DIS10001"), json!("x".repeat(sandbox::lit::LARGEST_FILE + 1))).await.json();
    assert!(large["Message"].as_str().unwrap().contains("MAXIMUM_SIZE_OF_ATTACHMENT"), "{large}");
    assert_eq!(
        (&large["Status"], &lit.post(&url("DIS0"), json!("x")).await.json()["Status"]),
        (&json!("error"), &json!("error"))
    );
}

#[tokio::test]
async fn people_at_lit_enter_and_work_on_dispatches() {
    let sandbox = sandbox().await;
    let entered =
        control(&sandbox, "POST", "lit/dispatches", json!({"MetTel_Bruin_TicketID": "4000001"})).await.json();
    let path = format!("lit/dispatches/{}", entered["Dispatch_Number"].as_str().unwrap());
    for (step, status) in [
        ("confirm", "Request Confirmed"),
        ("arrive", "Tech Arrived"),
        ("close", "Close Out"),
        ("cancel", "Cancelled"),
    ] {
        let dispatch = control(&sandbox, "POST", &format!("{path}/{step}"), Value::Null).await.json();
        assert_eq!(
            (&dispatch["Dispatch_Status"], &dispatch["Tech_First_Name"]),
            (&json!(status), &json!("Robin"))
        );
    }
    let shown = control(&sandbox, "GET", &path, Value::Null).await.json();
    assert_eq!((&shown["Tech_Arrived_On_Site"], &shown["Time_of_Check_In"]), (&json!(true), &json!("15:00")));
    let changed = control(&sandbox, "PATCH", &path, json!({"Dispatch_Status": "Odd"})).await;
    assert_eq!(changed.json()["Dispatch_Status"], "Odd");
    assert_eq!(control(&sandbox, "PATCH", &path, json!({"dispatch_status": 1})).await.status, 400);
    assert_eq!(control(&sandbox, "POST", "lit/dispatches", json!({})).await.status, 400);
    assert!(
        !control(&sandbox, "GET", "lit/dispatches", Value::Null).await.json().as_array().unwrap().is_empty()
    );
    assert_eq!(control(&sandbox, "DELETE", &path, Value::Null).await.json(), json!({"changed": true}));
    assert_eq!(control(&sandbox, "GET", &path, Value::Null).await.status, 404);
    let documented = Http::new().get(&format!("{}/control/openapi.json", sandbox.base_url())).await.json();
    for path in ["/control/cts/dispatches/{number}/{step}", "/control/lit/dispatches/{number}/files/{id}"] {
        assert!(documented["paths"][path].is_object(), "{path}");
    }
}
