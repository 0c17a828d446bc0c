use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use url::Url;

use super::super::{Answer, CONNECT_TIMEOUT, MAX_ANSWER_BYTES, TransportError, request};
use super::Call;

/// Time between two signs of life that the node is asked for.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// A connection that was silent for three pings is dead, whatever the system says.
const STALE_AFTER: Duration = Duration::from_secs(45);
/// The id of the subscription for heads; requests count from one.
const HEADS_ID: u64 = 0;

/// Any stream that carries a websocket.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

type Socket = WebSocketStream<Box<dyn Carrier>>;
type Waiting = HashMap<u64, oneshot::Sender<Result<Value, TransportError>>>;

/// What comes from the node: an answer, or a notification without an id.
#[derive(Deserialize)]
struct Incoming {
    id: Option<u64>,
    #[serde(flatten)]
    answer: Answer,
}

/// Serves calls over one connection after the other until nobody can call any more.
pub(super) async fn serve(url: Url, mut calls: mpsc::Receiver<Call>, heads: watch::Sender<u64>) {
    while let Some(first) = calls.recv().await {
        let connected = timeout(CONNECT_TIMEOUT, connect(&url)).await;
        match connected.unwrap_or(Err(TransportError::TimedOut)) {
            Ok(socket) => session(socket, first, &mut calls, &heads).await,
            Err(error) => {
                let reason = error.to_string();
                // Whoever has stopped waiting does not need to know.
                let _ = first.answer.send(Err(error));
                while let Ok(call) = calls.try_recv() {
                    let _ = call.answer.send(Err(TransportError::Ws(reason.clone())));
                }
            }
        }
    }
}

/// Serves one connection to its end. Requests without an answer then fail, since their senders are dropped with it.
async fn session(
    mut socket: Socket,
    first: Call,
    calls: &mut mpsc::Receiver<Call>,
    heads: &watch::Sender<u64>,
) {
    let mut waiting = Waiting::new();
    let mut next_id = HEADS_ID;
    let subscribe = request(next_id, "eth_subscribe", &json!(["newHeads"]));
    if send(&mut socket, &subscribe).await.is_err() {
        return;
    }
    let mut call = Some(first);
    let mut heard = Instant::now();
    let mut pings = interval(PING_INTERVAL);
    loop {
        if let Some(call) = call.take() {
            next_id += 1;
            let request = request(next_id, &call.method, &call.params);
            waiting.retain(|_, answer| !answer.is_closed());
            waiting.insert(next_id, call.answer);
            if send(&mut socket, &request).await.is_err() {
                return;
            }
        }
        tokio::select! {
            next = calls.recv() => match next {
                Some(next) => call = Some(next),
                None => return,
            },
            message = socket.next() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => take(&text, &mut waiting, heads),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                }
            }
            _ = pings.tick() => {
                let ping = Message::Ping(Default::default());
                if heard.elapsed() >= STALE_AFTER || socket.send(ping).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn take(text: &str, waiting: &mut Waiting, heads: &watch::Sender<u64>) {
    let Ok(incoming) = serde_json::from_str::<Incoming>(text) else {
        tracing::debug!("a message of the node cannot be read");
        return;
    };
    match incoming.id {
        None => heads.send_modify(|count| *count += 1),
        // A node that tells of no heads is looked at now and then.
        Some(HEADS_ID) => {}
        Some(id) => {
            if let Some(answer) = waiting.remove(&id) {
                // Whoever has stopped waiting does not need to know.
                let _ = answer.send(incoming.answer.into_result());
            }
        }
    }
}

async fn send(socket: &mut Socket, message: &Value) -> Result<(), TransportError> {
    let sent = socket.send(Message::text(message.to_string())).await;
    sent.map_err(|error| TransportError::Ws(error.to_string()))
}

async fn connect(url: &Url) -> Result<Socket, TransportError> {
    let failed = |error: &dyn std::error::Error| TransportError::Ws(error.to_string());
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    // An IPv6 address has brackets in an address, and none in a name.
    let name = host.trim_matches(['[', ']']);
    let tcp = TcpStream::connect((name, port))
        .await
        .map_err(|error| failed(&error))?;
    tcp.set_nodelay(true).map_err(|error| failed(&error))?;
    let carrier: Box<dyn Carrier> = if url.scheme() == "wss" {
        let name = ServerName::try_from(name.to_owned()).map_err(|error| failed(&error))?;
        let connector = connector().map_err(|error| failed(&error))?;
        let tls = connector.connect(name, tcp).await;
        Box::new(tls.map_err(|error| failed(&error))?)
    } else {
        Box::new(tcp)
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_ANSWER_BYTES))
        .max_frame_size(Some(MAX_ANSWER_BYTES));
    let shaken =
        tokio_tungstenite::client_async_with_config(url.as_str(), carrier, Some(config)).await;
    shaken
        .map(|(socket, _)| socket)
        .map_err(|error| failed(&error))
}

fn connector() -> Result<TlsConnector, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
