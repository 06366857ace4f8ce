//! The subjects which `hawkeye-bridge` answers (spec `hawkeye-bridge`, "Serves").
//!
//! Both are reads. The bridge passes Hawkeye's JSON on as it came; the reply types hold what callers read of it.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::Id;
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, lenient};

/// The queue group of both subjects.
pub const QUEUE: &str = "hawkeye_bridge";
/// Refusal when there is no usable `body`.
pub const NO_BODY: &str = r#"Must include "body" in request"#;
/// Refusal of test results without probes.
pub const NO_PROBE_UIDS: &str = r#"Must include "probe_uids" in the body of the request"#;
/// Refusal of test results without an interval.
pub const NO_INTERVAL: &str = r#"Must include "interval" in the body of the request"#;
/// Refusal of `probe_uids` of another kind (Improve 7).
pub const BAD_PROBE_UIDS: &str = r#""probe_uids" must be a list of texts"#;
/// Refusal of an `interval` of another kind (Improve 7).
pub const BAD_INTERVAL: &str = r#""interval" must have the texts "start" and "end""#;
/// What stands in place of an instant when a probe has never reported.
pub const NEVER: &str = "never";

subjects! {
    /// Lists the probes, in Hawkeye's order, with what they reported last.
    Probes: "hawkeye.probe.request", Read, wait 60, answer 57, ProbesRequest => Vec<Probe>;

    /// Reads the results of the tests that probes ran in an interval, with what each measured.
    /// The reply: by uid of the probe; a probe without results has no entry.
    TestResults: "hawkeye.test.request", Read, wait 60, answer 57,
        TestResultsRequest => IndexMap<String, Vec<TestResult>>;
}

/// Parameters of [`Probes`], all optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProbesRequest {
    /// Only the probe with this serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Only probes in this state, as Hawkeye names it, e.g. `down`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl Request for ProbesRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let body = incoming.body_object().ok_or_else(|| Rejected::text(NO_BODY))?;
        Ok(Self { serial_number: filter(&body, "serial_number")?, status: filter(&body, "status")? })
    }
}

/// A filter, passed on as it is; absent: none. A null is refused: without it all probes would be asked for.
fn filter(body: &Map<String, Value>, name: &str) -> Result<Option<String>, Rejected> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(Rejected::text(format!(r#""{name}" must be a text"#))),
    }
}

/// Parameters of [`TestResults`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestResultsRequest {
    /// Of which probes. One that is named twice is asked once.
    pub probe_uids: Vec<String>,
    /// When the tests ran.
    pub interval: Interval,
}

/// From when to when, as Hawkeye is told verbatim: `YYYY-MM-DD HH:MM:SS[.ffffff]` in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// The begin.
    pub start: String,
    /// The end.
    pub end: String,
}

impl Request for TestResultsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let mut body = incoming.body_object().ok_or_else(|| {
            // Of a text or a list the existing deployment says what it lacks.
            let has_no_keys = incoming.body().is_some_and(|body| body.get().starts_with(['"', '[']));
            Rejected::text(if has_no_keys { NO_PROBE_UIDS } else { NO_BODY })
        })?;
        let probe_uids = body.shift_remove("probe_uids").ok_or_else(|| Rejected::text(NO_PROBE_UIDS))?;
        let interval = body.shift_remove("interval").ok_or_else(|| Rejected::text(NO_INTERVAL))?;
        let probe_uids: Vec<String> =
            serde_json::from_value(probe_uids).map_err(|_| Rejected::text(BAD_PROBE_UIDS))?;
        let interval = match interval {
            // A list would fit as well.
            Value::Object(_) => serde_json::from_value(interval).map_err(|_| Rejected::text(BAD_INTERVAL))?,
            _ => return Err(Rejected::text(BAD_INTERVAL)),
        };
        Ok(Self { probe_uids, interval })
    }
}

