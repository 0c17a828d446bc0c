use std::io;
use std::sync::Arc;

use rustls_platform_verifier::BuilderVerifierExt;
use thiserror::Error;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};

use super::{BridgeAddress, CONNECT_TIMEOUT};

/// A TLS connection to the broker behind a Unix socket in a folder that only we can enter.
///
/// rumqttc's own TLS is OpenSSL or a rustls-webpki with open advisories, but it does take a Unix socket, and the rest of
/// the gateway has a good rustls already. Dropping the tunnel closes it.
#[derive(Debug)]
pub(super) struct Tunnel {
    path: String,
    _pump: JoinSet<io::Result<()>>,
}

/// Why there is no TLS connection to the broker.
#[derive(Debug, Error)]
pub(super) enum TunnelError {
    #[error("this machine's trusted certificates cannot be used")]
    Trust(#[source] rustls::Error),
    #[error("the broker's host has no name that a certificate could prove")]
    Name,
    #[error("the broker did not answer in time")]
    Timeout,
    #[error("no TLS connection to the broker")]
    Network(#[source] io::Error),
    #[error("no socket for the MQTT client")]
    Socket(#[source] io::Error),
}

impl Tunnel {
    /// Connects to the broker if its address asks for TLS. Trusted is what the system trusts, on Linux also what
    /// `SSL_CERT_FILE` names.
    pub(super) async fn open(address: &BridgeAddress) -> Result<Option<Self>, TunnelError> {
        if !address.has_tls() {
            return Ok(None);
        }
        let host = address.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| TunnelError::Name)?;
        let connector = connector().map_err(TunnelError::Trust)?;
        let connecting = async {
            let stream = TcpStream::connect(format!("{host}:{}", address.port())).await?;
            stream.set_nodelay(true)?;
            connector.connect(name, stream).await
        };
        let mut broker = timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| TunnelError::Timeout)?
            .map_err(TunnelError::Network)?;
        let folder = tempfile::Builder::new().prefix("ashya-bridge-").tempdir();
        let folder = folder.map_err(TunnelError::Socket)?;
        let path = folder.path().join("broker");
        let listener = UnixListener::bind(&path).map_err(TunnelError::Socket)?;
        let mut pump = JoinSet::new();
        pump.spawn(async move {
            let (mut client, _) = listener.accept().await?;
            // Nobody else is to come, and a kill later on leaves nothing behind.
            drop((listener, folder));
            copy_bidirectional(&mut client, &mut broker).await?;
            Ok(())
        });
        Ok(Some(Self {
            path: path.to_string_lossy().into_owned(),
            _pump: pump,
        }))
    }

    /// The socket.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

fn connector() -> Result<TlsConnector, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
