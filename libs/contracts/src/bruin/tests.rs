use serde_json::{Value, json};

use super::*;
use crate::{Incoming, Rejected, Request, Rpc, id::Id};

fn parse<R: Rpc>(body: &Value) -> Result<Value, Rejected> {
    parse_envelope::<R>(&json!({"request_id": "r", "body": body}))
}

fn parse_envelope<R: Rpc>(envelope: &Value) -> Result<Value, Rejected> {
    let text = envelope.to_string();
    R::Request::parse(&Incoming::read(&text).unwrap()).map(|request| serde_json::to_value(request).unwrap())
}

/// Proves for one subject: which text refuses a missing body, which a missing, null or unfit field, and what an
/// accepted request looks like when it is sent on.
fn check<R: Rpc>(no_body: &str, good: &Value, fields: &[(&str, &str)]) {
    for envelope in [json!({}), json!({"body": null}), json!({"body": "text"}), json!({"body": [1]})] {
        assert_eq!(
            parse_envelope::<R>(&envelope),
            Err(Rejected::text(no_body)),
            "{} with {envelope}",
            R::SUBJECT
        );
    }
    assert_eq!(parse::<R>(good).as_ref(), Ok(good), "{}", R::SUBJECT);
    for (field, text) in fields {
        let mut without = good.as_object().unwrap().clone();
        without.shift_remove(*field).unwrap();
        assert_eq!(parse::<R>(&without.into()), Err(Rejected::text(*text)), "{} without {field}", R::SUBJECT);
        for unfit in [json!(null), json!(true), json!({"a": 1})] {
            let mut with = good.clone();
            with[*field] = unfit;
            let refused = parse::<R>(&with).unwrap_err();
            assert_eq!(refused.status, 400, "{} with {with}", R::SUBJECT);
        }
    }
}

#[test]
fn subjects_about_tickets_refuse_with_their_own_texts() {
    const BODY: &str = "Must include \"body\" in request";
    const MESSAGE: &str = "Must include \"body\" in the request message";
    let text = "You must specify {...\"body:{\"client_id\", \"ticket_topic\", \"ticket_status\":[list of statuses]}...} in the request";
    let good = json!({"client_id": 30000, "ticket_topic": "VOO", "ticket_status": ["New"]});
    check::<Tickets>(BODY, &good, &[("client_id", text), ("ticket_topic", text), ("ticket_status", text)]);

    let text = "Must specify \"ticket_statuses\" in the body of the request";
    let good = json!({"ticket_statuses": ["New"], "client_id": 30000});
    check::<BasicTickets>(MESSAGE, &good, &[("ticket_statuses", text)]);

    let good = json!({"ticket_id": 12345});
    let text = "Must specify \"ticket_id\" in the body of the request";
    check::<SingleBasicTicket>(MESSAGE, &good, &[("ticket_id", text)]);
    check::<TicketDetails>(BODY, &good, &[("ticket_id", "You must include ticket_id in the request")]);
    check::<TaskHistory>(
        "You must specify {..\"body\":{\"ticket_id\"}...} in the request",
        &good,
        &[("ticket_id", "You must specify \"ticket_id\" in the body")],
    );

    let text = "You must include \"ticket_id\" and \"note\" in the \"body\" field of the response request";
    let good = json!({"ticket_id": 12345, "note": "Hello", "service_numbers": ["VC1234567"]});
    check::<AppendNote>(BODY, &good, &[("ticket_id", text), ("note", text)]);

    let text = "You must include \"ticket_id\" and \"notes\" in the body of the request";
    let good =
        json!({"ticket_id": 12345, "notes": [{"text": "A", "service_number": "VC1", "is_private": false}]});
    check::<AppendNotes>(BODY, &good, &[("ticket_id", text), ("notes", text)]);

    let no_body = "You must specify {..\"body\":{\"clientId\", \"category\", \"services\", \"contacts\"}, in the request";
    let text = "You must specify \"clientId\", \"category\", \"services\", \"contacts\" in the body";
    let good = json!({"clientId": 1, "category": "VAS", "services": [{"serviceNumber": "VC1"}], "contacts": [], "notes": [], "x": 1.0});
    check::<TicketCreation>(
        no_body,
        &good,
        &[("clientId", text), ("category", text), ("services", text), ("contacts", text)],
    );

    let text = "Must specify \"client_id\" and \"service_number\" to post an outage ticket";
    let good =
        json!({"client_id": 1, "service_number": "VC1", "ticket_contact": {"email": "ops@example.com"}});
    check::<OutageTicketCreation>(BODY, &good, &[("client_id", text), ("service_number", text)]);
}

