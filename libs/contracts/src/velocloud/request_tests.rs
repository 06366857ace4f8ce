use serde_json::json;

use super::*;
use crate::Rpc;
use crate::velocloud::*;

fn parse<R: Rpc>(text: &str) -> Result<R::Request, Rejected> {
    R::Request::parse(&Incoming::read(text).unwrap())
}

fn refusal<R: Rpc>(text: &str) -> Rejected
where
    R::Request: std::fmt::Debug,
{
    parse::<R>(text).unwrap_err()
}

#[test]
fn a_body_that_is_absent_null_or_no_object_is_refused_with_the_subjects_text() {
    for envelope in ["{}", r#"{"body":null}"#, r#"{"body":["host"]}"#, r#"{"body":"x"}"#, r#"{"body":3}"#] {
        assert_eq!(refusal::<EdgeEvents>(envelope), Rejected::text(NO_BODY), "{envelope}");
        assert_eq!(refusal::<EnterpriseEvents>(envelope), Rejected::text(NO_BODY), "{envelope}");
        assert_eq!(refusal::<LinksWithEdgeInfo>(envelope), Rejected::text(NO_BODY_LINKS), "{envelope}");
        assert_eq!(refusal::<LinksMetricInfo>(envelope), Rejected::text(NO_BODY_LINKS), "{envelope}");
        assert_eq!(refusal::<EnterpriseEdges>(envelope), Rejected::text(NO_BODY), "{envelope}");
        assert_eq!(refusal::<EnterpriseNames>(envelope), Rejected::text(NO_BODY), "{envelope}");
        assert_eq!(refusal::<LinksConfiguration>(envelope), Rejected::text(NO_BODY), "{envelope}");
        assert_eq!(refusal::<EdgeLinksSeries>(envelope), Rejected::text(NO_BODY), "{envelope}");
        assert_eq!(refusal::<NetworkEnterpriseEdges>(envelope), Rejected::text(NO_BODY), "{envelope}");
        assert_eq!(refusal::<NetworkGatewayList>(envelope).status, 400, "{envelope}");
        assert_eq!(refusal::<GatewayStatusMetrics>(envelope).status, 400, "{envelope}");
    }
}

/// Takes each of `keys` out of `body` in turn: the refusal must be `text`.
fn each_key_is_required<R: Rpc>(body: &Value, keys: &[&str], text: &str)
where
    R::Request: std::fmt::Debug,
{
    let whole = json!({"request_id": "r", "body": body}).to_string();
    assert!(parse::<R>(&whole).is_ok(), "{whole}");
    for key in keys {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove(*key);
        assert_eq!(refusal::<R>(&json!({"body": body}).to_string()), Rejected::text(text), "without {key}");
    }
}

#[test]
fn each_required_field_is_asked_for_by_the_subjects_text() {
    let edge = json!({"host": "h", "enterprise_id": 2, "edge_id": 42, "extra": 1});
    let events = json!({"edge": edge, "start_date": 1, "end_date": null, "filter": null, "limit": null});
    each_key_is_required::<EdgeEvents>(&events, &["edge", "start_date", "end_date"], EDGE_EVENTS);
    let events = json!({"host": "h", "enterprise_id": 2, "start_date": "a", "end_date": {}, "filter": ["A"], "limit": 0});
    let keys = ["enterprise_id", "host", "start_date", "end_date"];
    each_key_is_required::<EnterpriseEvents>(&events, &keys, ENTERPRISE_EVENTS);
    each_key_is_required::<LinksWithEdgeInfo>(&json!({"host": "h"}), &["host"], LINKS);
    let metrics = json!({"host": "h", "interval": {}});
    each_key_is_required::<LinksMetricInfo>(&metrics, &["host", "interval"], METRICS);
    let edges = json!({"host": "h", "enterprise_id": 100});
    each_key_is_required::<EnterpriseEdges>(&edges, &["host", "enterprise_id"], EDGES);
    each_key_is_required::<LinksConfiguration>(&edge, &["host", "enterprise_id", "edge_id"], CONFIGURATION);
    let network = json!({"host": "h", "enterprise_ids": []});
    each_key_is_required::<NetworkEnterpriseEdges>(&network, &["host", "enterprise_ids"], NETWORK_EDGES);
}

