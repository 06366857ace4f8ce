//! A network for one cycle: 50 edges for each customer, one of a hundred edges down with an open ticket of ours. The
//! rows have the fields and the size of real ones.

use serde_json::{Value, json};

/// The host of all edges.
pub const HOST: &str = "vco1.bench.example";
/// Edges of one customer.
const CUSTOMER: usize = 50;
/// Of so many edges one is down.
const DOWN: usize = 100;

/// So many edges.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// How many edges there are.
    pub edges: usize,
}

impl Network {
    /// Customers, each of which has edges.
    pub fn customers(self) -> usize {
        self.edges.div_ceil(CUSTOMER)
    }

    fn down(place: usize) -> bool {
        place % DOWN == 7
    }

    fn serial(place: usize) -> String {
        format!("VC{:011}", 5_200_000_000 + place)
    }

    fn customer(place: usize) -> usize {
        10_000 + place / CUSTOMER
    }

    /// The reply of `customer.cache.get`.
    pub(crate) fn cache(self) -> String {
        envelope(self.edges, |place| {
            format!(
                concat!(
                    r#"{{"edge":{{"host":"{host}","enterprise_id":{enterprise},"edge_id":{place}}},"#,
                    r#""edge_name":"Store {place}","last_contact":"2022-01-31T10:00:00.000Z","#,
                    r#""logical_ids":[{{"interface_name":"GE1","logical_id":"00:00:5e:00:53:01:0000"}}],"#,
                    r#""serial_number":"{serial}","ha_serial_number":null,"#,
                    r#""bruin_client_info":{{"client_id":{customer},"client_name":"Example Corp","site_id":{place}}},"#,
                    r#""site_details":{{"clientID":{customer},"siteID":"{place}","siteLabel":"Store {place}","#,
                    r#""timeZone":"Eastern","tzOffset":-5}},"#,
                    r#""links_configuration":[{{"interfaces":["GE1"],"mode":"PUBLIC","type":"WIRED"}}]}}"#
                ),
                host = HOST,
                enterprise = Self::customer(place),
                place = place,
                serial = Self::serial(place),
                customer = Self::customer(place),
            )
        })
    }

    /// The reply of `get.links.with.edge.info`.
    pub(crate) fn links(self) -> String {
        envelope(self.edges, |place| {
            let (edge, link) =
                if Self::down(place) { ("OFFLINE", "DISCONNECTED") } else { ("CONNECTED", "STABLE") };
            format!(
                concat!(
                    r#"{{"host":"{host}","enterpriseName":"EXAMPLE|{customer}|","enterpriseId":{customer},"#,
                    r#""enterpriseProxyId":null,"enterpriseProxyName":null,"edgeName":"Store {place}","#,
                    r#""edgeState":"{edge}","edgeSystemUpSince":"2020-09-14T05:07:40.000Z","#,
                    r#""edgeServiceUpSince":"2020-09-14T05:08:22.000Z","edgeLastContact":"2022-01-31T10:00:00.000Z","#,
                    r#""edgeId":{place},"edgeSerialNumber":"{serial}","edgeHASerialNumber":null,"#,
                    r#""edgeModelNumber":"edge520","edgeLatitude":40.7128,"edgeLongitude":-74.006,"#,
                    r#""displayName":"203.0.113.7","isp":null,"interface":"GE1","#,
                    r#""internalId":"00000001-ac48-47a0-81a7-{place:012}","linkState":"{link}","#,
                    r#""linkLastActive":"2022-01-31T10:00:00.000Z","linkVpnState":"{link}","linkId":{place},"#,
                    r#""linkIpAddress":"203.0.113.7"}}"#
                ),
                host = HOST,
                customer = Self::customer(place),
                place = place,
                edge = edge,
                link = link,
                serial = Self::serial(place),
            )
        })
    }

    /// The reply of `request.network.enterprise.edges`.
    pub(crate) fn edges(self) -> String {
        envelope(self.edges, |place| {
            format!(
                r#"{{"host":"{HOST}","id":{place},"enterpriseId":{},"serialNumber":"{}","name":"Store {place}","edgeState":"CONNECTED","haState":"UNCONFIGURED","haSerialNumber":null}}"#,
                Self::customer(place),
                Self::serial(place),
            )
        })
    }

    /// The open tickets that a request of `bruin.ticket.basic.request` asks for: of a customer, perhaps of one device.
    pub(crate) fn tickets(self, request: &Value) -> Value {
        let customer =
            request.get("client_id").and_then(Value::as_u64).and_then(|id| usize::try_from(id).ok());
        let serial = request.get("service_number").and_then(Value::as_str);
        let first = customer.and_then(|id| id.checked_sub(10_000)).unwrap_or(usize::MAX / DOWN) * CUSTOMER;
        let edges = (first..first + CUSTOMER).take_while(|place| *place < self.edges);
        let tickets = edges
            .filter(|place| Self::down(*place) && serial.is_none_or(|serial| serial == Self::serial(*place)))
            .map(|place| {
                json!({
                    "ticketID": 1_000_000 + place, "clientID": customer, "createDate": "1/31/2022 9:00:00 AM",
                    "createdBy": "Intelygenz Ai", "severity": 2, "ticketStatus": "InProgress",
                    "topic": "Service Outage Trouble", "category": "SD-WAN",
                })
            });
        Value::Array(tickets.collect())
    }

