//! What can be wrong with a message: bytes for whoever throws rubbish at a subject.

use bytes::Bytes;
use rand::{
    Rng, RngExt,
    rngs::Xoshiro256PlusPlus,
    seq::{IndexedMutRandom, IndexedRandom},
};
use serde_json::{Value, json};

/// Stands in a text for what no JSON value can be; replaced after writing.
const PLACE: &str = "@hostile@";
/// JSON, nearly JSON, and old Python's idea of JSON, for where something else is expected.
const VALUES: [&str; 34] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "0.1",
    "1e308",
    "1e999",
    "-1e-999",
    "NaN",
    "Infinity",
    "-Infinity",
    "9223372036854775808",
    "18446744073709551616",
    "123456789012345678901234567890123456789012345678901234567890",
    r#""""#,
    r#"" ""#,
    r#""0""#,
    r#""\u0000""#,
    r#""a\r\nEvil: 1""#,
    r#""\ud800""#,
    r#""\udfff\ud800""#,
    r#""../../etc""#,
    r#""%00%2f?&#""#,
    r#""𝒳é\u202e""#,
    "[]",
    "[[]]",
    "[null]",
    "{}",
    r#"{"":null}"#,
    r#"{"a":{"b":[1,{"c":NaN}]}}"#,
    "[1,2,3,\"4\"]",
    "tru",
];

/// What the rubbish is made from.
pub type Random = Xoshiro256PlusPlus;

/// A message made from a good envelope, with something wrong with it (now and then nothing).
///
/// ```
/// use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
/// # use serde_json::json;
///
/// let good = json!({"request_id": "1", "body": {"ticket_id": 7}});
/// let bytes = testkit::malformation::of(&good, 0, &mut Xoshiro256PlusPlus::seed_from_u64(1));
/// # let _ = bytes;
/// ```
pub fn of(envelope: &Value, number: usize, random: &mut Random) -> Bytes {
    let mut envelope = envelope.clone();
    // A repeated id of a write is answered from memory, which is tried as well.
    if random.random_ratio(9, 10)
        && let Value::Object(fields) = &mut envelope
    {
        fields.insert("request_id".to_owned(), json!(format!("hostile-{number}")));
    }
    let text = envelope.to_string();
    Bytes::from(match random.random_range(0..100) {
        0..30 => any_bytes(random),
        30..40 => bytes_changed(text.into_bytes(), random),
        40..52 => cut(text.into_bytes(), random),
        52..62 => value(random).into(),
        62..74 => token(random).into_bytes(),
        74..78 => nested(random, &envelope).into_bytes(),
        78..90 => wrong_value(envelope, random).into_bytes(),
        90..95 => without_a_field(envelope, random).to_string().into_bytes(),
        95 | 96 => odd_id(&envelope, random).into_bytes(),
        97 => repeated_fields(&text, random).into_bytes(),
        98 => large(envelope, random).into_bytes(),
        _ => text.into_bytes(),
    })
}

fn any_bytes(random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(0..300)];
    random.fill_bytes(&mut bytes);
    bytes
}

/// A few bytes are others: often no UTF-8 any more, or no JSON.
fn bytes_changed(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..random.random_range(1..6) {
        if let Some(byte) = bytes.choose_mut(random) {
            *byte = random.random();
        }
    }
    bytes
}

fn cut(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    bytes.truncate(random.random_range(0..bytes.len()));
    bytes
}

