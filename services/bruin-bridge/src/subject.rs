//! What a subject is: the description of one call, or several calls written out.

use std::time::Duration;

use bus::{Bus, Reply, ServeError};
use contracts::{Effect, Rpc};
use serde_json::{Value, json};
use tokio::time::Instant;
use upstream::Call;

use crate::bruin::Bruin;
use crate::outcome::{Failures, Malformed, Success};

/// Time kept for sending the reply, so that it is ours and not the bus's at the deadline.
const RESERVE: Duration = Duration::from_millis(250);

/// A subject that this bridge answers.
pub(crate) trait Subject: Rpc {
    /// Answers a valid request until `deadline`.
    fn answer(
        bruin: &Bruin,
        request: &Self::Request,
        deadline: Instant,
    ) -> impl Future<Output = Reply> + Send;
}

/// A subject that is one call to Bruin.
pub(crate) trait OneCall: Rpc {
    /// What Bruin's failures mean.
    const FAILURES: Failures;

    /// The call.
    fn call(bruin: &Bruin, request: &Self::Request) -> Call;

    /// The reply to a success. Unless said otherwise Bruin's status and body, unchanged; where failures are passed on too,
    /// what is no JSON as a short text.
    fn success(_request: &Self::Request, answer: &Success) -> Result<Reply, Malformed> {
        Ok(if Self::FAILURES.are_passed_on() { answer.passed_on() } else { answer.as_is() })
    }

    /// A text of the subject's own for a status outside 2xx.
    fn own_text(_bruin: &Bruin, _request: &Self::Request, _status: u16) -> Option<Reply> {
        None
    }

    /// What Bruin would answer if it accepted the write, for the dry-run mode.
    fn accepted(_request: &Self::Request) -> Value {
        json!({"message": "success"})
    }
}

impl<S: OneCall> Subject for S {
    async fn answer(bruin: &Bruin, request: &S::Request, deadline: Instant) -> Reply {
        let call = S::call(bruin, request);
        let answer = bruin.send_as(S::EFFECT, call, deadline, || S::accepted(request)).await;
        match answer {
            Err(error) => S::FAILURES.no_answer(&error),
            Ok(response) if response.is_success() => {
                S::success(request, &Success::read(&response)).unwrap_or_else(Reply::from)
            }
            Ok(response) => {
                S::own_text(bruin, request, response.status).unwrap_or_else(|| S::FAILURES.reply(&response))
            }
        }
    }
}

/// Serves a subject. Identical reads in flight share one answer.
pub(crate) async fn serve<S: Subject>(bus: &Bus, bruin: &Bruin) -> Result<(), ServeError> {
    let bruin = bruin.clone();
    bus.serve::<S, _, _>(move |call| {
        let bruin = bruin.clone();
        async move {
            let deadline = call.deadline.checked_sub(RESERVE).unwrap_or(call.deadline);
            let request = call.request;
            match S::EFFECT {
                Effect::Read => {
                    let Ok(mut question) = serde_json::to_string(&request) else {
                        return Reply::text(500, "the request cannot be compared with others");
                    };
                    question.push_str(S::SUBJECT);
                    let asked = bruin.clone();
                    let work = move || async move { S::answer(&asked, &request, deadline).await };
                    bruin.shared(question, deadline, work).await
                }
                Effect::Write => {
                    // Boxed, for otherwise reads, which never come here, would be as large.
                    let reply = Box::pin(S::answer(&bruin, &request, deadline)).await;
                    bruin.written();
                    reply
                }
            }
        }
    })
    .await
}
