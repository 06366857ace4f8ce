//! The gateway to the LIT field-dispatch vendor, whose dispatch portal is a set of Apex REST resources in a Salesforce
//! organisation; spec `lit-bridge`.
//!
//! `contracts::lit` validates a request, [`apex`] makes it a call, `salesforce` logs in and sends it, [`answer`] says what
//! LIT's object means. Of a dispatch nothing is read but its number.

pub mod answer;
pub mod apex;
pub mod config;

use std::sync::Arc;

use bus::{Bus, Call, Reply, ServeError};
use contracts::lit::{
    CancelDispatch, Cancellation, Change, CreateDispatch, GetDispatches, NewDispatch, Selection,
    UpdateDispatch, Upload, UploadFile,
};
use runtime::{Context, Service};
use salesforce::{Failure, Organisation, Ours, read_until};
use tokio::time::Instant;

use crate::answer::{Answer, Operation, dry_run};
use crate::config::{Config, LIT};

/// The service.
#[derive(Debug)]
pub struct LitBridge;

runtime::service!(LitBridge);

impl Service for LitBridge {
    const NAME: &'static str = "lit-bridge";
    const ABOUT: &'static str = "Orders, reads, changes and cancels the dispatches of the vendor LIT";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        let lit = Arc::new(Lit {
            organisation: Organisation::new(&ctx, LIT, config.account)?,
            ours: Ours::open(&ctx.process)?,
            upload_raw: config.upload_raw,
        });
        lit.organisation.keep_session(&ctx);
        serve_all(&bus, &lit).await?;
        Ok(())
    }
}

async fn serve_all(bus: &Bus, lit: &Arc<Lit>) -> Result<(), ServeError> {
    /// A handler that is a method of [`Lit`].
    macro_rules! handler {
        ($method:ident) => {{
            let lit = Arc::clone(lit);
            move |call| {
                let lit = Arc::clone(&lit);
                async move { lit.$method(call).await }
            }
        }};
    }
    bus.serve::<CreateDispatch, _, _>(handler!(create)).await?;
    bus.serve::<GetDispatches, _, _>(handler!(get)).await?;
    bus.serve::<UpdateDispatch, _, _>(handler!(update)).await?;
    bus.serve::<CancelDispatch, _, _>(handler!(cancel)).await?;
    bus.serve::<UploadFile, _, _>(handler!(upload)).await
}

/// LIT's dispatch portal.
struct Lit {
    organisation: Organisation,
    ours: Ours,
    upload_raw: bool,
}

impl Lit {
    async fn get(&self, call: Call<Selection>) -> Reply {
        let until = read_until(call.deadline);
        let found = match &call.request {
            Selection::One { dispatch_number } => self.read(apex::one(dispatch_number), until).await,
            Selection::All { ours_only: false } => self.read(apex::all(), until).await,
            Selection::All { ours_only: true } => self.only_ours(until).await,
        };
        let reply = found.map_or_else(|failure| failure.reply(LIT), Answer::reply);
        let bytes = reply.body().map_or(0, |body| body.get().len());
        tracing::info!(request_id = %call.request_id, status = reply.code(), bytes, "dispatches read");
        reply
    }

    async fn only_ours(&self, until: Instant) -> Result<Answer, Failure> {
        let answer = self.read(apex::all(), until).await?;
        if answer.status != 200 {
            return Ok(answer);
        }
        let object = self.ours.only(&answer.object, "DispatchList", "Dispatch_Number", until).await?;
        Ok(Answer { object, ..answer })
    }

    async fn read(&self, call: upstream::Call, until: Instant) -> Result<Answer, Failure> {
        self.organisation.read(call, until, |response| Answer::read(response, Operation::Other)).await
    }

    async fn create(&self, call: Call<NewDispatch>) -> Reply {
        let sent = apex::create(&call.request.0);
        let reply = self.write(sent, Operation::Create, call.deadline, dry_run::created).await;
        let dispatch_number = reply.body().and_then(answer::dispatch_number).unwrap_or_default();
        let (request_id, status) = (&call.request_id, reply.code());
        tracing::info!(%dispatch_number, %request_id, status, "dispatch ordered");
        reply
    }

    async fn update(&self, call: Call<Change>) -> Reply {
        let Change { body, dispatch_number } = &call.request;
        let accepted = || dry_run::updated(dispatch_number);
        let reply = self.write(apex::update(body), Operation::Other, call.deadline, accepted).await;
        let (request_id, status) = (&call.request_id, reply.code());
        tracing::info!(%dispatch_number, %request_id, status, "dispatch changed");
        reply
    }

    async fn cancel(&self, call: Call<Cancellation>) -> Reply {
        let Cancellation { body, dispatch_number } = &call.request;
        let sent = apex::cancel(body);
        let reply = self.write(sent, Operation::Cancel, call.deadline, dry_run::cancelled).await;
        let (request_id, status) = (&call.request_id, reply.code());
        tracing::info!(%dispatch_number, %request_id, status, "cancellation requested");
        reply
    }

    async fn upload(&self, call: Call<Upload>) -> Reply {
        let reply = match apex::upload(&call.request, self.upload_raw) {
            Ok(sent) => self.write(sent, Operation::Other, call.deadline, dry_run::uploaded).await,
            Err(text) => Reply::text(400, text).not_executed(),
        };
        let (dispatch_number, bytes) = (&call.request.dispatch_number, call.request.payload.len());
        let (request_id, status) = (&call.request_id, reply.code());
        tracing::info!(%dispatch_number, %request_id, bytes, status, "file attached");
        reply
    }

    async fn write(
        &self,
        call: upstream::Call,
        operation: Operation,
        deadline: Instant,
        accepted: impl FnOnce() -> Reply,
    ) -> Reply {
        let understand = |response: &_| Answer::read(response, operation).map(Answer::reply);
        let written = self.organisation.write(call, deadline, understand, accepted).await;
        written.unwrap_or_else(|failure| failure.reply(LIT))
    }
}
