//! Work queues (subjects 15 and 16).

use bus::Reply;
use contracts::bruin::{ChangeWorkQueue, ChangeWorkQueueRequest, NextResults, NextResultsRequest};
use contracts::id::{DetailId, Serial};
use contracts::json::truthy;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use upstream::Call;

use crate::bruin::Bruin;
use crate::outcome::{Failures, Fields, Malformed, Success};
use crate::rendering::display;
use crate::subject::{OneCall, Subject};

const FAILURES: Failures = Failures::WITHOUT_404;

impl OneCall for NextResults {
    const FAILURES: Failures = FAILURES;

    fn call(_: &Bruin, request: &NextResultsRequest) -> Call {
        Call::get("/api/Ticket/{ticket_id}/nextresult")
            .segment("ticket_id", &request.ticket_id)
            .query("DetailId", &request.detail_id)
            .query("ServiceNumber", &request.service_number)
    }
}

/// How the line is named to Bruin, in the look-up and in texts.
#[derive(Serialize)]
struct Filters<'a> {
    #[serde(rename = "DetailId", skip_serializing_if = "Option::is_none")]
    detail_id: Option<&'a DetailId>,
    #[serde(rename = "ServiceNumber", skip_serializing_if = "Option::is_none")]
    service_number: Option<&'a Serial>,
}

/// How the line is named to Bruin in the move.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    detail_id: Option<&'a DetailId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_number: Option<&'a Serial>,
}

/// What is to be done with a line, decided from Bruin's answer to the look-up.
#[derive(Debug, PartialEq)]
enum Move {
    To(Value),
    AlreadyThere,
    NoQueues,
    UnknownQueue,
}

impl Subject for ChangeWorkQueue {
    async fn answer(bruin: &Bruin, request: &ChangeWorkQueueRequest, deadline: Instant) -> Reply {
        if let Some(queue) = &request.work_queue_id {
            return carry_out(bruin, request, &json!(queue), deadline).await;
        }
        // Until the move nothing is changed, so a repeated request may try again.
        match decide(bruin, request, deadline).await {
            Ok(result) => carry_out(bruin, request, &result, deadline).await,
            Err(refusal) => refusal.not_executed(),
        }
    }
}

/// The result by which the line gets to the queue, or the reply that says why there is none.
async fn decide(bruin: &Bruin, request: &ChangeWorkQueueRequest, deadline: Instant) -> Result<Value, Reply> {
    let ChangeWorkQueueRequest { ticket_id, detail_id, service_number, queue_name, .. } = request;
    let mut call = Call::get("/api/Ticket/{ticket_id}/nextresult").segment("ticket_id", ticket_id);
    if let Some(detail_id) = detail_id {
        call = call.query("DetailId", detail_id);
    }
    if let Some(service_number) = service_number {
        call = call.query("ServiceNumber", service_number);
    }
    let filters = Filters { detail_id: detail_id.as_ref(), service_number: service_number.as_ref() };
    let filters = display(&json!(filters));
    let failed = |reply: Reply| {
        let body = reply.body().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let reason = display(&body);
        Reply::text(
            reply.code(),
            &format!(
                "Error while claiming possible work queues for ticket {ticket_id} and filters {filters}: {reason}"
            ),
        )
    };
    let response = bruin.look_up(call, deadline).await.map_err(|error| failed(FAILURES.no_answer(&error)))?;
    if !response.is_success() {
        return Err(failed(FAILURES.reply(&response)));
    }
    let found = choose(&Success::read(&response), queue_name);
    match found.map_err(|malformed| failed(malformed.into()))? {
        Move::To(result) => Ok(result),
        Move::AlreadyThere => {
            Err(Reply::text(400, &format!("Ticket {ticket_id} is already in the queue {queue_name}")))
        }
        Move::NoQueues => Err(Reply::text(
            404,
            &format!("No work queues were found for ticket {ticket_id} and filters {filters}"),
        )),
        Move::UnknownQueue => Err(Reply::text(
            404,
            &format!(
                "No work queue with name {queue_name} was found using ticket ID {ticket_id} and filters {filters}"
            ),
        )),
    }
}

