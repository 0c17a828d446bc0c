//! The certificate of the gateway's own listeners, which can be renewed while it runs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::RwLock;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use x509_parser::parse_x509_certificate;

use crate::defaults::CERTIFICATE_WARNING;
use crate::private::open_mode;

/// The one protocol of the HTTP listener: a websocket needs HTTP/1.1 here.
const ALPN_HTTP: &[u8] = b"http/1.1";

/// The certificate that the gateway's own listeners show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// File of the certificate and its chain (PEM).
    pub certificate: PathBuf,
    /// File of its private key (PEM), readable by its owner alone.
    pub key: PathBuf,
}

/// What is spoken inside of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1.1, told by ALPN.
    Http,
    /// MQTT, whose clients need no ALPN.
    Mqtt,
}

/// The certificate that is shown now. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: TlsConfig,
    current: RwLock<Identity>,
}

#[derive(Debug)]
struct Identity {
    http: Arc<ServerConfig>,
    mqtt: Arc<ServerConfig>,
    /// Unix second.
    expires_at: u64,
}

/// Why a certificate cannot be shown.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Somebody else may read the key.
    #[error(
        "others may read the TLS key {path} (mode {mode:03o}), with which they could pose as this gateway: chmod 600 {path}",
        path = path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not PEM, or holds something else.
    #[error("{} holds no {what} (PEM)", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// A certificate cannot be read.
    #[error("{} holds something that is no X.509 certificate", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not make a pair.
    #[error("the certificate {} and its key cannot be used together", path.display())]
    Pair {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// How long a certificate is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// For so many days.
    Good(u64),
    /// For so many days only: it is time to renew it.
    EndsSoon(u64),
    /// No more.
    Over,
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// When they cannot be read or used, or others may read the key.
    pub(crate) fn load(files: &TlsConfig) -> Result<Self, TlsError> {
        let current = RwLock::new(Identity::read(files)?);
        let files = files.clone();
        Ok(Self(Arc::new(Shared { files, current })))
    }

    /// Reads them again; connections that stand keep what they have.
    ///
    /// # Errors
    /// As [`Self::load`]; the old certificate is then shown on.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let fresh = Identity::read(&self.0.files)?;
        *self.0.current.write() = fresh;
        Ok(())
    }

    /// Unix second at which the certificate, or one of its chain, ends.
    pub(crate) fn expires_at(&self) -> u64 {
        self.0.current.read().expires_at
    }

    /// How long it is still good.
    pub(crate) fn lifetime(&self) -> Lifetime {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Lifetime::at(now.unwrap_or_default(), self.expires_at())
    }

    /// What greets the next client.
    pub(super) fn acceptor(&self, speaks: Speaks) -> TlsAcceptor {
        let current = self.0.current.read();
        let config = match speaks {
            Speaks::Http => &current.http,
            Speaks::Mqtt => &current.mqtt,
        };
        TlsAcceptor::from(config.clone())
    }
}

impl Identity {
    fn read(files: &TlsConfig) -> Result<Self, TlsError> {
        let path = files.certificate.as_path();
        let pair = |source| TlsError::Pair {
            path: path.to_owned(),
            source,
        };
        let (chain, expires_at) = read_chain(path)?;
        let key = read_key(&files.key)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mqtt = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(pair)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(pair)?;
        let mut http = mqtt.clone();
        http.alpn_protocols = vec![ALPN_HTTP.to_vec()];
        Ok(Self {
            http: Arc::new(http),
            mqtt: Arc::new(mqtt),
            expires_at,
        })
    }
}

impl Lifetime {
    fn at(now: Duration, expires_at: u64) -> Self {
        let left = expires_at.saturating_sub(now.as_secs());
        let days = left / (24 * 3600);
        match left {
            0 => Self::Over,
            _ if left < CERTIFICATE_WARNING.as_secs() => Self::EndsSoon(days),
            _ => Self::Good(days),
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(days) => write!(f, "the certificate is good for {days} days"),
            Self::EndsSoon(days) => write!(f, "the certificate ends in {days} days: renew it"),
            Self::Over => write!(f, "the certificate has ended: renew it"),
        }
    }
}

/// The certificates of a file, the gateway's own first, and the first Unix second at which one of them ends.
fn read_chain(path: &Path) -> Result<(Vec<CertificateDer<'static>>, u64), TlsError> {
    let what = "certificate";
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain: Vec<CertificateDer<'static>> =
        certificates.map_err(|error| unreadable(path, what, error))?;
    let mut expires_at = u64::MAX;
    for certificate in &chain {
        let Ok((_, parsed)) = parse_x509_certificate(certificate) else {
            let path = path.to_owned();
            return Err(TlsError::Certificate { path });
        };
        let end = parsed.validity().not_after.timestamp();
        expires_at = expires_at.min(u64::try_from(end).unwrap_or(0));
    }
    if chain.is_empty() {
        return Err(unreadable(path, what, pem::Error::NoItemsFound));
    }
    Ok((chain, expires_at))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let mode = open_mode(path).map_err(|source| TlsError::Io {
        path: path.to_owned(),
        source,
    })?;
    if let Some(mode) = mode {
        let path = path.to_owned();
        return Err(TlsError::Open { path, mode });
    }
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, "private key", error))
}

fn unreadable(path: &Path, what: &'static str, error: pem::Error) -> TlsError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) => TlsError::Io { path, source },
        source => TlsError::Pem { path, what, source },
    }
}

#[cfg(test)]
mod tests;
