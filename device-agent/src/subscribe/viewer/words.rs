//! What the gateway says beside the events, and what follows from it.

use ashya_protocol::StreamName;
use ashya_protocol::ws::{EndReason, ErrorCode, NoticeState, ServerMessage};
use tokio::time::Instant;

use super::{Seen, ViewError, Viewer, VisitError, handed};
use crate::subscribe::news::News;
use crate::subscribe::order::Missing;
use crate::subscribe::out::Reason;
use crate::subscribe::payer::Said;
use crate::subscribe::socket::Socket;

impl Viewer {
    /// Does what follows from a message that is no event.
    pub(super) async fn obey(
        &mut self,
        message: ServerMessage,
        socket: &mut Socket,
    ) -> Result<Option<Seen>, VisitError> {
        match message {
            ServerMessage::Watching {
                streams,
                expires_at,
                ..
            } => {
                self.backoff.reset();
                if !self.watching {
                    self.plan.voice.tell(&News::Watching {
                        streams,
                        expires_at,
                    });
                }
                // What was accepted between the payment and its discovery is ours, and was not sent.
                if !std::mem::replace(&mut self.caught_up, true) && !self.order.last().is_empty() {
                    self.ask(socket).await?;
                }
                self.watching = true;
                self.say(Said::Watching);
            }
            ServerMessage::PaymentRequired(offer) => {
                self.backoff.reset();
                self.lose();
                self.say(Said::Asks(offer));
            }
            // Nobody can buy it now. Asked for again at once, it would only be said again; the payer tells why it waits.
            ServerMessage::Notice {
                state: NoticeState::Paused,
                ..
            }
            | ServerMessage::Ended {
                reason: EndReason::Retired,
                ..
            } if !self.watching => {
                self.backoff.reset();
                self.lose();
                self.say(Said::Closed);
            }
            ServerMessage::Ended { reason, .. } => {
                self.lose();
                self.plan.voice.tell(&News::Ended {
                    reason: format!("{reason:?}").to_lowercase(),
                });
                self.ask(socket).await?;
            }
            ServerMessage::Gap {
                device,
                stream,
                boot,
                from,
                to,
                reason,
            } => {
                // Of what is not watched here a gap means nothing.
                if !self.wants(&stream) || !self.is_of(device).await {
                    self.tally.refused += 1;
                    return Ok(None);
                }
                let missing = Missing { boot, from, to };
                self.order.hear(&stream, missing);
                return self.miss(&stream, missing, reason.into()).await;
            }
            ServerMessage::Notice { state, .. } if state != NoticeState::Expiring => {
                self.plan.voice.tell(&News::Notice {
                    state: format!("{state:?}").to_lowercase(),
                });
            }
            ServerMessage::Error { code, message } => return Err(refusal(code, message)),
            ServerMessage::Notice { .. }
            | ServerMessage::Welcome { .. }
            | ServerMessage::Event(_)
            | ServerMessage::Pong {} => {}
        }
        Ok(None)
    }

    /// Tells whoever reads of events that will not come.
    pub(super) async fn miss(
        &mut self,
        stream: &StreamName,
        missing: Missing,
        reason: Reason,
    ) -> Result<Option<Seen>, VisitError> {
        self.tally.missing = self.tally.missing.saturating_add(missing.count());
        let told = self
            .out
            .gap(self.device, stream, missing, reason, self.plan.voice)
            .await;
        handed(told)
    }

    fn lose(&mut self) {
        self.watching = false;
        self.caught_up = false;
    }

    fn say(&self, said: Said) {
        self.said.send_if_modified(|before| {
            let differs = *before != said;
            *before = said;
            differs
        });
    }

    pub(super) fn say_away(&self) {
        self.said.send_if_modified(|before| {
            let was_there = !matches!(before, Said::Away(_));
            if was_there {
                *before = Said::Away(Instant::now());
            }
            was_there
        });
    }
}

/// What a refusal of the gateway means: most pass.
fn refusal(code: ErrorCode, message: String) -> VisitError {
    match code {
        ErrorCode::UnknownStream => ViewError::Streams(message).into(),
        _ => VisitError::Refused(message),
    }
}
