//! Whose certificates are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_platform_verifier::BuilderVerifierExt;
use thiserror::Error;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// What the system trusts, on Linux also what `SSL_CERT_FILE` names; or, in its place, the certificates of one file.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    own: Option<Arc<Vec<CertificateDer<'static>>>>,
}

/// Why nobody can be believed.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The file is not what it should be.
    #[error("{path} holds no certificates (PEM): {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The certificates cannot be used.
    #[error("the trusted certificates cannot be used")]
    Certificates(#[from] rustls::Error),
}

impl Trust {
    /// The certificates of a file, or what the system trusts where none is named.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no certificate.
    pub fn load(file: Option<&Path>) -> Result<Self, TrustError> {
        let Some(path) = file else {
            return Ok(Self::default());
        };
        let failed = |reason: String| TrustError::File {
            path: path.to_owned(),
            reason,
        };
        let read = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(error.to_string()))?;
        if read.is_empty() {
            return Err(failed("there is none".into()));
        }
        Ok(Self {
            own: Some(Arc::new(read)),
        })
    }

    /// The file's certificates, for REST.
    pub(crate) fn own(&self) -> Option<&[CertificateDer<'static>]> {
        self.own.as_ref().map(|own| own.as_slice())
    }

    /// What speaks TLS for MQTT and websockets.
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub(crate) fn connector(&self) -> Result<TlsConnector, TrustError> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?;
        let config = match self.own() {
            None => config.with_platform_verifier()?.with_no_client_auth(),
            Some(own) => {
                let mut roots = RootCertStore::empty();
                for certificate in own {
                    roots.add(certificate.clone())?;
                }
                config.with_root_certificates(roots).with_no_client_auth()
            }
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}
