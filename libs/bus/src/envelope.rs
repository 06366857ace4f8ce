//! Envelopes and tokens as they are on the wire (spec `00-messaging`, "Envelope" and "Payloads above 1 MiB").

use bytes::Bytes;
use contracts::{Carrier, Incoming, json};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Answer, Reply, RequestId};

/// What the payload of a prefix token starts with. Understood, never sent.
const TOKEN_PREFIX: &[u8] = b"_NATS_TMP";
/// Longer keys are no tokens of any peer.
const LONGEST_KEY: usize = 512;

/// The reply when the payload behind a token is gone.
pub(crate) const PAYLOAD_MISSING: &str = "stored payload expired or missing";
/// The reply to `is_stored` without a key.
pub(crate) const TOKEN_MALFORMED: &str = "is_stored without a usable token";

/// What a received payload is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// The envelope itself (or something malformed that will turn out not to be one).
    Inline,
    /// The envelope lies in Redis under this key.
    Stored(String),
    /// Says that it is stored, but not where.
    BadToken,
}

/// Recognises both token formats. The prefix is looked at before any JSON.
pub(crate) fn recognise(payload: &[u8]) -> Payload {
    if payload.starts_with(TOKEN_PREFIX) {
        return match std::str::from_utf8(payload) {
            Ok(key) if key.len() > TOKEN_PREFIX.len() && key.len() <= LONGEST_KEY => {
                Payload::Stored(key.to_owned())
            }
            _ => Payload::BadToken,
        };
    }
    let Ok(text) = std::str::from_utf8(payload) else { return Payload::Inline };
    // The search spares every ordinary message a parse.
    if !text.contains("\"is_stored\"") {
        return Payload::Inline;
    }
    let text = json::legal(text);
    let Ok(incoming) = Incoming::read(&text) else { return Payload::Inline };
    if incoming.field("is_stored").map(RawValue::get) != Some("true") {
        return Payload::Inline;
    }
    let key = incoming.field("token").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    match key {
        Some(key) if !key.is_empty() && key.len() <= LONGEST_KEY => Payload::Stored(key),
        _ => Payload::BadToken,
    }
}