#[test]
fn subjects_about_lines_refuse_with_their_own_texts() {
    const BODY: &str = "Must include \"body\" in request";
    const MESSAGE: &str = "Must include \"body\" in the request message";
    let text = "You must include ticket_id and detail_id in the request";
    let good = json!({"ticket_id": 12345, "detail_id": "7"});
    check::<OpenTicket>(BODY, &good, &[("ticket_id", text), ("detail_id", text)]);
    check::<ResolveTicket>(BODY, &good, &[("ticket_id", text), ("detail_id", text)]);

    let text = "You must include ticket_id and service_number or detail_id in the request";
    check::<UnpauseTicket>(BODY, &good, &[("ticket_id", text), ("detail_id", text)]);

    let text = "You must specify \"ticket_id\", \"severity\" and \"reason\" in the body";
    let good = json!({"ticket_id": 12345, "severity": 3, "reason": "Link is back"});
    check::<TicketSeverity>(MESSAGE, &good, &[("ticket_id", text), ("severity", text), ("reason", text)]);

    let no_body = "You must specify {..\"body\": {\"service_number\", \"ticket_id\", \"detail_id\", \"queue_name\"}..} in the request";
    let text = "You must specify {..\"body\": {\"service_number\" or \"detail_id\", \"ticket_id\", \"queue_name\"}..} in the request";
    let good = json!({"ticket_id": 12345, "detail_id": 321, "queue_name": "HNOC"});
    check::<ChangeWorkQueue>(
        no_body,
        &good,
        &[("ticket_id", text), ("detail_id", text), ("queue_name", text)],
    );
    assert_eq!(parse::<ChangeWorkQueue>(&json!({})), Err(Rejected::text(no_body)));

    let text =
        "You must specify {..\"body\": {\"ticket_id\", \"detail_id\", \"service_number\"}...} in the request";
    let good = json!({"ticket_id": 12345, "detail_id": 321, "service_number": "VC1"});
    check::<NextResults>(text, &good, &[("ticket_id", text), ("detail_id", text), ("service_number", text)]);
}

#[test]
fn subjects_about_inventory_and_emails_refuse_with_their_own_texts() {
    const BODY: &str = "Must include \"body\" in request";
    let no_body =
        "You must specify {..\"body\":{\"client_id\", \"status\", \"service_number\"}...} in the request";
    let text = "You must specify \"client_id\", \"status\", \"service_number\" in the filter";
    let good = json!({"client_id": 1, "status": "A", "service_number": "VC1", "z": "1", "a": [1, "2"]});
    check::<SerialAttribute>(
        no_body,
        &good,
        &[("client_id", text), ("status", text), ("service_number", text)],
    );

    check::<ClientInfo>(
        "You must specify {..\"body\":{\"service_number\":...}} in the request",
        &json!({"service_number": ["VC1", "VC2"], "status": "A"}),
        &[("service_number", "You must specify \"service_number\" in the body")],
    );
    check::<ClientInfoByDid>(
        "You must specify {..\"body\":{\"did\":...}} in the request",
        &json!({"did": "+15555550100"}),
        &[("did", "You must specify \"did\" in the body")],
    );
    check::<CircuitId>(
        "You must specify {..\"body\":{\"circuit_id\"}...} in the request",
        &json!({"circuit_id": "ABC.1"}),
        &[("circuit_id", "You must specify \"circuit_id\" in the body")],
    );
    check::<SiteDetails>(
        "You must specify {..\"body\":{\"client_id\":...}} in the request",
        &json!({"client_id": 1, "site_id": 2}),
        &[
            ("client_id", "You must specify \"client_id\" in the body"),
            ("site_id", "You must specify \"site_id\" in the body"),
        ],
    );

    let text = "You must include \"email_id\" and \"tag_id\" in the \"body\" field of the response request";
    check::<TagEmail>(
        BODY,
        &json!({"email_id": "1234", "tag_id": 2}),
        &[("email_id", text), ("tag_id", text)],
    );
    check::<MarkEmailDone>(
        BODY,
        &json!({"email_id": 1234}),
        &[("email_id", "You must include email_id in the request")],
    );
    let text = "You must include \"ticket_id\" and \"email_id\" in the \"body\" field of the request";
    check::<LinkTicketEmail>(
        BODY,
        &json!({"ticket_id": 5678, "email_id": 1234}),
        &[("ticket_id", text), ("email_id", text)],
    );
}

