//! Every subject over real NATS, Redis and HTTP: success, every kind of failure, wrong requests.

use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::{PATIENCE, Rule, Via};

const HOST: &str = "vco1.example.test";

/// How a 400 of VeloCloud is answered.
enum On400 {
    Json,
    Text(&'static str),
}

struct Subject {
    name: &'static str,
    path: &'static str,
    body: Value,
    call: Value,
    answer: Value,
    reply: Value,
    on_400: On400,
    /// Whether other statuses keep VeloCloud's JSON (else a text).
    json: bool,
}

impl Subject {
    fn rule(&self) -> Rule {
        Rule::on("POST", &format!("^/vco1/portal/rest/{}$", self.path))
    }
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn subjects() -> Vec<Subject> {
    let edge = json!({"host": HOST, "enterprise_id": 2, "edge_id": 42});
    let interval = json!({"start": 1, "end": "2020-10-19T16:22:03.345Z"});
    let event = json!({"event": "EDGE_UP", "id": 7});
    let payload = json!({"enterpriseId": 22, "edgeId": 42, "interval": interval, "metrics": ["bytesTx"]});
    let list = |name, path, body, call, answer, reply| Subject {
        name,
        path,
        body,
        call,
        answer,
        reply,
        on_400: On400::Json,
        json: true,
    };
    vec![
        Subject {
            json: false,
            ..list(
                "alert.request.event.edge",
                "event/getEnterpriseEvents",
                json!({"edge": edge, "start_date": 1, "end_date": "2"}),
                json!({"enterpriseId": 2, "interval": {"start": 1, "end": "2"}, "filter": {"limit": null}, "edgeId": [42]}),
                json!({"metaData": {"more": true}, "data": [event]}),
                json!([event]),
            )
        },
        Subject {
            json: false,
            ..list(
                "alert.request.event.enterprise",
                "event/getEnterpriseEvents",
                json!({"host": HOST, "enterprise_id": 2, "start_date": 1, "end_date": 2, "limit": 3}),
                json!({"enterpriseId": 2, "interval": {"start": 1, "end": 2}, "filter": {"limit": 3}}),
                json!({"data": []}),
                json!([]),
            )
        },
        list(
            "get.links.with.edge.info",
            "monitoring/getEnterpriseEdgeLinkStatus",
            json!({"host": HOST}),
            json!({}),
            json!([{"linkId": 7, "new": {"x": null}}]),
            json!([{"linkId": 7, "new": {"x": null}, "host": HOST}]),
        ),
        list(
            "get.links.metric.info",
            "monitoring/getAggregateEdgeLinkMetrics",
            json!({"host": HOST, "interval": interval}),
            json!({"interval": interval}),
            json!([{"linkId": 7, "link": {"interface": "GE1"}}]),
            json!([{"linkId": 7, "link": {"interface": "GE1", "host": HOST}}]),
        ),
        list(
            "request.enterprises.edges",
            "enterprise/getEnterpriseEdges",
            json!({"host": HOST, "enterprise_id": 2}),
            json!({"enterpriseId": 2, "with": ["links"]}),
            json!([{"id": 42, "links": []}]),
            json!([{"id": 42, "links": []}]),
        ),
        Subject {
            on_400: On400::Text(
                "Got 400 from Velocloud -> bad for edge {'host': 'vco1.example.test', 'enterprise_id': 2, 'edge_id': 42}",
            ),
            ..list(
                "request.links.configuration",
                "edge/getEdgeConfigurationModules",
                edge,
                json!({"enterpriseId": 2, "edgeId": 42, "modules": ["WAN"]}),
                json!({"WAN": {"data": {"links": [{"mode": "PUBLIC"}]}}}),
                json!([{"mode": "PUBLIC"}]),
            )
        },
        list(
            "request.edge.links.series",
            "metrics/getEdgeLinkSeries",
            json!({"host": HOST, "payload": payload}),
            payload,
            json!([]),
            json!([]),
        ),
        Subject {
            on_400: On400::Text("Got 400 from Velocloud --> bad for enterprise ids: [3, 4]"),
            ..list(
                "request.network.enterprise.edges",
                "network/getNetworkEnterprises",
                json!({"host": HOST, "enterprise_ids": [3, 4]}),
                json!({"enterprises": [3, 4], "with": ["edges"]}),
                json!([{"id": 3, "edges": [{"id": 1}]}, {"id": 4, "edges": [{"id": 9}]}]),
                json!([{"id": 1, "host": HOST}, {"id": 9, "host": HOST}]),
            )
        },
        Subject {
            on_400: On400::Text("Got 400 from Velocloud -> bad for host vco1.example.test"),
            ..list(
                "request.network.gateway.list",
                "network/getNetworkGateways",
                json!({"host": HOST}),
                json!({}),
                json!([{"id": 7, "name": "g", "gatewayState": "CONNECTED", "more": 1}]),
                json!([{"host": HOST, "id": 7, "name": "g", "status": "CONNECTED"}]),
            )
        },
        Subject {
            on_400: On400::Text("Got 400 from Velocloud -> bad for gateway 7 and host vco1.example.test"),
            ..list(
                "request.gateway.status.metrics",
                "metrics/getGatewayStatusMetrics",
                json!({"host": HOST, "gateway_id": 7, "interval": interval, "metrics": ["a"]}),
                json!({"gatewayId": 7, "interval": interval, "metrics": ["a"]}),
                json!({"a": 1}),
                json!({"a": 1}),
            )
        },
    ]
}

#[tokio::test]
async fn every_subject_makes_its_call_and_gives_its_answer() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    for subject in subjects() {
        stage.upstream.rules(vec![subject.rule().header("Expires", "0").json(&subject.answer)]).take_calls();
        let mut body = subject.body.clone();
        body["unknown"] = json!([{"a": null}]);
        assert_eq!(stage.ask(subject.name, body).await, (200, subject.reply), "{}", subject.name);
        let calls = stage.upstream.take_calls();
        assert_eq!(calls.len(), 1, "{}", subject.name);
        assert_eq!(calls[0].json(), subject.call, "{}", subject.name);
        assert_eq!(calls[0].header("content-type"), Some("application/json-patch+json"));
        assert_eq!(calls[0].header("cookie"), Some("velocloud.session=one-a"));
    }
}

#[tokio::test]
async fn every_subject_maps_each_status_as_specified() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    let error = json!({"error": {"code": -32600, "message": "bad"}});
    for subject in subjects() {
        let name = subject.name;
        stage.upstream.rules(vec![subject.rule().status(400).json(&error)]);
        let expected = match subject.on_400 {
            On400::Json => error.clone(),
            On400::Text(text) => json!(text),
        };
        assert_eq!(stage.ask(name, subject.body.clone()).await, (400, expected), "{name}");

        for status in [403, 404, 513] {
            stage.upstream.rules(vec![subject.rule().status(status).json(&error)]);
            let text = json!(format!("Got {status} from Velocloud -> bad"));
            let expected = if subject.json { error.clone() } else { text };
            assert_eq!(stage.ask(name, subject.body.clone()).await, (status.into(), expected), "{name}");
        }
        for rule in
            [subject.rule().status(500).json(&error), subject.rule().status(512).text("<html>oops</html>")]
        {
            stage.upstream.rules(vec![rule]);
            let expected = (500, json!("Got internal error from Velocloud"));
            assert_eq!(stage.ask(name, subject.body.clone()).await, expected, "{name}");
        }
        for rule in [
            subject.rule().status(204),
            subject.rule().header("Content-Type", "application/json").text("[{\"a\":"),
            subject.rule().text("null and void"),
        ] {
            stage.upstream.rules(vec![rule]);
            let expected = (500, json!("Unexpected answer from Velocloud: the answer is not JSON"));
            assert_eq!(stage.ask(name, subject.body.clone()).await, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn json_of_another_kind_is_a_failure_but_for_edges_and_series() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    for subject in subjects() {
        let passes = matches!(
            subject.name,
            "request.enterprises.edges" | "request.edge.links.series" | "request.gateway.status.metrics"
        );
        for answer in [json!(null), json!({"a": 1}), json!([1]), json!("text")] {
            // An object without WAN is an edge without WAN, which is no failure of VeloCloud.
            let expected = match (passes, subject.name, answer.is_object()) {
                (true, ..) => 200,
                (_, "request.links.configuration", true) => 404,
                _ => 500,
            };
            stage.upstream.rules(vec![subject.rule().json(&answer)]);
            let (status, body) = stage.ask(subject.name, subject.body.clone()).await;
            assert_eq!(status, expected, "{} {answer}: {body}", subject.name);
        }
    }
}

#[tokio::test]
async fn a_host_that_is_not_configured_is_a_404_and_calls_nobody() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    stage.upstream.take_calls();
    for subject in subjects() {
        for host in ["vco9.example.test", "VCO1.EXAMPLE.TEST", ""] {
            let mut body = subject.body.clone();
            match body.get_mut("edge") {
                Some(edge) => edge["host"] = json!(host),
                None => body["host"] = json!(host),
            }
            let to = if subject.name.starts_with("alert.") { "to" } else { "to host" };
            let expected = (404, json!(format!("Cannot find a client to connect {to} {host}")));
            assert_eq!(stage.ask(subject.name, body).await, expected, "{}", subject.name);
        }
    }
    assert!(stage.upstream.calls().is_empty());
}

#[tokio::test]
async fn wrong_requests_are_refused_on_every_subject_and_garbage_too() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    stage.upstream.take_calls();
    let names = subjects().into_iter().map(|subject| subject.name).chain(["request.enterprises.names"]);
    for name in names {
        for body in [Value::Null, json!(["host"]), json!("host"), json!(7)] {
            assert_eq!(stage.ask(name, body).await.0, 400, "{name}");
        }
        if name != "request.enterprises.names" {
            assert_eq!(stage.ask(name, json!({})).await.0, 400, "{name}");
        }
        for payload in ["", "hello", "null", "[1,2]", "{", "{\"body\":{}", r#"{"is_stored":true,"token":7}"#]
        {
            let sent = stage.requester.request_bytes(name, payload.into(), Via::Size, PATIENCE);
            assert_eq!(sent.await.envelope()["status"], 400, "{name} {payload:?}");
        }
    }
    assert!(stage.upstream.calls().is_empty());
}

#[tokio::test]
async fn names_of_all_hosts_are_filtered_and_a_failed_host_costs_the_status_only() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    let names = |host: &str, names: &[&str]| {
        let enterprises: Vec<Value> = names.iter().map(|name| json!({"id": 1, "name": name})).collect();
        Rule::on("POST", &format!("^/{host}/portal/rest/monitoring/getAggregates$"))
            .json(&json!({"enterprises": enterprises}))
    };
    stage.upstream.rules(vec![names("vco1", &["ACME|1|", "Foo|2|"]), names("vco2", &["ACME|1|"])]);
    let name = "request.enterprises.names";
    assert_eq!(stage.ask(name, json!({})).await, (200, json!(["ACME|1|", "Foo|2|", "ACME|1|"])));
    assert_eq!(stage.ask(name, json!({"filter": ["Foo|2|"]})).await, (200, json!(["Foo|2|"])));
    stage.upstream.rules(vec![names("vco1", &["ACME|1|", "Foo|2|"])]);
    assert_eq!(stage.ask(name, json!({"filter": ["ACME|1|"]})).await, (500, json!(["ACME|1|"])));
}
