use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ashya_protocol::ws::{
    ClientMessage, EndReason, SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON, ServerMessage,
};
use ashya_protocol::{Domain, Envelope, FeedId, Offer, VerifiedEvent};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use url::Url;

use crate::wait::now_us;

/// Time that a gateway may take to answer a message, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Time that a gateway may take to read a payment, on a busy machine.
const BEGIN_LIMIT: Duration = Duration::from_secs(15);

/// How events travel on a websocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subprotocol {
    /// The device's own envelopes.
    Binary,
    /// JSON.
    Json,
}

/// What came over the websocket.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A control message; with [`Subprotocol::Json`] events too.
    Control(ServerMessage),
    /// An event whose signature was checked here.
    Event(VerifiedEvent),
}

/// What came, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Microseconds since the Unix epoch at which it was read.
    pub at_us: u64,
    /// What came.
    pub said: Said,
}

/// A websocket of a subscriber.
#[derive(Debug)]
pub struct Watcher {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    domain: Domain,
}

impl Watcher {
    /// Opens a websocket without saying who is here.
    ///
    /// # Errors
    /// When the gateway does not take it, or not the subprotocol.
    pub async fn open(gateway: &Url, domain: Domain, subprotocol: Subprotocol) -> Result<Self> {
        let protocol = match subprotocol {
            Subprotocol::Binary => SUBPROTOCOL_BINARY,
            Subprotocol::Json => SUBPROTOCOL_JSON,
        };
        let mut url = gateway.join("/v1/ws")?;
        let _ = url.set_scheme("ws");
        let mut request = url.as_str().into_client_request()?;
        request
            .headers_mut()
            .insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
        let (socket, response) = connect_async(request).await?;
        let chosen = response.headers().get("sec-websocket-protocol");
        if chosen.is_none_or(|chosen| chosen != protocol) {
            bail!("asked for {protocol}, got {chosen:?}");
        }
        Ok(Self { socket, domain })
    }

