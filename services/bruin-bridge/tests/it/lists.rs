//! Tickets by status and the pages of the basic list.

use std::time::Duration;

use crate::common::Bridge;
use serde_json::{Value, json};
use testkit::Rule;

const BY_STATUS: &str = "bruin.ticket.request";
const BASIC: &str = "bruin.ticket.basic.request";

fn in_status(status: &str) -> Rule {
    Rule::on("GET", "^/api/Ticket$").query("TicketStatus", status)
}

fn by_status(statuses: &[&str]) -> Value {
    json!({"client_id": 1, "ticket_topic": "VOO", "ticket_status": statuses})
}

#[tokio::test]
async fn statuses_are_joined_in_order_and_tickets_come_once() {
    let bridge = Bridge::start().await;
    bridge.stage.upstream.rules(vec![
        in_status("New").delay(Duration::from_millis(50)).json(&json!({"responses": [
            {"ticketID": 111, "ticketStatus": "New"}, {"ticketID": 222, "ticketStatus": "New"}
        ]})),
        in_status("InProgress")
            .json(&json!({"responses": [{"ticketID": 222, "ticketStatus": "In-Progress"}]})),
    ]);
    let reply = bridge.ask(BY_STATUS, &by_status(&["New", "InProgress"])).await;
    let expected = json!([
        {"ticketID": 111, "ticketStatus": "New"}, {"ticketID": 222, "ticketStatus": "In-Progress"}
    ]);
    assert_eq!(reply, (200, expected));
}

#[tokio::test]
async fn the_first_failure_in_request_order_gives_the_status() {
    let bridge = Bridge::start().await;
    bridge.stage.upstream.rules(vec![
        in_status("New").json(&json!({"responses": [{"ticketID": 1}]})),
        in_status("Slow").delay(Duration::from_millis(100)).status(429),
        in_status("Fast").status(403),
    ]);
    let reply = bridge.ask(BY_STATUS, &by_status(&["New", "Slow", "Fast"])).await;
    assert_eq!(reply, (429, json!([{"ticketID": 1}])));
    let reply = bridge.ask(BY_STATUS, &by_status(&["Fast", "Slow", "New"])).await;
    assert_eq!(reply, (403, json!([{"ticketID": 1}])));
}

#[tokio::test]
async fn a_success_keeps_its_status() {
    let bridge = Bridge::start().await;
    bridge.stage.upstream.rules(vec![in_status("New").status(298).json(&json!({"responses": []}))]);
    assert_eq!(bridge.ask(BY_STATUS, &by_status(&["New"])).await, (298, json!([])));
}

#[tokio::test]
async fn no_statuses_need_no_call() {
    let bridge = Bridge::start().await;
    assert_eq!(bridge.ask(BY_STATUS, &by_status(&[])).await, (200, json!([])));
    assert!(bridge.take_calls().is_empty());
}

fn tickets(numbers: std::ops::RangeInclusive<u32>) -> Vec<Value> {
    numbers.map(|number| json!({"ticketID": number})).collect()
}

fn page(number: u32) -> Rule {
    Rule::on("GET", "^/api/Ticket/basic$").query("PageNumber", &number.to_string())
}

/// Pages of two tickets each.
fn pages(total: &Value, numbers: std::ops::RangeInclusive<u32>) -> Vec<Rule> {
    numbers
        .map(|number| {
            let on_page = tickets(number * 2 - 1..=number * 2);
            page(number).json(&json!({"total": total, "currentPageSize": 2, "responses": on_page}))
        })
        .collect()
}

fn basic() -> Value {
    json!({"ticket_statuses": ["New"], "client_id": 1, "page_size": 2})
}

#[tokio::test]
async fn all_pages_are_joined_in_order() {
    let bridge = Bridge::start().await;
    let mut rules =
        vec![page(2).delay(Duration::from_millis(100)).json(&json!({"responses": tickets(3..=4)}))];
    rules.extend(pages(&json!("12"), 1..=6));
    bridge.stage.upstream.rules(rules);
    assert_eq!(bridge.ask(BASIC, &basic()).await, (200, json!(tickets(1..=12))));
    assert_eq!(bridge.take_calls().len(), 6);
    assert!(bridge.stage.upstream.most_in_flight() > 1, "pages are fetched at the same time");
}

#[tokio::test]
async fn an_empty_page_ends_the_list() {
    let bridge = Bridge::start().await;
    let mut rules = pages(&json!(1_000_000), 1..=2);
    rules.push(Rule::on("GET", "").json(&json!({"total": 1_000_000, "responses": [], "currentPageSize": 0})));
    bridge.stage.upstream.rules(rules);
    assert_eq!(bridge.ask(BASIC, &basic()).await, (200, json!(tickets(1..=4))));
    assert!(bridge.take_calls().len() <= 12);
}

#[tokio::test]
async fn shorter_pages_than_announced_cost_one_more_page_only() {
    let bridge = Bridge::start().await;
    let mut rules = pages(&json!(6), 1..=1);
    rules.push(Rule::on("GET", "").json(&json!({"responses": [{"ticketID": 9}], "currentPageSize": 1})));
    bridge.stage.upstream.rules(rules);
    let (status, body) = bridge.ask(BASIC, &basic()).await;
    assert_eq!((status, body.as_array().unwrap().len()), (200, 5));
    assert_eq!(bridge.take_calls().len(), 4);
}

#[tokio::test]
async fn a_page_is_tried_three_times_with_pauses() {
    let bridge = Bridge::start().await;
    let mut rules = vec![page(2).status(500).times(1), page(2).drops().times(1)];
    rules.extend(pages(&json!(4), 1..=2));
    bridge.stage.upstream.rules(rules);
    assert_eq!(bridge.ask(BASIC, &basic()).await, (200, json!(tickets(1..=4))));

    let mut rules = vec![page(2).status(500).times(2), page(2).status(429).json(&json!({"m": 1}))];
    rules.extend(pages(&json!(6), 1..=3));
    bridge.stage.upstream.rules(rules);
    bridge.take_calls();
    assert_eq!(bridge.ask(BASIC, &basic()).await, (429, json!({"m": 1})), "the last outcome, no tickets");
    let tries = bridge
        .take_calls()
        .iter()
        .filter(|call| call.query.contains(&("PageNumber".into(), "2".into())))
        .count();
    assert_eq!(tries, 3);
}

#[tokio::test]
async fn a_list_without_total_is_a_failure_at_once() {
    let bridge = Bridge::start().await;
    for total in [json!(null), json!("many"), json!(1.5), json!([])] {
        bridge.stage.upstream.rules(pages(&total, 1..=1));
        assert_eq!(bridge.ask(BASIC, &basic()).await.0, 500, "{total}");
        assert_eq!(bridge.take_calls().len(), 1, "{total}");
    }
}
