use std::sync::Arc;

use ashya_protocol::ws::{ClientMessage, CloseCode, ErrorCode, ServerMessage};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::SocketParts;
use super::end::{End, refusal, text_of};
use super::limits::{AUTH_TIMEOUT, CLOSE_TIMEOUT, WRITE_TIMEOUT};
use super::line::Line;
use super::served::Served;
use crate::auth::AuthError;
use crate::auth::sessions::Seat;
use crate::hub::Encoding;

/// One websocket, from its handshake to its goodbye.
pub(super) struct Socket {
    parts: Arc<SocketParts>,
    line: Box<Line>,
    encoding: Encoding,
}

impl Socket {
    pub(super) fn new(parts: Arc<SocketParts>, line: Box<Line>, encoding: Encoding) -> Self {
        Self {
            parts,
            line,
            encoding,
        }
    }

    /// Serves the socket to its end. Each part of its life is boxed, so that it takes memory only while it lasts.
    pub(super) fn run(self) -> impl Future<Output = ()> + Send {
        self.begin().boxed().flatten()
    }

    /// What is left to do once the client has shown who it is, or has not.
    async fn begin(mut self) -> BoxFuture<'static, ()> {
        let sockets = self.parts.metrics.sockets.clone();
        sockets.inc();
        match self.authenticate().await {
            Ok(seat) => {
                let wallet = tracing::field::display(seat.claims().wallet);
                tracing::Span::current().record("wallet", wallet);
                let served = Served::new(self.parts, self.line, self.encoding, seat);
                let rest = async move {
                    let (line, end) = Box::pin(served.serve()).await;
                    sockets.dec();
                    Box::pin(say_goodbye(line, end)).await;
                };
                rest.boxed()
            }
            Err(end) => {
                sockets.dec();
                say_goodbye(self.line, end).boxed()
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

    async fn refuse(&mut self, code: ErrorCode, message: String) {
        self.line
            .push_message(&ServerMessage::Error { code, message });
        // The close code that follows says the same to a client that is gone.
        let _ = within(Instant::now() + WRITE_TIMEOUT, self.line.flush()).await;
    }
}

/// Ends the connection as well as its client lets it.
async fn say_goodbye(mut line: Box<Line>, end: End) {
    match end {
        End::Close(code) if line.holds_events() => {
            tracing::debug!(code = code.code(), "websocket given up within a write");
        }
        End::Gone => tracing::debug!("websocket gone"),
        End::Left => {
            tracing::debug!("websocket left");
            // Best effort: tungstenite answers the goodbye while it is asked for more.
            let _ = timeout(CLOSE_TIMEOUT, answer_goodbye(&mut line)).await;
        }
        End::Close(code) => {
            tracing::debug!(code = code.code(), "websocket closed");
            // Best effort: the client may be gone.
            let _ = timeout(CLOSE_TIMEOUT, close(&mut line, code)).await;
        }
    }
}

/// Says goodbye and waits for the client's: closing at once would take back what is on the way.
async fn close(line: &mut Line, code: CloseCode) {
    line.push_close(code);
    if line.flush().await.is_ok() {
        while line.receive().await.is_ok() {}
    }
}

async fn answer_goodbye(line: &mut Line) {
    while line.receive().await.is_ok() {}
    // What is left of the connection ends with it.
    let _ = line.flush().await;
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