    /// Says something.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn say(&mut self, message: &ClientMessage) -> Result<()> {
        self.say_raw(Message::text(serde_json::to_string(message)?))
            .await
    }

    /// Sends any message.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn say_raw(&mut self, message: Message) -> Result<()> {
        Ok(self.socket.send(message).await?)
    }

    /// The next message; `None` when nothing comes within `limit`.
    ///
    /// # Errors
    /// When the gateway closes the socket, or says something that is not of the protocol.
    pub async fn next(&mut self, limit: Duration) -> Result<Option<Heard>> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(message) = tokio::time::timeout(left, self.socket.next()).await else {
                return Ok(None);
            };
            let at_us = now_us();
            let said = match message.context("the socket ended")?? {
                Message::Text(text) => {
                    Said::Control(serde_json::from_str(&text).with_context(|| text.to_string())?)
                }
                Message::Binary(bytes) => {
                    Said::Event(Envelope::decode(&bytes)?.verify(&self.domain)?)
                }
                Message::Close(frame) => bail!("the gateway closed the socket: {frame:?}"),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            return Ok(Some(Heard { at_us, said }));
        }
    }

    /// The close code with which the gateway ends this socket.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub async fn closed(&mut self, limit: Duration) -> Result<Option<u16>> {
        let end = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        };
        tokio::time::timeout(limit, end)
            .await
            .context("the socket stayed open")
    }

    /// The next control message, passing over events.
    ///
    /// # Errors
    /// When none comes within `limit`.
    pub async fn control(&mut self, limit: Duration) -> Result<ServerMessage> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(left).await? {
                Some(Heard {
                    said: Said::Control(message),
                    ..
                }) => return Ok(message),
                Some(_) => {}
                None => bail!("waited {limit:?} in vain for a control message"),
            }
        }
    }

    /// The next event, passing over control messages.
    ///
    /// # Errors
    /// When none comes within `limit`.
    pub async fn event(&mut self, limit: Duration) -> Result<VerifiedEvent> {
        let deadline = Instant::now() + limit;
        let mut passed = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(left).await? {
                Some(Heard {
                    said: Said::Event(event),
                    ..
                }) => return Ok(event),
                Some(other) => passed.push(other),
                None => bail!("waited {limit:?} in vain for an event; came: {passed:?}"),
            }
        }
    }

    /// All that comes within `time`.
    ///
    /// # Errors
    /// When the socket closes.
    pub async fn listen(&mut self, time: Duration) -> Result<Vec<Heard>> {
        let deadline = Instant::now() + time;
        let mut heard = Vec::new();
        while let Some(one) = self
            .next(deadline.saturating_duration_since(Instant::now()))
            .await?
        {
            heard.push(one);
        }
        Ok(heard)
    }

    /// Says who is here and waits for the welcome.
    ///
    /// # Errors
    /// When there is none.
    pub async fn authenticate(&mut self, token: &str) -> Result<()> {
        let token = token.to_owned();
        self.say(&ClientMessage::Auth { token }).await?;
        match self.control(ANSWER_LIMIT).await? {
            ServerMessage::Welcome { .. } => Ok(()),
            other => bail!("expected a welcome, got {other:?}"),
        }
    }

    /// Asks for a feed and returns the answer, passing over news of feeds.
    ///
    /// # Errors
    /// When there is none.
    pub async fn watch(&mut self, feed: FeedId) -> Result<ServerMessage> {
        self.say(&ClientMessage::Watch {
            feed,
            streams: None,
            since: Default::default(),
        })
        .await?;
        loop {
            let message = self.control(ANSWER_LIMIT).await?;
            if !matches!(
                message,
                ServerMessage::Notice { .. } | ServerMessage::Gap { .. }
            ) {
                return Ok(message);
            }
        }
    }

    /// Waits until a feed that was asked for begins, as it does by itself once it is paid; returns when access ends, in
    /// Unix seconds.
    ///
    /// # Errors
    /// When it does not begin.
    pub async fn begins(&mut self, feed: FeedId) -> Result<Option<u64>> {
        loop {
            match self.control(BEGIN_LIMIT).await? {
                ServerMessage::Watching {
                    feed: id,
                    expires_at,
                    ..
                } if id == feed => return Ok(expires_at),
                ServerMessage::PaymentRequired(_) | ServerMessage::Notice { .. } => {}
                other => bail!("expected watching, got {other:?}"),
            }
        }
    }

    /// Asks for a feed whose payment the gateway may still have to read; returns as [`Self::begins`].
    ///
    /// # Errors
    /// When it does not begin.
    pub async fn watch_once_paid(&mut self, feed: FeedId) -> Result<Option<u64>> {
        self.say(&ClientMessage::Watch {
            feed,
            streams: None,
            since: Default::default(),
        })
        .await?;
        self.begins(feed).await
    }

    /// Asks for a feed that is paid for; returns when access ends, in Unix seconds.
    ///
    /// # Errors
    /// When the gateway says anything but `watching`.
    pub async fn watch_paid(&mut self, feed: FeedId) -> Result<Option<u64>> {
        match self.watch(feed).await? {
            ServerMessage::Watching { expires_at, .. } => Ok(expires_at),
            other => bail!("expected watching, got {other:?}"),
        }
    }

    /// Asks for a feed that is not paid for.
    ///
    /// # Errors
    /// When the gateway says anything but `payment-required`.
    pub async fn watch_unpaid(&mut self, feed: FeedId) -> Result<Offer> {
        match self.watch(feed).await? {
            ServerMessage::PaymentRequired(offer) => Ok(offer),
            other => bail!("expected payment-required, got {other:?}"),
        }
    }

    /// Waits for the end of a watch.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Result<EndReason> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let ServerMessage::Ended { reason, .. } = self.control(left).await? {
                return Ok(reason);
            }
        }
    }
}
