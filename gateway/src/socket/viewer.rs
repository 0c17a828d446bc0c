mod catch_up;
mod changes;
mod history;
mod left_out;
mod notices;
mod rights;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ashya_protocol::limits::MAX_WATCHES_PER_SOCKET;
use ashya_protocol::ws::{CloseCode, EndReason, ServerMessage};
use ashya_protocol::{Address, FeedId, Position, StreamName};
use litemap::LiteMap;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::SocketParts;
use super::signals::{Signals, Silencer};
use super::watch::{Changes, Phase, Watch, WatchRefusal, begins, step, streams_of};
use crate::chain_clock::Reading;
use crate::hub::{Begun, Encoding, Following, Message, Outbox, Queued};
use crate::ledger_index::Paid;
use crate::metrics::Metrics;
use crate::stream::StreamKey;
use crate::tcp::Tcp;

use catch_up::CatchingUp;
use left_out::LeftOut;
pub(crate) use rights::Grant;
use rights::Right;

/// What one wallet sees over one connection: the feeds that it watches, each for as long as it is paid.
///
/// Nothing here writes. [`Self::next`] gives the next thing to write, asked of the access at that moment, and
/// [`Self::turn`] waits until there may be one.
#[derive(Debug)]
pub(crate) struct Viewer {
    parts: Arc<SocketParts>,
    wallet: Address,
    // In vectors, since other maps keep room for more than the one or two that most viewers have.
    watches: LiteMap<FeedId, Box<Watch>>,
    followed: LiteMap<StreamKey, Box<Following>>,
    /// Of those, the ones of which older events come from the disk first.
    catching_up: CatchingUp,
    outbox: Outbox,
    /// What goes out before the outbox: answers, notices and replays, in order. A connection takes no request while
    /// it holds any, so it never holds more than one request brings.
    ready: VecDeque<Outgoing>,
    /// What was accepted, and so paid, before a pause that has not ended.
    held: VecDeque<Outgoing>,
    left_out: LeftOut,
    signals: Signals,
    /// Why the connection has to end, once it has to.
    over: Option<CloseCode>,
    /// Fires when a reminder or the end of a watch is due.
    due: Option<Pin<Box<Sleep>>>,
}

/// Something to write.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Control(ServerMessage),
    Event(Arc<Message>),
}

/// What a connection has to do now.
#[derive(Debug)]
pub(crate) enum Step {
    /// Write this; an event by what is granted.
    Write(Outgoing, Option<Grant>),
    /// Nothing waits.
    Idle,
    /// The client stayed behind for too long.
    TooSlow,
}

impl Viewer {
    pub(crate) fn new(parts: impl Into<Arc<SocketParts>>, wallet: Address) -> Self {
        let parts = parts.into();
        Self {
            wallet,
            watches: LiteMap::with_capacity(1),
            followed: LiteMap::with_capacity(1),
            catching_up: CatchingUp::default(),
            outbox: Outbox::default(),
            ready: VecDeque::new(),
            held: VecDeque::new(),
            left_out: LeftOut::default(),
            signals: Signals::default(),
            over: None,
            due: None,
            parts,
        }
    }

    /// Ends the connection with the code that comes of `end`, unless the silencer is dropped before.
    pub(super) fn end_on(
        &mut self,
        end: impl Future<Output = CloseCode> + Send + 'static,
    ) -> Silencer {
        self.signals.await_end(end)
    }

    /// Why the connection has to end, once it has to.
    pub(super) const fn over(&self) -> Option<CloseCode> {
        self.over
    }

    /// The wallet that watches.
    pub(crate) const fn wallet(&self) -> Address {
        self.wallet
    }

    /// Reads the clock by which access ends.
    pub(crate) fn read_clock(&self) -> Reading {
        self.parts.clock.read()
    }

    /// Where writes are counted.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    /// Whether any feed is asked for, paid or not.
    pub(crate) fn is_watching(&self) -> bool {
        !self.watches.is_empty()
    }

