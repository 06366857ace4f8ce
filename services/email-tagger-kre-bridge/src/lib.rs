//! The gateway between NATS and the Email Tagger model; spec `email-tagger-kre-bridge`.
//!
//! `contracts::email_tagger` checks a request, `kre` reads it by the model's contract and calls the model, [`prediction`]
//! makes the answer a reply. Nothing is ever sent twice: neither is a prediction repeated, nor are metrics, whose
//! duplicates the bus answers. The settings are those of every bridge to a model, [`kre::Config`].

pub mod prediction;

use std::sync::Arc;

use bus::{Call, Reply};
use contracts::email_tagger::{Prediction, PredictionRequest, SaveMetrics, SaveMetricsRequest};
use kre::{Config, Contract, Model, Reading, Rpc, Unknown};
use runtime::{Context, Service};
use serde_json::Value;

/// Unknown fields are ignored; a lone tag is a list of one (Improve).
const READING: Reading = Reading { unknown: Unknown::Ignored, lone_elements: true, ids: &[] };

/// The service.
#[derive(Debug)]
pub struct EmailTaggerKreBridge;

runtime::service!(EmailTaggerKreBridge);

impl Service for EmailTaggerKreBridge {
    const NAME: &'static str = "email-tagger-kre-bridge";
    const ABOUT: &'static str =
        "Asks the Email Tagger model for the tags of e-mails and tells it the outcome";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        let tagger = Arc::new(Tagger::open(&ctx, &config)?);

        let predicting = Arc::clone(&tagger);
        bus.serve::<Prediction, _, _>(move |call| {
            let tagger = Arc::clone(&predicting);
            async move { tagger.predict(call).await }
        })
        .await?;
        bus.serve::<SaveMetrics, _, _>(move |call| {
            let tagger = Arc::clone(&tagger);
            async move { tagger.save(call).await }
        })
        .await?;
        Ok(())
    }
}

/// The model.
struct Tagger {
    predict: Rpc,
    save: Rpc,
    dry_run: bool,
}

impl Tagger {
    fn open(ctx: &Context, config: &Config) -> anyhow::Result<Self> {
        let model = Model::open(Contract::EmailTagger, config, &ctx.process.overrides, &ctx.metrics)?;
        Ok(Self {
            predict: model.rpc("GetPrediction", READING)?,
            save: model.rpc("SaveMetrics", READING)?,
            dry_run: ctx.process.is_dry_run(),
        })
    }

    async fn predict(&self, call: Call<PredictionRequest>) -> Reply {
        let Call { request, request_id, deadline, .. } = call;
        let email_id = request.email_id();
        match self.predict.ask(&request.body, deadline).await {
            Ok(answer) => {
                if answer.get("success") != Some(&Value::Bool(true)) {
                    let message = answer.get("message").and_then(Value::as_str).unwrap_or_default();
                    let message: String = message.chars().take(200).collect();
                    tracing::warn!(email_id, %request_id, message, "the model answered without success");
                }
                let (reply, tags) = prediction::reply(&answer);
                tracing::info!(email_id, %request_id, tags, "tags predicted");
                reply
            }
            Err(error) => {
                let status = error.status();
                tracing::error!(email_id, %request_id, status, error = error.brief(), "no tags predicted");
                error.reply()
            }
        }
    }

    async fn save(&self, call: Call<SaveMetricsRequest>) -> Reply {
        let Call { request, request_id, deadline, .. } = call;
        let (email_id, ticket_id) = (request.email_id(), request.ticket_id().map(tracing::field::display));
        if self.dry_run {
            return match self.save.check(&request.body) {
                Ok(()) => {
                    tracing::info!(email_id, ticket_id, %request_id, "dry run: metrics are not sent");
                    Reply::text(200, "Dry run: not sent to the model")
                }
                Err(error) => kre::CallError::from(error).reply(),
            };
        }
        match self.save.ask(&request.body, deadline).await {
            Ok(answer) => {
                tracing::info!(email_id, ticket_id, %request_id, "metrics saved");
                Reply::ok(answer.get("message").unwrap_or(&Value::Null))
            }
            Err(error) => {
                let status = error.status();
                let error_text = error.brief();
                tracing::error!(email_id, ticket_id, %request_id, status, error = error_text, "metrics not saved");
                error.reply()
            }
        }
    }
}
