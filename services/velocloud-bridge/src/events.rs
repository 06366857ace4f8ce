//! Events of an edge or an enterprise (spec, "Serves" 1 and 2).

use bus::Reply;
use contracts::velocloud::{EdgeEvents, EdgeEventsRequest, EnterpriseEvents, EnterpriseEventsRequest};
use serde_json::{Value, json};

use crate::outcome::{Group, Success};
use crate::portal::{EVENTS_WITHIN, Portal, Read};
use crate::raw::{self, Unexpected};

impl Portal for EdgeEvents {
    fn host(request: &EdgeEventsRequest) -> &str {
        &request.edge.host
    }

    fn read(request: &EdgeEventsRequest) -> Read {
        let EdgeEventsRequest { edge, start_date, end_date, filter, limit } = request;
        let mut body = json!({
            "enterpriseId": edge.enterprise_id,
            "interval": {"start": start_date, "end": end_date},
            "filter": {"limit": limit},
            "edgeId": [edge.edge_id],
        });
        only(&mut body, filter.as_deref());
        read(body)
    }

    fn finish(_: &EdgeEventsRequest, success: Success) -> Result<Reply, Unexpected> {
        data(&success)
    }

    fn unknown_host(host: &str) -> Reply {
        unknown_host(host)
    }
}

impl Portal for EnterpriseEvents {
    fn host(request: &EnterpriseEventsRequest) -> &str {
        &request.host
    }

    fn read(request: &EnterpriseEventsRequest) -> Read {
        let EnterpriseEventsRequest { host: _, enterprise_id, start_date, end_date, filter, limit } = request;
        let mut body = json!({
            "enterpriseId": enterprise_id,
            "interval": {"start": start_date, "end": end_date},
            "filter": {"limit": limit},
        });
        only(&mut body, filter.as_deref());
        read(body)
    }

    fn finish(_: &EnterpriseEventsRequest, success: Success) -> Result<Reply, Unexpected> {
        data(&success)
    }

    fn unknown_host(host: &str) -> Reply {
        unknown_host(host)
    }
}

fn read(body: Value) -> Read {
    Read { path: "/event/getEnterpriseEvents", body, group: Group::Events, within: EVENTS_WITHIN }
}

/// Restricts the events to these names. An empty list is a rule too, one that nothing fulfils.
fn only(body: &mut Value, names: Option<&[String]>) {
    if let (Some(names), Some(filter)) = (names, body.get_mut("filter").and_then(Value::as_object_mut)) {
        filter.insert("rules".to_owned(), json!([{"field": "event", "op": "is", "values": names}]));
    }
}

/// `data` of VeloCloud's object, also when it is null.
fn data(success: &Success) -> Result<Reply, Unexpected> {
    let fields = raw::fields(success.json.get())?;
    let data = fields.get("data").ok_or(Unexpected("the answer has no data"))?;
    let more = fields.get("metaData").and_then(|it| raw::fields(it.get()).ok()?.get("more").copied());
    if more.is_some_and(|more| !raw::is_empty(more.get())) {
        // One page is all that callers get (Improve 15); they may ask for a shorter interval.
        tracing::warn!(
            bytes = data.get().len(),
            "VeloCloud has more events than it sent, the list is truncated"
        );
    }
    Ok(Reply::raw(success.status, (*data).to_owned()))
}

fn unknown_host(host: &str) -> Reply {
    Reply::text(404, &format!("Cannot find a client to connect to {host}"))
}

#[cfg(test)]
mod tests {
    use contracts::{Incoming, Request};
    use serde_json::value::RawValue;

    use super::*;

    fn call<R: Portal>(body: &Value) -> Value {
        let text = json!({"body": body}).to_string();
        R::read(&R::Request::parse(&Incoming::read(&text).unwrap()).unwrap()).body
    }

    #[test]
    fn the_call_names_edge_interval_limit_and_rules() {
        let edge = json!({"host": "h", "enterprise_id": 2, "edge_id": 42});
        let rules = json!([{"field": "event", "op": "is", "values": ["EDGE_UP", "EDGE_DOWN"]}]);
        assert_eq!(
            call::<EdgeEvents>(
                &json!({"edge": edge, "start_date": "2021-04-01 10:00:00+00:00", "end_date": 2, "filter": ["EDGE_UP", "EDGE_DOWN"]})
            ),
            json!({
                "enterpriseId": 2,
                "interval": {"start": "2021-04-01 10:00:00+00:00", "end": 2},
                "filter": {"limit": null, "rules": rules},
                "edgeId": [42],
            })
        );
        assert_eq!(
            call::<EnterpriseEvents>(
                &json!({"host": "h", "enterprise_id": "2", "start_date": 1, "end_date": null, "limit": 0, "filter": []})
            ),
            json!({
                "enterpriseId": "2",
                "interval": {"start": 1, "end": null},
                "filter": {"limit": 0, "rules": [{"field": "event", "op": "is", "values": []}]},
            })
        );
        let call = call::<EnterpriseEvents>(
            &json!({"host": "h", "enterprise_id": 2, "start_date": 1, "end_date": 2, "filter": null}),
        );
        assert_eq!(call["filter"], json!({"limit": null}));
    }

    #[test]
    fn the_reply_is_the_data_even_when_null_and_never_a_guess() {
        let reply = |status, text: &str| {
            data(&Success { status, json: RawValue::from_string(text.to_owned()).unwrap() })
        };
        for (text, expected) in [
            (r#"{"metaData":{"more":true},"data":[{"id":7.10}]}"#, r#"[{"id":7.10}]"#),
            (r#"{"data":null}"#, "null"),
        ] {
            let reply = reply(201, text).unwrap();
            assert_eq!((reply.code(), reply.body().unwrap().get()), (201, expected));
        }
        for text in ["[]", "{}", "null", r#"{"error":{"message":"x"}}"#] {
            assert!(reply(200, text).is_err(), "{text}");
        }
    }
}