    /// Whether all answers and replays are out, so that another request may be taken.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.ready.is_empty()
    }

    /// Begins to watch a feed, or answers with the offer; then the watch begins by itself once it is paid. While the
    /// feed is paused the offer waits for its resume; of a retired feed the watch is over at once. A watch that is there
    /// already is begun anew.
    pub(crate) fn watch(
        &mut self,
        feed: FeedId,
        wanted: Option<BTreeSet<StreamName>>,
        since: &BTreeMap<StreamName, Position>,
    ) -> Result<(), WatchRefusal> {
        if !self.parts.clock.is_current() {
            return Err(WatchRefusal::ChainUnavailable);
        }
        // Looked out for before it is read, so that no change falls between the two.
        let changes_of_feed = self.parts.index.changes_for(feed, self.wallet);
        let view = self
            .parts
            .index
            .feed(feed)
            .ok_or(WatchRefusal::UnknownFeed)?;
        let changes = Changes {
            feed: changes_of_feed,
            presence: self.parts.presence.of(view.device),
            clock: self.parts.clock.moved(),
        };
        let streams = streams_of(&view, wanted.as_ref())?;
        let is_new = !self.watches.contains_key(&feed);
        if is_new && self.watches.len() >= MAX_WATCHES_PER_SOCKET {
            return Err(WatchRefusal::TooManyWatches);
        }
        let access = self.access(feed);
        let (phase, _) = step(Phase::Unpaid, access);
        let begins = begins(access);
        if phase == Phase::Unpaid && begins.is_none() && view.document.is_none() {
            // Its owner may not sell here: who has paid is served, and nobody else is made an offer.
            return Err(WatchRefusal::ListingMissing);
        }
        let watch = Watch {
            device: view.device,
            wanted,
            streams,
            phase,
            asked_at: self.parts.clock.now_seconds(),
            begins,
            paid: self.paid(feed),
            told: None,
            reminded: false,
            _await: self.signals.await_change(feed, changes.next()),
            changes,
            online: true,
        };
        self.catching_up.ask_again();
        if self.watches.insert(feed, Box::new(watch)).is_none() {
            self.parts.metrics.watches.inc();
        }
        match phase {
            // It begins by itself in a moment, and need not be paid twice.
            Phase::Unpaid if begins.is_some() => {}
            Phase::Unpaid => self.tell_terms(&view),
            Phase::Live { .. } | Phase::Held => self.say_watching(feed),
        }
        self.follow(feed, since);
        self.release_held();
        self.set_due();
        Ok(())
    }

    /// No longer watches a feed.
    pub(crate) fn unwatch(&mut self, feed: FeedId) {
        if self.watches.remove(&feed).is_some() {
            self.parts.metrics.watches.dec();
            self.leave_unwatched();
            self.set_due();
        }
    }

    /// Ends every watch: the session was revoked. What waits is not written any more.
    pub(crate) fn revoke(&mut self) {
        for feed in self.watches.keys().copied().collect::<Vec<_>>() {
            self.finish(feed, EndReason::Revoked);
        }
    }

    /// Queues a message to the client.
    pub(crate) fn say(&mut self, message: ServerMessage) {
        self.ready.push_back(Outgoing::Control(message));
    }

    /// Lets events be written to the connection directly while its task waits, until the session is revoked.
    pub(super) fn open_lane(&self, tcp: Tcp, encoding: Encoding, revoked: CancellationToken) {
        self.outbox.open_lane(tcp, encoding, revoked);
    }

    /// Ends what [`Self::poll_filled`] has allowed.
    pub(super) fn take_over(&self) {
        self.outbox.take_over();
    }

    /// What was begun to be written directly.
    pub(super) fn take_begun(&self) -> Option<Begun> {
        self.outbox.take_begun()
    }

    /// The next thing to write. An event comes out only if its wallet has access at the moment `now`.
    pub(crate) fn next(&mut self, now: Reading) -> Step {
        self.look_at_changed();
        loop {
            let next = match self.next_ready() {
                Some(next) => next,
                None => match self.outbox.pop() {
                    Err(_) => return Step::TooSlow,
                    Ok(None) => return Step::Idle,
                    Ok(Some(Queued::Gap(key, missed))) => {
                        self.left_out.end_run(&key);
                        Outgoing::Control(missed.tell(&key))
                    }
                    Ok(Some(Queued::Event(message))) => match message.lost_before() {
                        Some(gap) => {
                            self.ready.push_front(Outgoing::Event(message));
                            Outgoing::Control(gap)
                        }
                        None => Outgoing::Event(message),
                    },
                },
            };
            match &next {
                Outgoing::Control(_) => return Step::Write(next, None),
                Outgoing::Event(message) => match self.right_to(message, now) {
                    Right::Granted(grant) => {
                        self.left_out.end_run(message.key());
                        return Step::Write(next, Some(grant));
                    }
                    Right::Held => {
                        self.left_out.end_run(message.key());
                        self.held.push_back(next);
                    }
                    // Whoever stamped it may know more: it is asked again, before all that comes after it.
                    Right::None if self.has_changed() => {
                        self.held.push_back(next);
                        self.look_at_changed();
                    }
                    Right::None => self.leave_out(message),
                },
            }
        }
    }

    /// The next of what goes out first. It is rare that there is any, so its memory goes with the last.
    fn next_ready(&mut self) -> Option<Outgoing> {
        let next = self.ready.pop_front()?;
        if self.ready.is_empty() {
            self.ready = VecDeque::new();
        }
        Some(next)
    }

    /// Waits until there may be something to write. Safe to drop while it waits.
    pub(crate) async fn turn(&mut self) {
        poll_fn(|context| self.poll_turn(context)).await;
    }

    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let heard = self.poll_changed(context);
        let filled = self.outbox.poll_filled(context, None);
        if heard.is_ready() || filled.is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Waits until a right may have changed. Safe to drop while it waits.
    pub(super) async fn changed(&mut self) {
        poll_fn(|context| self.poll_changed(context)).await;
    }

    /// Waits until an event may be there. Where a lane is open, events may be written directly from now on, until
    /// [`Self::take_over`] or the end of the session.
    pub(super) fn poll_filled(&self, context: &mut Context<'_>, session_ends: Instant) -> Poll<()> {
        self.outbox.poll_filled(context, self.pass(session_ends))
    }

    /// Ends a watch that was allowed by what the wallet had paid `before`.
    fn end(&mut self, feed: FeedId, before: Option<&Paid>) {
        let now = self.parts.clock.now_seconds();
        let index = &self.parts.index;
        let reason = index.end_reason(feed, self.wallet, now, before);
        self.finish(feed, reason);
    }

    fn finish(&mut self, feed: FeedId, reason: EndReason) {
        self.unwatch(feed);
        self.say(ServerMessage::Ended { feed, reason });
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // At most MAX_WATCHES_PER_SOCKET, so it fits.
        self.parts.metrics.watches.dec_by(self.watches.len() as i64);
    }
}