/// Finds the queue by name (spec, Behaviour 4). Bruin's names come with stray blanks, the wanted one must be exact.
fn choose(answer: &Success, queue_name: &str) -> Result<Move, Malformed> {
    let fields = answer.fields()?;
    if fields.value::<String>("currentTaskName").is_some_and(|name| name.trim() == queue_name) {
        return Ok(Move::AlreadyThere);
    }
    fields.need("nextResults")?;
    let results = fields.list_or_none("nextResults")?;
    if results.is_empty() {
        return Ok(Move::NoQueues);
    }
    let wanted = results
        .into_iter()
        .filter_map(Fields::of)
        .find(|result| result.value::<String>("resultName").is_some_and(|name| name.trim() == queue_name));
    let id: Option<Value> = wanted.and_then(|result| result.value("resultTypeId"));
    Ok(id.filter(truthy).map_or(Move::UnknownQueue, Move::To))
}

async fn carry_out(
    bruin: &Bruin,
    request: &ChangeWorkQueueRequest,
    result: &Value,
    deadline: Instant,
) -> Reply {
    let line =
        Line { detail_id: request.detail_id.as_ref(), service_number: request.service_number.as_ref() };
    let call = Call::put("/api/Ticket/{ticket_id}/details/work")
        .segment("ticket_id", &request.ticket_id)
        .json(&json!({"details": [line], "notes": [], "resultTypeId": result}));
    match bruin.write(call, deadline, || json!({"message": "success"})).await {
        Err(error) => FAILURES.no_answer(&error),
        Ok(response) if response.is_success() => Success::read(&response).as_is(),
        Ok(response) => FAILURES.reply(&response),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use upstream::Response;

    use super::*;

    fn chosen(answer: &Value, queue: &str) -> Option<Move> {
        let body = answer.to_string().into();
        let response = Response { status: 200, headers: HeaderMap::new(), body, session_refused: false };
        choose(&Success::read(&response), queue).ok()
    }

    #[test]
    fn queues_are_found_by_their_trimmed_name() {
        let answer = json!({"currentTaskName": "Holmdel NOC Investigate ", "nextResults": [
            {"resultTypeId": 139, "resultName": null},
            null,
            {"resultTypeId": 620, "resultName": " No Trouble Found "},
            {"resultTypeId": 621, "resultName": "No Trouble Found"},
            {"resultTypeId": "7", "resultName": "Text"},
            {"resultTypeId": null, "resultName": "Null"},
            {"resultTypeId": 0, "resultName": "Zero"},
            {"resultName": "Nothing"}
        ]});
        for (queue, expected) in [
            ("No Trouble Found", Move::To(json!(620))),
            ("Text", Move::To(json!("7"))),
            ("Holmdel NOC Investigate", Move::AlreadyThere),
            ("Holmdel NOC Investigate ", Move::UnknownQueue),
            ("no trouble found", Move::UnknownQueue),
            ("Null", Move::UnknownQueue),
            ("Zero", Move::UnknownQueue),
            ("Nothing", Move::UnknownQueue),
        ] {
            assert_eq!(chosen(&answer, queue), Some(expected), "{queue}");
        }
    }

    #[test]
    fn being_there_already_counts_before_the_list() {
        assert_eq!(
            chosen(&json!({"currentTaskName": " A", "nextResults": []}), "A"),
            Some(Move::AlreadyThere)
        );
        assert_eq!(chosen(&json!({"currentTaskName": null, "nextResults": []}), "A"), Some(Move::NoQueues));
        assert_eq!(chosen(&json!({"nextResults": null}), "A"), Some(Move::NoQueues));
        assert_eq!(chosen(&json!({"currentTaskName": "B"}), "A"), None);
        assert_eq!(chosen(&json!({"nextResults": "x"}), "A"), None);
    }
}