#[test]
fn overview_wants_digits() {
    assert_eq!(
        parse_envelope::<TicketOverview>(&json!({})),
        Err(Rejected::text("Must include \"body\" in request"))
    );
    assert_eq!(
        parse::<TicketOverview>(&json!({})),
        Err(Rejected::text("Must include \"ticket_id\" in body"))
    );
    for id in [json!(null), json!(0), json!(""), json!(false), json!("12a"), json!("1.5"), json!("-5")] {
        let refused = parse::<TicketOverview>(&json!({"ticket_id": id})).unwrap_err();
        assert_eq!(refused, Rejected { status: 404, body: "not ticket id found".into() }, "{id}");
    }
    for id in [json!([12345]), json!([]), json!({}), json!(1.5)] {
        let refused = parse::<TicketOverview>(&json!({"ticket_id": id})).unwrap_err();
        assert_eq!(refused, Rejected::text("Must include \"ticket_id\" in body"), "{id}");
    }
    assert_eq!(parse::<TicketOverview>(&json!({"ticket_id": -5})).unwrap(), json!({"ticket_id": -5}));
    for id in [json!(12345), json!("12345"), json!("0012345")] {
        assert_eq!(
            parse::<TicketOverview>(&json!({"ticket_id": id})).unwrap(),
            json!({"ticket_id": 12345}),
            "{id}"
        );
    }
}

#[test]
fn ids_pass_as_they_came() {
    for id in [json!(12345), json!("12345"), json!("a/b c"), json!(-1)] {
        assert_eq!(parse::<TicketDetails>(&json!({"ticket_id": id})).unwrap(), json!({"ticket_id": id}));
    }
}

#[test]
fn dates_count_only_together() {
    let with = |more: Value| {
        let mut body = json!({"client_id": 1, "ticket_topic": "VAS", "ticket_status": []});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parse::<Tickets>(&body).unwrap()
    };
    assert_eq!(with(json!({"start_date": "a"})).get("start_date"), None);
    assert_eq!(with(json!({"start_date": true})).get("start_date"), None);
    assert_eq!(with(json!({"start_date": "a", "end_date": ""})).get("start_date"), None);
    assert_eq!(with(json!({"start_date": "a", "end_date": "b"}))["end_date"], "b");
    assert_eq!(
        with(json!({"category": "", "ticket_id": 0, "service_number": null})).as_object().unwrap().len(),
        3
    );
}

#[test]
fn statuses_of_full_tickets_are_a_list() {
    let body = json!({"client_id": 1, "ticket_topic": "VAS", "ticket_status": "New"});
    assert_eq!(parse::<Tickets>(&body).unwrap_err().status, 400);
}

#[test]
fn statuses_of_basic_tickets_may_be_one_text() {
    let request = parse::<BasicTickets>(&json!({"ticket_statuses": "New"})).unwrap();
    assert_eq!(request, json!({"ticket_statuses": ["New"]}));
    for bad in [json!([1]), json!([null]), json!(7)] {
        assert_eq!(parse::<BasicTickets>(&json!({"ticket_statuses": bad})).unwrap_err().status, 400);
    }
}

#[test]
fn paging_fields_of_basic_tickets_are_the_bridges_own() {
    let body = json!({"ticket_statuses": [], "page_number": 7, "ticket_status": null, "page_size": "50"});
    assert_eq!(parse::<BasicTickets>(&body).unwrap(), json!({"ticket_statuses": [], "page_size": 50}));
    for bad in [json!(0), json!(-1), json!("x"), json!(null), json!(1.5)] {
        let body = json!({"ticket_statuses": [], "page_size": bad});
        let text = "Must specify \"ticket_statuses\" in the body of the request";
        assert_eq!(parse::<BasicTickets>(&body), Err(Rejected::text(text)), "{bad}");
    }
}

#[test]
fn filters_keep_their_order_and_refuse_what_cannot_be_sent() {
    let body = json!({"z_z": "1", "service_number": "VC1", "a_a": [1, "2"], "m": 2.5});
    let request = parse::<ClientInfo>(&body).unwrap();
    assert_eq!(
        request.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["service_number", "z_z", "a_a", "m"]
    );
    for bad in [json!(null), json!(true), json!({}), json!([null]), json!([[1]]), json!([])] {
        let refused = parse::<ClientInfo>(&json!({"service_number": "VC1", "x": bad})).unwrap_err();
        let text = "You must specify \"service_number\" in the body";
        assert_eq!(refused, Rejected::text(text), "{bad}");
    }
    let site = json!({"client_id": 1, "site_id": 2, "x": null});
    let text = "You must specify \"client_id\" in the body";
    assert_eq!(parse::<SiteDetails>(&site), Err(Rejected::text(text)));
}

