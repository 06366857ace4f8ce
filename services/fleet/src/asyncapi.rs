//! `fleet asyncapi`: every subject of the catalogue as an AsyncAPI 3 document.

use anyhow::Context;
use contracts::{
    Carrier, Effect,
    catalogue::{self, Entry},
};
use serde_json::{Map, Value, json};

use crate::{Said, cli::Asyncapi};

const ABOUT: &str = "Request and reply over NATS. Every request is answered once on the NATS reply subject; all replicas \
of a service join one queue group, so each request reaches one of them. Envelopes are JSON objects. What is larger than \
1 MiB travels through Redis: in its place goes {\"token\": key, \"is_stored\": true}. A status 2xx is a success; any \
other comes with a text, an object or null as body. Made by `fleet asyncapi` from libs/contracts; do not edit.";

/// Writes the document to a file.
///
/// # Errors
/// When it cannot be written.
pub fn run(options: &Asyncapi) -> anyhow::Result<Said> {
    let text = document()?;
    if options.file.as_os_str() == "-" {
        return Ok(Said::ok(text));
    }
    std::fs::write(&options.file, text).with_context(|| options.file.display().to_string())?;
    let count = catalogue::all().len();
    Ok(Said::ok(format!("{count} subjects are in {}\n", options.file.display())))
}

/// The document as YAML.
///
/// # Errors
/// Never, as all of it is text.
pub fn document() -> anyhow::Result<String> {
    let text = serde_saphyr::to_string(&value()).context("the document as YAML")?;
    Ok(text.trim_end().to_owned() + "\n")
}

/// The document.
pub fn value() -> Value {
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    let mut schemas = Schemas::default();
    for entry in catalogue::all() {
        let subject = entry.subject;
        let (request, reply) = (format!("{subject}.request"), format!("{subject}.reply"));
        let message = |name: &str| json!({"$ref": format!("#/components/messages/{name}")});
        channels.insert(
            subject.to_owned(),
            json!({
                "address": subject,
                "description": entry.doc,
                "messages": {"request": message(&request)},
                "bindings": {"nats": {"bindingVersion": "0.1.0"}},
            }),
        );
        channels.insert(
            reply.clone(),
            json!({
                "address": null,
                "description": "The NATS reply subject of the request.",
                "messages": {"reply": message(&reply)},
            }),
        );
        operations.insert(subject.to_owned(), operation(entry, &reply));
        let of_request = schemas.inlined(entry.request_schema());
        let of_reply = schemas.inlined(entry.reply_schema());
        messages
            .insert(request, json!({"name": entry.name, "payload": request_envelope(entry, &of_request)}));
        messages.insert(reply, json!({"payload": reply_envelope(entry, &of_reply)}));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {"title": "Automation Engine", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT},
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "nats.example.com:4222",
                "protocol": "nats",
                "description": "As NATS_SERVER1 of each service says.",
            },
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas.reached()},
    })
}

fn operation(entry: &Entry, reply: &str) -> Value {
    let channel = |name: &str| json!({"$ref": format!("#/channels/{name}")});
    let message =
        |channel: &str, name: &str| json!({"$ref": format!("#/channels/{channel}/messages/{name}")});
    json!({
        "action": "receive",
        "summary": entry.doc.lines().next().unwrap_or_default(),
        "channel": channel(entry.subject),
        "messages": [message(entry.subject, "request")],
        "bindings": {"nats": {"queue": entry.queue, "bindingVersion": "0.1.0"}},
        "reply": {"channel": channel(reply), "messages": [message(reply, "reply")]},
        "x-effect": match entry.effect {
            Effect::Read => "read",
            Effect::Write => "write",
        },
        "x-timeout-seconds": entry.timeout.as_secs(),
        "x-answer-within-seconds": entry.answer_within.as_secs(),
        "x-parameters": match entry.carrier {
            Carrier::Body => "body",
            Carrier::TopLevel => "top level",
        },
    })
}

/// Correlation only: any value, echoed.
fn request_id() -> Value {
    json!({"description": "Correlation only: any value, echoed. Usually 22 characters."})
}

