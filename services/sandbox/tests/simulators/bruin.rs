//! Bruin over HTTP.

use std::time::Duration;

use crate::common::{Http, bruin, client_of, ordinary, pick, sandbox};
use sandbox::Running;
use sandbox::world::network::{Edge, LinkMode};
use sandbox::world::repair::OnResolved;
use serde_json::{Value, json};

async fn repair(sandbox: &Running, http: &Http, edge: &Edge) -> (i64, i64) {
    let body =
        json!({"ClientID": client_of(sandbox, edge), "WTNs": [edge.serial], "RequestDescription": "x"});
    let answer = http.post(&format!("{}/api/Ticket/repair", sandbox.bruin_url()), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let asset = answer.json()["assets"][0].clone();
    assert_eq!(asset["wtn"], edge.serial);
    (asset["ticketId"].as_i64().unwrap(), asset["errorCode"].as_i64().unwrap())
}

async fn details(sandbox: &Running, http: &Http, ticket: i64) -> Value {
    let answer = http.get(&format!("{}/api/Ticket/{ticket}/details", sandbox.bruin_url())).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn set_status(sandbox: &Running, http: &Http, ticket: i64, line: usize, status: &str) {
    let detail = &details(sandbox, http, ticket).await["ticketDetails"][line]["detailID"];
    let url = format!("{}/api/Ticket/{ticket}/details/{detail}/status", sandbox.bruin_url());
    let answer = http.send("PUT", &url, json!({"Status": status})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn tokens_are_needed_and_expire() {
    let sandbox = sandbox().await;
    let url = format!("{}/api/Ticket/basic", sandbox.bruin_url());
    assert_eq!(Http::new().get(&url).await.status, 401);
    assert_eq!(Http::new().with("authorization", "Bearer invented").get(&url).await.status, 401);

    let http = bruin(&sandbox).await;
    assert_eq!(http.get(&url).await.status, 200);
    sandbox.world().advance(Duration::from_secs(3_600));
    assert_eq!(http.get(&url).await.status, 401);
    assert_eq!(bruin(&sandbox).await.get(&url).await.status, 200);
}

#[tokio::test]
async fn wrong_credentials_get_no_token() {
    let sandbox = sandbox().await;
    let url = format!("{}/identity/connect/token", sandbox.bruin_url());
    let form = json!("grant_type=client_credentials&scope=public_api");
    let answer = Http::new().with("authorization", "Basic d3Jvbmc6d3Jvbmc=").post(&url, form).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_client")));
}

#[tokio::test]
async fn a_new_outage_ticket_looks_as_the_monitors_expect() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let edge = ordinary(&sandbox, 0);
    let (ticket, code) = repair(&sandbox, &http, &edge).await;
    assert_eq!(code, 0);

    let url = format!("{}/api/Ticket/basic?TicketID={ticket}", sandbox.bruin_url());
    let basic = http.get(&url).await.json()["responses"][0].clone();
    assert_eq!(basic["createdBy"], "Intelygenz Ai");
    assert_eq!(basic["createDate"], "1/31/2022 3:00:00 PM");
    assert_eq!(basic["severity"], 2);
    assert_eq!(basic["clientID"], client_of(&sandbox, &edge));
    assert_eq!(basic["topic"], "Service Outage Trouble");

    let details = details(&sandbox, &http, ticket).await;
    assert_eq!(details["ticketDetails"][0]["detailValue"], edge.serial);
    assert_eq!(details["ticketDetails"][0]["detailStatus"], "I");
    assert_eq!(details["ticketNotes"], json!([]));
}

#[tokio::test]
async fn a_second_outage_of_an_open_ticket_is_409_and_of_a_resolved_one_as_the_policy_says() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let cases = [
        (OnResolved::LeaveResolved, 471, "R"),
        (OnResolved::Reopen, 472, "I"),
        // It has a line already, so none is added.
        (OnResolved::JoinSite, 472, "I"),
        (OnResolved::CreateNew, 0, "I"),
    ];
    for (number, (policy, expected, status)) in cases.into_iter().enumerate() {
        let edge = ordinary(&sandbox, number);
        let (ticket, _) = repair(&sandbox, &http, &edge).await;
        assert_eq!(repair(&sandbox, &http, &edge).await, (ticket, 409));
        set_status(&sandbox, &http, ticket, 0, "R").await;
        assert_eq!(sandbox.world().ticket(ticket).unwrap().status(sandbox.world().now()).title(), "Resolved");

        sandbox.world().with_tickets(|tickets| tickets.policy.serials.insert(edge.serial.clone(), policy));
        let (second, code) = repair(&sandbox, &http, &edge).await;
        assert_eq!((code, second == ticket), (expected, expected != 0), "{policy:?}");
        let line = &details(&sandbox, &http, second).await["ticketDetails"][0]["detailStatus"];
        assert_eq!(line, status, "{policy:?}");
    }
}

#[tokio::test]
async fn a_resolved_ticket_of_the_same_site_is_joined_with_a_new_line() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let second = pick(&sandbox, 0, |edge| {
        sandbox.world().network(|network| {
            let neighbours = network.edges.iter().filter(|other| other.site == edge.site);
            neighbours.count() > 1
                && network.edges.iter().find(|other| other.site == edge.site).unwrap().serial != edge.serial
        })
    });
    let first = pick(&sandbox, 0, |edge| edge.site == second.site);
    let (ticket, _) = repair(&sandbox, &http, &first).await;
    set_status(&sandbox, &http, ticket, 0, "R").await;
    sandbox.world().with_tickets(|tickets| tickets.policy.default = OnResolved::JoinSite);

    assert_eq!(repair(&sandbox, &http, &second).await, (ticket, 473));
    let lines = details(&sandbox, &http, ticket).await["ticketDetails"].clone();
    assert_eq!(lines[1]["detailValue"], second.serial);
    assert_eq!((&lines[0]["detailStatus"], &lines[1]["detailStatus"]), (&json!("R"), &json!("I")));
    let world = sandbox.world();
    assert_eq!(world.ticket(ticket).unwrap().status(world.now()).title(), "In-Progress");
}

#[tokio::test]
async fn an_unknown_device_gets_ticket_id_zero_and_a_closed_ticket_is_replaced() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let edge = ordinary(&sandbox, 0);
    let stranger = Edge { serial: "VC0000000".to_owned(), ..edge.clone() };
    assert_eq!(repair(&sandbox, &http, &stranger).await.0, 0);

    let (ticket, _) = repair(&sandbox, &http, &edge).await;
    set_status(&sandbox, &http, ticket, 0, "R").await;
    sandbox.world().advance(Duration::from_secs(72 * 3_600));
    let http = bruin(&sandbox).await;
    let (second, code) = repair(&sandbox, &http, &edge).await;
    assert_eq!(code, 0);
    assert_ne!(second, ticket);
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let edges: Vec<Edge> = (0..7).map(|number| ordinary(&sandbox, number)).collect();
    let mut ids = Vec::new();
    for edge in &edges {
        ids.push(repair(&sandbox, &http, edge).await.0);
    }
    set_status(&sandbox, &http, ids[0], 0, "R").await;
    let base = format!("{}/api/Ticket/basic", sandbox.bruin_url());
    let open =
        "TicketStatus=New&TicketStatus=InProgress&TicketStatus=Draft&TicketTopic=VOO&ProductCategory=SD-WAN";

    let first = http.get(&format!("{base}?{open}&PageSize=4&PageNumber=1")).await.json();
    let second = http.get(&format!("{base}?{open}&PageSize=4&PageNumber=2")).await.json();
    assert_eq!(
        (&first["total"], &first["currentPageSize"], &first["start"]),
        (&json!(6), &json!(4), &json!(0))
    );
    assert_eq!(
        (&second["total"], &second["currentPageSize"], &second["start"]),
        (&json!(6), &json!(2), &json!(4))
    );
    let listed = |page: &Value| -> Vec<i64> {
        page["responses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|ticket| ticket["ticketID"].as_i64().unwrap())
            .collect()
    };
    let expected: Vec<i64> = ids[1..].iter().rev().copied().collect();
    assert_eq!([listed(&first), listed(&second)].concat(), expected);

    let count =
        async |query: String| http.get(&format!("{base}?{query}")).await.json()["total"].as_i64().unwrap();
    assert_eq!(count(format!("ServiceNumber={}", edges[3].serial)).await, 1);
    assert_eq!(count("TicketStatus=Resolved".to_owned()).await, 1);
    assert_eq!(count("TicketTopic=VAS".to_owned()).await, 0);
    assert_eq!(count("TicketID=999".to_owned()).await, 0);
    assert_eq!(count("ClientId=1".to_owned()).await, 0);
    let client = client_of(&sandbox, &edges[0]);
    let of_client = edges.iter().filter(|edge| client_of(&sandbox, edge) == client).count();
    assert_eq!(count(format!("ClientId={client}")).await, i64::try_from(of_client).unwrap());

    let full = http.get(&format!("{}/api/Ticket?TicketId={}", sandbox.bruin_url(), ids[0])).await.json();
    assert_eq!(full["responses"][0]["ticketStatus"], "Resolved");
    assert_eq!(full["responses"][0]["severity"], "2");
}

#[tokio::test]
async fn notes_are_kept_byte_for_byte_for_their_lines() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let edge = ordinary(&sandbox, 0);
    let (ticket, _) = repair(&sandbox, &http, &edge).await;
    let base = format!("{}/api/Ticket/{ticket}/notes", sandbox.bruin_url());
    let text = "#*MetTel's IPA*#\nTriage (VeloCloud)\n\nCafé – 1";

    let whole = http.post(&base, json!({"note": text})).await;
    assert_eq!(whole.json()["ticketNotes"][0]["noteValue"], text);
    let detail = details(&sandbox, &http, ticket).await["ticketDetails"][0]["detailID"].clone();
    let several = json!({"notes": [
        {"noteValue": "A", "noteType": "ADN", "serviceNumber": edge.serial},
        {"noteValue": "B", "noteType": "CON", "detailId": detail},
    ]});
    let answer = http.post(&format!("{base}/advanced"), several).await;
    assert_eq!(answer.json()["ticketNotes"][1]["noteType"], "CON");

    let notes = details(&sandbox, &http, ticket).await["ticketNotes"].clone();
    assert_eq!(notes[0]["noteValue"], text);
    assert_eq!(notes[0]["serviceNumber"], json!([edge.serial]));
    assert_eq!(notes[0]["createdDate"], "2022-01-31T10:00:00.000-05:00");
    assert_eq!(notes.as_array().unwrap().len(), 3);

    let stranger = http.post(&base, json!({"note": "x", "serviceNumbers": ["VC0000000"]})).await;
    assert_eq!(stranger.status, 400);
    let unknown = http.post(&base.replace(&ticket.to_string(), "1"), json!({"note": "x"})).await;
    assert_eq!(unknown.status, 404);
    let history =
        http.get(&format!("{}/api/Ticket/AITicketData?ticketId={ticket}", sandbox.bruin_url())).await;
    assert_eq!(history.json()["result"][0]["Asset"], edge.serial);
    assert_eq!(history.json()["result"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn severity_pause_and_work_queues_change() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let edge = ordinary(&sandbox, 0);
    let (ticket, _) = repair(&sandbox, &http, &edge).await;
    let base = format!("{}/api/Ticket/{ticket}", sandbox.bruin_url());

    let severity = json!({"Severity": 3, "Reason": "#*MetTel's IPA*#\nChanging to Severity 3"});
    assert_eq!(http.send("PUT", &format!("{base}/severity"), severity).await.status, 200);
    assert_eq!(sandbox.world().ticket(ticket).unwrap().severity, 3);
    let bad = http.send("PUT", &format!("{base}/severity"), json!({"Severity": 9, "Reason": ""})).await;
    assert_eq!(bad.status, 400);

    let next = http.get(&format!("{base}/nextresult?ServiceNumber={}", edge.serial)).await.json();
    let results = next["nextResults"].as_array().unwrap();
    let hnoc = results.iter().find(|result| result["resultName"] == "HNOC Investigate ").unwrap();
    let line = sandbox.world().ticket(ticket).unwrap().lines[0].clone();
    let work = json!({"details": [{"detailId": line.id}], "notes": [], "resultTypeId": hnoc["resultTypeId"]});
    assert_eq!(http.send("PUT", &format!("{base}/details/work"), work).await.status, 200);
    let next = http.get(&format!("{base}/nextresult?DetailId={}", line.id)).await.json();
    assert_eq!(next["currentTaskName"], "HNOC Investigate");

    let now = sandbox.world().now();
    sandbox.world().with_tickets(|tickets| tickets.pause(ticket, line.id, now)).unwrap();
    let unpause = json!({"serviceNumber": edge.serial, "DetailId": line.id});
    assert_eq!(http.post(&format!("{base}/detail/unpause"), unpause).await.status, 200);
    assert!(!sandbox.world().ticket(ticket).unwrap().lines[0].paused);
}

#[tokio::test]
async fn inventory_attributes_and_sites_are_found() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let edge = ordinary(&sandbox, 0);
    let client = client_of(&sandbox, &edge);
    let base = sandbox.bruin_url();

    let items = http.get(&format!("{base}/api/Inventory?ServiceNumber={}", edge.serial)).await.json();
    let item = &items["documents"][0];
    assert_eq!(
        (&item["clientID"], &item["status"], &item["siteId"]),
        (&json!(client), &json!("A"), &json!(edge.site))
    );

    let query = format!("ClientId={client}&ServiceNumber={}&Status=A", edge.serial);
    let attributes = http.get(&format!("{base}/api/Inventory/Attribute?{query}")).await.json();
    let keys = attributes["attributes"].as_array().unwrap();
    let status = keys.iter().find(|one| one["key"] == "Management Status").unwrap();
    assert!(status["value"].as_str().unwrap().starts_with("Active – "), "{status}");

    let site = http.get(&format!("{base}/api/Site?ClientId={client}&SiteId={}", edge.site)).await.json();
    assert_eq!(site["documents"][0]["siteID"], edge.site.to_string());
    let stranger = http.get(&format!("{base}/api/Site?ClientId=1&SiteId={}", edge.site)).await.json();
    assert_eq!(stranger["documents"], json!([]));

    let unknown = http.get(&format!("{base}/api/Inventory?ServiceNumber=VC0000000")).await.json();
    assert_eq!(unknown["documents"], json!([]));
}

#[tokio::test]
async fn circuits_and_phone_lines_are_found() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let base = sandbox.bruin_url();
    let edge = pick(&sandbox, 0, |edge| edge.links.iter().any(|link| link.mode == LinkMode::Private));
    let link = edge.links.iter().find(|link| link.mode == LinkMode::Private).unwrap();
    let circuit = http.get(&format!("{base}/api/Inventory/circuit?CircuitId=70.SBXA.{:06}", link.id)).await;
    assert_eq!(circuit.json()["wtn"], edge.serial);
    assert_eq!(http.get(&format!("{base}/api/Inventory/circuit?CircuitId=ABC.1")).await.status, 204);

    let phone =
        sandbox.world().inventory(|inventory| inventory.site(edge.site).unwrap().contact_phone.clone());
    let lines = format!("{base}/api/Inventory/phoneNumber/Lines?phoneNumberType=DID&phoneNumber=");
    assert_eq!(http.get(&format!("{lines}%2B1{phone}")).await.json()["btn"], phone);
    assert_eq!(http.get(&format!("{lines}%2B19990000000")).await.status, 404);
}

