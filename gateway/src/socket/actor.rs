use std::time::Duration;

use ashya_protocol::ws::{ClientMessage, CloseCode, ErrorCode, ServerMessage};
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket};
use futures_util::SinkExt;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout, timeout_at};

use super::limits::{
    AUTH_TIMEOUT, BATCH_BYTES, BATCH_MESSAGES, CLOSE_TIMEOUT, MAX_MALFORMED, PING_INTERVAL,
    STALE_AFTER, WRITE_TIMEOUT,
};
use super::{Batch, Outgoing, SocketParts, Step, Viewer};
use crate::auth::AuthError;
use crate::auth::sessions::{Seat, SessionClaims};
use crate::chain_clock::wall_instant_of;

/// How events look on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// The device's own bytes.
    Binary,
    /// JSON like everything else.
    Json,
}

/// One websocket.
pub(super) struct Socket {
    parts: SocketParts,
    socket: WebSocket,
    encoding: Encoding,
    malformed: u32,
    /// Whether a batch of events has not gone out whole: a goodbye would push the rest of it out.
    unflushed: bool,
}

/// Why a socket is over.
enum End {
    /// The client is gone, or so stuck that not even a goodbye gets through.
    Gone,
    Close(CloseCode),
}

impl Socket {
    pub(super) fn new(parts: SocketParts, socket: WebSocket, encoding: Encoding) -> Self {
        Self {
            parts,
            socket,
            encoding,
            malformed: 0,
            unflushed: false,
        }
    }

    /// Serves the socket to its end.
    pub(super) async fn run(mut self) {
        self.parts.metrics.sockets.inc();
        let end = match self.authenticate().await {
            Ok(seat) => self.serve(seat).await,
            Err(end) => end,
        };
        self.parts.metrics.sockets.dec();
        match end {
            End::Close(code) if self.unflushed => {
                tracing::debug!(code = code.code(), "websocket given up within a write");
            }
            End::Gone => tracing::debug!("websocket gone"),
            End::Close(code) => {
                tracing::debug!(code = code.code(), "websocket closed");
                // Best effort: the client may be gone.
                let _ = timeout(CLOSE_TIMEOUT, self.close(code)).await;
            }
        }
    }

    /// The first message must bring a good token, in time.
    async fn authenticate(&mut self) -> Result<Seat, End> {
        let deadline = Instant::now() + AUTH_TIMEOUT;
        loop {
            let frame = tokio::select! {
                () = self.parts.shutdown.cancelled() => return Err(End::Close(CloseCode::GoingAway)),
                () = sleep_until(deadline) => return Err(End::Close(CloseCode::Unauthorized)),
                frame = self.socket.recv() => frame,
            };
            let text = match frame {
                Some(Ok(Frame::Text(text))) => text,
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => continue,
                Some(Ok(Frame::Close(_))) | None => return Err(End::Gone),
                Some(Ok(Frame::Binary(_)) | Err(_)) => return Err(End::Close(CloseCode::Protocol)),
            };
            return match serde_json::from_str(&text) {
                Ok(ClientMessage::Auth { token }) => match self.sit(&token) {
                    Ok(seat) => Ok(seat),
                    Err(error) => {
                        let (code, close) = refusal(error);
                        self.refuse(code, error.to_string()).await;
                        Err(End::Close(close))
                    }
                },
                Ok(_) => {
                    self.refuse(ErrorCode::Unauthorized, "auth comes first".into())
                        .await;
                    Err(End::Close(CloseCode::Unauthorized))
                }
                Err(_) => {
                    self.refuse(ErrorCode::Malformed, "not a message of ashya.v1".into())
                        .await;
                    Err(End::Close(CloseCode::Protocol))
                }
            };
        }
    }

    fn sit(&self, token: &str) -> Result<Seat, AuthError> {
        let sessions = &self.parts.sessions;
        sessions.sit(sessions.verify(token)?)
    }

