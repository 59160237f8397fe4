//! The ways to speak with a hub, and a certificate for those that are secret.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use rcgen::{CertifiedKey, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::harness::{Client, Hub};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1, where a stream's socket changes hands.
    Plain,
    /// HTTP/2 with prior knowledge.
    H2c,
    Tls1,
    Tls2,
}

impl Wire {
    pub const ALL: [Self; 4] = [Self::Plain, Self::H2c, Self::Tls1, Self::Tls2];
    /// Those on which a stream is the body of an answer.
    pub const OTHERS: [Self; 3] = [Self::H2c, Self::Tls1, Self::Tls2];

    pub fn scheme(self) -> &'static str {
        if self.is_secret() { "https" } else { "http" }
    }

    fn is_secret(self) -> bool {
        matches!(self, Self::Tls1 | Self::Tls2)
    }

    pub fn builder(self) -> reqwest::ClientBuilder {
        let builder = reqwest::Client::builder();
        match self {
            Self::Plain => builder.http1_only().tls_backend_preconfigured(trusting(&[])),
            Self::H2c => builder.http2_prior_knowledge().tls_backend_preconfigured(trusting(&[])),
            Self::Tls1 => builder.http1_only().tls_backend_preconfigured(trusting(&["http/1.1"])),
            Self::Tls2 => builder.tls_backend_preconfigured(trusting(&["h2", "http/1.1"])),
        }
    }

    /// A hub that is spoken with in this way.
    pub async fn hub(self, flags: &[&str]) -> Hub {
        let mut flags = flags.to_vec();
        if self.is_secret() {
            flags.extend(CERTIFICATE.flags());
        }
        let mut hub = Hub::with(&flags).await;
        hub.client = Client::over(self, hub.client.address);
        hub
    }

    pub async fn restart(self, hub: Hub) -> Hub {
        let mut hub = hub.restart().await;
        hub.client = Client::over(self, hub.client.address);
        hub
    }
}

/// A client that trusts the hubs of these tests, and speaks `protocols`.
pub fn trusting(protocols: &[&str]) -> ClientConfig {
    trusting_only(&CERTIFICATE.pair, protocols)
}

pub fn trusting_only(pair: &CertifiedKey<KeyPair>, protocols: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(pair.cert.der().to_vec())).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("they are there");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    config
}

/// A certificate of its own making, in files.
pub struct Files {
    pub pair: CertifiedKey<KeyPair>,
    directory: TempDir,
}

pub static CERTIFICATE: LazyLock<Files> = LazyLock::new(Files::new);

impl Files {
    pub fn new() -> Self {
        let files = Self { pair: pair(), directory: tempfile::tempdir().expect("a directory") };
        files.write(&files.pair);
        files
    }

    pub fn cert(&self) -> String {
        self.path("cert.pem")
    }

    pub fn key(&self) -> String {
        self.path("key.pem")
    }

    /// For who cannot hold on to the paths.
    pub fn flags(&'static self) -> [&'static str; 4] {
        static PATHS: LazyLock<[String; 2]> = LazyLock::new(|| [CERTIFICATE.cert(), CERTIFICATE.key()]);
        ["--tls-cert", &PATHS[0], "--tls-key", &PATHS[1]]
    }

    pub fn write(&self, pair: &CertifiedKey<KeyPair>) {
        std::fs::write(self.cert(), pair.cert.pem()).expect("written");
        std::fs::write(self.key(), pair.signing_key.serialize_pem()).expect("written");
    }

    fn path(&self, name: &str) -> String {
        let path: &Path = self.directory.path();
        path.join(name).to_str().expect("UTF-8").to_owned()
    }
}

/// A certificate of this machine.
pub fn pair() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .expect("a certificate")
}
