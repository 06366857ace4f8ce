//! Reading what third parties send without losing a whole answer to one odd value.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// For `#[serde(deserialize_with)]`: a value that does not fit is the default.
///
/// # Errors
/// Only when the text is not JSON.
pub fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// For `#[serde(deserialize_with)]`: the elements that fit, which may be none; `None` when the value is no array.
///
/// # Errors
/// Only when the text is not JSON.
pub fn some_list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    if !value.is_array() {
        return Ok(None);
    }
    list(value).map(Some).map_err(serde::de::Error::custom)
}

/// For `#[serde(deserialize_with)]`: the elements that fit; none when the value is no array.
///
/// # Errors
/// Only when the text is not JSON.
pub fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let Value::Array(items) = Value::deserialize(deserializer)? else { return Ok(Vec::new()) };
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}
