//! The gateway between NATS and the Repair Tickets model; spec `repair-tickets-kre-bridge`.
//!
//! `contracts::repair_tickets` checks a request, [`outputs`] translates the form of an older monitor, `kre` reads it by
//! the model's contract and calls the model, [`inference`] completes the answer. Nothing is ever sent twice; duplicates of
//! what is saved are answered by the bus. The settings are those of every bridge to a model, [`kre::Config`].

pub mod inference;
pub mod outputs;

use bus::{Call, Reply};
use contracts::repair_tickets::{
    ClosedTicketFeedback, CreatedTicketFeedback, EmailRequest, FeedbackRequest, OutputsRequest, Prediction,
    SaveOutputs, Saved,
};
use kre::{CallError, Config, Contract, Model, Reading, Rpc, Unknown};
use runtime::{Context, Service};
use serde_json::{Map, Value};
use tokio::time::Instant;

/// Unknown fields are refused by name: lost data must be visible. Ids may be numbers (Improve).
const READING: Reading = Reading {
    unknown: Unknown::Refused,
    lone_elements: false,
    ids: &[
        "email_id",
        "parent_id",
        "client_id",
        "ticket_id",
        "site_id",
        "validated_ticket_numbers",
        "service_numbers_sites_map",
        "site_map",
    ],
};

/// The service.
#[derive(Debug)]
pub struct RepairTicketsKreBridge;

runtime::service!(RepairTicketsKreBridge);

impl Service for RepairTicketsKreBridge {
    const NAME: &'static str = "repair-tickets-kre-bridge";
    const ABOUT: &'static str =
        "Asks the Repair Tickets model what e-mails ask for and tells it what became of them";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        let model = Model::open(Contract::RepairTickets, &config, &ctx.process.overrides, &ctx.metrics)?;
        let predict = model.rpc("GetPrediction", READING)?;
        let saving =
            |rpc| anyhow::Ok(Saving { rpc: model.rpc(rpc, READING)?, dry_run: ctx.process.is_dry_run() });
        let outputs = saving("SaveOutputs")?;
        let created = saving("SaveCreatedTicketsFeedback")?;
        let closed = saving("SaveClosedTicketsFeedback")?;

        bus.serve::<Prediction, _, _>(move |call| {
            let predict = predict.clone();
            async move { infer(&predict, call).await }
        })
        .await?;
        bus.serve::<SaveOutputs, _, _>(move |call| {
            let outputs = outputs.clone();
            async move { outputs.keep_outputs(call).await }
        })
        .await?;
        bus.serve::<CreatedTicketFeedback, _, _>(move |call| {
            let created = created.clone();
            async move { created.keep_feedback(call).await }
        })
        .await?;
        bus.serve::<ClosedTicketFeedback, _, _>(move |call| {
            let closed = closed.clone();
            async move { closed.keep_feedback(call).await }
        })
        .await?;
        Ok(())
    }
}

async fn infer(predict: &Rpc, call: Call<EmailRequest>) -> Reply {
    let Call { request, request_id, deadline, .. } = call;
    let email_id = request.email_id().map(tracing::field::display);
    let request = Map::from_iter([("email".to_owned(), Value::Object(request.body))]);
    match predict.ask(&request, deadline).await {
        Ok(answer) => {
            let (inference, flagged) = inference::complete(answer);
            if !flagged {
                tracing::warn!(email_id, %request_id, "the model left out the filter flags: taken as filtered");
            }
            tracing::info!(email_id, %request_id, "inferred");
            Reply::ok(&inference)
        }
        Err(error) => {
            let (status, error_text) = (error.status(), error.brief());
            tracing::error!(email_id, %request_id, status, error = error_text, "nothing inferred");
            error.reply()
        }
    }
}

/// A method that saves something in the model.
#[derive(Clone)]
struct Saving {
    rpc: Rpc,
    dry_run: bool,
}

impl Saving {
    async fn keep_outputs(&self, call: Call<OutputsRequest>) -> Reply {
        let Call { request, request_id, deadline, subject } = call;
        let email_id = request.email_id();
        let outcome = match outputs::translated(request.body) {
            Ok(body) => self.save(&body, deadline).await,
            Err(error) => Err(error.into()),
        };
        let (status, failure) = said(&outcome);
        let email_id = email_id.map(tracing::field::display);
        match failure {
            None => tracing::info!(subject, email_id, %request_id, status, "saved"),
            Some(error) => tracing::error!(subject, email_id, %request_id, status, error, "not saved"),
        }
        settle(outcome)
    }

    async fn keep_feedback(&self, call: Call<FeedbackRequest>) -> Reply {
        let Call { request, request_id, deadline, subject } = call;
        let outcome = self.save(&request.body, deadline).await;
        let (status, failure) = said(&outcome);
        let ticket_id = request.ticket_id().map(tracing::field::display);
        match failure {
            None => tracing::info!(subject, ticket_id, %request_id, status, "saved"),
            Some(error) => tracing::error!(subject, ticket_id, %request_id, status, error, "not saved"),
        }
        settle(outcome)
    }

    async fn save(&self, body: &Map<String, Value>, deadline: Instant) -> Result<Saved, CallError> {
        if self.dry_run {
            self.rpc.check(body)?;
            tracing::info!("dry run: nothing is sent");
            return Ok(Saved { success: true });
        }
        let answer = self.rpc.ask(body, deadline).await?;
        Ok(Saved { success: answer.get("success") == Some(&Value::Bool(true)) })
    }
}

/// The status of what came of saving, and what went wrong, for a log record.
fn said(outcome: &Result<Saved, CallError>) -> (u16, Option<String>) {
    match outcome {
        Ok(Saved { success: true }) => (200, None),
        Ok(Saved { success: false }) => (200, Some("the model answered without success".to_owned())),
        Err(error) => (error.status(), Some(error.brief())),
    }
}

/// The reply to what came of saving: also a model that says no is a 200.
fn settle(outcome: Result<Saved, CallError>) -> Reply {
    outcome.map_or_else(|error| error.reply(), |saved| Reply::ok(&saved))
}
