//! A lock in Redis: of several replicas one does something, the others see that it does.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, cmd};
use tokio::time::Instant;

use crate::offload::new_id;
use crate::redis_link::{RedisLink, StoreError};

/// Sets the key unless somebody else holds it; a holder's own is prolonged.
const HOLD: &str = "local held = redis.call('GET', KEYS[1])
     if held and held ~= ARGV[1] then return 0 end
     redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
     return 1";
/// Deletes the key if it is the holder's own.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";

/// One holder's side of a lock in Redis. It says who *should* act: a process that hangs for longer than the lock's life
/// may still act beside the next holder, so what it does must bear being done twice.
///
/// A holder that dies loses the lock after its life, given to [`Self::new`]; one that works for longer runs
/// [`Self::keep`] beside its work.
pub struct RedisLock {
    redis: Arc<RedisLink>,
    key: String,
    holder: String,
    life: Duration,
}

impl RedisLock {
    /// The lock `key` for a holder of its own; each value is another holder. Nothing is asked yet.
    pub fn new(redis: Arc<RedisLink>, key: impl Into<String>, life: Duration) -> Self {
        Self { redis, key: key.into(), holder: new_id(), life }
    }

    /// Takes the lock, or prolongs it; whether it is held now.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn hold(&self) -> Result<bool, StoreError> {
        let millis = u64::try_from(self.life.as_millis()).unwrap_or(u64::MAX);
        self.run(cmd("EVAL").arg(HOLD).arg(1).arg(&self.key).arg(&self.holder).arg(millis)).await
    }

    /// Prolongs the lock every third of its life; returns when somebody else has it.
    ///
    /// # Errors
    /// When Redis cannot be asked: the lock may be lost.
    pub async fn keep(&self) -> Result<(), StoreError> {
        loop {
            tokio::time::sleep(self.life / 3).await;
            if !self.hold().await? {
                return Ok(());
            }
        }
    }

    /// Gives the lock back, if it is held.
    ///
    /// # Errors
    /// When Redis cannot be asked; the lock then ends with its life.
    pub async fn release(&self) -> Result<(), StoreError> {
        self.run(cmd("EVAL").arg(RELEASE).arg(1).arg(&self.key).arg(&self.holder)).await
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        // Two answers may be late before the lock is lost.
        self.redis.run(command, Instant::now() + self.life / 6).await
    }
}
