//! A network of 100,000 edges.

use serde_json::{Value, json};

use crate::common::{Http, start, velocloud};

#[tokio::test]
async fn a_hundred_thousand_edges_are_listed_found_and_shown() {
    let sandbox = start(100_000).await;
    let mut rows = 0;
    for host in ["vco1.sandbox.example", "vco2.sandbox.example"] {
        let url = format!("{}/portal/rest/network/getNetworkEnterprises", sandbox.velocloud_url(host));
        let http = velocloud(&sandbox, host).await;
        let answer = http.post(&url, json!({"enterprises": [], "with": ["edges"]})).await;
        rows += answer.text.matches(r#""serialNumber":"#).count();
    }
    assert_eq!(rows, 100_000);

    let serial = sandbox.world().network(|network| network.edges[99_998].serial.clone());
    let broken =
        Http::new().post(&format!("{}/control/edges/{serial}/break", sandbox.base_url()), Value::Null).await;
    assert_eq!(broken.json(), json!({"changed": true}));
    let page = Http::new().get(&format!("{}/?health=down", sandbox.base_url())).await.text;
    assert!(page.contains(&serial));
}
