//! Which of a vendor's dispatches were ordered through this system (spec, "Ours only").
//!
//! Redis has a key `{ENVIRONMENT_NAME}-{dispatch number}` for each of them; whoever orders and watches them writes it.

use std::time::Duration;

use bus::{ConnectError, RedisLink};
use contracts::RawFields;
use redis::Value;
use runtime::ProcessSettings;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use crate::failure::Failure;

/// The time for the look into Redis.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// Tells our dispatches from the others.
pub struct Ours {
    redis: RedisLink,
    environment: String,
}

impl Ours {
    /// With the process's Redis; connects when it is first needed.
    ///
    /// # Errors
    /// When the address of Redis is of no use.
    pub fn open(process: &ProcessSettings) -> Result<Self, ConnectError> {
        let environment = process.environment_name.clone();
        Ok(Self { redis: RedisLink::open(&process.redis)?, environment })
    }

    /// The answer with only our dispatches in its list: all else stays as it came, also the order. `list` is the name of
    /// the list, a missing one counts as empty; `number` is the name of a dispatch's number.
    ///
    /// # Errors
    /// When the answer has no such list, or Redis does not answer before `until`.
    pub async fn only(
        &self,
        answer: &RawValue,
        list: &str,
        number: &str,
        until: Instant,
    ) -> Result<Box<RawValue>, Failure> {
        let listing = Listing::read(answer, list).ok_or(Failure::Unusable("no list of dispatches"))?;
        let keys: Vec<Option<String>> = listing
            .dispatches
            .iter()
            .map(|dispatch| Some(format!("{}-{}", self.environment, text_of(dispatch, number)?)))
            .collect();
        let there = self.there(keys.iter().flatten(), until).await?;
        let mut there = there.into_iter();
        let keep = keys.iter().map(|key| key.is_some() && there.next().unwrap_or(false));
        listing.keeping(keep).write().ok_or(Failure::Unusable("the list cannot be written"))
    }

    /// Which of the keys exist, by one MGET.
    async fn there(&self, keys: impl Iterator<Item = &String>, until: Instant) -> Result<Vec<bool>, Failure> {
        let keys: Vec<&String> = keys.collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("MGET");
        command.arg(&keys);
        let until = until.min(Instant::now() + LOOK_WITHIN);
        let values: Vec<Value> = self.redis.run(&command, until).await.map_err(|error| {
            tracing::error!(%error, keys = keys.len(), "cannot tell which dispatches are ours");
            Failure::OursUnknown
        })?;
        Ok(values.into_iter().map(|value| !matches!(value, Value::Nil)).collect())
    }
}

/// A field of a dispatch that holds text.
fn text_of(dispatch: &RawValue, name: &str) -> Option<String> {
    let fields: RawFields<'_> = serde_json::from_str(dispatch.get()).ok()?;
    serde_json::from_str(fields.get(name)?.get()).ok()
}

/// An answer with a list of dispatches in it, unparsed.
struct Listing<'a> {
    fields: RawFields<'a>,
    list: &'a str,
    dispatches: Vec<&'a RawValue>,
}

impl<'a> Listing<'a> {
    fn read(answer: &'a RawValue, list: &'a str) -> Option<Self> {
        let fields: RawFields<'a> = serde_json::from_str(answer.get()).ok()?;
        let dispatches = match fields.get(list) {
            None => Vec::new(),
            Some(list) => {
                serde_json::from_str::<Option<Vec<&RawValue>>>(list.get()).ok()?.unwrap_or_default()
            }
        };
        Some(Self { fields, list, dispatches })
    }

    fn keeping(mut self, keep: impl Iterator<Item = bool>) -> Self {
        let mut keep = keep;
        self.dispatches.retain(|_| keep.next().unwrap_or(false));
        self
    }

    fn write(&self) -> Option<Box<RawValue>> {
        to_raw_value(self).ok()
    }
}

impl Serialize for Listing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_map(None)?;
        let mut written = false;
        for (name, value) in self.fields.iter() {
            if name != self.list {
                answer.serialize_entry(name, value)?;
            } else if !written {
                answer.serialize_entry(name, &self.dispatches)?;
                written = true;
            }
        }
        if !written {
            answer.serialize_entry(self.list, &self.dispatches)?;
        }
        answer.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(answer: &str, keep: &[bool]) -> Option<String> {
        let answer = RawValue::from_string(answer.to_owned()).unwrap();
        let listing = Listing::read(&answer, "records")?;
        assert_eq!(listing.dispatches.len(), keep.len());
        let written = listing.keeping(keep.iter().copied()).write()?;
        Some(written.get().to_owned())
    }

    #[test]
    fn everything_but_the_list_stays_as_it_came() {
        for (answer, keep, expected) in [
            (
                r#"{"totalSize": 2,"done":true ,"records":[{"Name": "S-1"}, {"Name":"S-2","x":1.50}],"a\"b":null}"#,
                &[false, true][..],
                r#"{"totalSize":2,"done":true,"records":[{"Name":"S-2","x":1.50}],"a\"b":null}"#,
            ),
            (r#"{"records":[]}"#, &[], r#"{"records":[]}"#),
            (r#"{"records":null,"a":1}"#, &[], r#"{"records":[],"a":1}"#),
            (r#"{"a":1}"#, &[], r#"{"a":1,"records":[]}"#),
            ("{}", &[], r#"{"records":[]}"#),
            (r#"{"records":[1],"records":[2,3]}"#, &[true, false], r#"{"records":[2]}"#),
        ] {
            assert_eq!(kept(answer, keep).as_deref(), Some(expected));
        }
        for none in [r#"{"records":{}}"#, r#"{"records":"x"}"#, "[]", "null"] {
            assert_eq!(kept(none, &[]), None, "{none}");
        }
    }

    #[test]
    fn only_text_is_a_number_of_a_dispatch() {
        let number = |dispatch: &str| {
            let dispatch = RawValue::from_string(dispatch.to_owned()).unwrap();
            text_of(&dispatch, "Name")
        };
        assert_eq!(number(r#"{"Name":"S-\u0031"}"#).as_deref(), Some("S-1"));
        for none in [r#"{"Name":1}"#, r#"{"Name":null}"#, "{}", "[]", "null", "\"S-1\""] {
            assert_eq!(number(none), None, "{none}");
        }
    }
}
