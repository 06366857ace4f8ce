//! A third party's front door: forwards connections to a server of the test, by TLS if wanted, and can be shut.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, crypto::ring};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::ports::Port;

/// Forwards connections from a port of its own to `behind`. Ends when dropped.
pub struct Front {
    port: Port,
    behind: SocketAddr,
    tls: Option<Tls>,
    open: Mutex<Option<JoinHandle<()>>>,
}

struct Tls {
    acceptor: TlsAcceptor,
    folder: TempDir,
}

impl Front {
    /// Forwards as it comes.
    pub async fn plain(behind: SocketAddr) -> Self {
        Self::start(behind, None).await
    }

    /// Speaks TLS with a certificate for `host` of an authority of its own, see [`Self::ca_file`], and offers `alpn`
    /// (e.g. `h2`).
    pub async fn tls(behind: SocketAddr, host: &str, alpn: &str) -> Self {
        match tls(host, alpn) {
            Ok(tls) => Self::start(behind, Some(tls)).await,
            Err(error) => panic!("no TLS: {error:#}"),
        }
    }

    async fn start(behind: SocketAddr, tls: Option<Tls>) -> Self {
        let port = match Port::reserve() {
            Ok(port) => port,
            Err(error) => panic!("{error:#}"),
        };
        let front = Self { port, behind, tls, open: Mutex::default() };
        front.up().await;
        front
    }

    /// Where it listens; the same before and after [`Self::down`].
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The file (PEM) with the authority of its certificate.
    pub fn ca_file(&self) -> PathBuf {
        match &self.tls {
            Some(tls) => tls.folder.path().join(CA),
            None => panic!("a plain front has no certificate"),
        }
    }

    /// Ends all connections and refuses new ones.
    pub async fn down(&self) {
        let open = self.open.lock().take();
        if let Some(open) = open {
            open.abort();
            let _ = open.await;
        }
    }

    /// Takes connections again.
    pub async fn up(&self) {
        self.down().await;
        let listener = match TcpListener::bind(self.address()).await {
            Ok(listener) => listener,
            Err(error) => panic!("{}: {error}", self.address()),
        };
        let (behind, acceptor) = (self.behind, self.tls.as_ref().map(|tls| tls.acceptor.clone()));
        let open = tokio::spawn(async move {
            // Dropped with this task, and all connections with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    match acceptor {
                        None => forward(stream, behind).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                forward(stream, behind).await;
                            }
                        }
                    }
                });
            }
        });
        *self.open.lock() = Some(open);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(open) = self.open.lock().take() {
            open.abort();
        }
    }
}

async fn forward(mut stream: impl AsyncRead + AsyncWrite + Unpin, behind: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(behind).await {
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    }
}

const CA: &str = "ca.pem";

fn tls(host: &str, alpn: &str) -> anyhow::Result<Tls> {
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![host.to_owned()])?.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join(CA), authority.pem())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), folder })
}
