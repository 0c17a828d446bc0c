mod catch_up;
mod history;
mod notices;
mod rights;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ashya_protocol::limits::MAX_WATCHES_PER_SOCKET;
use ashya_protocol::ws::{CloseCode, EndReason, NoticeState, ServerMessage};
use ashya_protocol::{Address, FeedId, Position, StreamName};
use litemap::LiteMap;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::SocketParts;
use super::signals::{Signal, Signals, Silencer};
use super::watch::{Change, Phase, Watch, WatchRefusal, begins, step, streams_of};
use crate::chain_clock::Reading;
use crate::hub::{Begun, Encoding, Following, Message, Outbox, Queued, StreamKey};

use crate::metrics::Metrics;
use crate::server::Tcp;

use catch_up::CatchingUp;
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
        let mut signals = Signals::default();
        signals.await_clock(parts.clock.moved());
        signals.await_presence(parts.presence.changes());
        Self {
            wallet,
            watches: LiteMap::with_capacity(1),
            followed: LiteMap::with_capacity(1),
            catching_up: CatchingUp::default(),
            outbox: Outbox::default(),
            ready: VecDeque::new(),
            held: VecDeque::new(),
            signals,
            over: None,
            due: None,
            parts,
        }
    }

    /// Ends the connection with a code once something has come about, unless the silencer is dropped before.
    pub(super) fn end_on(
        &mut self,
        end: impl Future<Output = ()> + Send + 'static,
        code: CloseCode,
    ) -> Silencer {
        self.signals.await_end(end, code)
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

    /// Begins to watch a feed, or answers with the offer; then the watch begins by itself once it is paid. A watch
    /// that is there already is begun anew.
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
        let changes = self.parts.index.changes_for(feed, self.wallet);
        let view = self
            .parts
            .index
            .feed(feed)
            .ok_or(WatchRefusal::UnknownFeed)?;
        let streams = streams_of(&view, wanted.as_ref())?;
        let is_new = !self.watches.contains_key(&feed);
        if is_new && self.watches.len() >= MAX_WATCHES_PER_SOCKET {
            return Err(WatchRefusal::TooManyWatches);
        }
        let access = self.access(feed);
        let (phase, _) = step(Phase::Unpaid, access);
        let begins = begins(access);
        let watch = Watch {
            device: view.device,
            wanted,
            streams,
            phase,
            begins,
            paid: self.paid(feed),
            reminded: false,
            _await: self.signals.await_change(feed, changes.clone()),
            changes,
        };
        if self.watches.insert(feed, Box::new(watch)).is_none() {
            self.parts.metrics.watches.inc();
        }
        match phase {
            // It begins by itself in a moment, and need not be paid twice.
            Phase::Unpaid if begins.is_some() => {}
            Phase::Unpaid => {
                self.parts.metrics.offers.inc();
                let offer = self
                    .parts
                    .index
                    .offer(feed)
                    .ok_or(WatchRefusal::UnknownFeed)?;
                self.say(ServerMessage::PaymentRequired(offer));
            }
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
                    Ok(Some(Queued::Gap(key, missed))) => Outgoing::Control(missed.tell(&key)),
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
                    Right::Granted(grant) => return Step::Write(next, Some(grant)),
                    Right::Held => self.held.push_back(next),
                    Right::None => self.count_paused(message),
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

    /// [`Self::changed`], polled. What is rare is looked at only when it has something to say, so that a wake-up for an
    /// event costs little.
    pub(super) fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.read_on();
        let mut changed = Poll::Pending;
        while let Poll::Ready(signal) = self.signals.poll_next(context) {
            self.hear(signal);
            changed = Poll::Ready(());
        }
        while let Some(due) = &mut self.due
            && due.as_mut().poll(context).is_ready()
        {
            self.tick();
            changed = Poll::Ready(());
        }
        changed
    }

    fn hear(&mut self, signal: Signal) {
        match signal {
            Signal::Changed(feed) => {
                self.look_at(feed);
                if let Some(watch) = self.watches.get_mut(&feed) {
                    watch._await = self.signals.await_change(feed, watch.changes.clone());
                }
            }
            Signal::ClockMoved(moved) => {
                self.signals.await_clock(moved);
                self.tick();
            }
            Signal::Presence(change, presence) => {
                self.signals.await_presence(presence);
                match change {
                    Some((device, online)) => self.tell_presence(device, online),
                    None => self.tell_all_presence(),
                }
            }
            Signal::Page(key, page) => self.take_page(&key, page),
            Signal::Over(code) => self.over = Some(code),
        }
    }

    /// Sets the timer to the next reminder or end.
    fn set_due(&mut self) {
        let second = self.watches.values().filter_map(|watch| watch.due()).min();
        let due = second.map(|second| self.parts.clock.instant_of(second));
        match (due, &mut self.due) {
            (Some(due), Some(timer)) => timer.as_mut().reset(due),
            (Some(due), timer) => *timer = Some(Box::pin(sleep_until(due))),
            (None, timer) => *timer = None,
        }
    }

    /// Looks again at the feeds that have changed since the last look. The look-outs would bring that about too, but
    /// only when the task gets to them.
    pub(super) fn look_at_changed(&mut self) {
        if !self.has_changed() {
            return;
        }
        let changed = self.watches.iter();
        let changed = changed.filter(|(_, watch)| watch.has_changed());
        for feed in changed.map(|(feed, _)| *feed).collect::<Vec<_>>() {
            self.look_at(feed);
        }
    }

    fn has_changed(&self) -> bool {
        self.watches.values().any(|watch| watch.has_changed())
    }

    /// Looks again at a feed that has changed, or whose time has come.
    fn look_at(&mut self, feed: FeedId) {
        let Some(watch) = self.watches.get_mut(&feed) else {
            return;
        };
        // Marked before it is read, so that no change falls between the two. A reorg takes a feed away and brings it
        // back with changes of its own: those are the ones to wait for.
        let changes = self.parts.index.changes_for(feed, self.wallet);
        if changes.same_channel(&watch.changes) {
            watch.changes.mark_unchanged();
        } else {
            watch._await = self.signals.await_change(feed, changes.clone());
            watch.changes = changes;
        }
        let (access, paid) = (self.access(feed), self.paid(feed));
        let view = self.parts.index.feed(feed);
        let Some(watch) = self.watches.get_mut(&feed) else {
            return;
        };
        let (phase, change) = step(watch.phase, access);
        watch.phase = phase;
        watch.begins = begins(access);
        watch.paid = paid;
        let mut differs = false;
        if let Some(view) = view {
            // While the new listing's document has not come, what was sold is still sent.
            let streams = match streams_of(&view, watch.wanted.as_ref()) {
                Err(WatchRefusal::UnknownStream) => streams_of(&view, None).map(|held| {
                    let wanted = watch.wanted.iter().flatten();
                    wanted
                        .filter(|name| held.contains(*name))
                        .cloned()
                        .collect()
                }),
                other => other,
            };
            let streams = streams.unwrap_or_else(|_| watch.streams.clone());
            differs = streams != watch.streams || view.device != watch.device;
            watch.streams = streams;
            watch.device = view.device;
        }
        if change != Change::Nothing {
            watch.reminded = false;
        }
        match change {
            Change::Begun => self.say_watching(feed),
            Change::Moved => self.say_notice(feed, NoticeState::Expiring),
            Change::Paused => self.say_notice(feed, NoticeState::Paused),
            Change::Resumed => self.say_notice(feed, NoticeState::Resumed),
            Change::Ended => self.end(feed),
            Change::Nothing => {}
        }
        if differs && phase != Phase::Unpaid && change != Change::Begun {
            self.say_watching(feed);
        }
        self.follow(feed, &BTreeMap::new());
        self.release_held();
        self.set_due();
    }

    /// Does what is due: beginnings, reminders, and the end of access.
    fn tick(&mut self) {
        let now = self.parts.clock.now_seconds();
        let due = self
            .watches
            .iter()
            .filter(|(_, watch)| watch.due().is_some_and(|at| at <= now));
        for feed in due.map(|(feed, _)| *feed).collect::<Vec<_>>() {
            self.look_at(feed);
            let Some(watch) = self.watches.get_mut(&feed) else {
                continue;
            };
            if watch.is_live() && !watch.reminded && watch.due().is_some_and(|at| at <= now) {
                watch.reminded = true;
                self.say_notice(feed, NoticeState::Expiring);
            }
        }
        self.set_due();
    }

    fn end(&mut self, feed: FeedId) {
        let now = self.parts.clock.now_seconds();
        let reason = self.parts.index.end_reason(feed, self.wallet, now);
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
