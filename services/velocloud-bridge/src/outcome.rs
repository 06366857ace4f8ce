//! From what VeloCloud answered to what is replied (spec, "Mapping of upstream outcome to reply"). Pure.

use bus::Reply;
use serde_json::value::RawValue;

use crate::raw::{self, Unexpected};

/// What a call to VeloCloud came to, after a repetition if there was one.
#[derive(Debug)]
pub enum Outcome {
    /// VeloCloud answered, and not by asking for a login.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body, when it is JSON.
        json: Option<Box<RawValue>>,
    },
    /// VeloCloud still asks for a login, or refuses it.
    NoSession,
    /// No answer: cannot connect, connection closed, time limit.
    Unreachable,
}

/// How a subject words what is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// A: events and aggregates. An unmapped status gets a text.
    Events,
    /// B: lists. VeloCloud's JSON is passed on.
    Lists,
    /// C, D and the gateways: as B, but a 400 is put into words, e.g. `-> {message} for edge {..}`.
    Worded {
        /// `->` or `-->`.
        arrow: &'static str,
        /// For what, e.g. `enterprise ids: [1, 2]`.
        subject: String,
    },
}

impl Group {
    /// C and the gateways.
    pub fn worded(subject: String) -> Self {
        Self::Worded { arrow: "->", subject }
    }
}

/// VeloCloud's JSON of a 2xx answer.
#[derive(Debug)]
pub struct Success {
    /// The HTTP status, nearly always 200.
    pub status: u16,
    /// The body.
    pub json: Box<RawValue>,
}

/// Sorts an outcome: the JSON of a success, or the reply to anything else.
///
/// # Errors
/// The reply which says what went wrong.
pub fn settle(group: &Group, host: &str, outcome: Outcome) -> Result<Success, Reply> {
    let (status, json) = match outcome {
        Outcome::Unreachable => return Err(Reply::text(500, "Error while connecting to Velocloud API")),
        Outcome::NoSession => {
            return Err(Reply::text(401, &format!("Auth token expired for host {host}")));
        }
        Outcome::Answered { status: 500..=512, .. } => {
            return Err(Reply::text(500, "Got internal error from Velocloud"));
        }
        Outcome::Answered { status, json } => (status, json),
    };
    match (status, group) {
        (200..=299, _) => match json {
            Some(json) => Ok(Success { status, json }),
            None => Err(not_json()),
        },
        (400, Group::Worded { arrow, subject }) => {
            let message = json.as_deref().and_then(error_message);
            let message = message.as_deref().unwrap_or("no message");
            Err(Reply::text(400, &format!("Got 400 from Velocloud {arrow} {message} for {subject}")))
        }
        // Improve 9: never a null status.
        (status, Group::Events) if status != 400 => {
            let message = json.as_deref().and_then(error_message);
            let message = message.map(|it| format!(" -> {it}")).unwrap_or_default();
            Err(Reply::text(status, &format!("Got {status} from Velocloud{message}")))
        }
        (status, _) => Err(json.map_or_else(not_json, |json| Reply::raw(status, json))),
    }
}

/// The reply to a success whose JSON is not of the kind it should be (Improve 1).
pub fn unexpected(problem: Unexpected) -> Reply {
    Reply::text(500, &format!("Unexpected answer from Velocloud: {problem}"))
}

/// The reply to a host that is not configured, for all subjects but events.
pub fn unknown_host(host: &str) -> Reply {
    Reply::text(404, &format!("Cannot find a client to connect to host {host}"))
}

/// `error.message` of VeloCloud's error object.
pub fn error_message(json: &RawValue) -> Option<String> {
    let fields = raw::fields(json.get()).ok()?;
    let error = raw::fields(fields.get("error")?.get()).ok()?;
    serde_json::from_str(error.get("message")?.get()).ok()
}

