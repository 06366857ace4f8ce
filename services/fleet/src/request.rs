//! `fleet request <subject> [json]`: a request as any service would send it.

use std::{
    fmt::Write as _,
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use bus::Answer;
use contracts::{
    Carrier, Effect, Incoming,
    catalogue::{self, Entry},
};
use serde_json::{Map, Value, json};

use crate::{Said, cli::Request, nearest, place::Place, replay::Surroundings, services};

/// How long a reply is waited for on a subject of no contract.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the process may take to leave NATS.
const LEAVE: Duration = Duration::from_secs(1);

/// Sends a request and says what came of it. `tell` takes what is to be known beside the reply.
///
/// # Errors
/// When nothing was sent; says what to do.
pub async fn run(
    options: &Request,
    around: &Surroundings,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> anyhow::Result<Said> {
    let entry = catalogue::find(&options.subject);
    let within = time_limit(options.timeout, entry)?;
    let envelope = envelope(parameters(options)?, entry)?;
    match entry {
        None => tell(&unknown(&options.subject, within)),
        Some(entry) => {
            if let Some(refusal) = refusal(entry, &envelope) {
                tell(&format!("warning: by its contract the replier refuses this: {refusal}"));
            }
        }
    }
    let place = Place::find(options.nats.as_deref(), &around.environment, &around.folder)?;
    let client = place.connect().await?;
    if !services::serve(&client, &options.subject).await {
        let limit = seconds(within);
        tell(&format!("nobody who can be discovered serves {}; waiting up to {limit}", options.subject));
    }
    let bus = place.bus().await?;
    let began = Instant::now();
    let answer = bus.exchange_raw(&options.subject, envelope, within).await;
    let took = began.elapsed();
    bus.drain(LEAVE).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let done = match entry.map(|entry| entry.effect) {
                Some(Effect::Read) => "",
                _ if error.maybe_executed() => "; it may have been carried out",
                _ => "; it was not carried out",
            };
            tell(&format!("no reply after {}: {error}{done}", seconds(took)));
            return Ok(Said { text: String::new(), code: 1 });
        }
    };
    tell(&headline(&answer, took));
    let text = if options.raw {
        String::from_utf8_lossy(&answer.payload).into_owned() + "\n"
    } else {
        pretty(&answer, entry)
    };
    Ok(Said { text, code: code(answer.status) })
}

fn time_limit(given: Option<f64>, entry: Option<&Entry>) -> anyhow::Result<Duration> {
    let Some(seconds) = given else { return Ok(entry.map_or(PATIENCE, |entry| entry.timeout)) };
    match Duration::try_from_secs_f64(seconds) {
        Ok(limit) if !limit.is_zero() => Ok(limit),
        _ => bail!("--timeout {seconds}: a number of seconds above 0 was expected"),
    }
}

/// The parameters from the command line, a file, or the standard input.
fn parameters(options: &Request) -> anyhow::Result<Value> {
    let (text, from) = match (&options.body_file, options.parameters.as_deref()) {
        (Some(file), _) if file == Path::new("-") => (standard_input()?, "the standard input".to_owned()),
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            (text, file.display().to_string())
        }
        (None, Some("-")) => (standard_input()?, "the standard input".to_owned()),
        (None, Some(text)) => (text.to_owned(), "the command line".to_owned()),
        (None, None) => return Ok(json!({})),
    };
    serde_json::from_str(&text).with_context(|| format!("{from}: JSON was expected"))
}

fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("the standard input")?;
    Ok(text)
}

/// What goes over the wire.
fn envelope(parameters: Value, entry: Option<&Entry>) -> anyhow::Result<Value> {
    let mut envelope = Map::from_iter([("request_id".to_owned(), json!(bus::new_request_id()))]);
    match (entry.map_or(Carrier::Body, |entry| entry.carrier), parameters) {
        (Carrier::Body, parameters) => drop(envelope.insert("body".to_owned(), parameters)),
        (Carrier::TopLevel, Value::Object(fields)) => {
            envelope.extend(fields.into_iter().filter(|(name, _)| name != "request_id"));
        }
        (Carrier::TopLevel, _) => bail!("the parameters of this subject must be a JSON object"),
    }
    Ok(Value::Object(envelope))
}