#[tokio::test]
async fn emails_are_tagged_once_marked_and_linked() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let base = sandbox.bruin_url();
    let tag = format!("{base}/api/Email/1234/tag/2");
    assert_eq!(http.post(&tag, Value::Null).await.status, 204);
    assert_eq!(http.post(&tag, Value::Null).await.status, 409);

    let done = json!({"emailId": "1234", "status": "Done", "resolution": "x", "updatedBy": "x"});
    assert_eq!(http.post(&format!("{base}/api/Email/status"), done).await.json()["success"], true);
    assert_eq!(
        http.post(&format!("{base}/api/Email/1234/link/ticket/1"), Value::Null).await.json()["success"],
        false
    );
    let (ticket, _) = repair(&sandbox, &http, &ordinary(&sandbox, 0)).await;
    let linked = http.post(&format!("{base}/api/Email/1234/link/ticket/{ticket}"), Value::Null).await.json();
    assert_eq!((&linked["success"], &linked["totalEmailAffected"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn any_ticket_can_be_created() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let edge = ordinary(&sandbox, 0);
    let url = format!("{}/api/Ticket/", sandbox.bruin_url());
    let body = |client: i64| json!({"clientId": client, "category": "VAS", "services": [{"serviceNumber": edge.serial}], "contacts": [], "notes": []});
    let created = http.post(&url, body(client_of(&sandbox, &edge))).await;
    let id = created.json()["ticketIds"][0].as_i64().unwrap();
    assert_eq!(sandbox.world().ticket(id).unwrap().topic.code(), "VAS");
    assert_eq!(http.post(&url, body(1)).await.status, 400);
}