/// A probe, as far as callers read it. Each field may be missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Probe {
    /// Number at Hawkeye, usually a text.
    #[serde(deserialize_with = "lenient::or_default")]
    pub probe_id: Option<Id>,
    /// Unique id, a MAC, e.g. `aa:bb:cc:00:00:01`; what [`TestResults`] are asked by.
    #[serde(deserialize_with = "lenient::or_default")]
    pub uid: Option<String>,
    /// Name.
    #[serde(deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// `1` or `0`, usually a text; see [`Probe::is_active`].
    #[serde(deserialize_with = "lenient::or_default")]
    pub active: Option<Id>,
    /// Name of its type, e.g. `xr_pi`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub type_name: Option<String>,
    /// Serial number; Bruin's service number.
    #[serde(deserialize_with = "lenient::or_default")]
    pub serial_number: Option<String>,
    /// Group.
    #[serde(deserialize_with = "lenient::or_default")]
    pub probe_group: Option<String>,
    /// How it reaches other probes.
    #[serde(rename = "nodetonode", deserialize_with = "lenient::or_default")]
    pub node_to_node: ProbeService,
    /// How it reaches real servers.
    #[serde(rename = "realservice", deserialize_with = "lenient::or_default")]
    pub real_service: ProbeService,
}

impl Probe {
    /// Whether it is switched on.
    pub fn is_active(&self) -> bool {
        self.active.as_ref().and_then(Id::as_i64) == Some(1)
    }
}

/// What a probe measures against.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProbeService {
    /// 0: down.
    #[serde(deserialize_with = "lenient::or_default")]
    pub status: Option<i64>,
    /// When it last reported, ISO 8601 in UTC, or [`NEVER`].
    #[serde(deserialize_with = "lenient::or_default")]
    pub last_update: Option<String>,
}

impl ProbeService {
    /// When it last reported; `None` when never, or when Hawkeye does not say.
    pub fn contact(&self) -> Option<&str> {
        self.last_update.as_deref().filter(|text| *text != NEVER)
    }
}

/// The result of a test.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TestResult {
    /// The test and its outcome.
    pub summary: TestSummary,
    /// What was measured.
    #[serde(deserialize_with = "lenient::list")]
    pub metrics: Vec<TestMetric>,
}

/// A test and its outcome, as far as callers read it. Each field may be missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TestSummary {
    /// Number of the result.
    #[serde(deserialize_with = "lenient::or_default")]
    pub id: Option<Id>,
    /// When it ran, ISO 8601 in UTC.
    #[serde(deserialize_with = "lenient::or_default")]
    pub date: Option<String>,
    /// `Passed`, `Failed` or `Error`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub status: Option<String>,
    /// Number of the test.
    #[serde(deserialize_with = "lenient::or_default")]
    pub test_id: Option<Id>,
    /// Kind of test, e.g. `ICMP Test`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub test_type: Option<String>,
    /// Name of the probe that ran it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub probe_from: Option<String>,
    /// What it measured against.
    #[serde(deserialize_with = "lenient::or_default")]
    pub probe_to: Option<String>,
}

