//! Whether a call is repeated, and when.

use std::time::Duration;

use http::header;

use crate::{CallError, Response, Retry};

/// The longest pause that `Retry-After` can ask for; a deadline nearly always ends earlier.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);

/// The pause before the next try, or `None` when `outcome` is final. `tried` counts repetitions so far, `spread` in 0..1
/// varies the pause.
pub(crate) fn pause(
    retry: Retry,
    tried: u32,
    read: bool,
    outcome: &Result<Response, CallError>,
    spread: f64,
) -> Option<Duration> {
    if tried >= retry.times || !repeatable(retry, read, outcome) {
        return None;
    }
    let doubled = retry.pause.saturating_mul(1_u32.checked_shl(tried).unwrap_or(u32::MAX)).min(LONGEST);
    let varied = doubled.mul_f64(0.5 + spread).min(retry.longest);
    let asked = outcome.as_ref().ok().and_then(retry_after).unwrap_or_default().min(retry.longest_asked);
    Some(varied.max(asked).min(LONGEST))
}

/// What a third party answers while it is overloaded or restarting.
pub(crate) fn transient(response: &Response) -> bool {
    matches!(response.status, 429 | 502..=504)
}

fn repeatable(retry: Retry, read: bool, outcome: &Result<Response, CallError>) -> bool {
    match outcome {
        Err(CallError::Connect(_)) => true,
        Err(CallError::Closed(_)) => read,
        Ok(response) if read => (retry.again)(response),
        Ok(response) => response.status == 429,
        Err(_) => false,
    }
}

/// `Retry-After` in seconds; dates are not used by the third parties we know.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};

    #[allow(clippy::unnecessary_wraps, reason = "an outcome, as the rule takes it")]
    fn answer(status: u16, retry_after: Option<&'static str>) -> Result<Response, CallError> {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
        }
        Ok(Response { status, headers, body: Bytes::new(), session_refused: false })
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn writes_are_repeated_only_when_surely_not_executed() {
        let closed = || Err(CallError::Closed("x".into()));
        let refused = || Err(CallError::Connect("x".into()));
        for (outcome, read, write) in [
            (refused(), true, true),
            (answer(429, None), true, true),
            (closed(), true, false),
            (answer(502, None), true, false),
            (answer(503, None), true, false),
            (answer(504, None), true, false),
            (answer(500, None), false, false),
            (answer(400, None), false, false),
            (answer(200, None), false, false),
            (Err(CallError::Timeout), false, false),
            (Err(CallError::TooLarge(1)), false, false),
            (Err(CallError::Deadline), false, false),
        ] {
            let retry = Retry::once_after(SECOND);
            assert_eq!(pause(retry, 0, true, &outcome, 0.5).is_some(), read, "read after {outcome:?}");
            assert_eq!(pause(retry, 0, false, &outcome, 0.5).is_some(), write, "write after {outcome:?}");
        }
    }

    #[test]
    fn pauses_double_vary_by_half_and_end_after_the_last_try() {
        let retry = Retry::times(3, SECOND);
        let at = |tried, spread| pause(retry, tried, true, &answer(503, None), spread);
        assert_eq!(at(0, 0.5), Some(SECOND));
        assert_eq!(at(1, 0.5), Some(2 * SECOND));
        assert_eq!(at(2, 0.0), Some(2 * SECOND));
        assert_eq!(at(2, 1.0), Some(6 * SECOND));
        assert_eq!(at(3, 0.5), None);
        assert_eq!(pause(Retry::NEVER, 0, true, &answer(503, None), 0.5), None);
    }

    #[test]
    fn pauses_are_capped_and_what_is_repeated_can_be_said() {
        let retry =
            Retry::times(9, SECOND).at_most(3 * SECOND).again_after(|response| response.status == 500);
        let after = |status, read, tried| pause(retry, tried, read, &answer(status, None), 1.0);
        assert_eq!((after(500, true, 0), after(500, true, 5)), (Some(SECOND.mul_f64(1.5)), Some(3 * SECOND)));
        assert_eq!((after(503, true, 0), after(500, false, 0)), (None, None));
        assert!(after(429, false, 0).is_some());
        assert!(pause(retry, 0, true, &Err(CallError::Closed("x".into())), 0.5).is_some());
        assert_eq!(pause(retry, 0, true, &answer(500, Some("7")), 0.5), Some(7 * SECOND));
    }

    #[test]
    fn the_third_partys_wish_lengthens_the_pause_but_never_shortens_it() {
        let retry = Retry::once_after(2 * SECOND);
        let with = |wish| pause(retry, 0, true, &answer(429, Some(wish)), 0.5);
        assert_eq!(with("7"), Some(7 * SECOND));
        assert_eq!(with("1"), Some(2 * SECOND));
        assert_eq!(with("Wed, 21 Oct 2026 07:28:00 GMT"), Some(2 * SECOND));
        assert_eq!(with("99999999999"), Some(LONGEST));
    }

    #[test]
    fn a_wish_is_heeded_up_to_a_bound() {
        let retry = Retry::once_after(SECOND).heeding_at_most(SECOND.mul_f64(1.5));
        let with = |wish, spread| pause(retry, 0, true, &answer(503, wish), spread);
        assert_eq!(with(Some("7"), 0.0), Some(SECOND.mul_f64(1.5)));
        assert_eq!(with(Some("1"), 0.0), Some(SECOND));
        assert_eq!(with(None, 0.0), Some(SECOND / 2));
    }
}
