//! What became of the writes that this process executed, for when Redis cannot tell.

use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde_json::value::RawValue;

use crate::Reply;

/// How many writes are remembered at most. The longest unused are forgotten first.
const MOST: u32 = 16_384;
/// How many bytes their replies may take together.
const MOST_BYTES: u32 = 16 << 20;
/// A larger reply would push too many others out.
const LARGEST: usize = 256 << 10;

/// Replies by the write's key, each for a time.
pub(crate) struct SettledHere(Cache<String, Reply>);

impl SettledHere {
    /// Remembers each reply for `keep`.
    pub(crate) fn new(keep: Duration) -> Self {
        let replies = Cache::builder()
            .max_capacity(MOST_BYTES.into())
            .weigher(|key: &String, reply| weight(key, reply))
            // Also what is new is remembered when there is no more room: repetitions come soon after their first.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(keep)
            .build();
        Self(replies)
    }

    /// The reply to a write which was executed here.
    pub(crate) fn reply(&self, key: &str) -> Option<Reply> {
        self.0.get(key)
    }

    /// Whether a reply is small enough to be remembered.
    pub(crate) fn takes(reply: &Reply) -> bool {
        length(reply) <= LARGEST
    }

    /// Remembers a reply.
    pub(crate) fn remember(&self, key: &str, reply: Reply) {
        self.0.insert(key.to_owned(), reply);
    }
}

fn length(reply: &Reply) -> usize {
    reply.body().map_or(0, |body| RawValue::get(body).len())
}

/// At least what an equal share for each of [`MOST`] is, so that one bound holds for their number as well.
fn weight(key: &str, reply: &Reply) -> u32 {
    u32::try_from(key.len() + length(reply)).unwrap_or(u32::MAX).max(MOST_BYTES / MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_their_number_nor_their_bytes_grow_beyond_the_bounds_and_the_latest_are_there() {
        for (text, most) in
            [("", MOST), (&"x".repeat(LARGEST - 2), MOST_BYTES / u32::try_from(LARGEST).unwrap())]
        {
            let settled = SettledHere::new(Duration::from_secs(600));
            for n in 0..most + 500 {
                settled.remember(&n.to_string(), Reply::text(200, text));
                if n % 64 == 0 {
                    settled.0.run_pending_tasks();
                }
            }
            settled.0.run_pending_tasks();
            assert!(settled.0.entry_count() <= u64::from(most), "{}", settled.0.entry_count());
            assert!(settled.0.weighted_size() <= u64::from(MOST_BYTES));
            assert!(settled.reply(&(most + 499).to_string()).is_some());
            assert!(settled.reply("0").is_none());
        }
    }

    #[test]
    fn a_reply_is_remembered_for_its_time_only() {
        let settled = SettledHere::new(Duration::ZERO);
        settled.remember("k", Reply::status(200));
        assert!(settled.reply("k").is_none());
    }

    #[test]
    fn large_replies_are_told_from_small_ones() {
        assert!(SettledHere::takes(&Reply::status(204)));
        assert!(SettledHere::takes(&Reply::text(200, &"x".repeat(LARGEST - 2))));
        assert!(!SettledHere::takes(&Reply::text(200, &"x".repeat(LARGEST))));
    }
}
