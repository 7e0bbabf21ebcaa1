//! TLS towards providers: trust roots, versions, ALPN.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, TrustAnchor};
use rustls::{ClientConfig, RootCertStore};

/// No real bundle comes near this; a wrong path (a device, a log) might.
const CA_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A client configuration that is built at the first encrypted connection. Clones share it.
///
/// The system's trust store costs tens of milliseconds and megabytes, which a process that only
/// speaks to plain or in-memory providers need not pay. The extra CA file is read at once: a
/// mistake in it must be found at start.
#[derive(Clone)]
pub struct LazyTls {
    shared: Arc<Shared>,
}

struct Shared {
    extra: Vec<CertificateDer<'static>>,
    built: Mutex<Option<Arc<ClientConfig>>>,
}

impl LazyTls {
    /// Trusts the system's roots and the certificates of a PEM file.
    pub fn new(extra_ca: Option<&Path>) -> Result<Self, TlsError> {
        let extra = extra_ca.map(read_ca_file).transpose()?.unwrap_or_default();
        // A certificate that cannot be a root is found now, not at the first call.
        trust(&mut RootCertStore::empty(), &extra)?;
        Ok(Self::holding(extra, None))
    }

    /// Takes a finished configuration: for tests, and for callers with trust rules of their own.
    pub fn given(config: Arc<ClientConfig>) -> Self {
        Self::holding(Vec::new(), Some(config))
    }

    /// The configuration; the first call builds it, blocking for the time of reading the system's
    /// trust store. A failure is not kept: the next call tries again.
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let mut built = self.shared.built.lock();
        if let Some(config) = &*built {
            return Ok(Arc::clone(config));
        }
        let config = with_system_roots(&self.shared.extra)?;
        *built = Some(Arc::clone(&config));
        Ok(config)
    }

    /// The certificates to trust beside the system's, for clients that are not ours.
    pub fn extra_anchors(&self) -> Vec<TrustAnchor<'static>> {
        let mut roots = RootCertStore::empty();
        // They were all taken when they were read.
        let _ = trust(&mut roots, &self.shared.extra);
        roots.roots
    }

    fn holding(extra: Vec<CertificateDer<'static>>, built: Option<Arc<ClientConfig>>) -> Self {
        let built = Mutex::new(built);
        Self { shared: Arc::new(Shared { extra, built }) }
    }
}

impl fmt::Debug for LazyTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyTls")
            .field("extra_certificates", &self.shared.extra.len())
            .finish_non_exhaustive()
    }
}

/// The configuration with the system's roots and those of a PEM file, built at once.
pub fn client_config(extra_ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    LazyTls::new(extra_ca)?.config()
}

/// Why there is nothing to check a provider's certificate against.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The CA file cannot be read.
    #[error("CA file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The CA file is no PEM, or damaged.
    #[error("CA file {} is not PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        cause: pem::Error,
    },
    /// The CA file has no `CERTIFICATE` section.
    #[error("CA file {} holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A certificate of the CA file cannot be a trust anchor.
    #[error("a certificate of the CA file cannot be a trust root")]
    NotARoot(#[source] rustls::Error),
    /// Neither the system nor a CA file has a root: no provider's certificate could be checked.
    #[error("the system has no trust roots ({problems}); install ca-certificates or name a CA file")]
    NoRoots {
        /// What went wrong while reading the system's store.
        problems: String,
    },
    /// The cryptography library refused its own settings.
    #[error("TLS settings refused")]
    Settings(#[source] rustls::Error),
}

fn read_ca_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(CA_FILE_BYTES_MAX).read_to_end(&mut text))
        .map_err(|cause| TlsError::Read { path: path.to_owned(), cause })?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|cause| TlsError::Pem { path: path.to_owned(), cause })?;
    if certificates.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned() });
    }
    Ok(certificates)
}

fn trust(roots: &mut RootCertStore, extra: &[CertificateDer<'static>]) -> Result<(), TlsError> {
    for certificate in extra {
        roots.add(certificate.clone()).map_err(TlsError::NotARoot)?;
    }
    Ok(())
}

fn with_system_roots(extra: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    trust(&mut roots, extra)?;
    let system = rustls_native_certs::load_native_certs();
    // System stores hold oddities that no library parses; the rest is still good.
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        let problems: Vec<String> = system.errors.iter().map(ToString::to_string).collect();
        let problems = if problems.is_empty() { "none found".to_owned() } else { problems.join("; ") };
        return Err(TlsError::NoRoots { problems });
    }
    trusting(roots)
}

/// The configuration over given roots.
pub(super) fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Settings)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_missing_ca_file_is_an_error_that_names_it() {
        let error = LazyTls::new(Some(Path::new("/nowhere/ca.pem"))).unwrap_err();
        assert!(matches!(error, TlsError::Read { .. }));
        assert!(error.to_string().contains("/nowhere/ca.pem"));
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_an_error_at_start() {
        let empty = file("# nothing here\n");
        assert!(matches!(LazyTls::new(Some(empty.path())), Err(TlsError::Empty { .. })));
        let damaged = file("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n");
        assert!(matches!(LazyTls::new(Some(damaged.path())), Err(TlsError::Pem { .. })));
        let no_root = file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(matches!(LazyTls::new(Some(no_root.path())), Err(TlsError::NotARoot(_))));
    }

    #[test]
    fn a_ca_file_is_trusted_and_the_configuration_is_built_once() {
        let ca = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pem = file(&ca.cert.pem());
        let tls = LazyTls::new(Some(pem.path())).unwrap();
        assert!(tls.shared.built.lock().is_none(), "not before it is needed");

        let config = tls.config().unwrap();

        assert!(Arc::ptr_eq(&config, &tls.config().unwrap()));
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }
}
