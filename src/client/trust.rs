//! Which certificates a client trusts when it uses TLS.

use std::fmt;
use std::fs;
use std::str::FromStr;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The certificates of a file. A hub's certificate must lead to one of them.
#[derive(Clone)]
pub struct Roots(RootCertStore);

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Roots").field(&self.0.len()).finish()
    }
}

impl FromStr for Roots {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        let text = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
        match roots.add_parsable_certificates(certificates).0 {
            0 => Err("holds no certificate in PEM form".to_owned()),
            _ => Ok(Self(roots)),
        }
    }
}

/// The TLS settings: the hub's certificate must lead to one of `roots` or, without them, to one
/// that this machine trusts.
pub(super) fn tls(roots: Option<Roots>) -> Arc<ClientConfig> {
    let roots = match roots {
        Some(Roots(roots)) => roots,
        None => {
            let mut roots = RootCertStore::empty();
            // A certificate that cannot be read is not trusted.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks all of them");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
