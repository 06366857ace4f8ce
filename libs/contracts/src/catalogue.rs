//! Every subject as data, for tools: what there is to ask, of whom, and what it looks like.
//!
//! The list is made from the sources when this crate is built, so a subject that is declared is in it.

use std::{any::type_name, sync::LazyLock, time::Duration};

use serde_json::{Map, Value};

use crate::{Carrier, Effect, Incoming, Rejected, Request, Rpc};

/// One subject.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The NATS subject.
    pub subject: &'static str,
    /// The name of its type, e.g. `TicketDetails`.
    pub name: &'static str,
    /// The queue group of its repliers.
    pub queue: &'static str,
    /// Whether answering changes something.
    pub effect: Effect,
    /// How long a requester waits.
    pub timeout: Duration,
    /// Within which time a replier answers.
    pub answer_within: Duration,
    /// Where the parameters lie in the envelope.
    pub carrier: Carrier,
    /// The path of the request's type.
    pub request: &'static str,
    /// The path of the reply's type.
    pub reply: &'static str,
    /// What it is for.
    pub doc: &'static str,
    check: fn(&Incoming<'_>) -> Result<(), Rejected>,
}

impl Entry {
    fn of<R: Rpc>(doc: &'static str) -> Self {
        let path = type_name::<R>();
        Self {
            subject: R::SUBJECT,
            name: path.rsplit("::").next().unwrap_or(path),
            queue: R::QUEUE,
            effect: R::EFFECT,
            timeout: R::TIMEOUT,
            answer_within: R::ANSWER_WITHIN,
            carrier: R::CARRIER,
            request: type_name::<R::Request>(),
            reply: type_name::<R::Reply>(),
            doc,
            check: |incoming| R::Request::parse(incoming).map(drop),
        }
    }

    /// Whether a replier of ours would take a request.
    ///
    /// # Errors
    /// The reply with which it would refuse it.
    pub fn check(&self, incoming: &Incoming<'_>) -> Result<(), Rejected> {
        (self.check)(incoming)
    }

    /// The schema of the parameters, with references to [`schemas`].
    pub fn request_schema(&self) -> Value {
        schema_of(self.request)
    }

    /// The schema of the body of a success, with references to [`schemas`].
    pub fn reply_schema(&self) -> Value {
        schema_of(self.reply)
    }
}

/// Every subject, in the order of their names.
pub fn all() -> &'static [Entry] {
    static ALL: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        let mut entries = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));
        entries.sort_by_key(|entry| entry.subject);
        entries
    });
    &ALL
}

/// The subject with this name.
pub fn find(subject: &str) -> Option<&'static Entry> {
    all().iter().find(|entry| entry.subject == subject)
}

/// JSON schemas of the types that travel, by their paths, e.g. `contracts::digi::RebootRequest`.
pub fn schemas() -> &'static Map<String, Value> {
    static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
        let text = include_str!(concat!(env!("OUT_DIR"), "/schemas.json"));
        // Written by this crate's own build.
        serde_json::from_str(text).unwrap_or_default()
    });
    &SCHEMAS
}

/// The schema of a type by its full name, e.g. `alloc::vec::Vec<contracts::digi::RecoveryLog>`.
fn schema_of(name: &str) -> Value {
    use serde_json::json;
    let (outer, arguments) = name
        .split_once('<')
        .and_then(|(outer, rest)| Some((outer, parameters(rest.strip_suffix('>')?))))
        .unwrap_or((name, Vec::new()));
    let inner = |index: usize| arguments.get(index).map_or(json!({}), |name| schema_of(name));
    match outer.rsplit("::").next().unwrap_or(outer) {
        _ if schemas().contains_key(outer) => json!({"$ref": format!("#/components/schemas/{outer}")}),
        "Vec" => json!({"type": "array", "items": inner(0)}),
        "Option" => json!({"anyOf": [inner(0), {"type": "null"}]}),
        "Box" => inner(0),
        "IndexMap" | "HashMap" | "BTreeMap" => json!({"type": "object", "additionalProperties": inner(1)}),
        "Map" => json!({"type": "object"}),
        "String" => json!({"type": "string"}),
        "bool" => json!({"type": "boolean"}),
        "i64" | "u64" | "i32" | "u32" => json!({"type": "integer"}),
        "f64" => json!({"type": "number"}),
        // `()`, `Value`, `RawValue`: anything.
        _ => json!({}),
    }
}

