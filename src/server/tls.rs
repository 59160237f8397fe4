//! TLS: loads the hub's certificate and key, and loads them again when their files change.
//!
//! Renewing a certificate writes two files one after the other, or moves a link. So the hub checks
//! the files periodically, and keeps the old pair while the new one does not match: an expired
//! certificate is bad, but no certificate is worse.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_util::sync::CancellationToken;

use super::socket::Watched;

/// The pause between two checks of the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why the hub cannot use TLS, in words for the operator.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("cannot read {path}: {source}; --tls-cert and --tls-key name files in PEM form")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----); --tls-cert wants the hub's own, \
         followed by those that lead to its root"
    )]
    NoCertificate { path: PathBuf },
    #[error(
        "{path} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----), or one with a passphrase"
    )]
    NoKey { path: PathBuf },
    #[error("{cert} and {key} cannot be used: {source}; are they a pair?")]
    Unfit { cert: PathBuf, key: PathBuf, source: rustls::Error },
}

/// The certificate that the hub shows to clients. Clones share it.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cert: PathBuf,
    key: PathBuf,
    shown: RwLock<Arc<ServerConfig>>,
}

/// Tells whether the files have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp([Option<(u64, u64, i64, i64)>; 2]);

impl Tls {
    /// # Errors
    /// [`TlsError`]
    pub fn load(cert: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let shown = RwLock::new(read(&cert, &key)?);
        Ok(Self(Arc::new(Shared { cert, key, shown })))
    }

    /// Starts a handshake with a client.
    pub(super) fn accept(&self, socket: Watched) -> tokio_rustls::Accept<Watched> {
        let shown = self.0.shown.read().unwrap_or_else(|poison| poison.into_inner()).clone();
        TlsAcceptor::from(shown).accept(socket)
    }

    /// Loads changed files until `end`.
    pub(super) async fn follow(self, end: CancellationToken) {
        let mut seen = self.stamp();
        let mut ticker = tokio::time::interval(LOOK_EVERY);
        loop {
            // Both are cancel safe.
            tokio::select! {
                () = end.cancelled() => return,
                _ = ticker.tick() => {}
            }
            let stamp = self.stamp();
            if stamp == seen {
                continue;
            }
            // The stamp is taken before the files are read: a change during the read is loaded the
            // next time.
            seen = stamp;
            match read(&self.0.cert, &self.0.key) {
                Ok(shown) => {
                    *self.0.shown.write().unwrap_or_else(|poison| poison.into_inner()) = shown;
                    tracing::info!(certificate = %self.0.cert.display(), "the certificate was read again");
                }
                Err(error) => {
                    tracing::warn!(error = %error, "the new certificate cannot be used; the one before is kept");
                }
            }
        }
    }

    fn stamp(&self) -> Stamp {
        let stamp = |path: &Path| {
            let file = fs::metadata(path).ok()?;
            Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
        };
        Stamp([stamp(&self.0.cert), stamp(&self.0.key)])
    }
}

fn read(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let text =
        |path: &Path| fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source });
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text(cert)?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::NoCertificate { path: cert.to_owned() })?;
    let secret = PrivateKeyDer::from_pem_slice(&text(key)?);
    let secret = secret.map_err(|_| TlsError::NoKey { path: key.to_owned() })?;
    let unfit = |source| TlsError::Unfit { cert: cert.to_owned(), key: key.to_owned(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