#[test]
fn ids_that_name_nothing_are_never_put_into_a_path() {
    fn refused<R: Rpc>(good: &Value, ids: &[&str], text: &str) {
        parse::<R>(good).unwrap();
        for (id, bad) in ids.iter().flat_map(|id| ["", ".", ".."].map(|bad| (id, bad))) {
            let mut body = good.clone();
            body[*id] = bad.into();
            assert_eq!(parse::<R>(&body), Err(Rejected::text(text)), "{} with {body}", R::SUBJECT);
        }
    }
    let line = json!({"ticket_id": 1, "detail_id": 2, "service_number": "VC1"});
    refused::<SingleBasicTicket>(
        &line,
        &["ticket_id"],
        "Must specify \"ticket_id\" in the body of the request",
    );
    refused::<TicketDetails>(&line, &["ticket_id"], "You must include ticket_id in the request");
    refused::<TaskHistory>(&line, &["ticket_id"], "You must specify \"ticket_id\" in the body");
    let text = "You must include \"ticket_id\" and \"note\" in the \"body\" field of the response request";
    refused::<AppendNote>(&json!({"ticket_id": 1, "note": "n"}), &["ticket_id"], text);
    let text = "You must include \"ticket_id\" and \"notes\" in the body of the request";
    refused::<AppendNotes>(&json!({"ticket_id": 1, "notes": []}), &["ticket_id"], text);
    let text = "You must include ticket_id and detail_id in the request";
    refused::<OpenTicket>(&line, &["ticket_id", "detail_id"], text);
    refused::<ResolveTicket>(&line, &["ticket_id", "detail_id"], text);
    let text = "You must include ticket_id and service_number or detail_id in the request";
    refused::<UnpauseTicket>(&line, &["ticket_id"], text);
    let text = "You must specify \"ticket_id\", \"severity\" and \"reason\" in the body";
    refused::<TicketSeverity>(&json!({"ticket_id": 1, "severity": 2, "reason": "r"}), &["ticket_id"], text);
    let text = "You must specify {..\"body\": {\"service_number\" or \"detail_id\", \"ticket_id\", \"queue_name\"}..} in the request";
    let queue = json!({"ticket_id": 1, "detail_id": 2, "queue_name": "Q"});
    refused::<ChangeWorkQueue>(&queue, &["ticket_id"], text);
    let text =
        "You must specify {..\"body\": {\"ticket_id\", \"detail_id\", \"service_number\"}...} in the request";
    refused::<NextResults>(&line, &["ticket_id"], text);
    let text = "You must include \"email_id\" and \"tag_id\" in the \"body\" field of the response request";
    refused::<TagEmail>(&json!({"email_id": 1, "tag_id": 2}), &["email_id", "tag_id"], text);
    let text = "You must include \"ticket_id\" and \"email_id\" in the \"body\" field of the request";
    refused::<LinkTicketEmail>(&json!({"ticket_id": 1, "email_id": 2}), &["ticket_id", "email_id"], text);
    let text = "You must specify \"ticket_id\", \"user_email\" and \"subscription_type\" in the body";
    let user = json!({"ticket_id": 1, "user_email": "a@example.com", "subscription_type": 2});
    refused::<SubscribeUser>(&user, &["ticket_id"], text);
    let text = "You must specify \"ticket_id\", \"detail_id\" and \"interfaces\" in the body";
    let interfaces = json!({"ticket_id": 1, "detail_id": 2, "interfaces": ["GE1"]});
    refused::<TicketDetailIds>(&interfaces, &["ticket_id", "detail_id"], text);
    let text = "You must include \"ticket_id\" and \"close_note\" in the body of the request";
    refused::<CloseTicket>(&json!({"ticket_id": 1, "close_note": "n"}), &["ticket_id"], text);
}

