//! The one channel of a process to its model.

use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use upstream::{Overrides, trusted_roots};
use url::Url;

use crate::{Config, OpenError};

/// For name look-up and TCP, and again for TLS.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long nothing may come before the peer is asked whether it is still there, and how often.
const PROBE_AFTER: Duration = Duration::from_secs(20);
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How long a peer may leave data unacknowledged before it counts as gone.
const GONE_AFTER: Duration = Duration::from_secs(30);

/// A channel that connects with the first call, and again when the connection is lost.
///
/// Keep-alive is TCP's. HTTP/2 pings would not do: by default gRPC servers take a client that pings more often than
/// every five minutes for a nuisance and close its connection, calls in flight included.
pub(crate) fn channel(
    model: &'static str,
    config: &Config,
    overrides: &Overrides,
) -> Result<Channel, OpenError> {
    let host = config.target.host();
    let bare = host.trim_matches(['[', ']']);
    let there = overrides.get(bare).and_then(|url| Some((url.host_str()?, url)));
    let port = config.target.port_u16();
    let (address, port, tls) = match there {
        Some((address, url)) => (address, url.port(), is_tls(url)),
        None => (host, port, config.tls),
    };
    let uri = |host: &str, port: Option<u16>, tls: bool| {
        let (scheme, usual) = if tls { ("https", 443) } else { ("http", 80) };
        let authority = format!("{host}:{}", port.unwrap_or(usual));
        let built = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
        built.map_err(|error| OpenError::Channel(error.to_string()))
    };
    // The model's own name stays its identity, wherever the connection goes.
    let identity = uri(host, config.target.port_u16(), tls)?;
    let refused = |error: tonic::transport::Error| OpenError::Channel(error.to_string());
    let mut endpoint = Endpoint::from(uri(address, port, tls)?).origin(identity);
    if tls {
        let roots = trusted_roots(model, config.ca_file.as_deref())?;
        let tls = ClientTlsConfig::new()
            .domain_name(bare)
            .trust_anchors(roots.roots.iter().cloned())
            .timeout(CONNECT_WITHIN);
        endpoint = endpoint.tls_config(tls).map_err(refused)?;
    } else if there.is_none() {
        tracing::warn!(model, "the connection to the model is plain text");
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_WITHIN));
    tcp.set_keepalive(Some(PROBE_AFTER));
    tcp.set_keepalive_interval(Some(PROBE_EVERY));
    tcp.set_keepalive_retries(Some(2));
    tcp.set_tcp_user_timeout(Some(GONE_AFTER));
    Ok(endpoint.connect_with_connector_lazy(tcp))
}

/// Whether the scheme of an override means TLS.
fn is_tls(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "grpcs")
}
