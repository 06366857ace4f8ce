//! What can go wrong with a call to a model, and the reply it becomes.

use std::error::Error;

use bus::Reply;
use prometheus::Error as MetricsError;
use thiserror::Error;
use tonic::{Code, ConnectError, Status, TimeoutExpired};
use upstream::{BuildError, connect_cause};

use crate::{Mismatch, UnusableContract};

/// Why a [`crate::Model`] cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The contract, which is compiled in.
    #[error(transparent)]
    Contract(#[from] UnusableContract),
    /// The CA file.
    #[error(transparent)]
    Trust(#[from] BuildError),
    /// The target or TLS.
    #[error("KRE_BASE_URL: {0}")]
    Channel(String),
    /// Two models of one name in one registry.
    #[error("metrics: {0}")]
    Metrics(#[from] MetricsError),
}

/// Why a call gave no answer. Its text is the body of the reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// The request does not fit the contract; nothing was sent.
    #[error("Error: {0}")]
    Mismatch(#[from] Mismatch),
    /// As many calls as allowed are in flight; nothing was sent.
    #[error("too many calls to the model at present")]
    Busy,
    /// The model, or what stands before it, answered with a status other than `OK`.
    #[error("Grpc error details: {details}")]
    Refused {
        /// The status.
        code: Code,
        /// The text that came with it; may be empty.
        details: String,
    },
    /// No answer within the deadline; the call may have been executed.
    #[error("Grpc error details: Deadline Exceeded")]
    Deadline,
    /// No connection; nothing was sent.
    #[error("Grpc error details: {0}")]
    Unreachable(String),
    /// The connection broke before the answer was complete, or the answer is damaged; the call may have been executed.
    #[error("Grpc error details: {0}")]
    Broken(String),
}

/// The statuses with which a model says that it did not do what it was asked.
pub const SURELY_NOT_EXECUTED: [Code; 3] =
    [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented];

/// The longest text of a third party in a log record, in characters.
const LOGGED: usize = 200;

/// The reply's status for whatever is no refusal.
const FAILURE: u16 = 500;

/// The reply's status for a gRPC status (the specifications' "Status mapping").
pub const fn reply_status(code: Code) -> u16 {
    match code {
        Code::Ok => 200,
        Code::Internal => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::Unimplemented => 404,
        Code::DeadlineExceeded => 408,
        _ => FAILURE,
    }
}

impl CallError {
    /// What became of a call that ended with `status`, of which `said` came over the wire. What this side made up is no
    /// [`Self::Refused`], unless it is a failure all the same: a damaged answer is no refusal by the model, and to tonic
    /// it is `INTERNAL`.
    pub(crate) fn of(status: &Status, said: Option<Code>) -> Self {
        let Some(cause) = status.source() else {
            let (code, details) = (status.code(), status.message().to_owned());
            let meant = said == Some(code) || reply_status(code) == FAILURE;
            return if meant { Self::Refused { code, details } } else { Self::Broken(details) };
        };
        let mut causes = std::iter::successors(Some(cause), |&cause| cause.source());
        if causes.clone().any(<dyn Error>::is::<TimeoutExpired>) {
            return Self::Deadline;
        }
        match causes.find(|cause| cause.is::<ConnectError>()) {
            Some(connecting) => Self::Unreachable(connect_cause(connecting)),
            None => Self::Broken("connection lost before the answer was complete".to_owned()),
        }
    }

    /// The reply's status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Refused { code, .. } => reply_status(*code),
            Self::Deadline => reply_status(Code::DeadlineExceeded),
            Self::Busy => 503,
            Self::Mismatch(_) | Self::Unreachable(_) | Self::Broken(_) => FAILURE,
        }
    }

    /// Whether the model cannot have done anything.
    pub fn surely_not_executed(&self) -> bool {
        match self {
            Self::Mismatch(_) | Self::Busy | Self::Unreachable(_) => true,
            Self::Refused { code, .. } => SURELY_NOT_EXECUTED.contains(code),
            Self::Deadline | Self::Broken(_) => false,
        }
    }

    /// The reply. What surely was not executed is not remembered, so that a repeated request is tried again.
    pub fn reply(&self) -> Reply {
        let reply = Reply::text(self.status(), &self.to_string());
        if self.surely_not_executed() { reply.not_executed() } else { reply }
    }

    /// The text for a log record, cut short.
    pub fn brief(&self) -> String {
        self.to_string().chars().take(LOGGED).collect()
    }

    /// The label for metrics: the name of the gRPC status, or of what stands for one.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code_name(*code),
            Self::Deadline => code_name(Code::DeadlineExceeded),
            Self::Unreachable(_) | Self::Broken(_) => code_name(Code::Unavailable),
            Self::Busy => "BUSY",
            Self::Mismatch(_) => "MISMATCH",
        }
    }
}

/// The name of a gRPC status as its specification spells it, e.g. `UNAVAILABLE`.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_specifications() {
        for (code, status) in [
            (Code::Internal, 400),
            (Code::Unauthenticated, 401),
            (Code::PermissionDenied, 403),
            (Code::Unimplemented, 404),
            (Code::DeadlineExceeded, 408),
            (Code::Cancelled, 500),
            (Code::Unknown, 500),
            (Code::InvalidArgument, 500),
            (Code::NotFound, 500),
            (Code::AlreadyExists, 500),
            (Code::ResourceExhausted, 500),
            (Code::FailedPrecondition, 500),
            (Code::Aborted, 500),
            (Code::OutOfRange, 500),
            (Code::Unavailable, 500),
            (Code::DataLoss, 500),
        ] {
            let error = CallError::of(&Status::new(code, "why"), Some(code));
            assert_eq!((error.status(), error.to_string().as_str()), (status, "Grpc error details: why"));
            // Nobody said so.
            for said in [None, Some(Code::Ok)] {
                let error = CallError::of(&Status::new(code, "why"), said);
                assert_eq!(
                    (error.status(), error.to_string().as_str()),
                    (500, "Grpc error details: why"),
                    "{code:?}"
                );
                assert!(!error.surely_not_executed());
            }
        }
    }

    #[test]
    fn replies_are_texts_and_only_what_may_have_been_executed_is_remembered() {
        let refused = |code| CallError::Refused { code, details: String::new() };
        for (error, status, text, executed) in [
            (CallError::Busy, 503, "too many calls to the model at present", false),
            (CallError::Deadline, 408, "Grpc error details: Deadline Exceeded", true),
            (
                CallError::Unreachable("cannot connect".into()),
                500,
                "Grpc error details: cannot connect",
                false,
            ),
            (CallError::Broken("connection lost".into()), 500, "Grpc error details: connection lost", true),
            (refused(Code::Internal), 400, "Grpc error details: ", true),
            (refused(Code::Unauthenticated), 401, "Grpc error details: ", false),
        ] {
            let reply = error.reply();
            assert_eq!((reply.code(), reply.was_executed()), (status, executed), "{error:?}");
            assert_eq!(reply.body().unwrap().get(), format!("\"{text}\""));
        }
    }

    #[test]
    fn a_record_holds_the_beginning_of_a_long_text() {
        let error = CallError::Refused { code: Code::Unknown, details: "ä".repeat(5_000) };
        assert_eq!(error.brief().chars().count(), 200);
    }
}