#[test]
fn fields_of_a_later_revision_count_when_they_are_truthy_and_fit() {
    /// With these the request is `good` and no more, with those it is refused.
    fn field<R: Rpc>(good: &Value, name: &str, value: &Value, unfit: &[Value]) {
        let with = |value: &Value| {
            let mut body = good.clone();
            body[name] = value.clone();
            body
        };
        assert_eq!(parse::<R>(&with(value)).as_ref(), Ok(&with(value)));
        for none in [json!(null), json!([]), json!(""), json!(false)] {
            assert_eq!(parse::<R>(&with(&none)).as_ref(), Ok(good), "{name}: {none}");
        }
        for unfit in unfit {
            assert_eq!(parse::<R>(&with(unfit)).unwrap_err().status, 400, "{name}: {unfit}");
        }
    }
    let names = json!(["GE1", "GE2"]);
    let no_names = [json!("GE1"), json!([1]), json!({"a": 1})];
    let outage = json!({"client_id": 1, "service_number": "VC1"});
    field::<OutageTicketCreation>(&outage, "interfaces", &names, &no_names);
    field::<OutageTicketCreation>(&outage, "get_full_response", &json!(true), &[json!("yes"), json!([1])]);
    field::<ResolveTicket>(&json!({"ticket_id": 1, "detail_id": 2}), "interfaces", &names, &no_names);
    let queue = json!({"ticket_id": 1, "detail_id": 2, "queue_name": "Q"});
    field::<ChangeWorkQueue>(&queue, "work_queue_id", &json!(620), &[json!(true), json!([620])]);
    let nameless = json!({"ticket_id": 1, "detail_id": 2, "work_queue_id": 620});
    assert_eq!(parse::<ChangeWorkQueue>(&nameless).unwrap_err().status, 400, "the name is still required");
}

#[test]
fn a_received_client_is_kept_whole_and_needs_an_id() {
    let odd = json!({"site_id": "7", "client_id": 5, "client_name": ["x"], "new": null});
    let client = ReceivedClient::of(odd.clone()).unwrap();
    assert_eq!((client.client_id, client.site_id), (5.into(), Some("7".into())));
    assert_eq!(client.received, odd);
    for unusable in
        [json!({}), json!({"client_id": null}), json!({"client_id": {}}), json!([5, "x", 7]), json!(null)]
    {
        assert!(ReceivedClient::of(unusable.clone()).is_none(), "{unusable}");
    }
}

#[test]
fn every_new_note_needs_a_text_and_a_target() {
    let text = "You must include \"text\" and any of \"service_number\" and \"detail_id\" for every note in the \"notes\" field";
    let with = |note: Value| {
        parse::<AppendNotes>(&json!({"ticket_id": 1, "notes": [{"text": "A", "detail_id": 7}, note]}))
    };
    for bad in [
        json!({"text": "B"}),
        json!({"service_number": "VC1"}),
        json!("B"),
        json!({"text": "B", "detail_id": null}),
    ] {
        assert_eq!(with(bad.clone()), Err(Rejected::text(text)), "{bad}");
    }
    for (private, expected) in
        [(json!(1), true), (json!(0), false), (json!(null), false), (json!("no"), true)]
    {
        let request = with(json!({"text": "B", "service_number": "VC1", "is_private": private})).unwrap();
        assert_eq!(request["notes"][1]["is_private"], expected, "{private}");
    }
    let no_texts = json!({"ticket_id": 1, "note": "n", "service_numbers": [1]});
    let text = "You must include \"ticket_id\" and \"note\" in the \"body\" field of the response request";
    assert_eq!(parse::<AppendNote>(&no_texts), Err(Rejected::text(text)));
    let no_notes = parse::<AppendNotes>(&json!({"ticket_id": 1, "notes": []})).unwrap();
    assert_eq!(no_notes["notes"], json!([]));
}

#[test]
fn outage_nulls_have_their_own_text() {
    let text = "\"client_id\" and \"service_number\" must have non-null values";
    for body in [
        json!({"client_id": null, "service_number": "VC1"}),
        json!({"client_id": 1, "service_number": null}),
        json!({"client_id": 1, "service_number": []}),
    ] {
        assert_eq!(parse::<OutageTicketCreation>(&body), Err(Rejected::text(text)), "{body}");
    }
}

#[test]
fn outage_replies_say_what_covers_the_device() {
    let ticket = Some(Id::from(7).into());
    assert_eq!(OutageTicket::of(200, "7"), Some(OutageTicket::Created(ticket.clone())));
    assert_eq!(OutageTicket::of(200, "null"), Some(OutageTicket::Created(None)));
    assert_eq!(OutageTicket::of(409, "7"), Some(OutageTicket::InProgress(ticket.clone())));
    assert_eq!(OutageTicket::of(471, "7"), Some(OutageTicket::Resolved(ticket.clone())));
    assert_eq!(OutageTicket::of(472, "7"), Some(OutageTicket::Reopened(ticket.clone())));
    assert_eq!(OutageTicket::of(473, "7").unwrap().ticket(), ticket.as_ref());
    assert_eq!(OutageTicket::of(503, "\"ticket ID = 0\""), None);
}

