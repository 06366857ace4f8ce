//! `POST /api/Ticket/repair`: outage tickets.

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Refusal, read};
use crate::Simulation;
use crate::http::json;

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "ClientID")]
    client: i64,
    #[serde(rename = "WTNs")]
    serials: Vec<String>,
    #[serde(rename = "RequestDescription")]
    description: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asset {
    ticket_id: i64,
    inventory_id: Option<i64>,
    wtn: String,
    error_message: Option<&'static str>,
    error_code: u16,
}

/// Always 200; each service number has its own error code.
pub(super) async fn repair(State(simulation): State<Simulation>, body: Bytes) -> Result<Response, Refusal> {
    let body: Body = read(&body)?;
    if body.serials.is_empty() {
        return Err(Refusal::bad("WTNs must not be empty"));
    }
    let lines: Vec<_> = simulation.world.inventory(|inventory| {
        let line = |serial: String| {
            let asset = inventory.asset_of(&serial, body.client).cloned();
            (serial, asset)
        };
        body.serials.into_iter().map(line).collect()
    });
    let now = simulation.world.now();
    let repaired = simulation
        .world
        .with_tickets(|tickets| tickets.repair(body.client, &lines, body.description.as_deref(), now));
    let assets: Vec<Asset> = repaired
        .into_iter()
        .map(|one| Asset {
            ticket_id: one.ticket,
            inventory_id: one.inventory,
            wtn: one.serial,
            error_message: one.message,
            error_code: one.code,
        })
        .collect();
    Ok(json(&json!({"assets": assets})))
}
