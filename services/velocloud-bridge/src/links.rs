//! Links: state, metrics, configuration and series (spec, "Serves" 3, 4, 6 and 7).

use bus::Reply;
use contracts::velocloud::{
    EdgeFullId, EdgeLinksSeries, LinkMetricsRequest, LinkSeriesRequest, LinksConfiguration,
    LinksConfigurationRequest, LinksMetricInfo, LinksWithEdgeInfo, LinksWithEdgeInfoRequest,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::outcome::{Group, Success};
use crate::portal::{Portal, Read, WITHIN};
use crate::raw::{self, Unexpected};
use crate::rendering::id;

impl Portal for LinksWithEdgeInfo {
    fn host(request: &LinksWithEdgeInfoRequest) -> &str {
        &request.host
    }

    fn read(_: &LinksWithEdgeInfoRequest) -> Read {
        list("/monitoring/getEnterpriseEdgeLinkStatus", json!({}))
    }

    fn finish(request: &LinksWithEdgeInfoRequest, success: Success) -> Result<Reply, Unexpected> {
        spliced(success.status, raw::host_in_items(success.json.get(), &request.host)?)
    }
}

impl Portal for LinksMetricInfo {
    fn host(request: &LinkMetricsRequest) -> &str {
        &request.host
    }

    fn read(request: &LinkMetricsRequest) -> Read {
        list("/monitoring/getAggregateEdgeLinkMetrics", json!({"interval": request.interval}))
    }

    fn finish(request: &LinkMetricsRequest, success: Success) -> Result<Reply, Unexpected> {
        spliced(success.status, raw::host_in_links(success.json.get(), &request.host)?)
    }
}

impl Portal for EdgeLinksSeries {
    fn host(request: &LinkSeriesRequest) -> &str {
        &request.host
    }

    fn read(request: &LinkSeriesRequest) -> Read {
        list("/metrics/getEdgeLinkSeries", Value::Object(request.payload.clone()))
    }

    fn finish(_: &LinkSeriesRequest, success: Success) -> Result<Reply, Unexpected> {
        Ok(Reply::raw(success.status, success.json))
    }
}

impl Portal for LinksConfiguration {
    fn host(request: &LinksConfigurationRequest) -> &str {
        &request.0.host
    }

    fn read(request: &LinksConfigurationRequest) -> Read {
        let EdgeFullId { host: _, enterprise_id, edge_id } = &request.0;
        Read {
            path: "/edge/getEdgeConfigurationModules",
            body: json!({"enterpriseId": enterprise_id, "edgeId": edge_id, "modules": ["WAN"]}),
            group: Group::worded(format!("edge {}", edge(&request.0))),
            within: WITHIN,
        }
    }

    fn finish(request: &LinksConfigurationRequest, success: Success) -> Result<Reply, Unexpected> {
        match wan_links(success.json.get())? {
            Wan::Links(links) => Ok(Reply::raw(200, links.to_owned())),
            Wan::NoModule => {
                Ok(Reply::text(404, &format!("No WAN module was found for edge {}", edge(&request.0))))
            }
            Wan::NoLinks => {
                let edge = edge(&request.0);
                Ok(Reply::text(
                    404,
                    &format!("No links configuration was found in WAN module of edge {edge}"),
                ))
            }
        }
    }
}

/// What an edge's configuration says of its WAN links.
enum Wan<'a> {
    NoModule,
    NoLinks,
    Links(&'a RawValue),
}

fn wan_links(modules: &str) -> Result<Wan<'_>, Unexpected> {
    let Some(wan) = filled(raw::fields(modules)?.get("WAN").copied()) else { return Ok(Wan::NoModule) };
    let wan = raw::fields(wan.get()).map_err(|_| Unexpected("WAN is not an object"))?;
    let Some(data) = filled(wan.get("data").copied()) else { return Ok(Wan::NoLinks) };
    let data = raw::fields(data.get()).map_err(|_| Unexpected("WAN.data is not an object"))?;
    let Some(links) = filled(data.get("links").copied()) else { return Ok(Wan::NoLinks) };
    if !links.get().starts_with('[') {
        return Err(Unexpected("WAN.data.links is not a list"));
    }
    Ok(Wan::Links(links))
}

fn filled(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|it| !raw::is_empty(it.get()))
}

fn list(path: &'static str, body: Value) -> Read {
    Read { path, body, group: Group::Lists, within: WITHIN }
}

/// The reply with a list that the bridge has changed.
pub(crate) fn spliced(status: u16, text: String) -> Result<Reply, Unexpected> {
    let json = RawValue::from_string(text).map_err(|_| Unexpected("the list cannot be rewritten"))?;
    Ok(Reply::raw(status, json))
}

/// The edge as the existing deployment writes it into its texts.
fn edge(edge: &EdgeFullId) -> String {
    let EdgeFullId { host, enterprise_id, edge_id } = edge;
    format!("{{'host': '{host}', 'enterprise_id': {}, 'edge_id': {}}}", id(enterprise_id), id(edge_id))
}

