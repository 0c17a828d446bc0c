use std::net::SocketAddr;
use std::time::Duration;

use ashya_protocol::ws::ServerMessage;
use ashya_protocol::{Address, FeedId, Position};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::world::PATIENCE;
use crate::auth::sessions::Sessions;

/// A client's end of a websocket.
pub(super) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What a client hears.
#[derive(Debug)]
pub(super) enum Heard {
    Message(ServerMessage),
    Envelope(Bytes),
    Closed(u16),
}

impl Client {
    pub(super) async fn connect(
        address: SocketAddr,
        subprotocol: Option<&str>,
    ) -> Result<Self, String> {
        let mut request = format!("ws://{}/v1/ws", address)
            .into_client_request()
            .unwrap();
        if let Some(name) = subprotocol {
            let value = name.parse().unwrap();
            request
                .headers_mut()
                .insert("sec-websocket-protocol", value);
        }
        let (socket, _) = connect_async(request)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Self(socket))
    }

    pub(super) async fn authenticate(&mut self, sessions: &Sessions, wallet: Address) {
        let token = sessions.issue(wallet).token;
        self.send(format!(r#"{{"type":"auth","token":"{token}"}}"#))
            .await;
        assert_eq!(self.message().await, ServerMessage::Welcome { wallet });
    }

    pub(super) async fn send(&mut self, text: String) {
        self.send_frame(Frame::text(text)).await;
    }

    pub(super) async fn send_frame(&mut self, frame: Frame) {
        self.0.send(frame).await.unwrap();
    }

    /// Sends frames in one write.
    pub(super) async fn send_together(&mut self, frames: impl IntoIterator<Item = Frame>) {
        for frame in frames {
            self.0.feed(frame).await.unwrap();
        }
        self.0.flush().await.unwrap();
    }

    pub(super) async fn watch(&mut self, feed: FeedId) {
        self.send(format!(r#"{{"type":"watch","feed":"{feed}"}}"#))
            .await;
    }

    pub(super) async fn watch_since(&mut self, feed: FeedId, position: Position) {
        let position = serde_json::to_string(&position).unwrap();
        let text = format!(
            r#"{{"type":"watch","feed":"{feed}","streams":["detections"],"since":{{"detections":{position}}}}}"#
        );
        self.send(text).await;
    }

    /// The next thing that is heard.
    pub(super) async fn hear(&mut self) -> Heard {
        self.hear_or_end(PATIENCE).await.expect("the end")
    }

    /// The next thing that is heard within some time; nothing when the connection was given up.
    pub(super) async fn hear_or_end(&mut self, patience: Duration) -> Option<Heard> {
        loop {
            let frame = timeout(patience, self.0.next())
                .await
                .expect("nothing came");
            let heard = match frame?.ok()? {
                Frame::Text(text) => Heard::Message(serde_json::from_str(&text).unwrap()),
                Frame::Binary(bytes) => Heard::Envelope(bytes),
                Frame::Close(frame) => Heard::Closed(frame.map_or(0, |frame| frame.code.into())),
                Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => continue,
            };
            return Some(heard);
        }
    }

    pub(super) async fn message(&mut self) -> ServerMessage {
        match self.hear().await {
            Heard::Message(message) => message,
            other => panic!("not a message: {other:?}"),
        }
    }

    /// Reads to the end, however it comes.
    pub(super) async fn rest(&mut self) -> Vec<ServerMessage> {
        let mut rest = Vec::new();
        while let Some(Ok(frame)) = timeout(PATIENCE, self.0.next()).await.expect("no end") {
            if let Frame::Text(text) = frame {
                rest.push(serde_json::from_str(&text).unwrap());
            }
        }
        rest
    }

    pub(super) async fn close_code(&mut self) -> u16 {
        loop {
            if let Heard::Closed(code) = self.hear().await {
                return code;
            }
        }
    }

    /// Checks that nothing waits: after a while in which it would have come, the answer to a ping is next.
    pub(super) async fn is_silent(&mut self) {
        sleep(Duration::from_millis(50)).await;
        self.send(r#"{"type":"ping"}"#.into()).await;
        assert_eq!(self.message().await, ServerMessage::Pong {});
    }
}
