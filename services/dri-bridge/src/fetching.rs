//! Fetching parameters: a task for the device, then what came of it (spec, "Behaviour").

use std::time::Duration;

use bus::{RedisLock, Reply, StoreError};
use contracts::dri::{DeviceSerial, ParametersRequest};
use tokio::time::{Instant, sleep};
use upstream::{Call, CallError, Upstream};

use crate::api::{self, Answer};
use crate::task::{self, TaskId, Tasks};

/// The whole request; callers wait 120 s (Improve 5).
const WHOLE_REQUEST: Duration = Duration::from_secs(100);
/// How long a request waits while another one gets the device its task: longer than a dead one's lock lasts.
const TASK_OF_ANOTHER: Duration = Duration::from_secs(35);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

/// Fetches parameters of devices.
pub(crate) struct Fetching {
    pub(crate) dri: Upstream,
    pub(crate) tasks: Tasks,
}

impl Fetching {
    /// The reply to one request.
    pub(crate) async fn answer(&self, request: &ParametersRequest, deadline: Instant) -> Reply {
        let until = deadline.min(Instant::now() + WHOLE_REQUEST);
        let reply = match self.task(request, until).await {
            Ok(task) => self.result(&request.serial_number, &task, until).await,
            Err(reply) => reply,
        };
        tracing::info!(serial = %request.serial_number, status = reply.code(), "parameters requested");
        reply
    }

    /// The device's task: the remembered one, else found or created by one request at a time (Improve 7).
    async fn task(&self, request: &ParametersRequest, until: Instant) -> Result<TaskId, Reply> {
        let serial = &request.serial_number;
        let lock = self.tasks.lock(serial);
        let patience = until.min(Instant::now() + TASK_OF_ANOTHER);
        loop {
            if let Some(task) = self.tasks.known(serial).await.map_err(|error| unstored(&error))? {
                return Ok(task);
            }
            if lock.hold().await.map_err(|error| unstored(&error))? {
                break;
            }
            if Instant::now() >= patience {
                // Somebody is still at it: as with any task under way, the next request will see.
                return Err(api::not_yet(serial));
            }
            sleep(LOOK).await;
        }
        let found = tokio::select! {
            found = self.find(request, until) => found,
            // DRI may need longer than the lock lives.
            lost = lock.keep() => Err(lost.map_or_else(|error| unstored(&error), |()| api::not_yet(serial))),
        };
        give_back(&lock, serial).await;
        found
    }

    /// Step 1, under the lock: a task that is pending, else a new one.
    async fn find(&self, request: &ParametersRequest, until: Instant) -> Result<TaskId, Reply> {
        let serial = &request.serial_number;
        if let Some(task) = self.tasks.known(serial).await.map_err(|error| unstored(&error))? {
            return Ok(task);
        }
        let pending = api::pending(self.send_or_reply(api::pending_call(serial), until).await?)?;
        let task = match task::largest(pending) {
            Some(task) => task,
            None => api::created(serial, self.send_or_reply(api::create_call(request), until).await?)?,
        };
        self.tasks.remember(serial, &task).await.map_err(|error| unstored(&error))?;
        Ok(task)
    }

    /// Step 2: what came of the task.
    async fn result(&self, serial: &DeviceSerial, task: &TaskId, until: Instant) -> Reply {
        let verdict = match self.send(api::result_call(serial, task), until).await {
            Ok(answer) => api::result(serial, answer),
            Err(error) => api::no_result(&error),
        };
        if verdict.forget
            && let Err(error) = self.tasks.forget(serial, task).await
        {
            tracing::warn!(%serial, %error, "a task could not be forgotten; it ends with its time to live");
        }
        verdict.reply
    }

    /// Sends a data call. A refused token was renewed and the call repeated once (Improve 2).
    async fn send(&self, call: Call, until: Instant) -> Result<Answer, CallError> {
        let sent = self.dri.send(call.until(until)).await;
        sent.map(Answer::from).inspect_err(|error| tracing::warn!(%error, "call to DRI failed"))
    }

    /// The same where no answer means the same whatever the reason.
    async fn send_or_reply(&self, call: Call, until: Instant) -> Result<Answer, Reply> {
        self.send(call, until).await.map_err(|error| api::no_answer(&error))
    }
}

async fn give_back(lock: &RedisLock, serial: &DeviceSerial) {
    if let Err(error) = lock.release().await {
        tracing::warn!(%serial, %error, "a lock could not be given back; it ends with its time to live");
    }
}

fn unstored(error: &StoreError) -> Reply {
    tracing::error!(%error, "the Redis of the task ids cannot be used: check REDIS_HOSTNAME");
    Reply::text(500, "The store of task ids cannot be used at the moment")
}
