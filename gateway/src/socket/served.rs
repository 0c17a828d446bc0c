//! A socket whose client has shown who it is: what its wallet sees, and the way to it.

mod writing;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use ashya_protocol::ws::{ClientMessage, CloseCode, ErrorCode, ServerMessage};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message as Received};

use super::end::{End, refusal, text_of};
use super::limits::{CLOSE_TIMEOUT, MAX_MALFORMED};
use super::line::Line;
use super::signals::Silencer;
use super::times::Times;
use super::{Outgoing, SocketParts, Step, Viewer};
use crate::auth::sessions::{Seat, SessionClaims};
use crate::hub::Encoding;

/// An authenticated websocket.
#[derive(Debug)]
pub(super) struct Served {
    parts: Arc<SocketParts>,
    line: Box<Line>,
    encoding: Encoding,
    seat: Seat,
    viewer: Viewer,
    times: Times,
    malformed: u32,
    /// Whether the last write has left nothing.
    drained: bool,
}

/// What a socket has waited for.
enum Turn {
    Received(Result<Received, Error>),
    Time,
    Viewer,
}

impl Served {
    pub(super) fn new(
        parts: Arc<SocketParts>,
        line: Box<Line>,
        encoding: Encoding,
        seat: Seat,
    ) -> Box<Self> {
        let claims = seat.claims();
        Box::new(Self {
            viewer: Viewer::new(parts.clone(), claims.wallet),
            times: Times::new(claims.expires_at),
            parts,
            line,
            encoding,
            seat,
            malformed: 0,
            drained: false,
        })
    }

    /// Serves the socket until it is over; then there is only the goodbye to say.
    pub(super) async fn serve(mut self: Box<Self>) -> (Box<Line>, End) {
        self.open_lane();
        let mut _end = self.await_end();
        let wallet = self.viewer.wallet();
        self.viewer.say(ServerMessage::Welcome { wallet });
        let end = loop {
            match self.write().await {
                Ok(drained) => self.drained = drained,
                Err(end) => break end,
            }
            if !self.drained {
                // More waits. Others may want to write too.
                tokio::task::yield_now().await;
            }
            if !self.listens() {
                self.times.hear();
            }
            match poll_fn(|context| self.poll_turn(context)).await {
                Turn::Viewer => {}
                Turn::Time if self.times.is_stale() => break End::Close(CloseCode::Stale),
                Turn::Time => {
                    if self.times.ping_is_due() {
                        self.line.push_ping();
                    }
                }
                Turn::Received(received) => {
                    self.times.hear();
                    match self.take(received) {
                        Ok(Some(renewed)) => match self.seat.renew(renewed) {
                            Ok(()) => {
                                self.times.renew(renewed.expires_at);
                                self.open_lane();
                                _end = self.await_end();
                            }
                            Err(error) => break End::Close(refusal(error).1),
                        },
                        Ok(None) => {}
                        Err(end) => break end,
                    }
                }
            }
        };
        self.viewer.take_over();
        let end = match end {
            // A frame that was begun can no longer be ended, and nothing else can be said within it.
            _ if self.viewer.take_begun().is_some() => End::Gone,
            End::Close(CloseCode::Revoked) => Box::pin(self.end_revoked()).await,
            end => end,
        };
        (self.line, end)
    }

    /// Ends the connection with the gateway or the session.
    fn await_end(&mut self) -> Silencer {
        let (shutdown, revoked) = (self.parts.shutdown.clone(), self.seat.revocation());
        self.viewer.end_on(async move {
            tokio::select! {
                biased;
                () = revoked.cancelled() => CloseCode::Revoked,
                () = shutdown.cancelled() => CloseCode::GoingAway,
            }
        })
    }

    fn open_lane(&self) {
        if let Some(tcp) = self.line.tcp() {
            let revoked = self.seat.revocation();
            self.viewer.open_lane(tcp, self.encoding, revoked);
        }
    }

    /// While answers wait no further request is taken, and the client's silence is not held against it.
    fn listens(&self) -> bool {
        self.viewer.is_caught_up()
    }

    /// Waits for whatever comes first. What is rare goes first and events come last, since they are written after
    /// every turn: neither a client that talks without pause nor a device can keep the socket from the rest.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        // What is done from here on must not be overtaken.
        self.viewer.take_over();
        if self.times.poll(context).is_ready() {
            return Poll::Ready(Turn::Time);
        }
        if self.viewer.poll_changed(context).is_ready() {
            return Poll::Ready(Turn::Viewer);
        }
        if self.listens()
            && let Poll::Ready(received) = self.line.poll_receive(context)
        {
            return Poll::Ready(Turn::Received(received));
        }
        // A pong may have come up by the way.
        if !self.drained || !self.line.is_flushed() {
            return Poll::Ready(Turn::Viewer);
        }
        let session_ends = self.times.session_ends();
        let filled = self.viewer.poll_filled(context, session_ends);
        filled.map(|()| Turn::Viewer)
    }

    /// Tells the client that nothing more will come, as far as it listens.
    async fn end_revoked(&mut self) -> End {
        self.viewer.revoke();
        if self.line.is_flushed() {
            let now = self.viewer.read_clock();
            while let Step::Write(Outgoing::Control(message), _) = self.viewer.next(now) {
                self.line.push_message(&message);
            }
            // Best effort: the close code says the same.
            let _ = timeout(CLOSE_TIMEOUT, self.line.flush()).await;
        }
        End::Close(CloseCode::Revoked)
    }

    /// Takes one frame of the client; gives back a renewed session.
    fn take(&mut self, received: Result<Received, Error>) -> Result<Option<SessionClaims>, End> {
        let Some(text) = text_of(received)? else {
            return Ok(None);
        };
        let viewer = &mut self.viewer;
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
}