#[test]
fn creation_without_notes_gets_an_empty_list() {
    let body = json!({"clientId": 1, "category": "VAS", "services": [], "contacts": []});
    assert_eq!(parse::<TicketCreation>(&body).unwrap()["notes"], json!([]));
}

#[test]
fn details_are_read_leniently() {
    let reply: TicketDetailsReply = serde_json::from_value(json!({
        "ticketDetails": [{"detailID": 1, "detailValue": "VC1", "detailStatus": "I", "lastUpdatedBy": 0}, null, 7],
        "ticketNotes": [
            {"noteId": 1, "noteValue": null, "serviceNumber": null},
            {"noteId": {"odd": true}, "noteValue": "x", "serviceNumber": ["VC1", null, 7, "VC2"]},
            {"noteId": 3, "noteValue": "y", "serviceNumber": "VC1"}
        ],
        "unknown": 1
    }))
    .unwrap();
    assert_eq!(reply.ticket_details.len(), 1);
    assert_eq!(reply.ticket_notes[0].note_value, None);
    assert!(!reply.ticket_notes[0].is_about(&"VC1".to_owned().into()));
    assert!(reply.ticket_notes[1].is_about(&"VC2".to_owned().into()));
    assert_eq!(reply.ticket_notes[1].service_number.as_ref().map(Vec::len), Some(2));
    assert_eq!(reply.ticket_notes[2].service_number, None);
    assert_eq!(
        serde_json::from_value::<TicketDetailsReply>(json!({})).unwrap(),
        TicketDetailsReply::default()
    );
}

#[test]
fn an_unknown_ticket_is_an_empty_array() {
    let reply = |value: Value| serde_json::from_value::<TicketOverviewReply>(value).unwrap();
    assert_eq!(reply(json!([])), TicketOverviewReply::Unknown(Vec::new()));
    let TicketOverviewReply::Known(ticket) = reply(json!({"ticketID": 1, "severity": "2"})) else { panic!() };
    assert_eq!(ticket.severity.unwrap().as_i64(), Some(2));
}

#[test]
fn later_subjects_want_their_fields() {
    const BODY: &str = "Must include \"body\" in request";
    let text = "You must specify \"client_id\" in the body";
    check::<TicketContacts>(BODY, &json!({"client_id": 1, "x": "y"}), &[("client_id", text)]);
    let text = "You must specify \"client_id\" (a number) and \"service_number\" in the body";
    let good = json!({"client_id": "1", "service_number": "VC1"});
    check::<AssetTopics>(BODY, &good, &[("client_id", text), ("service_number", text)]);
    for bad in
        [json!({"client_id": "x", "service_number": "VC1"}), json!({"client_id": 1, "service_number": ""})]
    {
        assert_eq!(parse::<AssetTopics>(&bad), Err(Rejected::text(text)));
    }
    let text = "You must specify \"ticket_id\", \"notification_type\" and \"service_number\" in the body";
    let good = json!({"ticket_id": 1, "notification_type": "T", "service_number": "VC1"});
    check::<EmailMilestone>(
        BODY,
        &good,
        &[("ticket_id", text), ("notification_type", text), ("service_number", text)],
    );
    let text = "You must specify \"email_id\" and \"email_status\" in the body";
    check::<EmailStatus>(
        BODY,
        &json!({"email_id": 1, "email_status": "New"}),
        &[("email_id", text), ("email_status", text)],
    );
    let text = "You must specify \"ticket_id\", \"detail_id\" and \"interfaces\" in the body";
    let good = json!({"ticket_id": 1, "detail_id": 2, "interfaces": ["GE1"]});
    check::<TicketDetailIds>(BODY, &good, &[("ticket_id", text), ("detail_id", text), ("interfaces", text)]);
    let text = "You must include \"ticket_id\" and \"close_note\" in the body of the request";
    let good = json!({"ticket_id": 1, "close_note": "n"});
    check::<CloseTicket>(BODY, &good, &[("ticket_id", text), ("close_note", text)]);
    let reply = parse::<EmailReply>(&json!({"parent_email_id": 1, "reply_body": "x"})).unwrap();
    assert_eq!(reply["html_reply_body"], true);
}
