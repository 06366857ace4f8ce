//! The subjects which `digi-bridge` answers (spec `digi-bridge`, "Serves").

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, lenient};

/// The queue group of both subjects.
pub const QUEUE: &str = "digi_bridge";
/// Refusal when there is no usable `body`.
pub const NO_BODY: &str = r#"Must include "body" in request"#;
/// Refusal of a reboot that lacks a field.
pub const REBOOT: &str =
    r#"You must include "velo_serial", "ticket", "MAC" in the "body" field of the response request"#;

// Callers wait 90 s, one call to DiGi may take 80 s (Improve 11).
subjects! {
    /// Reboots an edge's link through its DiGi unit.
    // The reply: DiGi's messages; nobody reads more than the status.
    Reboot: "digi.reboot", Write, wait 90, answer 85, RebootRequest => Vec<Value>;

    /// Reads what DiGi logged about recoveries.
    RecoveryLogs: "get.digi.recovery.logs", Read, wait 90, answer 85, RecoveryLogsRequest => RecoveryLogPage;
}

/// A value that travels to DiGi in an HTTP header: text, or a number which is written as text (Improve 5), free of line
/// breaks and other control characters (Improve 6).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Parameter(String);

impl Parameter {
    /// The text, unless it holds a control character.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.chars().any(char::is_control)).then_some(Self(text))
    }

    /// The text as it goes into the header.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::new(text.as_str()),
            Value::Number(number) => Some(Self(number.to_string())),
            _ => None,
        }
    }
}

impl From<i64> for Parameter {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parameters of [`Reboot`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebootRequest {
    /// Serial number of the VeloCloud edge, e.g. `VC1234567`.
    pub velo_serial: Parameter,
    /// The ticket in Bruin on whose behalf.
    pub ticket: Parameter,
    /// Logical id of the link at the DiGi unit, e.g. `00:04:2d:0b:cf:7f:0000`.
    #[serde(rename = "MAC")]
    pub mac: Parameter,
}

impl Request for RebootRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let body = incoming.body_object().ok_or_else(|| Rejected::text(NO_BODY))?;
        if ["velo_serial", "ticket", "MAC"].iter().any(|name| !body.contains_key(*name)) {
            return Err(Rejected::text(REBOOT));
        }
        let required = |name| parameter(&body, name)?.ok_or_else(|| Rejected::text(unsendable(name)));
        Ok(Self { velo_serial: required("velo_serial")?, ticket: required("ticket")?, mac: required("MAC")? })
    }
}

/// Parameters of [`RecoveryLogs`], all optional. One page; paging is the caller's business.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecoveryLogsRequest {
    /// Only the recovery which was requested under this `request_id`.
    #[serde(rename = "igzID", skip_serializing_if = "Option::is_none")]
    pub igz_id: Option<Parameter>,
    /// Only logs since then, e.g. `2021-04-13 09:00:00.123456-04:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date_time: Option<Parameter>,
    /// Logs of one page, e.g. `999`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Parameter>,
    /// Logs to leave out before the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<Parameter>,
}

impl Request for RecoveryLogsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let body = incoming.body_object().ok_or_else(|| Rejected::text(NO_BODY))?;
        Ok(Self {
            igz_id: parameter(&body, "igzID")?,
            start_date_time: parameter(&body, "start_date_time")?,
            size: parameter(&body, "size")?,
            offset: parameter(&body, "offset")?,
        })
    }
}

/// One page of DiGi's recovery logs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RecoveryLogPage {
    /// The logs, in DiGi's order.
    #[serde(deserialize_with = "lenient::or_default")]
    pub logs: Vec<RecoveryLog>,
    /// How many logs this page has.
    #[serde(deserialize_with = "lenient::or_default")]
    pub count: Option<u64>,
}

