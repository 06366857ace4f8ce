//! Gateways, for a monitor of the later state (spec, Improve 19).

use bus::Reply;
use contracts::velocloud::{
    GatewayListRequest, GatewayStatusMetrics, GatewayStatusMetricsRequest, NetworkGatewayList,
};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::outcome::{Group, Success};
use crate::portal::{Portal, Read, WITHIN};
use crate::raw::{self, Unexpected};

impl Portal for NetworkGatewayList {
    fn host(request: &GatewayListRequest) -> &str {
        &request.host
    }

    fn read(request: &GatewayListRequest) -> Read {
        Read {
            path: "/network/getNetworkGateways",
            body: json!({}),
            group: Group::worded(format!("host {}", request.host)),
            within: WITHIN,
        }
    }

    fn finish(request: &GatewayListRequest, success: Success) -> Result<Reply, Unexpected> {
        let gateways: Result<Vec<Gateway<'_>>, Unexpected> = raw::items(success.json.get())?
            .into_iter()
            .map(|gateway| {
                let fields =
                    raw::fields(gateway.get()).map_err(|_| Unexpected("a gateway is not an object"))?;
                let field = |name: &str| fields.get(name).copied().unwrap_or(RawValue::NULL);
                let (id, name, status) = (field("id"), field("name"), field("gatewayState"));
                Ok(Gateway { host: &request.host, id, name, status })
            })
            .collect();
        Ok(Reply::ok(&gateways?))
    }
}

/// A gateway as the reply has it.
#[derive(Serialize)]
struct Gateway<'a> {
    host: &'a str,
    id: &'a RawValue,
    name: &'a RawValue,
    status: &'a RawValue,
}

impl Portal for GatewayStatusMetrics {
    fn host(request: &GatewayStatusMetricsRequest) -> &str {
        &request.host
    }

    fn read(request: &GatewayStatusMetricsRequest) -> Read {
        let GatewayStatusMetricsRequest { host, gateway_id, interval, metrics } = request;
        Read {
            path: "/metrics/getGatewayStatusMetrics",
            body: json!({"gatewayId": gateway_id, "interval": interval, "metrics": metrics}),
            group: Group::worded(format!("gateway {gateway_id} and host {host}")),
            within: WITHIN,
        }
    }

    fn finish(_: &GatewayStatusMetricsRequest, success: Success) -> Result<Reply, Unexpected> {
        Ok(Reply::raw(200, success.json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_gateways_is_cut_to_four_fields() {
        let request = GatewayListRequest { host: "h".to_owned() };
        let finish = |answer: &str| {
            let json = RawValue::from_string(answer.to_owned()).unwrap();
            let reply = NetworkGatewayList::finish(&request, Success { status: 200, json })?;
            Ok::<_, Unexpected>(reply.body().unwrap().get().to_owned())
        };
        assert_eq!(
            finish(r#"[{"id":7,"gatewayState":"CONNECTED","name":"g\u00e9","roles":[1]},{"name":null}]"#),
            Ok(concat!(
                r#"[{"host":"h","id":7,"name":"g\u00e9","status":"CONNECTED"},"#,
                r#"{"host":"h","id":null,"name":null,"status":null}]"#
            )
            .to_owned())
        );
        assert!(finish("{}").is_err());
        assert!(finish("[1]").is_err());
    }

    #[test]
    fn metrics_ask_for_one_gateway_and_word_a_400() {
        let request: GatewayStatusMetricsRequest = serde_json::from_value(
            json!({"host": "h", "gateway_id": 7, "interval": {"start": 1, "end": 2}, "metrics": ["a"]}),
        )
        .unwrap();
        let read = GatewayStatusMetrics::read(&request);
        assert_eq!(read.body, json!({"gatewayId": 7, "interval": {"start": 1, "end": 2}, "metrics": ["a"]}));
        assert_eq!(read.group, Group::worded("gateway 7 and host h".to_owned()));
    }
}