/// A measured value. Each field may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TestMetric {
    /// Name, e.g. `Jitter (ms)`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub metric: Option<String>,
    /// Between whom.
    #[serde(deserialize_with = "lenient::or_default")]
    pub pair_name: Option<String>,
    /// The value.
    #[serde(deserialize_with = "lenient::or_default")]
    pub value: Option<String>,
    /// The threshold; empty for an informative value.
    #[serde(deserialize_with = "lenient::or_default")]
    pub threshold: Option<String>,
    /// `0`: must not exceed the threshold, `1`: must not fall below it, `-1`: informative.
    #[serde(deserialize_with = "lenient::or_default")]
    pub threshold_type: Option<String>,
    /// `Passed` or `Failed`; empty for an informative value.
    #[serde(deserialize_with = "lenient::or_default")]
    pub status: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse<R: Request>(body: &Value) -> Result<R, Rejected> {
        R::parse(&Incoming::read(&json!({"request_id": "r", "body": body}).to_string()).unwrap())
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for (body, of_tests) in [
            (json!(null), NO_BODY),
            (json!(7), NO_BODY),
            (json!("status"), NO_PROBE_UIDS),
            (json!([]), NO_PROBE_UIDS),
            (json!(["serial_number"]), NO_PROBE_UIDS),
        ] {
            assert_eq!(parse::<ProbesRequest>(&body), Err(Rejected::text(NO_BODY)), "{body}");
            assert_eq!(parse::<TestResultsRequest>(&body), Err(Rejected::text(of_tests)), "{body}");
        }
        let nothing = Incoming::read("{}").unwrap();
        assert_eq!(ProbesRequest::parse(&nothing), Err(Rejected::text(NO_BODY)));
        assert_eq!(TestResultsRequest::parse(&nothing), Err(Rejected::text(NO_BODY)));
    }

    #[test]
    fn filters_are_optional_texts() {
        for none in [json!({}), json!({"other": 1})] {
            assert_eq!(parse(&none), Ok(ProbesRequest::default()), "{none}");
        }
        let both = json!({"serial_number": "", "status": "down"});
        let request: ProbesRequest = parse(&both).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), both);
        let number: ProbesRequest = parse(&json!({"serial_number": 7})).unwrap();
        assert_eq!(number.serial_number.as_deref(), Some("7"));
        for odd in [json!(null), json!(true), json!(["7"]), json!({})] {
            let refused = Err(Rejected::text(r#""serial_number" must be a text"#));
            assert_eq!(parse::<ProbesRequest>(&json!({"serial_number": odd})), refused);
        }
    }

    #[test]
    fn test_results_need_probes_and_an_interval_of_two_texts() {
        let interval = json!({"start": "a", "end": "b"});
        let missing = |body: Value, text: &str| {
            assert_eq!(parse::<TestResultsRequest>(&body), Err(Rejected::text(text)), "{body}");
        };
        missing(json!({}), NO_PROBE_UIDS);
        missing(json!({"interval": interval}), NO_PROBE_UIDS);
        missing(json!({"probe_uids": []}), NO_INTERVAL);
        for uids in [json!(null), json!("aa"), json!({"aa": 1}), json!([1]), json!([null])] {
            missing(json!({"probe_uids": uids, "interval": interval}), BAD_PROBE_UIDS);
        }
        for bad in [
            json!(null),
            json!("a"),
            json!(["a", "b"]),
            json!({"start": "a"}),
            json!({"end": "b"}),
            json!({"start": null, "end": "b"}),
            json!({"start": "a", "end": 7}),
        ] {
            missing(json!({"probe_uids": [], "interval": bad}), BAD_INTERVAL);
        }
        let whole = json!({"probe_uids": ["aa", "aa"], "interval": interval});
        let request: TestResultsRequest = parse(&whole).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), whole);
    }

    #[test]
    fn probes_are_read_leniently() {
        let probes: Vec<Probe> = serde_json::from_value(json!([
            {
                "probeId": "27", "active": "1", "typeName": "xr_pi", "serialNumber": "AABBCC000001",
                "nodetonode": {"status": 0, "lastUpdate": "2021-01-05T13:57:07Z"},
                "realservice": {"status": 1, "lastUpdate": "never"}, "wifi": {"level": "0"},
            },
            {"probeId": 28, "active": 0, "nodetonode": "?", "name": 7},
            {"odd": 1},
        ]))
        .unwrap();
        assert_eq!(probes[0].node_to_node.contact(), Some("2021-01-05T13:57:07Z"));
        assert_eq!(probes[0].real_service.contact(), None);
        assert_eq!(probes.iter().map(Probe::is_active).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(probes[1].probe_id, Some(Id::Number(28)));
        assert_eq!(probes[2..], [Probe::default()]);
    }

    #[test]
    fn results_are_read_leniently_and_in_order() {
        let text = r#"{"b":[{"summary":{"id":"900","testId":316,"status":null},"metrics":[{"metric":"Loss","value":7},1]}],"a":[]}"#;
        let results: <TestResults as crate::Rpc>::Reply = serde_json::from_str(text).unwrap();
        assert_eq!(results.keys().collect::<Vec<_>>(), ["b", "a"]);
        let result = &results["b"][0];
        assert_eq!((&result.summary.id, &result.summary.test_id), (&Some("900".into()), &Some(316.into())));
        assert_eq!(result.metrics.len(), 1);
        assert_eq!(result.metrics[0].value, None);
    }
}
