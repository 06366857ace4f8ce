//! TLS: who is trusted, and by which setting.

use std::sync::Arc;

use crate::common::{login, with_login};
use prometheus::Registry;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use testkit::{Rule, StubUpstream};
use tokio::{io::copy_bidirectional, net::TcpListener};
use tokio_rustls::TlsAcceptor;
use upstream::{BuildError, Call, CallError, NoLogin, Settings, Upstream};
use url::Url;

/// A stub behind TLS with a certificate for `localhost`, and the authority's certificate.
async fn behind_tls(stub: &StubUpstream) -> (Url, String) {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let there = stub.base().socket_addrs(|| None).unwrap()[0];
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut outside) = acceptor.accept(stream).await {
                    let mut inside = tokio::net::TcpStream::connect(there).await.unwrap();
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
    (Url::parse(&format!("https://localhost:{port}")).unwrap(), authority.pem())
}

async fn send(settings: Settings) -> Result<String, CallError> {
    let third_party = Upstream::new(settings, NoLogin, &Registry::new()).unwrap();
    third_party.send(Call::get("/x")).await.map(|answer| answer.text().into_owned())
}

#[tokio::test]
async fn an_unknown_issuer_is_refused_and_a_given_one_trusted() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("GET", "^/x$").text("ok"));
    let (url, authority) = behind_tls(&stub).await;
    let settings = || Settings::new("test", url.clone());

    let error = send(settings()).await.unwrap_err();
    assert!(matches!(&error, CallError::Connect(cause) if cause.contains("UnknownIssuer")), "{error}");
    assert!(stub.calls().is_empty());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();
    assert_eq!(send(Settings { ca_file: Some(file), ..settings() }).await.unwrap(), "ok");
    assert_eq!(send(Settings { verify_tls: false, ..settings() }).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_login_can_stay_verified_when_nothing_else_is() {
    let stub = StubUpstream::start().await;
    stub.answer(login(1)).answer(Rule::on("GET", "^/x$").text("ok"));
    let (url, authority) = behind_tls(&stub).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();
    let careless = || Settings { verify_tls: false, ..Settings::new("test", url.clone()) };
    let careful = || Settings { always_verify_login: true, ..careless() };

    let error = with_login(careful()).send(Call::get("/x")).await.unwrap_err();
    assert!(
        matches!(&error, CallError::NoSession(reason) if reason.to_string().contains("UnknownIssuer")),
        "{error}"
    );
    assert!(stub.calls().is_empty());
    for settings in [careless(), Settings { ca_file: Some(file), ..careful() }] {
        assert_eq!(with_login(settings).send(Call::get("/x")).await.unwrap().text(), "ok");
    }
}

#[tokio::test]
async fn a_trusted_issuer_does_not_help_under_a_wrong_name() {
    let stub = StubUpstream::start().await;
    let (mut url, authority) = behind_tls(&stub).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();
    let error = send(Settings { ca_file: Some(file), ..Settings::new("test", url) }).await.unwrap_err();
    assert!(matches!(&error, CallError::Connect(cause) if cause.starts_with("TLS: ")), "{error}");
}

#[test]
fn a_ca_file_that_is_none_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let url = Url::parse("https://localhost").unwrap();
    for file in [folder.path().join("missing.pem"), empty] {
        let settings = Settings { ca_file: Some(file.clone()), ..Settings::new("test", url.clone()) };
        let error = Upstream::new(settings, NoLogin, &Registry::new()).unwrap_err();
        assert!(matches!(error, BuildError::CaFile { .. }));
        assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    }
    let odd = Settings::new("test", Url::parse("ftp://localhost").unwrap());
    assert!(matches!(Upstream::new(odd, NoLogin, &Registry::new()), Err(BuildError::BaseUrl("test"))));
}

/// The variable that tells this test that it is its own child.
const URL_FOR_CHILD: &str = "TRUST_TEST_URL";

#[tokio::test]
async fn certificates_named_by_the_environment_are_trusted() {
    if let Ok(url) = std::env::var(URL_FOR_CHILD) {
        assert_eq!(send(Settings::new("test", Url::parse(&url).unwrap())).await.unwrap(), "ok");
        return;
    }
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("GET", "^/x$").text("ok"));
    let (url, authority) = behind_tls(&stub).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();
    // A process of its own, because the variable is read from the environment.
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "trust::certificates_named_by_the_environment_are_trusted"])
        .env(URL_FOR_CHILD, url.as_str())
        .env("SSL_CERT_FILE", &file)
        .output()
        .await
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert_eq!(stub.calls_to("/x").len(), 1);
}
