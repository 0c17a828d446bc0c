//! Watches a feed: one connection after the other, every event checked, in order, and remembered.

mod events;
mod words;

use std::sync::Arc;
use std::time::Duration;

use ashya_contracts::Ledger;
use ashya_protocol::rest::Session;
use ashya_protocol::ws::{ClientMessage, CloseCode, ServerMessage};
use ashya_protocol::{DeviceId, Domain};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::causes::causes;
use crate::data::unix_seconds;
use crate::gateway::{Gateway, GatewayError};
use crate::subscribe::book::{BookError, Positions, PositionsFile};
use crate::subscribe::news::News;
use crate::subscribe::offer::{self, Lie};
use crate::subscribe::order::Order;
use crate::subscribe::out::Out;
use crate::subscribe::payer::Said;
use crate::subscribe::plan::Plan;
use crate::subscribe::session::{SignInError, sign_in};
use crate::subscribe::socket::{Heard, Socket, SocketError};

/// Time between two questions while the feed is not ours to watch: the offer may have changed.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// A session with less time left is not used for a new connection.
const LEAST_SESSION_SECONDS: u64 = 60;

/// Counts of what came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Events handed on.
    pub(crate) events: u64,
    /// Events that will not come.
    pub(crate) missing: u64,
    /// Events that came again, or too late.
    pub(crate) replayed: u64,
    /// Events that are not by the feed's device, and messages that are none.
    pub(crate) refused: u64,
}

/// Why watching is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// As many events as were asked for were handed on.
    Enough,
    /// Nobody reads stdout any more.
    Closed,
    /// It was told to stop.
    Stopped,
}

