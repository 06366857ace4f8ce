//! Whether a service is alive and whether it is ready: what `/_health` and `/_ready` answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

type Condition = Arc<dyn Fn() -> bool + Send + Sync>;

/// How far a service is. Clones share the state.
#[derive(Clone, Default)]
pub(crate) struct Readiness(Arc<State>);

#[derive(Default)]
struct State {
    started: AtomicBool,
    stopping: AtomicBool,
    conditions: RwLock<Vec<(String, Condition)>>,
}

impl Readiness {
    /// `start` has returned: subscriptions exist. From now on alive, for good (spec `00-messaging`, "HTTP health server").
    pub(crate) fn start_returned(&self) {
        self.0.started.store(true, Ordering::Release);
    }

    /// The service takes no new work.
    pub(crate) fn stopping(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Not ready while `condition` is false; `name` says what is then missing.
    pub(crate) fn require(
        &self,
        name: impl Into<String>,
        condition: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        self.0.conditions.write().push((name.into(), Arc::new(condition)));
    }

    pub(crate) fn is_started(&self) -> bool {
        self.0.started.load(Ordering::Acquire)
    }

    /// Why the service is not ready; empty when it is.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.is_started() {
            reasons.push("starting".to_owned());
        }
        if self.0.stopping.load(Ordering::Acquire) {
            reasons.push("stopping".to_owned());
        }
        // Outside of the lock: a condition is the service's code.
        let conditions = self.0.conditions.read().clone();
        let missing = conditions.into_iter().filter(|(_, condition)| !condition());
        reasons.extend(missing.map(|(name, _)| format!("not {name}")));
        reasons
    }
}
