use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ashya_protocol::ws::{ClientMessage, CloseCode, ErrorCode, ServerMessage};
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{Error, Message as Received, Utf8Bytes};

use super::limits::{
    AUTH_TIMEOUT, BATCH_BYTES, BATCH_MESSAGES, CLOSE_TIMEOUT, MAX_MALFORMED, PING_INTERVAL,
    STALE_AFTER, WRITE_TIMEOUT,
};
use super::line::Line;
use super::signals::Silencer;
use super::{Batch, Encoding, Outgoing, SocketParts, Step, Viewer};
use crate::auth::AuthError;
use crate::auth::sessions::{Seat, SessionClaims};
use crate::chain_clock::wall_instant_of;

/// One websocket.
pub(super) struct Socket {
    parts: Arc<SocketParts>,
    line: Line,
    encoding: Encoding,
    malformed: u32,
}

/// Why a socket is over.
enum End {
    /// The client is gone, or so stuck that not even a goodbye gets through.
    Gone,
    /// The client has said goodbye.
    Left,
    Close(CloseCode),
}

/// When a socket has to do something of its own accord.
struct Times {
    session_ends: Instant,
    heard: Instant,
    ping: Instant,
    timer: Pin<Box<Sleep>>,
}

/// What a socket has waited for.
enum Turn {
    Received(Result<Received, Error>),
    Time,
    Viewer,
}

impl Socket {
    pub(super) fn new(parts: Arc<SocketParts>, line: Line, encoding: Encoding) -> Self {
        Self {
            parts,
            line,
            encoding,
            malformed: 0,
        }
    }