/// The parameters of a generic type: split at the commas that are not within others.
fn parameters(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0_usize, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.extend(text.get(from..at));
                from = at + 1;
            }
            _ => {}
        }
    }
    found.extend(text.get(from..));
    found.into_iter().map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    /// The subjects in the text of the sources: texts of words with dots in declarations of subjects.
    fn declared(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                declared(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let of_trait = line.contains("const SUBJECT: &'static str = \"");
                let of_macro = line.trim_start().starts_with(char::is_uppercase)
                    && (line.contains(": \"") || line.contains(" = \""));
                if of_trait || of_macro {
                    let subject = line.split('"').nth(1).unwrap_or_default();
                    found.extend(subject.contains('.').then(|| subject.to_owned()));
                }
            }
        }
    }

    #[test]
    fn every_declared_subject_is_in_the_catalogue() {
        let mut expected = BTreeSet::new();
        declared(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut expected);
        let known: BTreeSet<String> = all().iter().map(|entry| entry.subject.to_owned()).collect();
        assert_eq!(known, expected);
        assert_eq!(known.len(), all().len(), "a subject stands there twice");
        assert!(known.len() > 60, "{known:?}");
    }

    #[test]
    fn every_subject_says_what_it_is_for() {
        for entry in all() {
            assert!(!entry.doc.is_empty(), "{} has no documentation", entry.subject);
            assert!(!entry.queue.is_empty() && entry.answer_within.as_secs() > 0, "{}", entry.subject);
        }
        let entry = find("digi.reboot").unwrap();
        assert_eq!((entry.name, entry.queue), ("Reboot", "digi_bridge"));
        assert_eq!(entry.doc, "Reboots an edge's link through its DiGi unit.");
        assert_eq!(entry.request, "contracts::digi::RebootRequest");
        assert!(find("weather").is_none());
    }

    #[test]
    fn every_request_has_a_schema() {
        for entry in all() {
            let schema = entry.request_schema();
            let name = schema["$ref"].as_str().unwrap_or_default();
            let name = name.strip_prefix("#/components/schemas/").unwrap_or_default();
            assert!(schemas().contains_key(name), "{}: {} has no schema", entry.subject, entry.request);
        }
    }

    #[test]
    fn schemas_tell_the_fields_as_they_are_on_the_wire() {
        let schema = &schemas()["contracts::digi::RebootRequest"];
        assert_eq!(schema["required"], serde_json::json!(["velo_serial", "ticket", "MAC"]));
        let row = &schemas()["contracts::velocloud::reply::LinkWithEdge"]["properties"]["edgeSerialNumber"];
        assert_eq!(row["type"], serde_json::json!(["string", "null"]));
        assert_eq!(row["description"], "The edge's serial number, e.g. `VC1234567`.");
        let many = schema_of("alloc::vec::Vec<contracts::digi::RecoveryLog>");
        assert_eq!(many["items"]["$ref"], "#/components/schemas/contracts::digi::RecoveryLog");
        let map = schema_of("indexmap::map::IndexMap<alloc::string::String, alloc::vec::Vec<bool>>");
        assert_eq!(map["additionalProperties"]["items"]["type"], "boolean");
    }

    #[test]
    fn a_request_is_checked_as_its_replier_does() {
        let entry = find("digi.reboot").unwrap();
        let good = r#"{"body": {"velo_serial": "VC1", "ticket": 1, "MAC": "x"}}"#;
        assert_eq!(entry.check(&Incoming::read(good).unwrap()), Ok(()));
        let bad = entry.check(&Incoming::read(r#"{"body": {}}"#).unwrap()).unwrap_err();
        assert_eq!(bad.status, 400);
    }
}
