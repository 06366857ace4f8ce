//! The subject which `dri-bridge` answers (spec `dri-bridge`, "Serves").

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Effect, Incoming, Rejected, Request, Rpc};

/// Refusal when the key `body` is absent.
pub const NO_BODY: &str =
    r#"You must specify {.."body":{"serial_number", "parameter_set"}...} in the request"#;
/// Refusal when one of the two parameters is absent, or has no use.
pub const INCOMPLETE: &str = r#"You must specify "serial_number" and "parameter_set" in the body"#;
/// Refusal of a serial number that is no text, or cannot be a segment of a path.
pub const SERIAL: &str = r##""serial_number" must be a number, or a text that is not empty, without "/", "?", "#" and control characters"##;

/// Parameters of a device. DRI fetches them from the device in its own time: status 204 ([`ParametersReply::NotYet`])
/// means that the same request will have them later.
///
/// It starts a task on the device when none is there, and is a read all the same: asked again it finds that task.
#[derive(Debug, Clone, Copy)]
pub struct GetParameters;

impl Rpc for GetParameters {
    const SUBJECT: &'static str = "dri.parameters.request";
    const QUEUE: &'static str = "dri_bridge";
    const EFFECT: Effect = Effect::Read;
    /// Spec, "Subject catalogue".
    const TIMEOUT: Duration = Duration::from_secs(120);
    /// Spec, Improve 5, and a moment for the reply that says so.
    const ANSWER_WITHIN: Duration = Duration::from_secs(102);
    type Request = ParametersRequest;
    type Reply = ParametersReply;
}

/// The serial number of a device at DRI, fit to be a segment of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct DeviceSerial(String);

impl DeviceSerial {
    /// The serial number, unless it cannot be a segment of a path as it is.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let odd = |letter: char| matches!(letter, '/' | '?' | '#') || letter.is_control();
        let usable = !matches!(text.as_str(), "" | "." | "..") && !text.chars().any(odd);
        usable.then_some(Self(text))
    }

    /// The serial number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parameters of [`GetParameters`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParametersRequest {
    /// The device.
    pub serial_number: DeviceSerial,
    /// What is asked for, passed on to DRI: `{"ParameterNames": [..], "Source": 0}`.
    pub parameter_set: Map<String, Value>,
}

impl ParametersRequest {
    /// Asks for some parameters by their names.
    pub fn new(serial_number: DeviceSerial, names: &[impl AsRef<str>]) -> Self {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let parameter_set = [("ParameterNames".to_owned(), json!(names)), ("Source".to_owned(), json!(0))]
            .into_iter()
            .collect();
        Self { serial_number, parameter_set }
    }
}

impl Request for ParametersRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        if incoming.body().is_none() {
            return Err(Rejected::text(NO_BODY));
        }
        let incomplete = || Rejected::text(INCOMPLETE);
        let mut body = incoming.body_object().ok_or_else(incomplete)?;
        let serial = body.shift_remove("serial_number").filter(|serial| !serial.is_null());
        let serial = serial.ok_or_else(incomplete)?;
        let Some(Value::Object(parameter_set)) = body.shift_remove("parameter_set") else {
            return Err(incomplete());
        };
        let serial_number = match serial {
            Value::String(text) => DeviceSerial::new(text),
            Value::Number(number) => DeviceSerial::new(number.to_string()),
            _ => None,
        };
        Ok(Self { serial_number: serial_number.ok_or_else(|| Rejected::text(SERIAL))?, parameter_set })
    }
}

/// A success of [`GetParameters`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParametersReply {
    /// Status 200: the values by their names, in DRI's order.
    Ready(Parameters),
    /// Status 204: DRI has accepted the task; to be asked again.
    NotYet(String),
}

/// Values of parameters by their names, as DRI has them: texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parameters(pub Map<String, Value>);

impl Parameters {
    /// The text of a parameter; `None` when absent, null or no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(envelope: &Value) -> Result<ParametersRequest, Value> {
        let text = envelope.to_string();
        ParametersRequest::parse(&Incoming::read(&text).unwrap()).map_err(|rejected| {
            assert_eq!(rejected.status, 400);
            rejected.body
        })
    }

    fn with_serial(serial: &Value) -> Result<ParametersRequest, Value> {
        parse(&json!({"body": {"serial_number": serial, "parameter_set": {"ParameterNames": []}}}))
    }

    #[test]
    fn what_is_missing_is_told() {
        assert_eq!(parse(&json!({"request_id": "r"})), Err(json!(NO_BODY)));
        let set = json!({"ParameterNames": ["a"], "Source": 0});
        for body in [
            json!(null),
            json!("x"),
            json!(7),
            json!([]),
            json!({}),
            json!({"serial_number": "700001"}),
            json!({"parameter_set": set}),
            json!({"serial_number": null, "parameter_set": set}),
            json!({"serial_number": "700001", "parameter_set": null}),
            json!({"serial_number": "700001", "parameter_set": ["a"]}),
            json!({"serial_number": "700001", "parameter_set": "{}"}),
        ] {
            assert_eq!(parse(&json!({"body": body})), Err(json!(INCOMPLETE)), "{body}");
        }
    }

    #[test]
    fn serials_are_texts_or_numbers_that_fit_into_a_path() {
        for (serial, text) in
            [(json!("700001"), "700001"), (json!(700_001), "700001"), (json!("a b+%é"), "a b+%é")]
        {
            assert_eq!(with_serial(&serial).unwrap().serial_number.as_str(), text);
        }
        for serial in [
            json!("12?x=1"),
            json!("a/b"),
            json!("a#b"),
            json!("a\nb"),
            json!("a\u{7f}"),
            json!(""),
            json!(".."),
            json!(true),
            json!(["7"]),
        ] {
            assert_eq!(with_serial(&serial), Err(json!(SERIAL)), "{serial}");
        }
    }

    #[test]
    fn the_set_is_kept_as_it_is() {
        let set = json!({"Source": 0, "ParameterNames": ["b", "a"], "More": {"a": [1, null, 1.50]}});
        let body = json!({"serial_number": 1, "parameter_set": set, "other": 1});
        let request = parse(&json!({"body": body})).unwrap();
        assert_eq!(Value::Object(request.parameter_set).to_string(), set.to_string());
    }

    #[test]
    fn what_is_written_is_read() {
        let request = ParametersRequest::new(DeviceSerial::new("700001").unwrap(), &["a"]);
        let written = serde_json::to_value(&request).unwrap();
        assert_eq!(
            written,
            json!({"serial_number": "700001", "parameter_set": {"ParameterNames": ["a"], "Source": 0}})
        );
        assert_eq!(parse(&json!({"body": written})), Ok(request));
    }

    #[test]
    fn data_and_their_absence_are_told_apart() {
        let read = |body: Value| serde_json::from_value::<ParametersReply>(body).unwrap();
        let ParametersReply::Ready(values) = read(json!({"a": "ATT", "b": null})) else { panic!("data") };
        assert_eq!((values.text("a"), values.text("b"), values.text("c")), (Some("ATT"), None, None));
        assert_eq!(read(json!("still")), ParametersReply::NotYet("still".to_owned()));
    }
}
