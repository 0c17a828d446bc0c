//! A websocket to a gateway's `/v1/ws`, in the binary subprotocol.

use std::time::Duration;

use ashya_protocol::Envelope;
use ashya_protocol::limits::MAX_ENVELOPE_BYTES;
use ashya_protocol::ws::{ClientMessage, SUBPROTOCOL_BINARY, ServerMessage};
use futures_util::{SinkExt, StreamExt};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use url::Url;

use crate::trust::Trust;

/// From the first packet to the answer of the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The gateway pings each 20 seconds; silent for three of them, the connection is dead, whatever the system says.
const STALE_AFTER: Duration = Duration::from_secs(60);
/// Control messages are smaller than the largest envelope.
const MAX_MESSAGE_BYTES: usize = MAX_ENVELOPE_BYTES + 1024;

/// Any stream that carries a websocket.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// A connection.
pub(crate) struct Socket(WebSocketStream<Box<dyn Carrier>>);

/// What the gateway sends.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A control message.
    Control(ServerMessage),
    /// An event in its envelope. Its shape is right; its signature is unchecked.
    Event(Envelope),
    /// Bytes that are neither.
    Nonsense(String),
}

/// Why a connection is over.
#[derive(Debug, Error)]
pub(crate) enum SocketError {
    /// It could not be made.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// It broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] tungstenite::Error),
    /// The gateway closed it.
    #[error("the gateway closed the connection: {code} {reason}")]
    Closed {
        /// Its code; 1006 where it gave none.
        code: u16,
        /// Its reason.
        reason: String,
    },
    /// Nothing was heard for too long.
    #[error("nothing was heard for {} s", STALE_AFTER.as_secs())]
    Stale,
}

impl Socket {
    /// Connects to the gateway at `base`.
    ///
    /// # Errors
    /// When it cannot be reached, or does not speak the subprotocol.
    pub(crate) async fn connect(base: &Url) -> Result<Self, SocketError> {
        let connected = timeout(CONNECT_TIMEOUT, connect(base)).await;
        connected.unwrap_or_else(|_| Err(SocketError::Connect("no answer in time".to_owned())))
    }

    /// Says something.
    ///
    /// # Errors
    /// When the connection is over.
    pub(crate) async fn say(&mut self, message: &ClientMessage) -> Result<(), SocketError> {
        let text = serde_json::to_string(message).expect("messages are plain JSON");
        Ok(self.0.send(Message::text(text)).await?)
    }

    /// The next thing that the gateway sends. Safe to drop while it waits.
    ///
    /// # Errors
    /// When the connection is over.
    pub(crate) async fn hear(&mut self) -> Result<Heard, SocketError> {
        loop {
            let message = timeout(STALE_AFTER, self.0.next());
            let message = message.await.map_err(|_| SocketError::Stale)?;
            return Ok(match message.ok_or_else(|| closed(None))?? {
                Message::Text(text) => match serde_json::from_str(&text) {
                    Ok(message) => Heard::Control(message),
                    Err(error) => Heard::Nonsense(error.to_string()),
                },
                Message::Binary(bytes) => match Envelope::decode(&bytes) {
                    Ok(envelope) => Heard::Event(envelope),
                    Err(error) => Heard::Nonsense(error.to_string()),
                },
                Message::Close(frame) => {
                    let frame = frame.map(|frame| (frame.code, frame.reason.to_string()));
                    return Err(closed(frame));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            });
        }
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Socket")
    }
}

fn closed(frame: Option<(CloseCode, String)>) -> SocketError {
    let (code, reason) = frame.unwrap_or((CloseCode::Abnormal, String::new()));
    SocketError::Closed {
        code: code.into(),
        reason,
    }
}

async fn connect(base: &Url) -> Result<Socket, SocketError> {
    let mut url = base.join("v1/ws").map_err(|error| failed(&error))?;
    let encrypted = url.scheme() == "https";
    // Only the scheme of a web address may become that of another.
    let _ = url.set_scheme(if encrypted { "wss" } else { "ws" });
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    // An IPv6 address has brackets in an address, and none in a name.
    let name = host.trim_matches(['[', ']']).to_owned();
    let tcp = TcpStream::connect((name.as_str(), port)).await;
    let tcp = tcp.map_err(|error| failed(&error))?;
    tcp.set_nodelay(true).map_err(|error| failed(&error))?;
    let carrier: Box<dyn Carrier> = if encrypted {
        let name = ServerName::try_from(name).map_err(|error| failed(&error))?;
        let connector = Trust::default()
            .connector()
            .map_err(|error| failed(&error))?;
        let tls = connector.connect(name, tcp).await;
        Box::new(tls.map_err(|error| failed(&error))?)
    } else {
        Box::new(tcp)
    };
    let mut request = url
        .as_str()
        .into_client_request()
        .map_err(|error| failed(&error))?;
    request.headers_mut().insert(
        "sec-websocket-protocol",
        HeaderValue::from_static(SUBPROTOCOL_BINARY),
    );
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let shaken = tokio_tungstenite::client_async_with_config(request, carrier, Some(config)).await;
    let (socket, _) = shaken.map_err(|error| failed(&error))?;
    Ok(Socket(socket))
}

fn failed(error: &dyn std::error::Error) -> SocketError {
    SocketError::Connect(crate::causes::causes(error))
}
