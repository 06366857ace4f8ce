//! Tasks: their ids, and which id is remembered for which device (spec, "State").

use std::sync::Arc;
use std::time::Duration;

use bus::{RedisLink, RedisLock, StoreError};
use contracts::dri::DeviceSerial;
use redis::{Cmd, FromRedisValue, cmd};
use serde_json::Value;
use tokio::time::Instant;

/// How long one command to Redis may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the lock of a device lasts when its holder died (spec, Improve 7).
const LOCK_LIFE: Duration = Duration::from_secs(30);
/// Deletes the key if it still holds the task: meanwhile another request may have stored a newer one.
const FORGET: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";

/// The id of a task at DRI, a number or a text, exactly as DRI wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskId(Value);

impl TaskId {
    /// An id; `None` for JSON that cannot be one.
    pub fn new(value: &Value) -> Option<Self> {
        match value {
            Value::Number(_) => Some(Self(value.clone())),
            Value::String(text) if !text.is_empty() => Some(Self(value.clone())),
            _ => None,
        }
    }

    /// As it stands in a query.
    pub fn text(&self) -> String {
        self.0.as_str().map_or_else(|| self.0.to_string(), str::to_owned)
    }

    /// As it stands in Redis, where replicas of all versions read it.
    fn stored(&self) -> String {
        self.0.to_string()
    }

    fn number(&self) -> Option<i128> {
        self.text().trim().parse().ok()
    }
}

/// The largest id: as numbers when all are (Improve 6), else as texts.
pub fn largest(ids: Vec<TaskId>) -> Option<TaskId> {
    if ids.iter().all(|id| id.number().is_some()) {
        ids.into_iter().max_by_key(TaskId::number)
    } else {
        ids.into_iter().max_by_key(TaskId::text)
    }
}

/// The task of each device, in the Redis which all replicas share, old ones too.
pub struct Tasks {
    redis: Arc<RedisLink>,
    environment: String,
    life: Duration,
}

impl Tasks {
    /// Tasks of one deployment, remembered for `life`, in whole seconds.
    pub fn new(redis: Arc<RedisLink>, environment: &str, life: Duration) -> Self {
        Self { redis, environment: environment.to_owned(), life }
    }

    /// The remembered task of a device. What is stored but no id counts as nothing.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn known(&self, serial: &DeviceSerial) -> Result<Option<TaskId>, StoreError> {
        let stored: Option<Vec<u8>> = self.run(cmd("GET").arg(self.key(serial))).await?;
        let Some(stored) = stored else { return Ok(None) };
        let id = serde_json::from_slice(&stored).ok().as_ref().and_then(TaskId::new);
        if id.is_none() {
            tracing::warn!(%serial, "what is stored as the task's id is none; a new one will replace it");
        }
        Ok(id)
    }

    /// Remembers the task of a device.
    ///
    /// # Errors
    /// When Redis cannot be written.
    pub async fn remember(&self, serial: &DeviceSerial, id: &TaskId) -> Result<(), StoreError> {
        let command = &mut cmd("SET");
        self.run(command.arg(self.key(serial)).arg(id.stored()).arg("EX").arg(self.life.as_secs())).await
    }

    /// Forgets this task of a device, not one that is remembered instead of it by now.
    ///
    /// # Errors
    /// When Redis cannot be written.
    pub async fn forget(&self, serial: &DeviceSerial, id: &TaskId) -> Result<(), StoreError> {
        self.run(cmd("EVAL").arg(FORGET).arg(1).arg(self.key(serial)).arg(id.stored())).await
    }

    /// The lock under which a device gets a task.
    pub fn lock(&self, serial: &DeviceSerial) -> RedisLock {
        let key = format!("dri-bridge:{}:lock:{serial}", self.environment);
        RedisLock::new(Arc::clone(&self.redis), key, LOCK_LIFE)
    }

    fn key(&self, serial: &DeviceSerial) -> String {
        format!("{}-dri-serial-{serial}", self.environment)
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.redis.run(command, Instant::now() + PATIENCE).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_keep_their_form() {
        let id = |value| TaskId::new(&value).map(|id| (id.text(), id.stored()));
        assert_eq!(id(json!(1_725_608)), Some(("1725608".into(), "1725608".into())));
        assert_eq!(id(json!("1725608")), Some(("1725608".into(), "\"1725608\"".into())));
        for none in [json!(null), json!(true), json!(""), json!([1]), json!({"Id": 1})] {
            assert_eq!(id(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn ids_are_compared_as_numbers_when_all_are() {
        for (ids, expected) in [
            (json!([233, 2432, 999]), Some(json!(2432))),
            (json!(["99", "100"]), Some(json!("100"))),
            (json!([99, "100"]), Some(json!("100"))),
            (json!(["b99", "b100"]), Some(json!("b99"))),
            (json!([5, "b100"]), Some(json!("b100"))),
            (json!([]), None),
        ] {
            let of = |ids: &Value| ids.as_array().unwrap().iter().filter_map(TaskId::new).collect();
            assert_eq!(largest(of(&ids)).map(|id| id.0), expected, "{ids}");
        }
    }
}
