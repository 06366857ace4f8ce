//! Good requests to the bridges of the field-dispatch vendors.

use serde_json::{Map, Value, json};

use super::About;
use crate::Simulation;

/// The day of a dispatch; any will do.
const DAY: &str = "2022-02-01";

/// Orders a dispatch at each vendor: the Salesforce id and the number at CTS, the number at LIT.
///
/// # Errors
/// When a vendor refuses.
pub(super) fn ordered(simulation: &Simulation, ticket: i64) -> anyhow::Result<((String, String), String)> {
    let fields = [("Status__c", json!("Open")), ("Ext_Ref_Num__c", json!(ticket.to_string()))];
    let record =
        simulation.cts.add(fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())?;
    let dispatch = simulation.lit.create(&lit_order(ticket))?;
    Ok(((record.id().to_owned(), record.number().to_owned()), dispatch.number().to_owned()))
}

/// Those to CTS's and LIT's bridges. CTS's bridge writes only where `CURRENT_ENVIRONMENT` is `dev`, else it answers 501.
pub(super) fn all(about: &About) -> Vec<(&'static str, Value)> {
    let ((id, number), lit) = (&about.cts, &about.lit);
    let mut change = lit_order(about.ticket);
    change.insert("dispatch_number".to_owned(), json!(lit));
    vec![
        ("cts.dispatch.get", json!({"dispatch_number": number})),
        ("cts.dispatch.post", cts_order(about.ticket)),
        (
            "cts.dispatch.update",
            json!({"dispatch_id": id, "payload": {"Issue_Summary__c": "Device is not reachable"}}),
        ),
        ("lit.dispatch.get", json!({"dispatch_number": lit})),
        ("lit.dispatch.post", json!({"RequestDispatch": lit_order(about.ticket)})),
        ("lit.dispatch.update", json!({"RequestDispatch": change})),
        (
            "lit.dispatch.cancel",
            json!({"CancelDispatchRequest": {"Dispatch_Number": lit, "Cancellation_Reason": "It works again",
                "Cancellation_Requested_By": "Ann Example"}}),
        ),
        (
            "lit.dispatch.upload.file",
            json!({"dispatch_number": lit, "payload": "aGVsbG8=", "file_name": "hello.txt",
                "file_content_type": "text/plain"}),
        ),
    ]
}

fn cts_order(ticket: i64) -> Value {
    json!({
        "date_of_dispatch": DAY,
        "site_survey_quote_required": false,
        "time_of_dispatch": "4.00PM",
        "time_zone": "Eastern Time",
        "mettel_bruin_ticket_id": ticket.to_string(),
        "sla_level": "4-Hour",
        "location_country": "United States",
        "job_site": "Example Store",
        "job_site_street_1": "1 Example Street",
        "job_site_city": "New York",
        "job_site_state": "NY",
        "job_site_zip_code": "10001",
        "job_site_contact_name": "Ann",
        "job_site_contact_lastname": "Example",
        "job_site_contact_number": "+1 212 555 0101",
        "materials_needed_for_dispatch": "Laptop",
        "scope_of_work": "Device is not reachable",
        "mettel_tech_call_in_instructions": "Call at arrival",
        "service_type": "Troubleshooting",
        "name_of_mettel_requester": "Ann",
        "lastname_of_mettel_requester": "Example",
        "mettel_department": "Customer Care",
        "mettel_requester_email": "ann@example.com",
        "mettel_department_phone_number": "+1 212 555 0102",
    })
}

fn lit_order(ticket: i64) -> Map<String, Value> {
    let order = json!({
        "date_of_dispatch": DAY,
        "mettel_bruin_ticketid": ticket.to_string(),
        "site_survey_quote_required": false,
        "local_time_of_dispatch": "4PM-6PM",
        "time_zone_local": "Eastern Time",
        "job_site": "Example Store",
        "job_site_street": "1 Example Street",
        "job_site_city": "New York",
        "job_site_state": "NY",
        "job_site_zip_code": "10001",
        "job_site_contact_name_and_phone_number": "Ann Example +1 212 555 0101",
        "special_materials_needed_for_dispatch": "Laptop",
        "scope_of_work": "Device is not reachable",
        "mettel_tech_call_in_instructions": "Call at arrival",
        "name_of_mettel_requester": "Ann Example",
        "mettel_department": "Customer Care",
        "mettel_requester_email": "ann@example.com",
        "mettel_department_phone_number": "+1 212 555 0102",
    });
    order.as_object().cloned().unwrap_or_default()
}