/// Why watching has failed for good.
#[derive(Debug, Error)]
pub(crate) enum ViewError {
    /// The gateway's chain or contract is not ours.
    #[error("the gateway is not to be trusted: {0}")]
    Lied(Lie),
    /// The feed does not hold what was asked for.
    #[error("{0} Name others by --streams, or leave it out for all")]
    Streams(String),
    /// The last events cannot be remembered.
    #[error(transparent)]
    Book(#[from] BookError),
    /// An event cannot be handed on.
    #[error("an event could not be handed on")]
    Out(#[source] std::io::Error),
}

/// Why a connection is over, and another one is tried.
#[derive(Debug, Error)]
enum VisitError {
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    SignIn(#[from] SignInError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("the gateway refused: {0}")]
    Refused(String),
    #[error(transparent)]
    Fatal(#[from] ViewError),
}

/// Who watches.
pub(crate) struct Viewer {
    plan: Arc<Plan>,
    gateway: Gateway,
    ledger: Ledger,
    domain: Domain,
    said: watch::Sender<Said>,
    out: Out,
    positions: PositionsFile,
    device: DeviceId,
    order: Order,
    tally: Tally,
    session: Option<Session>,
    /// Whether the gateway lets us watch now.
    watching: bool,
    /// Whether it has been asked for what was missed since it does.
    caught_up: bool,
    /// When the last events were put on the disk, and whether there are newer ones.
    saved: Option<Instant>,
    unsaved: bool,
    /// When the ledger was asked for the feed's device for the last time.
    looked: Option<Instant>,
    backoff: Backoff,
}

impl Viewer {
    pub(crate) fn new(
        plan: Arc<Plan>,
        gateway: Gateway,
        ledger: Ledger,
        device: DeviceId,
        positions: PositionsFile,
        said: watch::Sender<Said>,
        out: Out,
    ) -> Self {
        let last = positions.read().filter(|kept| kept.device == device);
        let last = last.map_or_else(|| plan.since.clone(), |kept| kept.last);
        Self {
            domain: ledger.domain(),
            plan,
            gateway,
            ledger,
            said,
            out,
            positions,
            device,
            order: Order::after(last),
            tally: Tally::default(),
            session: None,
            watching: false,
            caught_up: false,
            saved: None,
            unsaved: false,
            looked: None,
            backoff: Backoff::default(),
        }
    }

    /// What came so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Watches until told to stop, over as many connections as it takes.
    ///
    /// # Errors
    /// When another connection cannot help.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) -> Result<Seen, ViewError> {
        let seen = self.visit_again(stop).await;
        let kept = self.save();
        let seen = seen?;
        kept?;
        Ok(seen)
    }

    async fn visit_again(&mut self, stop: &CancellationToken) -> Result<Seen, ViewError> {
        loop {
            let error = match self.visit(stop).await {
                Ok(seen) => return Ok(seen),
                Err(VisitError::Fatal(error)) => return Err(error),
                Err(error) => error,
            };
            if self.needs_new_session(&error) {
                self.session = None;
            }
            self.watching = false;
            self.say_away();
            self.save()?;
            let wait = self.backoff.next_wait();
            self.plan.voice.tell(&News::GatewayAway {
                reason: causes(&error),
                retry_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            });
            tokio::select! {
                () = stop.cancelled() => return Ok(Seen::Stopped),
                () = sleep(wait) => {}
            }
        }
    }

    async fn visit(&mut self, stop: &CancellationToken) -> Result<Seen, VisitError> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(Seen::Stopped),
            entered = self.enter() => {
                let mut socket = entered?;
                self.watch(&mut socket, stop).await
            }
        }
    }

    /// Comes in: checks whom the gateway works for, signs in, and says who is here.
    async fn enter(&mut self) -> Result<Socket, VisitError> {
        let named = self.gateway.domain().await?;
        if let Some(lie) = offer::check_domain(named.chain_id, named.ledger, self.domain) {
            return Err(ViewError::Lied(lie).into());
        }
        let fresh = |session: &Session| session.expires_at > unix_seconds() + LEAST_SESSION_SECONDS;
        let session = match self.session.take().filter(fresh) {
            Some(session) => session,
            None => sign_in(&self.gateway, &self.plan.wallet, self.domain).await?,
        };
        let token = session.token.clone();
        self.session = Some(session);
        let mut socket = Socket::connect(self.gateway.base()).await?;
        socket.say(&ClientMessage::Auth { token }).await?;
        loop {
            match socket.hear().await? {
                Heard::Control(ServerMessage::Welcome { .. }) => return Ok(socket),
                Heard::Control(ServerMessage::Error { message, .. }) => {
                    self.session = None;
                    return Err(VisitError::Refused(message));
                }
                Heard::Control(_) | Heard::Event(_) | Heard::Nonsense(_) => {}
            }
        }
    }

    async fn watch(
        &mut self,
        socket: &mut Socket,
        stop: &CancellationToken,
    ) -> Result<Seen, VisitError> {
        self.ask(socket).await?;
        let mut again = interval(ASK_EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        again.reset();
        loop {
            let heard = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Seen::Stopped),
                heard = socket.hear() => heard?,
                _ = again.tick() => {
                    if !self.watching {
                        self.ask(socket).await?;
                    }
                    self.save()?;
                    continue;
                }
            };
            match heard {
                Heard::Event(envelope) => {
                    if let Some(seen) = self.take(envelope).await? {
                        return Ok(seen);
                    }
                }
                Heard::Control(message) => {
                    if let Some(seen) = self.obey(message, socket).await? {
                        return Ok(seen);
                    }
                }
                Heard::Nonsense(reason) => {
                    self.tally.refused += 1;
                    return Err(VisitError::Refused(format!(
                        "it sent what is no message: {reason}"
                    )));
                }
            }
        }
    }

    /// Asks for the feed, and for what was missed.
    async fn ask(&mut self, socket: &mut Socket) -> Result<(), SocketError> {
        socket
            .say(&ClientMessage::Watch {
                feed: self.plan.feed,
                streams: self.plan.streams.clone(),
                since: self.order.last().clone(),
            })
            .await
    }

    fn needs_new_session(&self, error: &VisitError) -> bool {
        let over = [CloseCode::Unauthorized.code(), CloseCode::Revoked.code()];
        matches!(error, VisitError::Socket(SocketError::Closed { code, .. }) if over.contains(code))
    }

    fn save(&mut self) -> Result<(), ViewError> {
        if std::mem::take(&mut self.unsaved) {
            self.saved = Some(Instant::now());
            self.positions.write(&Positions {
                device: self.device,
                last: self.order.last().clone(),
            })?;
        }
        Ok(())
    }
}

/// A reader that is gone is no failure.
fn handed(done: std::io::Result<()>) -> Result<Option<Seen>, VisitError> {
    match done {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Some(Seen::Closed)),
        Err(error) => Err(ViewError::Out(error).into()),
    }
}
