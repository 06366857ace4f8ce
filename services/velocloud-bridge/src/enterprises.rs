//! Enterprises: their edges, and their names over all hosts (spec, "Serves" 5, 8 and 9).

use bus::Reply;
use contracts::velocloud::{
    EnterpriseEdges, EnterpriseEdgesRequest, NetworkEnterpriseEdges, NetworkEnterpriseEdgesRequest,
};
use futures::future::join_all;
use serde_json::json;

use crate::links::spliced;
use crate::outcome::{self, Group, Success};
use crate::portal::{Hosts, Portal, Read, WITHIN};
use crate::raw::{self, Unexpected};
use crate::rendering::ids;
use crate::vco::Vco;

impl Portal for EnterpriseEdges {
    fn host(request: &EnterpriseEdgesRequest) -> &str {
        &request.host
    }

    fn read(request: &EnterpriseEdgesRequest) -> Read {
        Read {
            path: "/enterprise/getEnterpriseEdges",
            body: json!({"enterpriseId": request.enterprise_id, "with": ["links"]}),
            group: Group::Lists,
            within: WITHIN,
        }
    }

    fn finish(_: &EnterpriseEdgesRequest, success: Success) -> Result<Reply, Unexpected> {
        Ok(Reply::raw(success.status, success.json))
    }
}

impl Portal for NetworkEnterpriseEdges {
    fn host(request: &NetworkEnterpriseEdgesRequest) -> &str {
        &request.host
    }

    fn read(request: &NetworkEnterpriseEdgesRequest) -> Read {
        let subject = format!("enterprise ids: {}", ids(&request.enterprise_ids));
        Read {
            path: "/network/getNetworkEnterprises",
            body: json!({"enterprises": request.enterprise_ids, "with": ["edges"]}),
            group: Group::Worded { arrow: "-->", subject },
            within: WITHIN,
        }
    }

    fn finish(request: &NetworkEnterpriseEdgesRequest, success: Success) -> Result<Reply, Unexpected> {
        if let Some(edges) = raw::edges_with_host(success.json.get(), &request.host)? {
            return spliced(200, edges);
        }
        let ids = ids(&request.enterprise_ids);
        Ok(Reply::text(404, &format!("No edges found for enterprise ids {ids}")))
    }
}

/// Answers `request.enterprises.names`: asks all hosts at the same time, then filters.
pub async fn names(hosts: &Hosts, filter: &[String]) -> Reply {
    let listed = join_all(hosts.all().iter().map(|vco| names_of(vco))).await;
    combine(&listed, filter)
}

/// The names of one host; `None` when it failed.
async fn names_of(vco: &Vco) -> Option<Vec<String>> {
    let group = Group::Events;
    let read =
        Read { path: "/monitoring/getAggregates", body: json!({}), group: group.clone(), within: WITHIN };
    match outcome::settle(&group, vco.host(), vco.read(read).await) {
        Ok(success) => enterprise_names(success.json.get())
            .inspect_err(|problem| {
                tracing::error!(host = vco.host(), %problem, "VeloCloud's aggregates are not as expected");
            })
            .ok(),
        Err(reply) => {
            tracing::warn!(host = vco.host(), status = reply.code(), "the names of a host are missing");
            None
        }
    }
}

fn enterprise_names(aggregates: &str) -> Result<Vec<String>, Unexpected> {
    let fields = raw::fields(aggregates)?;
    let enterprises = fields.get("enterprises").ok_or(Unexpected("the answer has no enterprises"))?;
    raw::items(enterprises.get())?
        .into_iter()
        .map(|enterprise| {
            let fields = raw::fields(enterprise.get())?;
            let name = fields.get("name").ok_or(Unexpected("an enterprise has no name"))?;
            serde_json::from_str(name.get())
                .map_err(|_| Unexpected("the name of an enterprise is not a text"))
        })
        .collect()
}

/// The names of all hosts in order. With a filter each is kept as often as the filter has it. When a host failed: what the
/// others gave, with status 500 (Improve 11).
fn combine(hosts: &[Option<Vec<String>>], filter: &[String]) -> Reply {
    let names = hosts.iter().flatten().flatten().flat_map(|name| {
        let times =
            if filter.is_empty() { 1 } else { filter.iter().filter(|wanted| *wanted == name).count() };
        std::iter::repeat_n(name, times)
    });
    let names: Vec<&String> = names.collect();
    let status = if hosts.iter().all(Option::is_some) { 200 } else { 500 };
    Reply::json(status, &names)
}

