use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use ashya_protocol::limits::MAX_WATCHES_PER_SOCKET;
use ashya_protocol::ws::{EndReason, GapReason, NoticeState, ServerMessage};
use ashya_protocol::{Address, DeviceId, FeedId, Position, StreamName};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::SocketParts;
use super::limits::CUT_MARGIN;
use super::watch::{Change, Phase, Watch, WatchRefusal, step, streams_of};
use crate::access::Access;
use crate::hub::{Message, Outbox, Queued, Replay, StreamKey, Subscription};

/// What one wallet sees over one connection: the feeds that it watches, each for as long as it is paid.
///
/// Nothing here writes. [`Self::next`] gives the next thing to write, asked of the access at that moment, and
/// [`Self::turn`] waits until there may be one.
#[derive(Debug)]
pub(crate) struct Viewer {
    parts: SocketParts,
    wallet: Address,
    watches: BTreeMap<FeedId, Watch>,
    subscriptions: HashMap<StreamKey, Subscription>,
    outbox: Outbox,
    /// What goes out before the outbox: answers, notices and replays, in order.
    ready: VecDeque<Outgoing>,
    look_outs: FuturesUnordered<BoxFuture<'static, Option<LookOut>>>,
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

type LookOut = (FeedId, watch::Receiver<u64>, CancellationToken);

impl Viewer {
    pub(crate) fn new(parts: SocketParts, wallet: Address) -> Self {
        Self {
            wallet,
            watches: BTreeMap::new(),
            subscriptions: HashMap::new(),
            outbox: Outbox::default(),
            ready: VecDeque::new(),
            look_outs: FuturesUnordered::new(),
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
        let changes = self.parts.index.changes(feed);
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
        let stop = CancellationToken::new();
        self.look_outs.push(look_out(feed, changes, stop.clone()));
        let watch = Watch {
            device: view.device,
            wanted,
            streams,
            phase,
            reminded: false,
            _look_out: stop.drop_guard(),
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
        Ok(())
    }

    /// No longer watches a feed.
    pub(crate) fn unwatch(&mut self, feed: FeedId) {
        if self.watches.remove(&feed).is_some() {
            self.parts.metrics.watches.dec();
            self.leave_unwatched();
        }
    }

    /// Queues a message to the client.
    pub(crate) fn say(&mut self, message: ServerMessage) {
        self.ready.push_back(Outgoing::Control(message));
    }

    /// The next thing to write now. An event comes out only if its wallet has access at this moment.
    pub(crate) fn next(&mut self) -> Step {
        loop {
            let next = match self.ready.pop_front() {
                Some(next) => next,
                None => match self.outbox.pop() {
                    Err(_) => return Step::TooSlow,
                    Ok(None) => return Step::Idle,
                    Ok(Some(Queued::Gap(key, missed))) => Outgoing::Control(missed.tell(&key)),
                    Ok(Some(Queued::Event(message))) => {
                        let lost = message.lost_before();
                        self.ready.push_front(Outgoing::Event(message));
                        match lost {
                            Some(gap) => Outgoing::Control(gap),
                            None => continue,
                        }
                    }
                },
            };
            match &next {
                Outgoing::Control(_) => return Step::Write(next, None),
                Outgoing::Event(message) => match self.may_see(message.key()) {
                    Access::Denied => {}
                    access => return Step::Write(next, access.until()),
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
            Some(changed) = self.look_outs.next() => if let Some((feed, changes, stop)) = changed {
                self.look_outs.push(look_out(feed, changes, stop));
                self.look_at(feed);
            },
            () = sleep_until(due.unwrap_or(never)), if due.is_some() => self.tick(),
            Ok(()) = self.moved.changed() => self.tick(),
            change = self.presence.recv() => match change {
                Ok((device, online)) => self.tell_presence(device, online),
                Err(RecvError::Lagged(_)) => self.tell_all_presence(),
                Err(RecvError::Closed) => std::future::pending().await,
            },
        }
    }

    fn access(&self, feed: FeedId) -> Access {
        let now = self.parts.clock.now_seconds();
        self.parts.index.access(feed, self.wallet, now)
    }

    /// The best right to a stream, by any watch, at this moment.
    fn may_see(&self, key: &StreamKey) -> Access {
        let earliest = self.parts.clock.now() + CUT_MARGIN;
        let mut best = Access::Denied;
        for watch in self.watches.values() {
            if watch.device != key.device || !watch.streams.contains(&key.stream) {
                continue;
            }
            match watch.phase {
                Phase::Live { until: None } => return Access::Owner,
                Phase::Live { until: Some(until) }
                    if earliest < std::time::Duration::from_secs(until) =>
                {
                    let until = best.until().map_or(until, |other| other.max(until));
                    best = Access::Granted { until: Some(until) };
                }
                Phase::Live { .. } | Phase::Unpaid | Phase::Held => {}
            }
        }
        best
    }

    /// Looks again at a feed that has changed, or whose time has come.
    fn look_at(&mut self, feed: FeedId) {
        let access = self.access(feed);
        let view = self.parts.index.feed(feed);
        let Some(watch) = self.watches.get_mut(&feed) else {
            return;
        };
        let (phase, change) = step(watch.phase, access);
        watch.phase = phase;
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

    /// Subscribes to what the live watch of `feed` entitles to, replays what it asks for, and leaves what no watch
    /// entitles to any more.
    fn follow(&mut self, feed: FeedId, since: &BTreeMap<StreamName, Position>) {
        if let Some(watch) = self.watches.get(&feed).filter(|watch| watch.is_live()) {
            for stream in watch.streams.clone() {
                let key = StreamKey {
                    device: watch.device,
                    stream,
                };
                let position = since.get(&key.stream).copied();
                let replay = match self.subscriptions.get(&key) {
                    Some(subscription) => position.map(|position| subscription.replay(position)),
                    None => {
                        let hub = &self.parts.hub;
                        let (subscription, replay) =
                            hub.subscribe(key.clone(), &self.outbox, position);
                        self.subscriptions.insert(key.clone(), subscription);
                        Some(replay)
                    }
                };
                if let Some(replay) = replay {
                    let replayed = self.paid_part(feed, &key, replay);
                    self.ready.extend(replayed);
                }
            }
        }
        self.leave_unwatched();
    }

    /// History is sold like the present: of a replay, what was accepted inside the wallet's own paid, unpaused time.
    fn paid_part(&self, feed: FeedId, key: &StreamKey, replay: Replay) -> Vec<Outgoing> {
        let is_owner = self.access(feed) == Access::Owner;
        let subscriptions = self.parts.index.subscriptions_of(self.wallet).into_iter();
        let windows: Vec<_> = subscriptions
            .filter(|paid| paid.feed == feed && paid.beneficiary == self.wallet)
            .map(|paid| (paid.start, paid.expiry))
            .collect();
        let gone = replay.gone.into_iter().map(|(boot, from, to)| {
            Outgoing::Control(ServerMessage::Gap {
                device: key.device,
                stream: key.stream.clone(),
                boot,
                from,
                to,
                reason: GapReason::Gone,
            })
        });
        let paid = |message: &Arc<Message>| is_owner || message.moment().is_within(feed, &windows);
        let events = replay.events.into_iter().filter(paid).flat_map(|message| {
            let lost = message.lost_before().map(Outgoing::Control);
            lost.into_iter().chain([Outgoing::Event(message)])
        });
        gone.chain(events).collect()
    }

    fn leave_unwatched(&mut self) {
        let live: Vec<_> = self
            .watches
            .values()
            .filter(|watch| watch.is_live())
            .collect();
        self.subscriptions.retain(|key, _| {
            live.iter()
                .any(|watch| watch.device == key.device && watch.streams.contains(&key.stream))
        });
    }

    fn say_watching(&mut self, feed: FeedId) {
        let Some(watch) = self.watches.get(&feed) else {
            return;
        };
        let message = ServerMessage::Watching {
            feed,
            device: watch.device,
            streams: watch.streams.iter().cloned().collect(),
            expires_at: watch.expires_at(),
        };
        let offline = !self.parts.presence.is_online(watch.device);
        self.say(message);
        if offline {
            self.say_notice(feed, NoticeState::Offline);
        }
    }

    fn say_notice(&mut self, feed: FeedId, state: NoticeState) {
        if let Some(watch) = self.watches.get(&feed) {
            let expires_at = watch.expires_at();
            self.say(ServerMessage::Notice {
                feed,
                state,
                expires_at,
            });
        }
    }

    fn tell_presence(&mut self, device: DeviceId, online: bool) {
        let state = if online {
            NoticeState::Online
        } else {
            NoticeState::Offline
        };
        let paid = self
            .watches
            .iter()
            .filter(|(_, watch)| watch.phase != Phase::Unpaid);
        let feeds = paid.filter(|(_, watch)| watch.device == device);
        for feed in feeds.map(|(feed, _)| *feed).collect::<Vec<_>>() {
            self.say_notice(feed, state);
        }
    }

    fn tell_all_presence(&mut self) {
        let devices: BTreeSet<_> = self.watches.values().map(|watch| watch.device).collect();
        for device in devices {
            self.tell_presence(device, self.parts.presence.is_online(device));
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // At most MAX_WATCHES_PER_SOCKET, so it fits.
        self.parts.metrics.watches.dec_by(self.watches.len() as i64);
    }
}

/// Waits for the next change of a feed; `None` when nobody watches it any more.
fn look_out(
    feed: FeedId,
    mut changes: watch::Receiver<u64>,
    stop: CancellationToken,
) -> BoxFuture<'static, Option<LookOut>> {
    Box::pin(async move {
        tokio::select! {
            () = stop.cancelled() => None,
            changed = changes.changed() => changed.ok().map(|()| (feed, changes, stop.clone())),
        }
    })
}
