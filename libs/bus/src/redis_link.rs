//! One connection to Redis, re-established in the background, every command bounded in time.

use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo,
};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};

use crate::ConnectError;
use crate::options::RedisOptions;

/// How long connecting may take, and how long the first PING.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A connection on which a command got no answer is replaced, at most this often.
const REPLACE_EVERY: Duration = Duration::from_secs(1);

/// A command that failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No answer before the deadline.
    #[error("Redis did not answer in time")]
    Timeout,
    /// The connection was lost, maybe long before, or there was none. The command may have been carried out.
    #[error("Redis: {0}")]
    Lost(String),
    /// Redis refused.
    #[error("Redis: {0}")]
    Redis(String),
    /// More than the bound for payloads.
    #[error("payload of more than {bytes} bytes")]
    TooLarge {
        /// The bound.
        bytes: usize,
    },
}

/// One connection to a Redis, re-established in the background, every command bounded in time. Also for a service's
/// own Redis instances.
pub struct RedisLink {
    client: Client,
    manager: Mutex<(ConnectionManager, Instant)>,
}

impl RedisLink {
    /// Connects lazily. [`Self::ping`] tells whether it works.
    pub fn open(options: &RedisOptions) -> Result<Self, ConnectError> {
        let invalid = |error: redis::RedisError| ConnectError::Option {
            option: "REDIS_HOSTNAME",
            reason: error.to_string(),
        };
        let (host, port) = (options.host.clone(), options.port);
        let address = if options.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let mut login = RedisConnectionInfo::default();
        if let Some(password) = &options.password {
            login = login.set_password(password.expose_secret());
        }
        let info = address.into_connection_info().map_err(invalid)?.set_redis_settings(login);
        let client = Client::open(info).map_err(invalid)?;
        let manager = manager(&client).map_err(invalid)?;
        Ok(Self { client, manager: Mutex::new((manager, Instant::now())) })
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.run::<()>(&redis::cmd("PING"), Instant::now() + CONNECT_WITHIN).await
    }

    /// Runs one command; its answer comes before `until` or not at all.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd, until: Instant) -> Result<T, StoreError> {
        let mut manager = self.manager.lock().0.clone();
        let Ok(answer) = timeout_at(until, command.query_async(&mut manager)).await else {
            self.replace();
            return Err(StoreError::Timeout);
        };
        answer.map_err(|error| {
            if error.is_io_error() {
                return StoreError::Lost(error.to_string());
            }
            if matches!(
                error.kind(),
                ErrorKind::AuthenticationFailed
                    | ErrorKind::Client
                    | ErrorKind::InvalidClientConfig
                    | ErrorKind::Parse
            ) {
                // The manager never connects anew after an error like this, though the next time may be another.
                self.replace();
            }
            StoreError::Redis(error.to_string())
        })
    }

    /// As [`Self::run`] for a command that may be carried out twice. That a connection was lost while nobody used it
    /// becomes known by the next command only, which fails although Redis is well: it is sent once more.
    pub async fn run_repeatable<T: FromRedisValue>(
        &self,
        command: &Cmd,
        until: Instant,
    ) -> Result<T, StoreError> {
        match self.run(command, until).await {
            Err(StoreError::Lost(_)) => self.run(command, until).await,
            answer => answer,
        }
    }

    /// A dead peer that never closes would otherwise hold the connection for ever.
    fn replace(&self) {
        let mut guard = self.manager.lock();
        let (current, since) = &mut *guard;
        if since.elapsed() < REPLACE_EVERY {
            return;
        }
        if let Ok(fresh) = manager(&self.client) {
            *current = fresh;
        }
        *since = Instant::now();
    }
}

fn manager(client: &Client) -> Result<ConnectionManager, redis::RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_WITHIN))
        .set_response_timeout(None)
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(200));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}