    async fn serve(&mut self, mut seat: Seat) -> End {
        let claims = seat.claims();
        let shutdown = self.parts.shutdown.clone();
        let mut viewer = Viewer::new(self.parts.clone(), claims.wallet);
        viewer.say(ServerMessage::Welcome {
            wallet: claims.wallet,
        });
        let mut session_ends = wall_instant_of(claims.expires_at);
        let mut heard = Instant::now();
        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let drained = tokio::select! {
                biased;
                () = shutdown.cancelled() => return End::Close(CloseCode::GoingAway),
                () = sleep_until(session_ends) => return End::Close(CloseCode::Unauthorized),
                () = seat.revoked() => return self.end_revoked(&mut viewer).await,
                drained = self.write(&mut viewer) => match drained {
                    Ok(drained) => drained,
                    Err(end) => return end,
                },
            };
            // While answers wait no further request is taken, and the client's silence is not held against it.
            let listens = viewer.is_caught_up();
            if !listens {
                heard = Instant::now();
            }
            // Unbiased: a client that talks without pause must not keep its viewer from noticing a cancel.
            tokio::select! {
                () = shutdown.cancelled() => return End::Close(CloseCode::GoingAway),
                () = sleep_until(session_ends) => return End::Close(CloseCode::Unauthorized),
                () = seat.revoked() => return self.end_revoked(&mut viewer).await,
                _ = pings.tick() => {
                    if heard.elapsed() >= STALE_AFTER {
                        return End::Close(CloseCode::Stale);
                    }
                    if let Err(end) = self.send(Frame::Ping(axum::body::Bytes::new())).await {
                        return end;
                    }
                }
                frame = self.socket.recv(), if listens => {
                    heard = Instant::now();
                    match self.take(&mut viewer, frame) {
                        Ok(Some(renewed)) => match seat.renew(renewed) {
                            Ok(()) => session_ends = wall_instant_of(renewed.expires_at),
                            Err(error) => return End::Close(refusal(error).1),
                        },
                        Ok(None) => {}
                        Err(end) => return end,
                    }
                }
                () = viewer.turn() => {}
                // More waits to be written.
                () = std::future::ready(()), if !drained => {}
            }
        }
    }

    /// Tells the client that nothing more will come, as far as it listens.
    async fn end_revoked(&mut self, viewer: &mut Viewer) -> End {
        viewer.revoke();
        if !self.unflushed {
            // Best effort: the close code says the same.
            let _ = timeout(CLOSE_TIMEOUT, self.write(viewer)).await;
        }
        End::Close(CloseCode::Revoked)
    }

    /// Takes one frame of the client; gives back a renewed session.
    fn take(
        &mut self,
        viewer: &mut Viewer,
        frame: Option<Result<Frame, axum::Error>>,
    ) -> Result<Option<SessionClaims>, End> {
        let text = match frame {
            Some(Ok(Frame::Text(text))) => text,
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => return Ok(None),
            Some(Ok(Frame::Close(_))) | None => return Err(End::Gone),
            Some(Ok(Frame::Binary(_)) | Err(_)) => return Err(End::Close(CloseCode::Protocol)),
        };
        match serde_json::from_str(&text) {
            Ok(ClientMessage::Watch {
                feed,
                streams,
                since,
            }) => {
                let streams = streams.map(|streams| streams.into_iter().collect());
                if let Err(refusal) = viewer.watch(feed, streams, &since) {
                    viewer.say(ServerMessage::Error {
                        code: refusal.code(),
                        message: format!("{refusal} ({feed})"),
                    });
                }
            }
            Ok(ClientMessage::Unwatch { feed }) => viewer.unwatch(feed),
            Ok(ClientMessage::Ping {}) => viewer.say(ServerMessage::Pong {}),
            Ok(ClientMessage::Auth { token }) => {
                let claims = self.parts.sessions.verify(&token).ok();
                let claims = claims.filter(|claims| claims.wallet == viewer.wallet());
                let claims = claims.ok_or(End::Close(CloseCode::Unauthorized))?;
                viewer.say(ServerMessage::Welcome {
                    wallet: claims.wallet,
                });
                return Ok(Some(claims));
            }
            Err(error) => {
                self.malformed += 1;
                if self.malformed > MAX_MALFORMED {
                    return Err(End::Close(CloseCode::Protocol));
                }
                viewer.say(ServerMessage::Error {
                    code: ErrorCode::Malformed,
                    message: error.to_string(),
                });
            }
        }
        Ok(None)
    }

    /// Writes what waits, many messages in one go; `true` when nothing waits any more.
    ///
    /// Access is asked for each event right before it is handed to the socket, and while a write is blocked.
    async fn write(&mut self, viewer: &mut Viewer) -> Result<bool, End> {
        let mut batch = Batch::new();
        let (mut messages, mut bytes) = (0, 0);
        let last = loop {
            if messages >= BATCH_MESSAGES || bytes >= BATCH_BYTES {
                break Ok(false);
            }
            let (outgoing, until) = match viewer.next() {
                Step::Write(outgoing, until) => (outgoing, until),
                Step::Idle => break Ok(true),
                Step::TooSlow => break Err(End::Close(CloseCode::TooSlow)),
            };
            let frame = self.frame(&outgoing);
            if let Outgoing::Event(event) = outgoing {
                batch.add(event, until.map(|until| self.parts.clock.instant_of(until)));
            }
            messages += 1;
            bytes += frame_bytes(&frame);
            self.unflushed = true;
            let fed = viewer.carry(&batch, self.socket.feed(frame)).await;
            fed.and_then(Result::ok).ok_or(End::Gone)?;
        };
        if messages > 0 {
            let flushed = viewer.carry(&batch, self.socket.flush()).await;
            flushed.and_then(Result::ok).ok_or(End::Gone)?;
            self.unflushed = false;
            self.parts.metrics.events_delivered.inc_by(batch.events());
        }
        last
    }

    fn frame(&self, outgoing: &Outgoing) -> Frame {
        match (outgoing, self.encoding) {
            (Outgoing::Control(message), _) => control(message),
            (Outgoing::Event(message), Encoding::Binary) => Frame::Binary(message.envelope()),
            (Outgoing::Event(message), Encoding::Json) => Frame::Text(message.json()),
        }
    }

    async fn send(&mut self, frame: Frame) -> Result<(), End> {
        within(Instant::now() + WRITE_TIMEOUT, self.socket.send(frame)).await
    }

    async fn refuse(&mut self, code: ErrorCode, message: String) {
        // The close code that follows says the same to a client that is gone.
        let _ = self
            .send(control(&ServerMessage::Error { code, message }))
            .await;
    }

    /// Says goodbye and waits for the client's: closing at once would take back what is on the way.
    async fn close(&mut self, code: CloseCode) {
        let frame = CloseFrame {
            code: code.code(),
            reason: code.reason().into(),
        };
        if self.socket.send(Frame::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = self.socket.recv().await {}
        }
    }
}

async fn within<T>(
    deadline: Instant,
    write: impl Future<Output = Result<T, axum::Error>>,
) -> Result<T, End> {
    match timeout_at(deadline, write).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}

const fn refusal(error: AuthError) -> (ErrorCode, CloseCode) {
    match error {
        AuthError::TooManySockets => (ErrorCode::TooManySockets, CloseCode::TooManySockets),
        AuthError::Revoked => (ErrorCode::Unauthorized, CloseCode::Revoked),
        AuthError::Invalid | AuthError::Expired | AuthError::OtherDevice => {
            (ErrorCode::Unauthorized, CloseCode::Unauthorized)
        }
    }
}

fn control(message: &ServerMessage) -> Frame {
    // Control messages hold only texts and numbers, which always have a JSON form.
    Frame::Text(serde_json::to_string(message).unwrap_or_default().into())
}

fn frame_bytes(frame: &Frame) -> usize {
    match frame {
        Frame::Text(text) => text.len(),
        Frame::Binary(bytes) => bytes.len(),
        Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) => 0,
    }
}

const _: () = assert!(
    Duration::as_secs(&PING_INTERVAL) * 2 < Duration::as_secs(&STALE_AFTER),
    "a client must get two pings before it counts as gone"
);