#[cfg(test)]
mod tests {
    use contracts::{Incoming, Request};

    use super::*;

    fn request<R: Portal>(body: &Value) -> R::Request {
        R::Request::parse(&Incoming::read(&json!({"body": body}).to_string()).unwrap()).unwrap()
    }

    fn finish<R: Portal>(body: &Value, status: u16, answer: &str) -> Result<(u16, String), Unexpected> {
        let json = RawValue::from_string(answer.to_owned()).unwrap();
        let reply = R::finish(&request::<R>(body), Success { status, json })?;
        Ok((reply.code(), reply.body().unwrap().get().to_owned()))
    }

    #[test]
    fn calls_carry_what_the_request_says_unchanged() {
        let interval = json!({"start": "2020-10-19 15:22:03.345678+00:00", "end": 1_603_124_523_345_i64});
        let cases = [
            (LinksWithEdgeInfo::read(&request::<LinksWithEdgeInfo>(&json!({"host": "h"}))), json!({})),
            (
                LinksMetricInfo::read(&request::<LinksMetricInfo>(
                    &json!({"host": "h", "interval": interval}),
                )),
                json!({"interval": interval}),
            ),
        ];
        for (read, body) in cases {
            assert_eq!(read.body, body);
            assert_eq!(read.group, Group::Lists);
        }
        let payload = json!({"enterpriseId": 22, "edgeId": 42, "interval": interval, "metrics": ["bytesTx"], "more": [1.50]});
        let series = request::<EdgeLinksSeries>(&json!({"host": "h", "payload": payload}));
        assert_eq!(EdgeLinksSeries::read(&series).body, payload);
        let edge = json!({"host": "h", "enterprise_id": 2, "edge_id": "42", "more": 1});
        assert_eq!(
            LinksConfiguration::read(&request::<LinksConfiguration>(&edge)).body,
            json!({"enterpriseId": 2, "edgeId": "42", "modules": ["WAN"]})
        );
    }

    #[test]
    fn configuration_is_the_links_of_the_wan_module_or_a_404() {
        let body = json!({"host": "h", "enterprise_id": 2, "edge_id": 42});
        let no_module =
            r#""No WAN module was found for edge {'host': 'h', 'enterprise_id': 2, 'edge_id': 42}""#;
        let no_links = r#""No links configuration was found in WAN module of edge {'host': 'h', 'enterprise_id': 2, 'edge_id': 42}""#;
        for (answer, expected) in [
            (
                r#"{"WAN":{"data":{"networks":[],"links":[{"mode":"PUBLIC"}]}}}"#,
                (200, r#"[{"mode":"PUBLIC"}]"#),
            ),
            (r#"{"QOS":{}}"#, (404, no_module)),
            (r#"{"WAN":{}}"#, (404, no_module)),
            (r#"{"WAN":null}"#, (404, no_module)),
            (r#"{"WAN":{"version":"1"}}"#, (404, no_links)),
            (r#"{"WAN":{"data":{}}}"#, (404, no_links)),
            (r#"{"WAN":{"data":{"links":[ ]}}}"#, (404, no_links)),
            (r#"{"WAN":{"data":{"links":null}}}"#, (404, no_links)),
        ] {
            let (status, text) = finish::<LinksConfiguration>(&body, 201, answer).unwrap();
            assert_eq!((status, text.as_str()), expected, "{answer}");
        }
        for answer in
            ["[]", "null", r#"{"WAN":[1]}"#, r#"{"WAN":{"data":7}}"#, r#"{"WAN":{"data":{"links":{"a":1}}}}"#]
        {
            assert!(finish::<LinksConfiguration>(&body, 200, answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn series_pass_whatever_json_comes() {
        let payload = json!({"enterpriseId": 22, "edgeId": 42, "interval": {}, "metrics": []});
        let body = json!({"host": "h", "payload": payload});
        for answer in ["[]", r#"{"a": 1.0}"#, "null"] {
            assert_eq!(finish::<EdgeLinksSeries>(&body, 201, answer), Ok((201, answer.to_owned())));
        }
    }

    #[test]
    fn lists_get_the_host_of_the_request() {
        let links = finish::<LinksWithEdgeInfo>(&json!({"host": "h"}), 201, r#"[{"linkId":7}]"#);
        assert_eq!(links, Ok((201, r#"[{"linkId":7,"host":"h"}]"#.to_owned())));
        let metrics = finish::<LinksMetricInfo>(
            &json!({"host": "h", "interval": {}}),
            200,
            r#"[{"linkId":7,"link":{"interface":"GE1"}}]"#,
        );
        assert_eq!(metrics, Ok((200, r#"[{"linkId":7,"link":{"interface":"GE1","host":"h"}}]"#.to_owned())));
    }
}
