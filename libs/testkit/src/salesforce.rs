//! The login of the two dispatch systems, CTS and LIT, as a stub answers it and as a test counts it (spec `cts-bridge`,
//! `lit-bridge`).

use crate::{Received, Rule, StubUpstream};

/// Where logins go.
pub const LOGIN: &str = "^/services/Soap/u/42.0$";

/// A login that gives this session. The instance is `{vendor}.example.test` (`cts` or `lit`), which a
/// [`Stage`](crate::recordings::Stage::environment) has at `/{vendor}` of its stub.
pub fn login(vendor: &str, session: &str) -> Rule {
    Rule::on("POST", LOGIN).text(&format!(
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns=\"urn:partner.soap.sforce.com\"><soapenv:Body><loginResponse><result>\
         <serverUrl>https://{vendor}-api.example.test/services/Soap/u/42.0/00D1</serverUrl>\
         <sessionId>{session}</sessionId></result></loginResponse></soapenv:Body></soapenv:Envelope>"
    ))
}

/// How many logins there are among these calls.
pub fn logins(calls: &[Received]) -> usize {
    calls.iter().filter(|call| call.path.ends_with("/Soap/u/42.0")).count()
}

/// The sessions of the calls to paths that end so, oldest first; `-` where there was none.
pub fn sessions(upstream: &StubUpstream, end_of_path: &str) -> Vec<String> {
    let session = |call: &Received| call.header("authorization").unwrap_or("-").replace("Bearer ", "");
    upstream.calls_to(end_of_path).iter().map(session).collect()
}

/// The `Cache-Control` which the specifications give, where a call has one.
pub const NO_CACHE: &str = "no-cache, no-store, no-transform, max-age=0, only-if-cached";

/// The headers `Authorization`, `Content-Type`, `X-PrettyPrint` and `Cache-Control` of a call.
pub fn headers(call: &Received) -> [Option<&str>; 4] {
    ["authorization", "content-type", "x-prettyprint", "cache-control"].map(|name| call.header(name))
}