/// Tokens of both kinds which lead nowhere or are none.
fn token(random: &mut Random) -> String {
    let key: String = (0..22).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
    match random.random_range(0..9) {
        0 | 1 => format!(r#"{{"token":"{key}","is_stored":true}}"#),
        2 => format!(r#"{{"is_stored": true, "token": "{key}", "more": NaN}}"#),
        3 => format!("_NATS_TMP {key}"),
        4 => "_NATS_TMP".to_owned(),
        5 => format!("_NATS_TMP{}", "x".repeat(random.random_range(0..2_000))),
        6 => format!(r#"{{"is_stored":true,"token":{}}}"#, value(random)),
        7 => r#"{"is_stored":true}"#.to_owned(),
        _ => format!(r#"{{"is_stored":true,"token":"{}"}}"#, "k".repeat(random.random_range(0..2_000))),
    }
}

/// Brackets within brackets, far deeper than any stack, closed or not.
fn nested(random: &mut Random, envelope: &Value) -> String {
    let depth = if random.random_ratio(1, 20) { 400_000 } else { random.random_range(100..5_000) };
    let (open, close) = if random.random() { ("[", "]") } else { (r#"{"a":"#, "}") };
    let depth = depth / open.len();
    let inner = if open == "[" { "" } else { "1" };
    let closing = if random.random_ratio(4, 5) { close.repeat(depth) } else { String::new() };
    let deep = format!("{}{inner}{closing}", open.repeat(depth));
    match random.random_range(0..4) {
        0 => deep,
        1 => format!(r#"{{"request_id":{deep},"body":{{}}}}"#),
        2 => format!(r#"{{"request_id":"r","body":{deep}}}"#),
        _ => put(envelope.clone(), &deep, random),
    }
}

fn wrong_value(envelope: Value, random: &mut Random) -> String {
    let value = value(random);
    put(envelope, value, random)
}

/// The envelope with any text in the place of one of its values.
fn put(mut envelope: Value, text: &str, random: &mut Random) -> String {
    *somewhere(&mut envelope, random) = json!(PLACE);
    envelope.to_string().replacen(&format!("\"{PLACE}\""), text, 1)
}

fn without_a_field(mut envelope: Value, random: &mut Random) -> Value {
    // One level down, mostly: that is where the required fields are.
    let inside = random.random_ratio(4, 5) && envelope.get("body").is_some_and(Value::is_object);
    let place = if inside { envelope.get_mut("body") } else { Some(&mut envelope) };
    if let Some(Value::Object(fields)) = place {
        let names: Vec<String> = fields.keys().cloned().collect();
        if let Some(name) = names.choose(random) {
            fields.shift_remove(name);
        }
    }
    envelope
}

/// Any JSON value is an id, also a large one.
fn odd_id(envelope: &Value, random: &mut Random) -> String {
    let id = match random.random_range(0..3) {
        0 => format!("\"{}\"", "i".repeat(random.random_range(0..10_000))),
        _ => value(random).to_owned(),
    };
    let mut envelope = envelope.clone();
    if let Value::Object(fields) = &mut envelope {
        fields.insert("request_id".to_owned(), json!(PLACE));
    }
    envelope.to_string().replacen(&format!("\"{PLACE}\""), &id, 1)
}

/// Repeated and unknown fields, and text after the end.
fn repeated_fields(text: &str, random: &mut Random) -> String {
    let inner = text.trim_start_matches('{');
    match random.random_range(0..4) {
        0 => format!(r#"{{"body":null,{inner}"#),
        1 => format!(
            r#"{{"response_topic":"_INBOX.x","{}":1,{inner}"#,
            "u".repeat(random.random_range(0..500))
        ),
        2 => format!("{text}{text}"),
        _ => format!("\u{feff}{text}"),
    }
}

/// A long text in the place of a value.
fn large(mut envelope: Value, random: &mut Random) -> String {
    let size = random.random_range(1_000..200_000);
    *somewhere(&mut envelope, random) = json!("é".repeat(size / 2));
    envelope.to_string()
}

/// Any value inside of the envelope: mostly further down, never the envelope itself.
fn somewhere<'v>(value: &'v mut Value, random: &mut Random) -> &'v mut Value {
    let children = match value {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if children == 0 {
        return value;
    }
    let chosen = random.random_range(0..children);
    let stay = random.random_ratio(1, 3);
    let child = match value {
        Value::Object(fields) => fields.values_mut().nth(chosen),
        Value::Array(items) => items.get_mut(chosen),
        // Has no children.
        leaf => return leaf,
    };
    match child {
        Some(child) if stay => child,
        Some(child) => somewhere(child, random),
        None => unreachable!("{chosen} is below {children}"),
    }
}

/// JSON or nearly JSON.
fn value(random: &mut Random) -> &'static str {
    VALUES.choose(random).copied().unwrap_or("null")
}
