//! Which servers are trusted: the TLS configuration of a client.

use std::{
    path::Path,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use crate::{BuildError, Settings};

/// Where systems keep their roots. Read beside `SSL_CERT_FILE` and `SSL_CERT_DIR`, which elsewhere replace them.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The TLS configuration for `settings`. HTTP/1.1 only, as the third parties have always been called.
pub(crate) fn tls(settings: &Settings) -> Result<ClientConfig, BuildError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::Tls(settings.name, error.to_string()))?;
    let mut config = if settings.verify_tls {
        builder
            .with_root_certificates(trusted_roots(settings.name, settings.ca_file.as_deref())?)
            .with_no_client_auth()
    } else {
        tracing::warn!(upstream = settings.name, "TLS certificates are not verified");
        let anything = Arc::new(AnyServer(provider));
        builder.dangerous().with_custom_certificate_verifier(anything).with_no_client_auth()
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The system's roots, read once for all clients of a process that trust nothing else.
static SYSTEM: Mutex<Weak<RootCertStore>> = Mutex::new(Weak::new());

/// Whom this process trusts: the system's roots, `SSL_CERT_FILE` and `SSL_CERT_DIR`, and the certificates (PEM) in
/// `ca_file`. `upstream` names the third party in errors and logs. For clients of other protocols than HTTP.
///
/// # Errors
/// [`BuildError::CaFile`] when the file cannot be read or holds no certificate.
pub fn trusted_roots(
    upstream: &'static str,
    ca_file: Option<&Path>,
) -> Result<Arc<RootCertStore>, BuildError> {
    let roots = match ca_file {
        None => {
            let mut known = SYSTEM.lock();
            known.upgrade().unwrap_or_else(|| {
                let read = Arc::new(system_roots());
                *known = Arc::downgrade(&read);
                read
            })
        }
        Some(file) => Arc::new(with_file(system_roots(), file, upstream)?),
    };
    if roots.is_empty() {
        tracing::warn!(upstream, "no trusted certificates found: calls by https will fail");
    }
    Ok(roots)
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "cannot read some trusted certificates");
    }
    roots.add_parsable_certificates(native.certs);
    if ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some()) {
        for bundle in SYSTEM_BUNDLES.iter().map(Path::new).filter(|bundle| bundle.is_file()) {
            roots.add_parsable_certificates(
                rustls_native_certs::load_certs_from_paths(Some(bundle), None).certs,
            );
        }
    }
    roots
}

fn with_file(
    mut roots: RootCertStore,
    file: &Path,
    upstream: &'static str,
) -> Result<RootCertStore, BuildError> {
    let refused = |reason: String| BuildError::CaFile { upstream, file: file.display().to_string(), reason };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| refused(error.to_string()))?;
    if certificates.is_empty() {
        return Err(refused("no certificate in it".to_owned()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    Ok(roots)
}

/// Accepts any certificate but still checks that the server holds its key.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
