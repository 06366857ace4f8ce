//! Whether what came of an exchange is right.

use std::collections::BTreeSet;

use assert_json_diff::{CompareMode, Config, NumericMode, assert_json_matches_no_panic};
use serde_json::{Map, Value, json};

use super::exchange::{Alternative, Calls, Comparison, Exchange, RecordedCall, Statuses};
use crate::{OldReply, PeerRequest, Received};

/// Longer differences are cut.
const SHOWN: usize = 600;

/// What came of an exchange.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// `None` when nothing was asked.
    pub(super) reply: Option<OldReply>,
    /// Without logins, unless the exchange is about them.
    pub(super) calls: Vec<Received>,
    pub(super) requests: Vec<PeerRequest>,
    /// Key to value and seconds to live (-1 for ever); only the expected keys.
    pub(super) redis: Vec<(String, Option<String>, i64)>,
    /// Keys which are there where nothing should be.
    pub(super) left: BTreeSet<String>,
    /// Session cookies that the stub may have given out.
    pub(super) cookies: BTreeSet<String>,
}

/// What is wrong with an outcome: empty when it equals what is expected or accepted, else the mismatches of whichever is
/// nearest. `all` finds the replies of other exchanges.
pub(super) fn mismatches(exchange: &Exchange, all: &[Exchange], outcome: &Outcome) -> Vec<String> {
    let mut best = against(exchange, None, all, outcome);
    for alternative in &exchange.accept {
        let other = against(exchange, Some(alternative), all, outcome);
        if other.len() < best.len() {
            best = other;
            if !best.is_empty() {
                best.push(format!("(compared with the alternative: {})", alternative.why));
            }
        }
    }
    best
}

fn against(
    exchange: &Exchange,
    other: Option<&Alternative>,
    all: &[Exchange],
    outcome: &Outcome,
) -> Vec<String> {
    let mut wrong = Vec::new();
    reply(exchange, other, all, outcome, &mut wrong);
    calls(exchange, other.and_then(|other| other.calls.as_ref()), outcome, &mut wrong);
    if other.is_none_or(|other| other.peers.is_none()) {
        peers(exchange, outcome, &mut wrong);
    }
    if other.is_none_or(|other| other.redis.is_none()) {
        redis(exchange, outcome, &mut wrong);
    }
    wrong
}

fn reply(
    exchange: &Exchange,
    other: Option<&Alternative>,
    all: &[Exchange],
    outcome: &Outcome,
    wrong: &mut Vec<String>,
) {
    let Some(got) = &outcome.reply else { return };
    let named = other.and_then(|other| other.reply_of.as_ref());
    let expected = match (other.and_then(|other| other.reply.as_ref()), named) {
        (Some(reply), _) => Some(reply),
        // A file may hold only some of the recorded exchanges: then any success will do.
        (None, Some(name)) => all
            .iter()
            .find(|exchange| &exchange.name == name)
            .and_then(|exchange| exchange.expect.reply.as_ref()),
        (None, None) => exchange.expect.reply.as_ref(),
    };
    let any_success = (named.is_some() && expected.is_none()).then_some(Statuses::FromTo(200, 299));
    let statuses = other.and_then(|other| other.status).or(any_success);
    if statuses.is_none() && expected == Some(&json!("no responders")) {
        if *got != OldReply::NoResponders {
            wrong.push(format!("reply: expected none because nobody serves the subject, got {got:?}"));
        }
        return;
    }
    let OldReply::Envelope { value, via_redis } = got else {
        return wrong.push(format!("reply: expected one, got {got:?}"));
    };
    if exchange.request_id().is_some_and(|id| value.get("request_id") != Some(&id)) {
        wrong.push(format!("reply.request_id: not echoed, got {:?}", value.get("request_id")));
    }
    if exchange.expect.via_redis && !via_redis {
        wrong.push("reply: expected through Redis, came inline".to_owned());
    }
    let status = value.get("status").and_then(Value::as_i64);
    let Some(status) = status else {
        return wrong.push(format!("reply.status: expected an integer, got {:?}", value.get("status")));
    };
    match (statuses, expected) {
        (Some(wanted), _) => {
            let (from, to) = match wanted {
                Statuses::One(one) => (one, one),
                Statuses::FromTo(from, to) => (from, to),
            };
            if !(from..=to).contains(&status) {
                wrong.push(format!("reply.status: expected {from} to {to}, got {}", short(value)));
            }
        }
        (None, Some(Value::Object(expected))) => {
            let text = other.is_none_or(|other| other.reply.is_none() && other.reply_of.is_none());
            envelope(expected, exchange.text.as_deref().filter(|_| text), status, value, wrong);
        }
        // Silence then, a failure now.
        _ if status < 400 => wrong.push(format!("reply.status: expected a failure, got {}", short(value))),
        _ => {}
    }
}

