//! Streams of JetStream which survive the loss of a server, where there are enough of them.

use async_nats::jetstream::{Context, ErrorCode, context::CreateStreamErrorKind, stream::Config};

/// How many servers of a cluster keep a stream; the only server where there is no cluster.
const COPIES: usize = 3;

/// Why a stream is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCreated {
    /// Nobody knows it, or can create it, for now: no answer in time, no leader, or servers of the cluster are away. It may
    /// be there. To be asked again.
    #[error("JetStream cannot say for now: {0}")]
    NotNow(String),
    /// There is no JetStream, or it refuses this stream.
    #[error("JetStream refuses: {0}")]
    Refused(String),
}

/// Creates a stream unless it is there; in a cluster three servers keep it. Takes at most twice the time that `jetstream`
/// waits for an answer.
///
/// # Errors
/// See [`NotCreated`]. In a cluster that lacks servers nothing is created: one copy would stay one copy.
pub async fn create_stream(jetstream: &Context, config: Config) -> Result<(), NotCreated> {
    let wanted = Config { num_replicas: COPIES, ..config.clone() };
    let Err(error) = jetstream.get_or_create_stream(wanted).await else { return Ok(()) };
    let is_alone = matches!(error.kind(), CreateStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED);
    let error = if is_alone {
        match jetstream.get_or_create_stream(Config { num_replicas: 1, ..config }).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        }
    } else {
        error
    };
    let reason = error.to_string();
    Err(if is_passing(&error.kind()) { NotCreated::NotNow(reason) } else { NotCreated::Refused(reason) })
}

fn is_passing(error: &CreateStreamErrorKind) -> bool {
    const PASSING: [ErrorCode; 5] = [
        ErrorCode::CLUSTER_NOT_AVAILABLE,
        ErrorCode::CLUSTER_NOT_LEADER,
        ErrorCode::CLUSTER_NOT_ASSIGNED,
        ErrorCode::CLUSTER_NO_PEERS,
        ErrorCode::INSUFFICIENT_RESOURCES,
    ];
    match error {
        CreateStreamErrorKind::TimedOut => true,
        CreateStreamErrorKind::JetStream(error) => PASSING.contains(&error.error_code()),
        _ => false,
    }
}
