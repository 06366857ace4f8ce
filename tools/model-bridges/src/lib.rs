//! The tests that every bridge to a model has to pass: what a model, a network and requesters do to it, over real NATS,
//! Redis and gRPC, with the sandbox's model.
//!
//! A bridge says in its tests what it is asked ([`Bridge`]); `model_bridges::tests!` makes of it the tests of [`cases`],
//! each under its own name. What only one bridge does it tests itself, in a [`Scene`].
//!
//! It stands apart from `testkit` because libraries do not know the sandbox.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "all of it is tests, which end by panicking"
)]

pub mod cases;
mod scene;

use runtime::Runnable;
use sandbox::ThirdParty;
use serde_json::{Map, Value};

pub use scene::{Scene, object};

/// A request of a bridge and the call which it makes of the model for it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Where it is sent.
    pub subject: &'static str,
    /// The model's method.
    pub rpc: &'static str,
    /// The body: it fits, and the simulated model answers it well.
    pub body: Value,
    /// The text of the 400 to what is no JSON object, or one without a body.
    pub refusal: &'static str,
}

/// Something that the model is told, and the bridge's reply when it has been.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The request.
    pub ask: Ask,
    /// The body of the reply to it.
    pub saved: Value,
    /// The same when it would have been sent but for `WRITE_MODE=dry-run`.
    pub dry_run: Value,
}

/// What the tests have to know of a bridge.
pub trait Bridge {
    /// Its model.
    const MODEL: ThirdParty;
    /// The model's name among the labels of `kre_calls_total`.
    const LABEL: &'static str;
    /// The setting that names a file with certificate authorities.
    const CA_FILE: &'static str = "KRE_TLS_CA_FILE";

    /// The service.
    fn service() -> Runnable;

    /// Its read.
    fn question() -> Ask;

    /// Its writes; most tests try the first only.
    fn outcomes() -> Vec<Outcome>;

    /// A body that does not fit the contract of the first write, and the text of the 500 to it.
    fn misfit() -> (Value, &'static str);

    /// The question's body with this text in a field that travels to the model.
    fn question_with(text: &str) -> Value;

    /// An answer of the model to the question whose reply has more than a megabyte.
    fn long_answer() -> Map<String, Value>;

    /// Fails unless this is the reply to [`Self::long_answer`].
    fn check_long_reply(reply: &Value);
}

/// The tests of [`cases`] for a [`Bridge`].
#[macro_export]
macro_rules! tests {
    ($bridge:ty) => {
        $crate::tests! {
            $bridge:
            a_ca_file_without_certificates_stops_the_start_by_name
            a_dry_run_validates_answers_and_saves_nothing
            a_model_that_is_down_stops_nothing_and_is_found_when_it_comes
            a_model_that_takes_too_long_is_a_408
            a_requester_that_says_how_long_it_waits_gets_its_reply_in_time
            an_own_authority_is_trusted_and_an_unknown_one_refused
            every_status_of_the_model_has_its_reply_on_every_subject
            garbage_is_refused_and_the_service_goes_on
            more_calls_than_allowed_are_a_503
            requests_and_replies_of_more_than_a_megabyte_pass
            the_stop_waits_for_what_is_in_flight
            what_is_no_answer_is_a_500_and_never_repeated
            what_is_saved_is_saved_once_for_one_request
        }
    };
    ($bridge:ty: $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::cases::$case::<$bridge>().await;
            }
        )*
    };
}