#[cfg(test)]
mod tests {
    use contracts::{Incoming, Request};
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    fn network(ids: &Value) -> NetworkEnterpriseEdgesRequest {
        let text = json!({"body": {"host": "h", "enterprise_ids": ids}}).to_string();
        NetworkEnterpriseEdgesRequest::parse(&Incoming::read(&text).unwrap()).unwrap()
    }

    #[test]
    fn calls_name_the_enterprises_and_what_comes_with_them() {
        let request = EnterpriseEdgesRequest { host: "h".to_owned(), enterprise_id: 2.into() };
        assert_eq!(EnterpriseEdges::read(&request).body, json!({"enterpriseId": 2, "with": ["links"]}));
        let read = NetworkEnterpriseEdges::read(&network(&json!([3, "4"])));
        assert_eq!(read.body, json!({"enterprises": [3, "4"], "with": ["edges"]}));
        assert_eq!(
            read.group,
            Group::Worded { arrow: "-->", subject: "enterprise ids: [3, '4']".to_owned() }
        );
        assert_eq!(NetworkEnterpriseEdges::read(&network(&json!([]))).body["enterprises"], json!([]));
    }

    #[test]
    fn network_edges_are_flat_with_status_200_or_a_404() {
        let finish = |answer: &str| {
            let json = RawValue::from_string(answer.to_owned()).unwrap();
            let reply =
                NetworkEnterpriseEdges::finish(&network(&json!([3, 4])), Success { status: 201, json })?;
            Ok::<_, Unexpected>((reply.code(), reply.body().unwrap().get().to_owned()))
        };
        let edges = finish(r#"[{"id":3,"edges":[{"id":1}]},{"id":4,"edges":[{"id":9}]}]"#);
        assert_eq!(edges, Ok((200, r#"[{"id":1,"host":"h"},{"id":9,"host":"h"}]"#.to_owned())));
        for answer in ["[]", r#"[{"edges":[]}]"#] {
            assert_eq!(
                finish(answer),
                Ok((404, r#""No edges found for enterprise ids [3, 4]""#.to_owned())),
                "{answer}"
            );
        }
        assert!(finish("{}").is_err());
    }

    #[test]
    fn names_are_filtered_in_upstream_order_and_a_failed_host_makes_it_500() {
        let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let a = Some(texts(&["ACME", "Foo", "ACME"]));
        let b = Some(texts(&["Bar", "foo"]));
        for (hosts, filter, expected) in [
            (vec![a.clone(), b.clone()], vec![], (200, json!(["ACME", "Foo", "ACME", "Bar", "foo"]))),
            (vec![a.clone(), b.clone()], vec!["foo", "ACME"], (200, json!(["ACME", "ACME", "foo"]))),
            (vec![a.clone(), b.clone()], vec!["Foo", "Foo"], (200, json!(["Foo", "Foo"]))),
            (vec![a.clone(), b.clone()], vec!["nobody"], (200, json!([]))),
            (vec![None, b], vec![], (500, json!(["Bar", "foo"]))),
            (vec![a, None], vec!["Foo"], (500, json!(["Foo"]))),
            (vec![None, None], vec![], (500, json!([]))),
        ] {
            let reply = combine(&hosts, &texts(&filter));
            let body: Value = serde_json::from_str(reply.body().unwrap().get()).unwrap();
            assert_eq!((reply.code(), body), expected, "{hosts:?} {filter:?}");
        }
    }

    #[test]
    fn aggregates_without_names_count_as_a_failure() {
        let good = r#"{"edgeCount":3,"enterprises":[{"id":2,"name":"Caf\u00e9 |56|"}]}"#;
        assert_eq!(enterprise_names(good), Ok(vec!["Café |56|".to_owned()]));
        for bad in [
            "[]",
            "{}",
            r#"{"enterprises":null}"#,
            r#"{"enterprises":[{"id":1}]}"#,
            r#"{"enterprises":[{"name":1}]}"#,
        ] {
            assert!(enterprise_names(bad).is_err(), "{bad}");
        }
    }
}