    /// Serves the socket to its end.
    pub(super) async fn run(mut self) {
        self.parts.metrics.sockets.inc();
        let end = match self.authenticate().await {
            // Boxed, so that a socket that waits for its first message takes little.
            Ok(seat) => Box::pin(self.serve(seat)).await,
            Err(end) => end,
        };
        self.parts.metrics.sockets.dec();
        match end {
            End::Close(code) if !self.line.is_flushed() => {
                tracing::debug!(code = code.code(), "websocket given up within a write");
            }
            End::Gone => tracing::debug!("websocket gone"),
            End::Left => {
                tracing::debug!("websocket left");
                // Best effort: tungstenite answers the goodbye while it is asked for more.
                let _ = timeout(CLOSE_TIMEOUT, self.answer_goodbye()).await;
            }
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
            let received = tokio::select! {
                () = self.parts.shutdown.cancelled() => return Err(End::Close(CloseCode::GoingAway)),
                () = sleep_until(deadline) => return Err(End::Close(CloseCode::Unauthorized)),
                received = self.line.receive() => received,
            };
            let Some(text) = text_of(received)? else {
                within(deadline, self.line.flush()).await?;
                continue;
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
        let mut viewer = Viewer::new(self.parts.clone(), claims.wallet);
        let shutdown = self.parts.shutdown.clone().cancelled_owned();
        let _shutdown = viewer.end_on(shutdown, CloseCode::GoingAway);
        let mut _revoked: Silencer = viewer.end_on(seat.revoked(), CloseCode::Revoked);
        viewer.say(ServerMessage::Welcome {
            wallet: claims.wallet,
        });
        let mut times = Times::new(claims.expires_at);
        loop {
            let drained = match self.write(&mut viewer, &times).await {
                Ok(drained) => drained,
                Err(End::Close(CloseCode::Revoked)) => return self.end_revoked(&mut viewer).await,
                Err(end) => return end,
            };
            if !drained {
                // More waits. Others may want to write too.
                tokio::task::yield_now().await;
            }
            // While answers wait no further request is taken, and the client's silence is not held against it.
            let listens = viewer.is_caught_up();
            if !listens {
                times.heard = Instant::now();
            }
            let turn = poll_fn(|context| {
                self.poll_turn(&mut viewer, &mut times, context, listens, drained)
            });
            match turn.await {
                Turn::Viewer => {}
                Turn::Time if times.is_stale() => return End::Close(CloseCode::Stale),
                Turn::Time => {
                    if times.ping_is_due() {
                        self.line.push_ping();
                    }
                }
                Turn::Received(received) => {
                    times.heard = Instant::now();
                    match self.take(&mut viewer, received) {
                        Ok(Some(renewed)) => match seat.renew(renewed) {
                            Ok(()) => {
                                times.session_ends = wall_instant_of(renewed.expires_at);
                                times.set_timer();
                                _revoked = viewer.end_on(seat.revoked(), CloseCode::Revoked);
                            }
                            Err(error) => return End::Close(refusal(error).1),
                        },
                        Ok(None) => {}
                        Err(end) => return end,
                    }
                }
            }
        }
    }

    /// Waits for whatever comes first. What is rare goes first and events come last, since they are written after
    /// every turn: neither a client that talks without pause nor a device can keep the socket from the rest.
    fn poll_turn(
        &mut self,
        viewer: &mut Viewer,
        times: &mut Times,
        context: &mut Context<'_>,
        listens: bool,
        drained: bool,
    ) -> Poll<Turn> {
        if times.timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(Turn::Time);
        }
        if viewer.poll_changed(context).is_ready() {
            return Poll::Ready(Turn::Viewer);
        }
        if listens && let Poll::Ready(received) = self.line.poll_receive(context) {
            return Poll::Ready(Turn::Received(received));
        }
        if !drained || viewer.poll_filled(context).is_ready() {
            return Poll::Ready(Turn::Viewer);
        }
        Poll::Pending
    }

    /// Tells the client that nothing more will come, as far as it listens.
    async fn end_revoked(&mut self, viewer: &mut Viewer) -> End {
        viewer.revoke();
        if self.line.is_flushed() {
            // Best effort: the close code says the same.
            while let Step::Write(Outgoing::Control(message), _) = viewer.next() {
                self.line.push_text(&text(&message));
            }
            let _ = timeout(CLOSE_TIMEOUT, self.line.flush()).await;
        }
        End::Close(CloseCode::Revoked)
    }

    /// Takes one frame of the client; gives back a renewed session.
    fn take(
        &mut self,
        viewer: &mut Viewer,
        received: Result<Received, Error>,
    ) -> Result<Option<SessionClaims>, End> {
        let Some(text) = text_of(received)? else {
            return Ok(None);
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
    /// Access is asked for each event right before they are handed to the kernel together, and while that is blocked.
    async fn write(&mut self, viewer: &mut Viewer, times: &Times) -> Result<bool, End> {
        if let Some(code) = viewer.over() {
            return Err(End::Close(code));
        }
        if Instant::now() >= times.session_ends {
            return Err(End::Close(CloseCode::Unauthorized));
        }
        let mut batch = Batch::new(Some(times.session_ends));
        let (mut messages, mut bytes) = (0, 0);
        let last = loop {
            if messages >= BATCH_MESSAGES || bytes >= BATCH_BYTES {
                break Ok(false);
            }
            match viewer.next() {
                Step::Write(Outgoing::Event(event), Some(grant)) => {
                    bytes += event.bytes();
                    self.line.push_event(event.clone(), self.encoding);
                    batch.add(event, grant, &self.parts.clock);
                }
                Step::Write(Outgoing::Control(message), _) => self.line.push_text(&text(&message)),
                // An event without a grant is none.
                Step::Write(Outgoing::Event(_), None) => {}
                Step::Idle => break Ok(true),
                Step::TooSlow => break Err(End::Close(CloseCode::TooSlow)),
            }
            messages += 1;
        };
        if !self.line.is_flushed() {
            match viewer.carry(&mut batch, self.line.flush()).await {
                Some(Ok(())) => self.parts.metrics.events_delivered.inc_by(batch.events()),
                Some(Err(_)) => return Err(End::Gone),
                None => return Err(viewer.over().map_or(End::Gone, End::Close)),
            };
        }
        // While it was blocked, what the ledger said may have left something to tell.
        Ok(last? && viewer.is_caught_up())
    }

    async fn refuse(&mut self, code: ErrorCode, message: String) {
        // The close code that follows says the same to a client that is gone.
        self.line
            .push_text(&text(&ServerMessage::Error { code, message }));
        let _ = within(Instant::now() + WRITE_TIMEOUT, self.line.flush()).await;
    }

    /// Says goodbye and waits for the client's: closing at once would take back what is on the way.
    async fn close(&mut self, code: CloseCode) {
        self.line.push_close(code);
        if self.line.flush().await.is_ok() {
            while self.line.receive().await.is_ok() {}
        }
    }

    async fn answer_goodbye(&mut self) {
        while self.line.receive().await.is_ok() {}
        // What is left of the connection ends with it.
        let _ = self.line.flush().await;
    }
}

impl Times {
    fn new(session_ends: u64) -> Self {
        let now = Instant::now();
        let session_ends = wall_instant_of(session_ends);
        let ping = now + PING_INTERVAL;
        Self {
            session_ends,
            heard: now,
            ping,
            timer: Box::pin(sleep_until(ping.min(session_ends))),
        }
    }

    fn is_stale(&self) -> bool {
        self.heard.elapsed() >= STALE_AFTER
    }

    /// Whether to ping now, and when the next time.
    fn ping_is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.ping;
        if due {
            self.ping = now + PING_INTERVAL;
        }
        self.set_timer();
        due
    }

    fn set_timer(&mut self) {
        let next = self.ping.min(self.session_ends);
        self.timer.as_mut().reset(next);
    }
}

/// The text of a message; nothing for what tungstenite has dealt with.
fn text_of(received: Result<Received, Error>) -> Result<Option<Utf8Bytes>, End> {
    match received {
        Ok(Received::Text(text)) => Ok(Some(text)),
        Ok(Received::Ping(_) | Received::Pong(_) | Received::Frame(_)) => Ok(None),
        Ok(Received::Close(_)) => Err(End::Left),
        Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_)) => Err(End::Gone),
        Ok(Received::Binary(_)) | Err(_) => Err(End::Close(CloseCode::Protocol)),
    }
}

async fn within(
    deadline: Instant,
    write: impl Future<Output = std::io::Result<()>>,
) -> Result<(), End> {
    match timeout_at(deadline, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}

const fn refusal(error: AuthError) -> (ErrorCode, CloseCode) {
    match error {
        AuthError::TooManySockets => (ErrorCode::TooManySockets, CloseCode::TooManySockets),
        AuthError::Revoked => (ErrorCode::Unauthorized, CloseCode::Revoked),
        AuthError::Invalid | AuthError::Expired | AuthError::OtherDevice | AuthError::Blocked => {
            (ErrorCode::Unauthorized, CloseCode::Unauthorized)
        }
    }
}

fn text(message: &ServerMessage) -> String {
    // Control messages hold only texts and numbers, which always have a JSON form.
    serde_json::to_string(message).unwrap_or_default()
}

const _: () = assert!(
    Duration::as_secs(&PING_INTERVAL) * 2 < Duration::as_secs(&STALE_AFTER),
    "a client must get two pings before it counts as gone"
);