#[test]
fn the_texts_are_those_of_the_existing_deployment() {
    insta::assert_json_snapshot!([
        NO_BODY, NO_BODY_LINKS, EDGE_EVENTS, ENTERPRISE_EVENTS, LINKS, METRICS, EDGES, CONFIGURATION, NETWORK_EDGES,
    ], @r###"
    [
      "Must include \"body\" in request",
      "Must include \"body\" in the request",
      "Must include \"edge\", \"start_date\", \"end_date\" in request",
      "Must include \"enterprise_id\", \"host\", \"start_date\", \"end_date\" in request",
      "Must include \"host\" in the body of the request",
      "Must include \"host\" and \"interval\" in the body of the request",
      "Must include \"host\" and \"enterprise_id\" in request \"body\"",
      "You must specify {...\"body\": {\"host\", \"enterprise_id\", \"edge_id\"}...} in the request",
      "Must include \"host\" and \"enterprise_ids\" in request\" \"body\""
    ]
    "###);
}

#[test]
fn an_edge_that_lacks_an_id_or_has_a_host_of_the_wrong_kind_is_refused() {
    for edge in [
        json!({}),
        json!(null),
        json!({"host": "h", "edge_id": 1}),
        json!({"host": null, "enterprise_id": 1, "edge_id": 1}),
    ] {
        let envelope = json!({"body": {"edge": edge, "start_date": 1, "end_date": 2}}).to_string();
        assert_eq!(refusal::<EdgeEvents>(&envelope), Rejected::text(EDGE_EVENTS), "{edge}");
    }
}

#[test]
fn ids_may_be_text() {
    let request =
        parse::<LinksConfiguration>(r#"{"body":{"host":"h","enterprise_id":"2","edge_id":"42"}}"#).unwrap();
    assert_eq!(request.0.edge_id, Id::from("42"));
}

#[test]
fn the_series_payload_is_judged_before_the_host() {
    let payload = json!({"enterpriseId": 1, "edgeId": 2, "interval": null, "metrics": []});
    let cases = [
        (json!({"host": "h", "payload": payload}), None),
        (json!({"payload": payload}), Some(SERIES)),
        (json!({"host": null, "payload": payload}), Some(SERIES)),
        (json!({}), Some(SERIES)),
        (json!({"host": "h"}), Some(SERIES)),
        (json!({"payload": {"edgeId": 2}}), Some(SERIES_PAYLOAD)),
        (json!({"host": "h", "payload": {"edgeId": 2}}), Some(SERIES_PAYLOAD)),
        (json!({"host": "h", "payload": null}), Some(SERIES_PAYLOAD)),
        (json!({"host": "h", "payload": [1]}), Some(SERIES_PAYLOAD)),
    ];
    for (body, text) in cases {
        let outcome = parse::<EdgeLinksSeries>(&json!({"body": body}).to_string());
        assert_eq!(outcome.err(), text.map(Rejected::text), "{body}");
    }
    assert!(SERIES.starts_with("Request's should look like "));
    assert!(SERIES_PAYLOAD.starts_with("Request's payload should look like "));
}

#[test]
fn a_filter_of_names_may_be_missing_or_null_but_not_of_another_kind() {
    for body in ["{}", r#"{"filter":null}"#, r#"{"filter":[]}"#] {
        let request = parse::<EnterpriseNames>(&format!(r#"{{"body":{body}}}"#)).unwrap();
        assert_eq!(request.filter, Vec::<String>::new());
    }
    assert_eq!(refusal::<EnterpriseNames>(r#"{"body":{"filter":"a"}}"#), Rejected::text(NAMES));
}

#[test]
fn gateway_requests_are_refused_with_a_list_of_problems() {
    let rejected = refusal::<GatewayStatusMetrics>(
        r#"{"body":{"gateway_id":"7","interval":{"start":1},"metrics":["a",1]}}"#,
    );
    assert_eq!(
        rejected.body,
        json!([
            {"loc": ["body", "host"], "msg": "field required"},
            {"loc": ["body", "gateway_id"], "msg": "must be: integer"},
            {"loc": ["body", "interval"], "msg": "must be: object with start and end"},
            {"loc": ["body", "metrics"], "msg": "must be: list of texts"},
        ])
    );
    let whole = r#"{"body":{"host":"h","gateway_id":7,"interval":{"start":1,"end":2},"metrics":["a"]}}"#;
    assert_eq!(parse::<GatewayStatusMetrics>(whole).unwrap().gateway_id, 7);
    assert!(parse::<NetworkGatewayList>(r#"{"body":{"host":"h"}}"#).is_ok());
}

#[test]
fn what_a_requester_writes_is_what_the_replier_reads() {
    let edge = EdgeFullId { host: "h".to_owned(), enterprise_id: Id::from(2), edge_id: Id::from(42) };
    let at = DateTime::from_timestamp_millis(1_603_120_923_345).unwrap();
    let request = EdgeEventsRequest {
        edge: edge.clone(),
        start_date: instant(at),
        end_date: instant(at),
        filter: Some(vec!["EDGE_UP".to_owned()]),
        limit: None,
    };
    let written = json!({"body": request});
    assert_eq!(written["body"]["start_date"], "2020-10-19T15:22:03.345Z");
    assert_eq!(parse::<EdgeEvents>(&written.to_string()).unwrap(), request);

    let request = LinksConfigurationRequest(edge.clone());
    assert_eq!(parse::<LinksConfiguration>(&json!({"body": request}).to_string()).unwrap(), request);

    let request = LinkSeriesRequest::new(&edge, at, at, &["bytesTx"]);
    let written = json!({"body": request});
    assert_eq!(
        written["body"]["payload"]["interval"],
        json!({"start": 1_603_120_923_345_i64, "end": 1_603_120_923_345_i64})
    );
    assert_eq!(parse::<EdgeLinksSeries>(&written.to_string()).unwrap(), request);
}
