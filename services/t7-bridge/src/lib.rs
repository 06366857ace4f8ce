//! The gateway between NATS and the T7 model, which predicts what to do next about tickets; spec `t7-bridge`.
//!
//! `contracts::t7` checks a request, [`rows`] spells the keys of its task history as the model's contract does, `kre` reads
//! it by that contract and calls the model, [`prediction`] makes the answer a reply. Nothing is ever sent twice: neither is
//! a prediction repeated, nor is what is saved, whose duplicates the bus answers.

pub mod config;
pub mod prediction;
pub mod rows;

use std::sync::Arc;

use bus::{Call, Limits, Reply, RequestId};
use contracts::t7::{
    AutomationMetrics, AutomationMetricsRequest, LiveAutomationMetrics, LiveAutomationMetricsRequest,
    Prediction, PredictionRequest, ticket_id,
};
use kre::{CallError, Contract, Model, Reading, Rpc, Unknown};
use runtime::{Context, Service};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::config::Config;

/// Requests handled at the same time; more wait (Improve).
const REQUESTS: usize = 16;
/// Keys of rows that the contract does not have are dropped.
const READING: Reading = Reading { unknown: Unknown::Ignored, lone_elements: false, ids: &[] };
/// The longest text of the model in a log record, in characters.
const LOGGED: usize = 200;

/// The service.
#[derive(Debug)]
pub struct T7Bridge;

runtime::service!(T7Bridge);

impl Service for T7Bridge {
    const NAME: &'static str = "t7-bridge";
    const ABOUT: &'static str =
        "Asks the T7 model what to do next about tickets and tells it what became of them";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let max_payload_in = ctx.process.max_payload;
        let limits = Limits { in_flight: REQUESTS, max_payload_in, ..Limits::default() };
        let bus = ctx.connect_with(limits).await?;
        let model = Model::open(Contract::T7, &config.kre, &ctx.process.overrides, &ctx.metrics)?;
        let predict = model.rpc("Prediction", READING)?;
        let saving = |rpc| {
            anyhow::Ok(Arc::new(Saving { rpc: model.rpc(rpc, READING)?, dry_run: ctx.process.is_dry_run() }))
        };
        let history = saving("SaveMetrics")?;
        let outcome = saving("SaveLiveMetrics")?;

        bus.serve::<Prediction, _, _>(move |call| {
            let predict = predict.clone();
            async move { self::predict(&predict, call).await }
        })
        .await?;
        bus.serve::<AutomationMetrics, _, _>(move |call: Call<AutomationMetricsRequest>| {
            let history = Arc::clone(&history);
            async move {
                let AutomationMetricsRequest { ticket_id, ticket_rows } = call.request;
                let body = [("ticket_id", ticket_id), ("ticket_rows", rows::normalised(ticket_rows))];
                history.save(body, &call.request_id, call.deadline).await
            }
        })
        .await?;
        bus.serve::<LiveAutomationMetrics, _, _>(move |call: Call<LiveAutomationMetricsRequest>| {
            let outcome = Arc::clone(&outcome);
            async move {
                let LiveAutomationMetricsRequest { ticket_id, asset_id, automated_successfully } =
                    call.request;
                let body = [
                    ("ticket_id", ticket_id),
                    ("asset_id", asset_id),
                    ("automated_successfully", automated_successfully),
                ];
                outcome.save(body, &call.request_id, call.deadline).await
            }
        })
        .await?;
        Ok(())
    }
}

/// A request to the model.
fn message<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn predict(rpc: &Rpc, call: Call<PredictionRequest>) -> Reply {
    let Call { request, request_id, deadline, .. } = call;
    let PredictionRequest { ticket_id: ticket, ticket_rows, assets_to_predict } = request;
    let (id, rows) = (ticket_id(&ticket), ticket_rows.len());
    let ticket_id = id.as_ref().map(tracing::field::display);
    let body = message([
        ("ticket_id", ticket),
        ("ticket_rows", rows::normalised(ticket_rows)),
        ("assets_to_predict", assets_to_predict),
    ]);
    match rpc.ask(&body, deadline).await {
        Ok(answer) => {
            if answer.get("success") != Some(&Value::Bool(true)) {
                let message = text(&answer, "message");
                tracing::warn!(ticket_id, %request_id, message, "the model answered without success");
            }
            let items = prediction::reply(answer);
            let assets = items.as_array().map_or(0, Vec::len);
            tracing::info!(ticket_id, %request_id, rows, assets, "next actions predicted");
            Reply::ok(&items)
        }
        Err(error) => {
            let status = error.status();
            tracing::error!(ticket_id, %request_id, status, error = error.brief(), "no next actions predicted");
            error.reply()
        }
    }
}

/// The beginning of a text in the model's answer, for logs.
fn text(answer: &Map<String, Value>, name: &str) -> String {
    let text = answer.get(name).and_then(Value::as_str).unwrap_or_default();
    text.chars().take(LOGGED).collect()
}

/// A method of the model which keeps what it is given.
struct Saving {
    rpc: Rpc,
    dry_run: bool,
}

impl Saving {
    async fn save<const N: usize>(
        &self,
        body: [(&str, Value); N],
        request_id: &RequestId,
        deadline: Instant,
    ) -> Reply {
        let body = message(body);
        let id = body.get("ticket_id").and_then(ticket_id);
        let ticket_id = id.as_ref().map(tracing::field::display);
        if self.dry_run {
            return match self.rpc.check(&body) {
                Ok(()) => {
                    tracing::info!(ticket_id, %request_id, "dry run: metrics are not sent");
                    Reply::text(200, "Dry run: not sent to the model")
                }
                Err(mismatch) => CallError::from(mismatch).reply(),
            };
        }
        match self.rpc.ask(&body, deadline).await {
            Ok(answer) => {
                tracing::info!(ticket_id, %request_id, message = text(&answer, "message"), "metrics saved");
                Reply::ok(answer.get("message").and_then(Value::as_str).unwrap_or_default())
            }
            Err(error) => {
                let status = error.status();
                tracing::error!(ticket_id, %request_id, status, error = error.brief(), "metrics not saved");
                error.reply()
            }
        }
    }
}
