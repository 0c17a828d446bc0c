use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpSocket, TcpStream, UnixListener, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::trust::{Trust, TrustError};

/// Bytes that the system may hold for the broker: enough for the detections of seconds, and for one picture rather than
/// for a minute of them on a slow uplink, where it would else keep megabytes.
pub(super) const SEND_BUFFER: u32 = 256 * 1024;
/// How long the broker may take to answer, name and handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A TLS connection to the broker behind a Unix socket in a folder that only we can enter.
///
/// The MQTT client's own TLS is OpenSSL or a rustls-webpki with open advisories, but it does take a Unix socket, and REST
/// brings a good rustls already. Dropping the tunnel closes it.
#[derive(Debug)]
pub(crate) struct Tunnel {
    path: String,
    _pump: JoinSet<io::Result<()>>,
}

/// Why there is no TLS connection to the broker.
#[derive(Debug, Error)]
pub(crate) enum TunnelError {
    #[error(transparent)]
    Trust(#[from] TrustError),
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
    /// Connects to a broker that proves its name.
    pub(crate) async fn open(host: &str, port: u16, trust: &Trust) -> Result<Self, TunnelError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| TunnelError::Name)?;
        let connector = trust.connector()?;
        let connecting = async {
            let stream = connect(bare, port).await?;
            connector.connect(name, stream).await
        };
        let mut broker = timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| TunnelError::Timeout)?
            .map_err(TunnelError::Network)?;
        let folder = tempfile::Builder::new().prefix("ashya-agent-").tempdir();
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
        Ok(Self {
            path: path.to_string_lossy().into_owned(),
            _pump: pump,
        })
    }

    /// The socket.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// A connection whose buffer holds no more than the link means to have under way.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_send_buffer_size(SEND_BUFFER)?;
        match socket.connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
