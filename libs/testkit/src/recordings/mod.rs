//! Plays the recorded exchanges of the existing deployment against a running service.
//!
//! ```text
//! let (stage, _running) = Stage::with(&digi_bridge::service(), &[]).await;
//! stage.play_all().await.assert_clean();
//! ```
//!
//! A [`Stage`] has real NATS and Redis servers and stubs for the third party and the other services, and knows how the
//! recorded services were configured (see [`stage`](Stage::environment)). It plays a whole file, or one exchange at a time
//! where a test has to do something in between ([`load`], [`Stage::play`]).
//!
//! # What counts as right
//! An outcome is right when it equals `expect`, or one of `accept`: each alternative overrides parts of `expect`.
//!
//! | in the file | meaning |
//! | --- | --- |
//! | `reply: {..}` | same `status` and `body`; `request_id` is always echoed (null when the request had none) |
//! | `reply: "timeout"` | the existing service stayed silent; now there must be a reply with a status of 400 or more |
//! | `reply: "no responders"` | nobody serves the subject |
//! | `status: null` in a reply | now an integer outside 2xx, any body |
//! | `text` | the reply's body needs only begin so; empty: any body |
//! | `via_redis` | the reply came by token |
//! | `upstream` calls | same calls in any order: method, path, query (sorted), body, and the given headers. Logins are left out on both sides, except in rows without `subject` |
//! | a session cookie among the headers | any session that the stub has given out: which one depends on how often a service logs in |
//! | `peers` | same requests in any order |
//! | `redis` | these keys hold these values (JSON is compared as JSON); `expires` above 0: they expire within that many seconds, 0: never |
//! | `redis: {}` | no key `dev-..` is there that the exchange made or that [`Stage::store`] stored for it |
//! | `accept[].status` | that status, or one from the first to the last of two; any body |
//! | `accept[].reply`, `reply_of` | this reply, or the one that the named exchange of the file expects (any success when the file does not hold it) |
//! | `accept[].calls` | a number of calls; `any`; `more`: at least the expected ones; `fewer`: none but expected ones; or a list of calls |
//! | `accept[].peers`, `redis`: `any` | not compared |
//! | `upstream: "down"` among the rules | connections to the third party are refused |
//!
//! How a request travels is only told by the exchange's name: with `in Redis` or `through Redis` by token, with
//! `prefix token` by that, with `key missing` by a token whose payload is gone.

mod compare;
mod exchange;
mod profile;
mod stage;

pub use exchange::{Exchange, Expected, Kept, folder, load};
pub use stage::{Report, Stage};
