mod history;
mod notices;
mod rights;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use ashya_protocol::limits::MAX_WATCHES_PER_SOCKET;
use ashya_protocol::ws::{EndReason, NoticeState, ServerMessage};
use ashya_protocol::{Address, DeviceId, FeedId, Position, StreamName};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::SocketParts;
use super::look_out::LookOuts;
use super::watch::{Change, Phase, Watch, WatchRefusal, step, streams_of};
use crate::hub::{Following, Message, Outbox, Queued, StreamKey};

use rights::Right;

/// What one wallet sees over one connection: the feeds that it watches, each for as long as it is paid.
///
/// Nothing here writes. [`Self::next`] gives the next thing to write, asked of the access at that moment, and
/// [`Self::turn`] waits until there may be one.
#[derive(Debug)]
pub(crate) struct Viewer {
    parts: SocketParts,
    wallet: Address,
    watches: BTreeMap<FeedId, Watch>,
    followed: HashMap<StreamKey, Following>,
    outbox: Outbox,
    /// What goes out before the outbox: answers, notices and replays, in order. A connection takes no request while
    /// it holds any, so it never holds more than one request brings.
    ready: VecDeque<Outgoing>,
    /// What was accepted, and so paid, before a pause that has not ended.
    held: VecDeque<Outgoing>,
    look_outs: LookOuts,
    presence: broadcast::Receiver<(DeviceId, bool)>,
    moved: watch::Receiver<u64>,
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
    /// Write this, and be done with it by that Unix second of chain time.
    Write(Outgoing, Option<u64>),
    /// Nothing waits.
    Idle,
    /// The client stayed behind for too long.
    TooSlow,
}

impl Viewer {
    pub(crate) fn new(parts: SocketParts, wallet: Address) -> Self {
        Self {
            wallet,
            watches: BTreeMap::new(),
            followed: HashMap::new(),
            outbox: Outbox::default(),
            ready: VecDeque::new(),
            held: VecDeque::new(),
            look_outs: LookOuts::default(),
            presence: parts.presence.changes(),
            moved: parts.clock.moved(),
            parts,
        }
    }

    /// The wallet that watches.
    pub(crate) const fn wallet(&self) -> Address {
        self.wallet
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
        let (phase, _) = step(Phase::Unpaid, self.access(feed));
        let watch = Watch {
            device: view.device,
            wanted,
            streams,
            phase,
            paid: self.paid(feed),
            reminded: false,
            _look_out: self.look_outs.add(feed, changes.clone()),
            changes,
        };
        if self.watches.insert(feed, watch).is_none() {
            self.parts.metrics.watches.inc();
        }
        match phase {
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
        Ok(())
    }

    /// No longer watches a feed.
    pub(crate) fn unwatch(&mut self, feed: FeedId) {
        if self.watches.remove(&feed).is_some() {
            self.parts.metrics.watches.dec();
            self.leave_unwatched();
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

    /// The next thing to write now. An event comes out only if its wallet has access at this moment.
    pub(crate) fn next(&mut self) -> Step {
        self.look_at_changed();
        loop {
            let next = match self.ready.pop_front() {
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
                Outgoing::Event(message) => match self.right_to(message) {
                    Right::Until(until) => return Step::Write(next, until),
                    Right::Held => self.held.push_back(next),
                    Right::None => self.count_paused(message),
                },
            }
        }
    }

    /// Waits until there may be something to write. Safe to drop while it waits.
    pub(crate) async fn turn(&mut self) {
        let due = self.watches.values().filter_map(Watch::due).min();
        let due = due.map(|second| self.parts.clock.instant_of(second));
        let never = Instant::now() + std::time::Duration::from_secs(3600);
        tokio::select! {
            () = self.outbox.filled() => {}
            feed = self.look_outs.next() => self.look_at(feed),
            () = sleep_until(due.unwrap_or(never)), if due.is_some() => self.tick(),
            Ok(()) = self.moved.changed() => self.tick(),
            change = self.presence.recv() => match change {
                Ok((device, online)) => self.tell_presence(device, online),
                Err(RecvError::Lagged(_)) => self.tell_all_presence(),
                Err(RecvError::Closed) => std::future::pending().await,
            },
        }
    }

    /// Waits until a right may have changed. Safe to drop while it waits.
    pub(super) async fn changed(&mut self) {
        tokio::select! {
            feed = self.look_outs.next() => self.look_at(feed),
            Ok(()) = self.moved.changed() => self.tick(),
        }
    }

    /// Looks again at the feeds that have changed since the last look. The look-outs would bring that about too, but
    /// only when the task gets to them.
    fn look_at_changed(&mut self) {
        let changed = self.watches.iter();
        let changed = changed.filter(|(_, watch)| watch.changes.has_changed().unwrap_or(true));
        for feed in changed.map(|(feed, _)| *feed).collect::<Vec<_>>() {
            self.look_at(feed);
        }
    }

    /// Looks again at a feed that has changed, or whose time has come.
    fn look_at(&mut self, feed: FeedId) {
        let Some(watch) = self.watches.get_mut(&feed) else {
            return;
        };
        // Marked before it is read, so that no change falls between the two.
        if watch.changes.has_changed().is_ok() {
            watch.changes.mark_unchanged();
        } else {
            // A reorg has taken the feed away; it may come again.
            watch.changes = self.parts.index.changes_for(feed, self.wallet);
            watch._look_out = self.look_outs.add(feed, watch.changes.clone());
        }
        let (access, paid) = (self.access(feed), self.paid(feed));
        let view = self.parts.index.feed(feed);
        let Some(watch) = self.watches.get_mut(&feed) else {
            return;
        };
        let (phase, change) = step(watch.phase, access);
        watch.phase = phase;
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
    }

    /// Does what is due: reminders, and the end of access.
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
            if !watch.reminded && watch.due().is_some_and(|at| at <= now) {
                watch.reminded = true;
                self.say_notice(feed, NoticeState::Expiring);
            }
        }
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