fn not_json() -> Reply {
    unexpected(Unexpected("the answer is not JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: &str = r#"{"error":{"code":-32600,"message":"bad"}}"#;
    const INTERNAL: &str = r#""Got internal error from Velocloud""#;
    const NOT_JSON: &str = r#""Unexpected answer from Velocloud: the answer is not JSON""#;

    fn settled(group: &Group, outcome: Outcome) -> (u16, String) {
        match settle(group, "h", outcome) {
            Ok(success) => (success.status, success.json.get().to_owned()),
            Err(reply) => (reply.code(), reply.body().unwrap_or(RawValue::NULL).get().to_owned()),
        }
    }

    fn answered(status: u16, text: &str) -> Outcome {
        Outcome::Answered { status, json: RawValue::from_string(text.to_owned()).ok() }
    }

    fn groups() -> [Group; 4] {
        let network = Group::Worded { arrow: "-->", subject: "enterprise ids: [1, 2]".to_owned() };
        [Group::Events, Group::Lists, Group::worded("edge E".to_owned()), network]
    }

    #[test]
    fn a_success_passes_in_every_group_with_its_status() {
        for group in groups() {
            for status in [200, 201, 299] {
                assert_eq!(settled(&group, answered(status, "[1.50]")), (status, "[1.50]".to_owned()));
            }
            for text in ["", "<html>", "[{\"a\":"] {
                assert_eq!(settled(&group, answered(200, text)), (500, NOT_JSON.to_owned()), "{text}");
            }
        }
    }

    #[test]
    fn failures_that_all_groups_share() {
        for group in groups() {
            for status in [500, 503, 512] {
                assert_eq!(settled(&group, answered(status, ERROR)), (500, INTERNAL.to_owned()));
                assert_eq!(
                    settled(&group, answered(status, "<html>oops</html>")),
                    (500, INTERNAL.to_owned())
                );
            }
            assert_eq!(
                settled(&group, Outcome::Unreachable),
                (500, r#""Error while connecting to Velocloud API""#.to_owned())
            );
            assert_eq!(
                settled(&group, Outcome::NoSession),
                (401, r#""Auth token expired for host h""#.to_owned())
            );
        }
    }

    #[test]
    fn a_400_is_velocloud_s_json_or_put_into_words() {
        let [events, lists, configuration, network] = groups();
        assert_eq!(settled(&events, answered(400, ERROR)), (400, ERROR.to_owned()));
        assert_eq!(settled(&lists, answered(400, ERROR)), (400, ERROR.to_owned()));
        assert_eq!(
            settled(&configuration, answered(400, ERROR)),
            (400, r#""Got 400 from Velocloud -> bad for edge E""#.to_owned())
        );
        assert_eq!(
            settled(&network, answered(400, ERROR)),
            (400, r#""Got 400 from Velocloud --> bad for enterprise ids: [1, 2]""#.to_owned())
        );
        for text in ["<html>", "[]", r#"{"error":{}}"#] {
            assert_eq!(
                settled(&configuration, answered(400, text)),
                (400, r#""Got 400 from Velocloud -> no message for edge E""#.to_owned())
            );
        }
        assert_eq!(settled(&lists, answered(400, "<html>")), (500, NOT_JSON.to_owned()));
    }

    #[test]
    fn other_statuses_keep_their_number_in_every_group() {
        let [events, lists, configuration, network] = groups();
        for status in [403, 404, 429, 513] {
            for group in [&lists, &configuration, &network] {
                assert_eq!(settled(group, answered(status, ERROR)), (status, ERROR.to_owned()));
                assert_eq!(settled(group, answered(status, "<html>")), (500, NOT_JSON.to_owned()));
            }
            let text = format!(r#""Got {status} from Velocloud -> bad""#);
            assert_eq!(settled(&events, answered(status, ERROR)), (status, text));
            let text = format!(r#""Got {status} from Velocloud""#);
            assert_eq!(settled(&events, answered(status, "<html>")), (status, text));
        }
    }
}