/// Why a replier would refuse a request.
fn refusal(entry: &Entry, envelope: &Value) -> Option<String> {
    let text = envelope.to_string();
    let rejected = entry.check(&Incoming::read(&text).ok()?).err()?;
    Some(match rejected.body {
        Value::String(text) => format!("{} {text}", rejected.status),
        Value::Null => rejected.status.to_string(),
        other => format!("{} {other}", rejected.status),
    })
}

fn unknown(subject: &str, within: Duration) -> String {
    let subjects = catalogue::all().iter().map(|entry| entry.subject);
    let meant = nearest::to(subject, subjects);
    let meant = meant.map_or_else(|| ".".to_owned(), |name| format!("; did you mean {name}?"));
    format!(
        "warning: {subject} is in no contract{meant} It is sent all the same, with a time limit of {}",
        seconds(within)
    )
}

fn headline(answer: &Answer, took: Duration) -> String {
    let status = match answer.status {
        None => "no status".to_owned(),
        Some(status) => {
            match http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()) {
                Some(reason) => format!("{status} {reason}"),
                None => status.to_string(),
            }
        }
    };
    format!("{status}, {}, {} bytes", seconds(took), answer.payload.len())
}

fn pretty(answer: &Answer, entry: Option<&Entry>) -> String {
    let body: Value = serde_json::from_str(answer.body()).unwrap_or_default();
    // These replies have a status and nothing else.
    if body.is_null() && entry.is_some_and(|entry| entry.carrier == Carrier::TopLevel) {
        return String::new();
    }
    let mut text = serde_json::to_string_pretty(&body).unwrap_or_default();
    text.push('\n');
    text
}

fn code(status: Option<u16>) -> u8 {
    match status {
        Some(200..=299) => 0,
        Some(400..=499) => 4,
        Some(500..=599) => 5,
        _ => 3,
    }
}

fn seconds(span: Duration) -> String {
    let mut text = String::new();
    // Writing to a String can not fail.
    let _ = if span < Duration::from_secs(1) {
        write!(text, "{} ms", span.as_millis())
    } else {
        write!(text, "{:.1} s", span.as_secs_f64())
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_lie_where_the_subject_wants_them() {
        let of = |subject| catalogue::find(subject);
        let body = envelope(json!({"ticket_id": 1}), of("bruin.ticket.details.request")).unwrap();
        assert_eq!(body["body"], json!({"ticket_id": 1}));
        assert_eq!(body["request_id"].as_str().unwrap().len(), 22);
        let top =
            envelope(json!({"message": "x", "request_id": 1}), of("notification.slack.request")).unwrap();
        assert_eq!((&top["message"], top.get("body")), (&json!("x"), None));
        assert!(top["request_id"].is_string());
        assert!(envelope(json!([1]), of("notification.slack.request")).is_err());
        assert_eq!(envelope(json!([1]), None).unwrap()["body"], json!([1]));
    }

    #[test]
    fn the_exit_code_tells_the_class_of_the_status() {
        for (status, expected) in
            [(Some(200), 0), (Some(204), 0), (Some(404), 4), (Some(503), 5), (Some(302), 3), (None, 3)]
        {
            assert_eq!(code(status), expected, "{status:?}");
        }
    }

    #[test]
    fn an_unknown_subject_is_sent_with_a_warning() {
        let text = unknown("digi.rebot", PATIENCE);
        assert!(
            text.contains("did you mean digi.reboot?") && text.ends_with("a time limit of 30.0 s"),
            "{text}"
        );
        assert_eq!(time_limit(None, None).unwrap(), PATIENCE);
        assert_eq!(time_limit(None, catalogue::find("digi.reboot")).unwrap().as_secs(), 90);
        assert_eq!(time_limit(Some(0.5), None).unwrap().as_millis(), 500);
        assert!(time_limit(Some(-1.0), None).is_err() && time_limit(Some(f64::NAN), None).is_err());
    }

    #[test]
    fn what_a_replier_would_refuse_is_told_before() {
        let entry = catalogue::find("digi.reboot").unwrap();
        let text = refusal(entry, &json!({"body": {}})).unwrap();
        assert!(text.starts_with("400 ") && text.contains("velo_serial"), "{text}");
        let good = json!({"body": {"velo_serial": "VC1", "ticket": 1, "MAC": "x"}});
        assert_eq!(refusal(entry, &good), None);
    }
}
