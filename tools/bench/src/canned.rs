//! A third party that answers at once: Bruin's login, and an inventory document for any service number.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

const TOKEN: &str =
    r#"{"access_token":"bench","expires_in":36000,"token_type":"Bearer","scope":"public_api"}"#;

/// Serves until the process ends. Says where.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    measure::say(&format!("http://{}", listener.local_addr()?));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            // The end of a connection is none of our business.
            let _ = connection.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = if request.method() == Method::POST {
        let _ = request.into_body().collect().await;
        TOKEN.to_owned()
    } else {
        document(request.uri().query().unwrap_or_default())
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response
        .headers_mut()
        .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An inventory document as Bruin has it, of the wanted service number.
fn document(query: &str) -> String {
    let serial = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("servicenumber"))
        .map_or("", |(_, value)| value);
    format!(
        concat!(
            r#"{{"documents":[{{"clientID":11111,"clientName":"Example Corp","siteId":222,"vendor":"MetTel","#,
            r#""accountNumber":"1.23456.A","subAccountNumber":"1.23456.A.1","inventoryID":"12345678","#,
            r#""serviceNumber":"{}","siteLabel":"Store 7","status":"A","productCategory":"SD-WAN","#,
            r#""address":{{"address":"1 Main St","city":"Springfield","state":"NJ","zip":"07081-1234","#,
            r#""country":"USA"}},"description":"","installDate":"2020-09-14T05:00:00Z","disconnectDate":null,"#,
            r#""verified":"Y","topics":[]}}]}}"#
        ),
        serial
    )
}
