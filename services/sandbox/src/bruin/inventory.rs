//! Inventory, sites, phone lines and circuits.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::query::Query;
use super::{Refusal, shapes};
use crate::Simulation;
use crate::http::json;
use crate::world::inventory::{Asset, Inventory, Site};
use crate::world::network::{LinkMode, Network};

/// `GET /api/Inventory`.
pub(super) async fn assets(State(simulation): State<Simulation>, query: Query) -> Response {
    let client = query.number("ClientId");
    let status = query.first("Status");
    let documents: Vec<Value> = simulation.world.inventory(|inventory| {
        let items = query.all("ServiceNumber").flat_map(|serial| {
            let wanted = move |asset: &&Asset| {
                client.is_none_or(|client| client == Ok(asset.client))
                    && status.is_none_or(|status| status == letter(asset))
            };
            inventory
                .assets(serial)
                .iter()
                .filter(wanted)
                .map(move |asset| document(inventory, serial, asset))
        });
        items.collect()
    });
    json(&json!({"total": documents.len(), "documents": documents}))
}

fn letter(asset: &Asset) -> &'static str {
    if asset.active { "A" } else { "D" }
}

fn document(inventory: &Inventory, serial: &str, asset: &Asset) -> Value {
    let site = inventory.site(asset.site);
    json!({
        "clientID": asset.client,
        "clientName": inventory.client_name(asset.client),
        "vendor": "MetTel",
        "accountNumber": format!("Voicecom.{}", asset.client),
        "subAccountNumber": format!("{}", 70_000_000 + asset.site),
        "inventoryID": asset.inventory.to_string(),
        "serviceNumber": serial,
        "siteId": asset.site,
        "siteLabel": site.map(|site| &site.label),
        "address": site.map(|site| shapes::Address::of(site, false)),
        "hierarchy": null,
        "costCenter": null,
        "installDate": "2019-06-01T00:00:00.000Z",
        "disconnectDate": if asset.active { Value::Null } else { json!("2021-06-01T00:00:00.000Z") },
        "status": letter(asset),
        "verified": "Y",
        "productCategory": shapes::PRODUCT,
    })
}

/// `GET /api/Inventory/Attribute`.
pub(super) async fn attributes(
    State(simulation): State<Simulation>,
    query: Query,
) -> Result<Response, Refusal> {
    let serial = query.first("ServiceNumber").ok_or_else(|| Refusal::bad("ServiceNumber is required"))?;
    let client = query.number("ClientId");
    let status = query.first("Status");
    let answer = simulation.world.inventory(|inventory| {
        let wanted = |asset: &&Asset| {
            client.is_none_or(|client| client == Ok(asset.client))
                && status.is_none_or(|status| status == letter(asset))
        };
        let asset = inventory.assets(serial).iter().find(wanted);
        let mut attributes = Vec::new();
        if let Some(asset) = asset {
            attributes.push(json!({"key": "Circuit Type", "value": "SD-WAN"}));
            attributes.push(json!({"key": "Serial Number", "value": serial}));
            if let Some(status) = &asset.management_status {
                attributes.push(json!({"key": "Management Status", "value": status}));
            }
        }
        let inventory_id = asset.map(|asset| asset.inventory.to_string());
        json!({"inventoryId": inventory_id, "serviceNumber": serial, "attributes": attributes})
    });
    Ok(json(&answer))
}

/// `GET /api/Inventory/phoneNumber/Lines`: the phone of a site's contact counts as its line.
pub(super) async fn phone_line(
    State(simulation): State<Simulation>,
    query: Query,
) -> Result<Response, Refusal> {
    let number = query.first("phoneNumber").ok_or_else(|| Refusal::bad("phoneNumber is required"))?;
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let national = digits.strip_prefix('1').filter(|rest| rest.len() == 10).unwrap_or(&digits);
    let line = simulation.world.inventory(|inventory| {
        let site = inventory.sites.values().find(|site| site.contact_phone == national)?;
        Some(json!({
            "inventoryId": 50_000_000 + site.id,
            "clientId": site.client,
            "clientName": inventory.client_name(site.client),
            "btn": site.contact_phone,
        }))
    });
    let unknown = || Refusal(StatusCode::NOT_FOUND, "The phone number was not found".to_owned());
    line.as_ref().map(json).ok_or_else(unknown)
}

/// The circuit id of a private link.
pub(crate) fn circuit_id(link: i64) -> String {
    format!("70.SBXA.{link:06}")
}

/// `GET /api/Inventory/circuit`: 204 for an unknown one.
pub(super) async fn circuit(State(simulation): State<Simulation>, query: Query) -> Response {
    let wanted = query.first("CircuitId").unwrap_or_default();
    let find = |network: &Network| {
        network.edges.iter().find_map(|edge| {
            let carries =
                edge.links.iter().any(|link| link.mode == LinkMode::Private && circuit_id(link.id) == wanted);
            carries.then(|| (edge.serial.clone(), edge.site))
        })
    };
    let Some((serial, site)) = simulation.world.network(find) else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let asset = simulation.world.inventory(|inventory| inventory.assets(&serial).first().cloned());
    json(&json!({
        "clientID": asset.as_ref().map(|asset| asset.client),
        "subAccount": format!("{}", 70_000_000 + site),
        "wtn": serial,
        "inventoryID": asset.map(|asset| asset.inventory),
        "addressID": 300_000 + site,
    }))
}

/// `GET /api/Site`.
pub(super) async fn site(State(simulation): State<Simulation>, query: Query) -> Response {
    let client = query.number("ClientId");
    let documents: Vec<Value> = simulation.world.inventory(|inventory| {
        let site = query.number("SiteId").and_then(Result::ok).and_then(|site| inventory.site(site));
        let site = site.filter(|site| client.is_none_or(|client| client == Ok(site.client)));
        site.map(|site| site_document(inventory, site)).into_iter().collect()
    });
    json(&json!({"total": documents.len(), "documents": documents}))
}

fn site_document(inventory: &Inventory, site: &Site) -> Value {
    json!({
        "clientID": site.client,
        "clientName": inventory.client_name(site.client),
        "siteID": site.id.to_string(),
        "siteLabel": site.label,
        "siteAddDate": "2018-07-12T07:50:01.52-04:00",
        "address": shapes::Address::of(site, true),
        "longitude": site.longitude,
        "latitude": site.latitude,
        "businessHours": "9:30am - 6pm",
        "timeZone": site.time_zone,
        "primaryContactName": site.contact_name,
        "primaryContactPhone": site.contact_phone,
        "primaryContactEmail": site.contact_email,
    })
}

/// `GET /api/Ticket/Contacts`: the contacts of the client's sites, at most 50.
pub(super) async fn contacts(State(simulation): State<Simulation>, query: Query) -> Response {
    let client = query.number("ClientId").and_then(Result::ok);
    let results: Vec<Value> = simulation.world.inventory(|inventory| {
        let mut sites: Vec<&Site> =
            inventory.sites.values().filter(|site| Some(site.client) == client).collect();
        sites.sort_unstable_by_key(|site| site.id);
        let contact = |site: &&Site| {
            let (first, last) = site.contact_name.split_once(' ').unwrap_or((&site.contact_name, ""));
            json!({"firstName": first, "lastName": last, "email": site.contact_email, "phone": site.contact_phone})
        };
        sites.iter().take(50).map(contact).collect()
    });
    json(&json!({"results": results}))
}