fn envelope(
    expected: &Map<String, Value>,
    text: Option<&str>,
    status: i64,
    got: &Value,
    wrong: &mut Vec<String>,
) {
    match expected.get("status") {
        None | Some(Value::Null) => {
            if (200..300).contains(&status) {
                wrong.push(format!("reply.status: expected one outside 2xx, got {status}"));
            }
            return;
        }
        Some(expected) if expected.as_i64() != Some(status) => {
            wrong.push(format!("reply.status: expected {expected}, got {status} with {}", short(got)));
            return;
        }
        Some(_) => {}
    }
    let body = got.get("body").cloned().unwrap_or_default();
    match (text, expected.get("body")) {
        (Some(text), _) => {
            let begins = body.as_str().is_some_and(|body| body.starts_with(text));
            if !text.is_empty() && !begins {
                wrong.push(format!("reply.body: expected to begin with {text:?}, got {}", short(&body)));
            }
        }
        (None, Some(Value::Object(digest))) if digest.len() == 2 && digest.contains_key("sha256") => {}
        (None, expected) => {
            if let Some(difference) = difference(&body, &expected.cloned().unwrap_or_default()) {
                wrong.push(format!("reply.body: {difference}"));
            }
        }
    }
}

fn calls(exchange: &Exchange, other: Option<&Calls>, outcome: &Outcome, wrong: &mut Vec<String>) {
    let got = &outcome.calls;
    let (expected, comparison) = match other {
        Some(Calls::Compared(Comparison::Any)) => return,
        Some(Calls::Number(number)) => {
            if got.len() != *number {
                wrong.push(format!("calls: expected {number}, got {}", list(got)));
            }
            return;
        }
        Some(Calls::These(calls)) => (calls, None),
        Some(Calls::Compared(comparison)) => (&exchange.expect.upstream, Some(*comparison)),
        None => (&exchange.expect.upstream, None),
    };
    let mut left: Vec<&Received> = got.iter().collect();
    let mut missing = Vec::new();
    for call in expected {
        match left.iter().position(|received| same_call(call, received, outcome).is_none()) {
            Some(index) => {
                left.remove(index);
            }
            None => missing.push(call),
        }
    }
    if !matches!(comparison, Some(Comparison::Fewer)) {
        for call in missing {
            let near =
                left.iter().find(|received| received.path == call.path && received.method == *call.method);
            let why = near.and_then(|received| same_call(call, received, outcome));
            let why =
                why.map_or_else(|| format!("got {}", list(got)), |why| format!("the nearest differs: {why}"));
            wrong.push(format!("calls: {} {} is missing; {why}", call.method, call.path));
        }
    }
    if !matches!(comparison, Some(Comparison::More)) && !left.is_empty() {
        let left: Vec<_> = left.into_iter().cloned().collect();
        wrong.push(format!("calls: not expected: {}", list(&left)));
    }
}