fn request_envelope(entry: &Entry, parameters: &Value) -> Value {
    match entry.carrier {
        Carrier::Body => json!({
            "type": "object",
            "required": ["body"],
            "properties": {"request_id": request_id(), "body": parameters},
        }),
        Carrier::TopLevel => json!({
            "allOf": [{"type": "object", "properties": {"request_id": request_id()}}, parameters],
        }),
    }
}

fn reply_envelope(entry: &Entry, body: &Value) -> Value {
    let status = json!({"type": ["integer", "null"], "description": "As of HTTP; null is a failure."});
    let mut properties = Map::from_iter([("request_id".to_owned(), request_id())]);
    if entry.carrier == Carrier::Body {
        properties.insert("body".to_owned(), json!({"description": "Of a success:", "anyOf": [body, {}]}));
    }
    properties.insert("status".to_owned(), status);
    json!({"type": "object", "required": ["status"], "properties": properties})
}

/// The schemas that are referred to, under names without the module's path where that is unique.
#[derive(Default)]
struct Schemas {
    wanted: Vec<String>,
}

const PLACE: &str = "#/components/schemas/";

impl Schemas {
    /// A schema whose references are named as in the document; what it refers to is wanted.
    fn inlined(&mut self, mut schema: Value) -> Value {
        self.rename(&mut schema);
        schema
    }

    fn rename(&mut self, schema: &mut Value) {
        match schema {
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    let path = value.as_str().filter(|_| name == "$ref");
                    match path.and_then(|path| path.strip_prefix(PLACE)) {
                        Some(path) => {
                            let path = path.to_owned();
                            if !self.wanted.contains(&path) {
                                self.wanted.push(path.clone());
                            }
                            *value = json!(format!("{PLACE}{}", name_of(&path)));
                        }
                        None => self.rename(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item)),
            _ => {}
        }
    }

    /// All that is wanted, and what that refers to.
    fn reached(&mut self) -> Map<String, Value> {
        let mut found = Map::new();
        let mut at = 0;
        while let Some(path) = self.wanted.get(at).cloned() {
            at += 1;
            let schema = catalogue::schemas().get(&path).cloned().unwrap_or_else(|| json!({}));
            found.insert(name_of(&path), self.inlined(schema));
        }
        found.sort_keys();
        found
    }
}

/// `contracts::digi::RebootRequest` is `digi.RebootRequest`; of nested modules the first one counts.
fn name_of(path: &str) -> String {
    let path = path.strip_prefix("contracts::").unwrap_or(path);
    match (path.split_once("::"), path.rsplit_once("::")) {
        (Some((module, _)), Some((_, name))) => format!("{module}.{name}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values under every `$ref`.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(path) if name == "$ref" => found.push(path.to_owned()),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_subject_is_an_operation_and_every_reference_leads_somewhere() {
        let document = value();
        assert_eq!(document["operations"].as_object().unwrap().len(), catalogue::all().len());
        let mut paths = Vec::new();
        references(&document, &mut paths);
        for path in &paths {
            let mut found = Some(&document);
            for part in path.trim_start_matches("#/").split('/') {
                found = found.and_then(|value| value.get(part));
            }
            assert!(found.is_some(), "{path}");
        }
        assert!(paths.len() > 300);
    }

    #[test]
    fn names_of_schemas_are_unique() {
        let mut names: Vec<String> = catalogue::schemas().keys().map(|path| name_of(path)).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn the_document_of_the_repository_is_up_to_date() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/asyncapi.yaml");
        let written = std::fs::read_to_string(file).unwrap_or_default();
        assert!(written == document().unwrap(), "docs/asyncapi.yaml is old: run `fleet asyncapi`");
    }

    #[test]
    fn an_operation_says_what_a_requester_needs() {
        let document = value();
        let reboot = &document["operations"]["digi.reboot"];
        assert_eq!(reboot["bindings"]["nats"]["queue"], "digi_bridge");
        assert_eq!((&reboot["x-effect"], &reboot["x-timeout-seconds"]), (&json!("write"), &json!(90)));
        let payload = &document["components"]["messages"]["digi.reboot.request"]["payload"];
        assert_eq!(payload["properties"]["body"]["$ref"], "#/components/schemas/digi.RebootRequest");
        let slack = &document["components"]["messages"]["notification.slack.request.request"]["payload"];
        assert_eq!(slack["allOf"][1]["$ref"], "#/components/schemas/notifier.SlackRequest");
    }
}