/// One step of a recovery. Each field may be missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecoveryLog {
    /// Number of the log.
    #[serde(rename = "Id", deserialize_with = "lenient::or_default")]
    pub id: Option<i64>,
    /// The `request_id` of the reboot.
    #[serde(rename = "igzID", deserialize_with = "lenient::or_default")]
    pub igz_id: Option<String>,
    /// `API Start`, `Ping`, `OEMPortal`, `SSH` or `SMS`.
    #[serde(rename = "Method", deserialize_with = "lenient::or_default")]
    pub method: Option<String>,
    /// Serial number of the VeloCloud edge.
    #[serde(rename = "VeloSerial", deserialize_with = "lenient::or_default")]
    pub velo_serial: Option<String>,
    /// The ticket in Bruin.
    #[serde(rename = "TicketID", deserialize_with = "lenient::or_default")]
    pub ticket_id: Option<crate::id::Id>,
    /// Whether the step helped.
    #[serde(rename = "Success", deserialize_with = "lenient::or_default")]
    pub success: Option<bool>,
    /// When it began, e.g. `2021-02-15T16:08:26Z`.
    #[serde(rename = "TimestampSTART", deserialize_with = "lenient::or_default")]
    pub started: Option<String>,
    /// When it ended.
    #[serde(rename = "TimestampEND", deserialize_with = "lenient::or_default")]
    pub ended: Option<String>,
}

/// The parameter `name` of `body`; `None` when absent or null.
fn parameter(body: &Map<String, Value>, name: &str) -> Result<Option<Parameter>, Rejected> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => Parameter::read(value).map(Some).ok_or_else(|| Rejected::text(unsendable(name))),
    }
}

fn unsendable(name: &str) -> String {
    format!(r#""{name}" must be a text without control characters, or a number"#)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reboot(body: &Value) -> Result<RebootRequest, Rejected> {
        RebootRequest::parse(&Incoming::read(&json!({"request_id": "r", "body": body}).to_string()).unwrap())
    }

    fn logs(body: &Value) -> Result<RecoveryLogsRequest, Rejected> {
        RecoveryLogsRequest::parse(&Incoming::read(&json!({"body": body}).to_string()).unwrap())
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in [json!(null), json!("velo_serial"), json!(["velo_serial"]), json!(1)] {
            assert_eq!(reboot(&body), Err(Rejected::text(NO_BODY)), "{body}");
            assert_eq!(logs(&body), Err(Rejected::text(NO_BODY)), "{body}");
        }
        let nothing = Incoming::read("{}").unwrap();
        assert_eq!(RebootRequest::parse(&nothing), Err(Rejected::text(NO_BODY)));
        assert_eq!(RecoveryLogsRequest::parse(&nothing), Err(Rejected::text(NO_BODY)));
    }

    #[test]
    fn a_reboot_needs_three_fields_which_may_be_empty_or_numbers() {
        let whole = json!({"velo_serial": "VC1", "ticket": 5_200_960, "MAC": "", "site": {"a": 1}});
        let request = reboot(&whole).unwrap();
        assert_eq!(request.velo_serial.as_str(), "VC1");
        assert_eq!(request.ticket.as_str(), "5200960");
        assert_eq!(request.mac.as_str(), "");
        for name in ["velo_serial", "ticket", "MAC"] {
            let mut body = whole.clone();
            body.as_object_mut().unwrap().remove(name);
            assert_eq!(reboot(&body), Err(Rejected::text(REBOOT)), "without {name}");
        }
    }

    #[test]
    fn what_cannot_be_a_header_is_refused_by_name() {
        for value in [json!(null), json!(true), json!({}), json!("a\r\nEvil: 1"), json!("a\u{0}")] {
            let body = json!({"velo_serial": "VC1", "ticket": value, "MAC": ""});
            assert_eq!(reboot(&body), Err(Rejected::text(unsendable("ticket"))), "{value}");
        }
        assert_eq!(logs(&json!({"size": "1\n"})), Err(Rejected::text(unsendable("size"))));
    }

    #[test]
    fn all_parameters_of_the_logs_are_optional() {
        assert_eq!(logs(&json!({})), Ok(RecoveryLogsRequest::default()));
        assert_eq!(logs(&json!({"start_date_time": null})), Ok(RecoveryLogsRequest::default()));
        let request = logs(&json!({"igzID": 3, "size": "999", "other": [1]})).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), json!({"igzID": "3", "size": "999"}));
    }

    #[test]
    fn a_page_is_read_leniently() {
        let page: RecoveryLogPage = serde_json::from_value(json!({
            "Logs": [{"Id": 142, "igzID": "42", "TicketID": "3569284", "Success": "?", "TimestampEND": null, "New": 1}],
            "Count": "one",
        }))
        .unwrap();
        assert_eq!(page.count, None);
        assert_eq!(page.logs[0].ticket_id, Some("3569284".into()));
        assert_eq!(page.logs[0].success, None);
    }
}