    /// The edges of an enterprise with their links, for `request.enterprises.edges`.
    pub(crate) fn of_enterprise(self, request: &Value) -> Value {
        let Some(first) = request.get("enterprise_id").and_then(customer_number).and_then(first_edge) else {
            return json!([]);
        };
        let edges = (first..first + CUSTOMER).take_while(|place| *place < self.edges).map(|place| {
            json!({
                "id": place, "enterpriseId": Self::customer(place), "name": format!("Store {place}"),
                "serialNumber": Self::serial(place), "edgeState": "CONNECTED",
                "links": [{"interface": "GE1", "logicalId": "00:00:5e:00:53:01:0000", "state": "STABLE"}],
            })
        });
        edges.collect()
    }

    /// The client who has a device, for `bruin.customer.get.info`.
    pub(crate) fn client(request: &Value) -> Value {
        let serial = request.get("service_number").and_then(Value::as_str).unwrap_or_default();
        let number = serial.strip_prefix("VC").and_then(|digits| digits.parse::<usize>().ok());
        let Some(place) = number.and_then(|number| number.checked_sub(5_200_000_000)) else {
            return json!([]);
        };
        json!([{"client_id": Self::customer(place), "client_name": "Example Corp", "site_id": place}])
    }

    /// A site, for `bruin.get.site`.
    pub(crate) fn site(request: &Value) -> Value {
        json!({
            "clientID": request.get("client_id"), "siteID": request.get("site_id"), "siteLabel": "Store",
            "timeZone": "Eastern", "siteAddDate": "2020-09-14T05:00:00Z",
            "address": {"address": "1 Main St", "city": "Springfield", "state": "NJ", "zip": "07081-1234", "country": "USA"},
            "longitude": -74.006, "latitude": 40.7128, "primaryContactName": "Ann Example",
        })
    }

    /// Lines and notes of a ticket, for `bruin.ticket.details.request`.
    pub(crate) fn details(request: &Value) -> Value {
        let ticket = request.get("ticket_id").and_then(Value::as_u64).and_then(|id| usize::try_from(id).ok());
        let serial = Self::serial(ticket.and_then(|id| id.checked_sub(1_000_000)).unwrap_or_default());
        json!({
            "ticketDetails": [{"detailID": 77, "detailValue": serial, "detailStatus": "I"}],
            "ticketNotes": [{
                "noteId": 1, "noteValue": "#*MetTel's IPA*#\nTriage (VeloCloud)\nEdge Status: OFFLINE",
                "serviceNumber": [serial], "createdDate": "2022-01-31T14:05:00Z",
            }],
        })
    }
}

/// A customer's number, as a number or as text.
fn customer_number(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|id| usize::try_from(id).ok()).or_else(|| value.as_str()?.parse().ok())
}

/// The place of a customer's first edge.
fn first_edge(customer: usize) -> Option<usize> {
    Some(customer.checked_sub(10_000)? * CUSTOMER)
}

/// A reply with a row for each edge. Nobody looks at the id of a reply.
fn envelope(edges: usize, row: impl Fn(usize) -> String) -> String {
    let mut text = r#"{"request_id":"bench","body":["#.to_owned();
    for place in 0..edges {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&row(place));
    }
    text.push_str(r#"],"status":200}"#);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_of_the_same_edges_and_one_of_a_hundred_is_down() {
        let network = Network { edges: 1_000 };
        let rows = |text: String| -> Vec<Value> {
            serde_json::from_str::<Value>(&text).unwrap()["body"].as_array().unwrap().clone()
        };
        let (cache, links, edges) = (rows(network.cache()), rows(network.links()), rows(network.edges()));
        for ((cached, link), edge) in cache.iter().zip(&links).zip(&edges) {
            assert_eq!(cached["serial_number"], link["edgeSerialNumber"]);
            assert_eq!(cached["serial_number"], edge["serialNumber"]);
        }
        assert_eq!((cache.len(), links.len(), edges.len()), (1_000, 1_000, 1_000));
        assert_eq!(links.iter().filter(|link| link["edgeState"] == "OFFLINE").count(), 10);
        assert_eq!(network.customers(), 20);
    }

    #[test]
    fn the_tickets_are_those_of_the_edges_that_are_down() {
        let network = Network { edges: 1_000 };
        let mut found = 0;
        for customer in 10_000..10_000 + network.customers() {
            let tickets = network.tickets(&json!({"client_id": customer}));
            for ticket in tickets.as_array().unwrap() {
                let details = Network::details(&json!({"ticket_id": ticket["ticketID"]}));
                let serial = &details["ticketDetails"][0]["detailValue"];
                assert_eq!(
                    network.tickets(&json!({"client_id": customer, "service_number": serial})),
                    tickets
                );
                found += 1;
            }
        }
        assert_eq!(found, 10);
        assert_eq!(network.tickets(&json!({})), json!([]));
    }
}