/// The token that travels instead of a stored payload: the legacy form, the only one every peer understands.
pub(crate) fn token(key: &str) -> Bytes {
    Bytes::from(format!(r#"{{"token":"{key}","is_stored":true}}"#))
}

/// A request's envelope. `parameters` is legal JSON.
pub(crate) fn request(id: &str, parameters: &RawValue, carrier: Carrier) -> Bytes {
    let parameters = parameters.get();
    let mut out = String::with_capacity(parameters.len() + 64);
    out.push_str(r#"{"request_id":""#);
    out.push_str(id);
    out.push('"');
    if let (Carrier::TopLevel, Some(fields)) = (carrier, parameters.strip_prefix('{')) {
        if fields.trim_start() != "}" {
            out.push(',');
        }
        out.push_str(fields);
    } else {
        out.push_str(r#","body":"#);
        out.push_str(parameters);
        out.push('}');
    }
    Bytes::from(out)
}

/// Writes the parameters of a request.
pub(crate) fn parameters<T: Serialize>(request: &T) -> Result<Box<RawValue>, serde_json::Error> {
    serde_json::value::to_raw_value(request)
}

/// A reply's envelope. Without a `body` field where the subject's replies have none.
pub(crate) fn reply(id: Option<&RequestId>, reply: &Reply, with_body: bool) -> Bytes {
    let id = id.map_or("null", |id| id.raw().get());
    let body = reply.body().map_or("null", RawValue::get);
    let mut out = String::with_capacity(id.len() + body.len() + 48);
    out.push_str(r#"{"request_id":"#);
    out.push_str(id);
    if with_body {
        out.push_str(r#","body":"#);
        out.push_str(body);
    }
    out.push_str(r#","status":"#);
    out.push_str(&reply.code().to_string());
    out.push('}');
    Bytes::from(out)
}

/// Reads a reply. The error says what is wrong with it.
pub(crate) fn answer(payload: Bytes) -> Result<Answer, String> {
    let text = std::str::from_utf8(&payload).map_err(|_| "not UTF-8".to_owned())?;
    let text = json::legal(text);
    let incoming = Incoming::read(&text).map_err(|error| format!("not a JSON object ({error})"))?;
    let status = incoming.field("status").and_then(|raw| raw.get().parse().ok());
    let body = incoming.body().unwrap_or(RawValue::NULL).get().as_bytes();
    let body = part(&payload, body).unwrap_or_else(|| Bytes::copy_from_slice(body));
    Ok(Answer { status, body, payload })
}

/// `text` as a part of `whole`, without a copy; `None` when it lies elsewhere, because it had to be made legal.
fn part(whole: &Bytes, text: &[u8]) -> Option<Bytes> {
    let (around, within) = (whole.as_ptr_range(), text.as_ptr_range());
    (around.start <= within.start && within.end <= around.end).then(|| whole.slice_ref(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_tokens_are_recognised_in_any_spelling() {
        for payload in [
            r#"{"token":"7GkPq2mWvX9cRtYbN4hJsE","is_stored":true}"#,
            r#"{"is_stored": true, "token": "7GkPq2mWvX9cRtYbN4hJsE"}"#,
            r#"{ "extra" : [NaN], "is_stored" : true , "token":"7GkPq2mWvX9cRtYbN4hJsE" }"#,
        ] {
            assert_eq!(
                recognise(payload.as_bytes()),
                Payload::Stored("7GkPq2mWvX9cRtYbN4hJsE".to_owned()),
                "{payload}"
            );
        }
        assert_eq!(
            recognise(b"_NATS_TMP 7GkPq2mWvX9cRtYbN4hJsE"),
            Payload::Stored("_NATS_TMP 7GkPq2mWvX9cRtYbN4hJsE".to_owned())
        );
    }

    #[test]
    fn what_only_looks_like_a_token_is_none() {
        for payload in [
            r#"{"request_id":"a","body":{},"is_stored":false,"token":"x"}"#,
            r#"{"request_id":"a","body":{},"is_stored":"true","token":"x"}"#,
            r#"{"request_id":"a","body":{"is_stored":true,"token":"x"}}"#,
            r#"{"is_stored":1,"token":"x"}"#,
            r#"["is_stored", true]"#,
            "hello",
            "",
        ] {
            assert_eq!(recognise(payload.as_bytes()), Payload::Inline, "{payload}");
        }
    }

    #[test]
    fn is_stored_without_a_usable_token_is_malformed() {
        for payload in [
            r#"{"is_stored":true}"#,
            r#"{"is_stored":true,"token":null}"#,
            r#"{"is_stored":true,"token":""}"#,
            r#"{"is_stored":true,"token":7}"#,
            "_NATS_TMP",
        ] {
            assert_eq!(recognise(payload.as_bytes()), Payload::BadToken, "{payload}");
        }
    }

    #[test]
    fn replies_of_old_peers_are_read() {
        let cases: [(&str, Option<u16>, &str); 9] = [
            (r#"{"request_id":"a","body":{"mos":NaN},"status":200}"#, Some(200), r#"{"mos":null}"#),
            (r#"{"body":[1], "status": 404}"#, Some(404), "[1]"),
            (r#"{"request_id":"a","body":null,"status":null}"#, None, "null"),
            (r#"{"request_id":"a","body":"x"}"#, None, r#""x""#),
            (r#"{"request_id":"a","status":"ok"}"#, None, "null"),
            (r#"{"status":200.5}"#, None, "null"),
            (r#"{"status":-1}"#, None, "null"),
            (r#"{"status":500,"status":200}"#, Some(200), "null"),
            (r#"{"body":"\ud800","status":200}"#, Some(200), r#""\ufffd""#),
        ];
        for (payload, status, body) in cases {
            let answer = answer(Bytes::from(payload)).unwrap();
            assert_eq!((answer.status, answer.body()), (status, body), "{payload}");
        }
        let read = answer(Bytes::from_static(br#"{"body":{"a":1},"status":200}"#)).unwrap();
        assert!(part(&read.payload, &read.body).is_some(), "a legal body is not copied");
        for payload in ["", "hello", "[1]", "3", "\"x\"", "{\"a\":"] {
            assert!(answer(Bytes::from(payload)).is_err(), "{payload}");
        }
        assert!(answer(Bytes::from_static(b"{\"a\":\"\xff\"}")).is_err());
    }

    #[test]
    fn requests_carry_their_parameters_where_the_subject_wants_them() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(
            text(request("x", &raw(r#"{"a":1}"#), Carrier::Body)),
            r#"{"request_id":"x","body":{"a":1}}"#
        );
        assert_eq!(text(request("x", &raw(r#"{"a":1}"#), Carrier::TopLevel)), r#"{"request_id":"x","a":1}"#);
        assert_eq!(text(request("x", &raw("{}"), Carrier::TopLevel)), r#"{"request_id":"x"}"#);
        assert_eq!(text(request("x", &raw("[1]"), Carrier::TopLevel)), r#"{"request_id":"x","body":[1]}"#);
    }

    #[test]
    fn replies_echo_any_request_id_and_have_an_integer_status() {
        let id = RequestId::from(&*RawValue::from_string("[1,null]".to_owned()).unwrap());
        assert_eq!(
            reply(Some(&id), &Reply::text(400, "é \"x\""), true),
            r#"{"request_id":[1,null],"body":"é \"x\"","status":400}"#
        );
        assert_eq!(reply(None, &Reply::status(200), true), r#"{"request_id":null,"body":null,"status":200}"#);
        assert_eq!(reply(None, &Reply::status(200), false), r#"{"request_id":null,"status":200}"#);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = recognise(&payload);
            let _ = answer(Bytes::from(payload));
        }

        #[test]
        fn what_is_written_can_be_read(body in ".*", status in 100u16..600) {
            let written = reply(None, &Reply::json(status, &body), true);
            let read = answer(written).unwrap();
            prop_assert_eq!(read.status, Some(status));
            prop_assert_eq!(read.body_as::<String>().unwrap(), body);
        }
    }
}