/// How a call differs from the recorded one; `None` when it does not.
fn same_call(expected: &RecordedCall, got: &Received, outcome: &Outcome) -> Option<String> {
    if got.method != *expected.method || got.path != expected.path {
        return Some(format!("{} {}", got.method, got.path));
    }
    let (query, wanted) = (comparable(&got.query), comparable(&expected.query));
    if query != wanted {
        return Some(format!("query {query:?} instead of {wanted:?}"));
    }
    if let Some(difference) = difference(&got.json(), &expected.body) {
        return Some(format!("body: {difference}"));
    }
    expected.headers.iter().find_map(|(name, value)| {
        let wanted = value.as_str().unwrap_or_default();
        let got = got.header(name).unwrap_or_default();
        let session = name.eq_ignore_ascii_case("cookie") && outcome.cookies.contains(got);
        (got != wanted && !session).then(|| format!("header {name} is {got:?} instead of {wanted:?}"))
    })
}

/// A query in a fixed order, the keys of JSON objects in it too: they are sorted in the recordings' messages, and were
/// not when the calls were recorded.
fn comparable(query: &[(String, String)]) -> Vec<(String, String)> {
    let sorted = |text: &String| match serde_json::from_str::<Value>(text) {
        Ok(mut value @ Value::Object(_)) => {
            value.sort_all_objects();
            value.to_string()
        }
        _ => text.clone(),
    };
    let mut query: Vec<_> = query.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
    query.sort();
    query
}

fn peers(exchange: &Exchange, outcome: &Outcome, wrong: &mut Vec<String>) {
    let mut left: Vec<&PeerRequest> = outcome.requests.iter().collect();
    for expected in &exchange.expect.peers {
        let same = |got: &&PeerRequest| {
            got.subject == expected.subject && difference(&got.body(), &expected.body).is_none()
        };
        match left.iter().position(same) {
            Some(index) => {
                left.remove(index);
            }
            None => {
                wrong.push(format!("requests: {} is missing: {}", expected.subject, short(&expected.body)));
            }
        }
    }
    for request in left {
        wrong.push(format!("requests: {} is not expected: {}", request.subject, short(&request.body())));
    }
}

fn redis(exchange: &Exchange, outcome: &Outcome, wrong: &mut Vec<String>) {
    for key in &outcome.left {
        wrong.push(format!("redis: {key} should not be there"));
    }
    for (key, expected) in exchange.expect.redis.iter() {
        let found = outcome.redis.iter().find(|(name, ..)| name == key);
        let Some((_, Some(value), life)) = found else {
            wrong.push(format!("redis: {key} is missing"));
            continue;
        };
        let wanted = expected.get("value").and_then(Value::as_str).unwrap_or_default();
        let as_json = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        if let Some(difference) = difference(&as_json(value), &as_json(wanted)) {
            wrong.push(format!("redis: {key}: {difference}"));
        }
        let expires = expected.get("expires").and_then(Value::as_i64).unwrap_or(0);
        let fits = if expires > 0 { (1..=expires).contains(life) } else { *life == -1 };
        if !fits {
            wrong.push(format!("redis: {key} lives {life} s instead of {expires}"));
        }
    }
}

/// Where two values differ, numbers compared by value.
fn difference(got: &Value, expected: &Value) -> Option<String> {
    let config = Config::new(CompareMode::Strict).numeric_mode(NumericMode::AssumeFloat);
    let difference = assert_json_matches_no_panic(got, expected, config).err()?;
    // The library calls them left-hand and right-hand side.
    let named = difference.replace("lhs", "the service").replace("rhs", "the recording");
    Some(cut(&named.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn list(calls: &[Received]) -> String {
    match calls {
        [] => "none".to_owned(),
        calls => {
            let calls = calls.iter().map(|call| format!("{} {} {:?}", call.method, call.path, call.query));
            cut(&calls.collect::<Vec<_>>().join(", "))
        }
    }
}

fn short(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
