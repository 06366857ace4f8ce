//! The gateway to the CTS field-dispatch vendor, whose dispatches are `Service__c` records of a Salesforce organisation;
//! spec `cts-bridge`.
//!
//! `contracts::cts` validates a request, [`soql`] and [`sobjects`] make it a call, `salesforce` logs in and sends it,
//! [`records`] joins the pages of a result. Nothing is read of a record but its number, where only ours are wanted.

pub mod config;
pub mod records;
pub mod sobjects;
pub mod soql;

use std::sync::Arc;

use bus::{Call, Reply};
use contracts::cts::{Change, CreateDispatch, GetDispatches, NewDispatch, Selection, UpdateDispatch};
use runtime::{Context, Service};
use salesforce::{Failure, Organisation, Ours, read_until};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::config::{CTS, Config};
use crate::records::Page;
use crate::soql::Soql;

/// More pages than any result has; Salesforce puts up to 2,000 records on each.
const MOST_PAGES: usize = 200;

/// The service.
#[derive(Debug)]
pub struct CtsBridge;

runtime::service!(CtsBridge);

impl Service for CtsBridge {
    const NAME: &'static str = "cts-bridge";
    const ABOUT: &'static str = "Reads, creates and changes the dispatches of the vendor CTS";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        let cts = Arc::new(Cts::new(&ctx, config)?);
        cts.organisation.keep_session(&ctx);

        let gets = Arc::clone(&cts);
        bus.serve::<GetDispatches, _, _>(move |call| {
            let cts = Arc::clone(&gets);
            async move { cts.get(call).await }
        })
        .await?;
        let creations = Arc::clone(&cts);
        bus.serve::<CreateDispatch, _, _>(move |call| {
            let cts = Arc::clone(&creations);
            async move { cts.create(call).await }
        })
        .await?;
        bus.serve::<UpdateDispatch, _, _>(move |call| {
            let cts = Arc::clone(&cts);
            async move { cts.update(call).await }
        })
        .await?;
        Ok(())
    }
}

/// CTS's organisation.
struct Cts {
    organisation: Organisation,
    ours: Ours,
    soql: Soql,
    may_write: bool,
    /// The largest result in bytes.
    most: usize,
}

impl Cts {
    fn new(ctx: &Context, config: Config) -> anyhow::Result<Self> {
        let Config { account, current_environment } = config;
        Ok(Self {
            organisation: Organisation::new(ctx, CTS, account)?,
            ours: Ours::open(&ctx.process)?,
            soql: Soql::new(current_environment == "production"),
            may_write: current_environment == "dev",
            most: ctx.process.max_payload,
        })
    }

    async fn get(&self, call: Call<Selection>) -> Reply {
        let until = read_until(call.deadline);
        let found = match &call.request {
            Selection::One { dispatch_number } => self.ask(&self.soql.one(dispatch_number), until).await,
            Selection::All { ours_only } => self.all(*ours_only, until).await,
        };
        let reply = match found {
            Ok(result) => Reply::raw(200, result),
            Err(failure) => failure.reply(CTS),
        };
        let bytes = reply.body().map_or(0, |body| body.get().len());
        tracing::info!(request_id = %call.request_id, status = reply.code(), bytes, "dispatches read");
        reply
    }

    async fn all(&self, ours_only: bool, until: Instant) -> Result<Box<RawValue>, Failure> {
        let result = self.ask(&self.soql.all(), until).await?;
        if ours_only { self.ours.only(&result, "records", "Name", until).await } else { Ok(result) }
    }

    /// The whole result of a query.
    async fn ask(&self, soql: &str, until: Instant) -> Result<Box<RawValue>, Failure> {
        let mut call = sobjects::query(soql);
        let mut pages = Vec::new();
        let mut bytes = 0;
        loop {
            let Page { answer, next } = self.organisation.read(call, until, Page::read).await?;
            bytes += answer.get().len();
            pages.push(answer);
            match next {
                None => return records::join(&pages).ok_or(Failure::Unusable("no list of records")),
                Some(_) if pages.len() >= MOST_PAGES || bytes > self.most => {
                    return Err(Failure::Unusable("the result is too large"));
                }
                Some(locator) => call = sobjects::next_page(&locator),
            }
        }
    }

    async fn create(&self, call: Call<NewDispatch>) -> Reply {
        let reply =
            self.write(sobjects::create(&call.request), call.deadline, sobjects::created, sobjects::dry_run);
        let reply = reply.await;
        tracing::info!(request_id = %call.request_id, status = reply.code(), "dispatch created");
        reply
    }

    async fn update(&self, call: Call<Change>) -> Reply {
        let update = sobjects::update(&call.request);
        let reply = self.write(update, call.deadline, sobjects::updated, sobjects::dry_run_update).await;
        let dispatch_id = call.request.dispatch_id;
        tracing::info!(%dispatch_id, request_id = %call.request_id, status = reply.code(), "dispatch changed");
        reply
    }

    /// Sends a write where that is allowed (spec, Behaviour 4).
    async fn write(
        &self,
        call: upstream::Call,
        deadline: Instant,
        understand: impl Fn(&upstream::Response) -> Result<Reply, &'static str>,
        dry_run: fn() -> Reply,
    ) -> Reply {
        if !self.may_write {
            let text = "CTS dispatches are created and changed only where CURRENT_ENVIRONMENT is dev";
            return Reply::text(501, text).not_executed();
        }
        let written = self.organisation.write(call, deadline, understand, dry_run).await;
        written.unwrap_or_else(|failure| failure.reply(CTS))
    }
}
