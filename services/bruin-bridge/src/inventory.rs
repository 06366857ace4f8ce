//! Inventory, customers and sites (subjects 17 to 22).

use bus::Reply;
use contracts::bruin::{
    AttributeRequest, CircuitId, CircuitIdRequest, ClientInfo, ClientInfoByDid, ClientInfoByDidRequest,
    ClientInfoRequest, ManagementStatus, Scalar, SerialAttribute, SiteDetails, SiteDetailsRequest,
};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use upstream::Call;

use crate::bruin::Bruin;
use crate::outcome::{Failures, Fields, Malformed, Success};
use crate::query::{forwarded, with_query};
use crate::rendering::display;
use crate::subject::OneCall;

impl OneCall for SerialAttribute {
    const FAILURES: Failures = Failures::WITHOUT_404;

    fn call(_: &Bruin, request: &AttributeRequest) -> Call {
        attributes(request)
    }

    fn success(_: &AttributeRequest, answer: &Success) -> Result<Reply, Malformed> {
        attribute(answer, "Serial Number")
    }
}

impl OneCall for ManagementStatus {
    const FAILURES: Failures = Failures::WITHOUT_404;

    fn call(_: &Bruin, request: &AttributeRequest) -> Call {
        attributes(request)
    }

    fn success(_: &AttributeRequest, answer: &Success) -> Result<Reply, Malformed> {
        attribute(answer, "Management Status")
    }
}

/// Asks for the attributes of a device.
pub(crate) fn attributes(request: &AttributeRequest) -> Call {
    with_query(Call::get("/api/Inventory/Attribute"), forwarded(request.clone().all()))
}

/// The value of the first attribute with `key`, null when there is none; an answer without attributes as it is
/// (spec, Behaviour 6). Callers take null for an answer, so attributes that cannot be read are not answered with it.
fn attribute(answer: &Success, key: &str) -> Result<Reply, Malformed> {
    let fields = answer.fields()?;
    if fields.get("attributes").is_none() {
        return Ok(answer.as_is());
    }
    let found = fields
        .list("attributes")?
        .into_iter()
        .filter_map(Fields::of)
        .find(|attribute| attribute.value::<String>("key").as_deref() == Some(key));
    Ok(answer.passing(match found {
        Some(attribute) => attribute.need("value")?,
        None => RawValue::NULL,
    }))
}

/// A client as callers see it.
#[derive(Serialize)]
struct Client<'a> {
    client_id: &'a RawValue,
    client_name: &'a RawValue,
    site_id: &'a RawValue,
}

impl OneCall for ClientInfo {
    const FAILURES: Failures = Failures::WITHOUT_404;

    fn call(_: &Bruin, request: &ClientInfoRequest) -> Call {
        with_query(Call::get("/api/Inventory"), forwarded(request.clone().all()))
    }

    fn success(request: &ClientInfoRequest, answer: &Success) -> Result<Reply, Malformed> {
        let documents = answer.objects("documents")?;
        let in_use = documents.iter().filter(|document| in_use(document, request));
        let clients = in_use.map(|document| {
            let field = |name| document.get(name).unwrap_or(RawValue::NULL);
            Client {
                client_id: field("clientID"),
                client_name: field("clientName"),
                site_id: field("siteId"),
            }
        });
        Ok(answer.with(&clients.collect::<Vec<_>>()))
    }
}

/// Whether an inventory document is active and of a wanted device (spec, Behaviour 5, new rule: equality).
fn in_use(document: &Fields<'_>, request: &ClientInfoRequest) -> bool {
    document.value::<String>("status").as_deref() == Some("A")
        && document
            .value::<Scalar>("serviceNumber")
            .is_some_and(|number| request.service_number.values().contains(&number))
}

impl OneCall for ClientInfoByDid {
    const FAILURES: Failures = Failures::WITHOUT_404;

    fn call(_: &Bruin, request: &ClientInfoByDidRequest) -> Call {
        let call = Call::get("/api/Inventory/phoneNumber/Lines");
        with_query(call, [("phoneNumber".to_owned(), request.did.clone())]).query("phoneNumberType", "DID")
    }
}

impl OneCall for CircuitId {
    const FAILURES: Failures = Failures::WITHOUT_404;

    fn call(_: &Bruin, request: &CircuitIdRequest) -> Call {
        with_query(Call::get("/api/Inventory/circuit"), forwarded(request.clone().all()))
    }

    fn success(_: &CircuitIdRequest, answer: &Success) -> Result<Reply, Malformed> {
        Ok(if answer.status == 204 { answer.with("204 No Content") } else { answer.as_is() })
    }
}

impl OneCall for SiteDetails {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &SiteDetailsRequest) -> Call {
        with_query(Call::get("/api/Site"), forwarded(request.clone().all()))
    }

    fn success(request: &SiteDetailsRequest, answer: &Success) -> Result<Reply, Malformed> {
        let documents = answer.fields()?.list_or_none("documents")?;
        let none = || {
            let named = |id| display(&serde_json::to_value(id).unwrap_or(Value::Null));
            let (site, client) = (named(&request.site_id), named(&request.client_id));
            Reply::text(404, &format!("No site information was found for site {site} and client {client}"))
        };
        Ok(documents.first().map_or_else(none, |site| answer.passing(site)))
    }

    fn own_text(_: &Bruin, _: &SiteDetailsRequest, status: u16) -> Option<Reply> {
        (status == 403).then(|| Reply::json(403, &json!({"error": "403 error"})))
    }
}
