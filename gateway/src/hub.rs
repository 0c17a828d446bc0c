//! The fan-out: each accepted event once in memory, shared by everybody who watches its stream.
//!
//! ```text
//!  Ingest ──publish──► Channel (one a stream) ──► Outbox (one a socket) ──► TCP, or the socket's task
//!                        └─ Ring: the last events, for whoever comes back
//! ```
//!
//! Nothing here waits: a full outbox drops pictures first and tells its socket how many. Whoever publishes also writes
//! for the sockets that have nothing else to do (`lane`).

mod encoding;
mod following;
mod frame;
mod lane;
mod message;
mod outbox;
mod parcel;
mod queue;
mod ring;
mod room;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use ashya_protocol::{Demand, DeviceId, Position, StreamName};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::demand::DemandBoard;
use crate::metrics::{Loss, Metrics};
use crate::stream::StreamKey;

pub(crate) use encoding::Encoding;
pub(crate) use following::{Following, Missing};
pub(crate) use frame::framed;
pub(crate) use lane::{Begun, Now, Pass};
pub(crate) use message::{Message, Moment};
pub(crate) use outbox::Outbox;
use outbox::{Delivered, Waiting};
use parcel::Parcel;
pub(crate) use queue::Queued;
pub(crate) use ring::Replay;
pub use ring::RingLimits;
use ring::{Budget, Ring};

/// Time between looks for events that are too old to be kept.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);

/// So many watchers take about as long to be served as the clock may stand, well below a millisecond, and what is fetched
/// for them stays in the processor's caches as long. More tasks than this are woken from within the runtime.
const CROWD: usize = 32;

/// Where one stream of one device meets its watchers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Shared>);

/// What all clones of a hub share: every place among watchers holds one.
#[derive(Debug)]
struct Shared {
    channels: RwLock<Channels>,
    budget: Budget,
    making_room: Mutex<()>,
    demand: DemandBoard,
    metrics: Metrics,
    /// The runtime of the sockets.
    runtime: Option<Handle>,
}

#[derive(Debug, Default)]
struct Channels {
    open: HashMap<StreamKey, Arc<Mutex<Channel>>>,
    /// The last event of streams of which nothing is kept, so that whoever comes back is told what is gone. One for
    /// each stream that the positions remember.
    past: HashMap<StreamKey, Position>,
}

#[derive(Debug)]
struct Channel {
    ring: Ring,
    watchers: Vec<Outbox>,
}

impl Hub {
    /// A hub without streams, with the default limits of what it keeps of each.
    pub fn new(metrics: Metrics) -> Self {
        Self::with_budget(metrics, Budget::default())
    }

    /// A hub without streams, with limits of what it keeps of each.
    pub fn keeping(metrics: Metrics, limits: RingLimits) -> Self {
        Self::with_budget(metrics, Budget::default().with_limits(limits))
    }

    fn with_budget(metrics: Metrics, budget: Budget) -> Self {
        Self(Arc::new(Shared {
            channels: RwLock::default(),
            budget,
            making_room: Mutex::default(),
            demand: DemandBoard::default(),
            metrics,
            runtime: Handle::try_current().ok(),
        }))
    }

    /// Learns which event of each stream was accepted last before this run: what came before it is gone.
    pub fn remember(&self, last: impl IntoIterator<Item = ((DeviceId, StreamName), Position)>) {
        let keyed = last
            .into_iter()
            .map(|((device, stream), position)| (StreamKey { device, stream }, position));
        self.0.channels.write().past.extend(keyed);
    }

    /// Forgets what is too old, also of streams that have fallen silent, until `shutdown`.
    pub async fn sweep_until(self, shutdown: CancellationToken) {
        let mut ticks = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                now = ticks.tick() => self.sweep(now),
            }
        }
    }

    /// What watchers want of a device, now and from now on.
    pub fn demand(&self, device: DeviceId) -> watch::Receiver<Demand> {
        self.0.demand.of(device)
    }

    /// Forgets what is kept for a device that neither listens nor is watched.
    pub(crate) fn release(&self, device: DeviceId) {
        self.0.demand.release(device);
    }

    /// Forgets what was published by a device that nobody watches.
    pub(crate) fn forget(&self, device: DeviceId) {
        let mut channels = self.0.channels.write();
        let Channels { open, past } = &mut *channels;
        past.retain(|key, _| key.device != device);
        open.retain(|key, channel| {
            // Whoever holds the channel outside of the map is about to use it.
            key.device != device
                || Arc::strong_count(channel) > 1
                || !channel.lock().watchers.is_empty()
        });
    }

    /// Gives accepted events, in their order, to everybody who watches their streams, and keeps them for a while. Each
    /// watcher gets those of a stream that come together in one go. `now` is asked again and again: a crowd takes time.
    pub(crate) fn publish(&self, events: &[Arc<Message>], now: impl Fn() -> Now) {
        let mut left = Vec::new();
        for of_stream in events.chunk_by(|one, next| one.key() == next.key()) {
            let parcel = Arc::new(Parcel::new(of_stream));
            let mut written = 0;
            let mut crowd = self.hand_out(&parcel).into_iter();
            while !crowd.as_slice().is_empty() {
                crowd.as_slice().iter().take(CROWD).for_each(Waiting::fetch);
                let at = now();
                for waiting in crowd.by_ref().take(CROWD) {
                    match waiting.deliver(&parcel, at) {
                        Delivered::Written => written += of_stream.len() as u64,
                        Delivered::Late => {
                            written += of_stream.len() as u64;
                            self.0.metrics.late_writes.inc();
                        }
                        Delivered::Left(waker) => left.push(waker),
                    }
                }
            }
            self.0.metrics.events_delivered.inc_by(written);
        }
        self.wake(left);
    }

    /// Keeps events of one stream and hands them to its watchers; gives back who of them waits.
    fn hand_out(&self, parcel: &Arc<Parcel>) -> Vec<Waiting> {
        let mut waiting = Vec::new();
        let Some(first) = parcel.events().first() else {
            return waiting;
        };
        let channel = self.channel(first.key());
        let mut channel = channel.lock();
        let now = Instant::now();
        for event in parcel.events() {
            channel.ring.push(now, event.clone());
        }
        waiting.reserve(channel.watchers.len());
        let mut dropped = 0;
        for crowd in channel.watchers.chunks(CROWD) {
            crowd.iter().for_each(Outbox::fetch);
            for outbox in crowd {
                let (lost, waits) = outbox.push(parcel);
                dropped += lost;
                waiting.extend(waits);
            }
        }
        drop(channel);
        if self.0.budget.is_exceeded() {
            self.make_room();
        }
        if dropped > 0 {
            self.0.metrics.dropped(Loss::Slow, dropped);
        }
        waiting
    }

    /// Wakes tasks. A crowd is woken from within the runtime, where each costs a fraction of what it does from
    /// outside; the task that does it ends at once.
    fn wake(&self, wakers: Vec<Waker>) {
        match &self.0.runtime {
            Some(runtime) if wakers.len() > CROWD => {
                runtime.spawn(async move { wakers.into_iter().for_each(Waker::wake) });
            }
            _ => wakers.into_iter().for_each(Waker::wake),
        }
    }

    /// Lets an outbox receive a stream from now on; with `since`, also what came after that position. Nothing falls
    /// between the two.
    pub(crate) fn follow(
        &self,
        key: StreamKey,
        outbox: &Outbox,
        since: Option<Position>,
    ) -> (Following, Replay) {
        let channel = self.channel(&key);
        let mut channel = channel.lock();
        let replay = since.map_or_else(Replay::default, |position| {
            channel.ring.since(Instant::now(), position)
        });
        channel.watchers.push(outbox.clone());
        drop(channel);
        self.0.demand.add(key.device, &key.stream);
        let following = Following::joined(self.clone(), key, outbox.clone());
        (following, replay)
    }

    /// The last event that was published on a stream; the origin where there is none.
    pub(crate) fn last(&self, key: &StreamKey) -> Position {
        let (channel, past) = {
            let channels = self.0.channels.read();
            let channel = channels.open.get(key).cloned();
            (channel, channels.past.get(key).copied())
        };
        let last = channel.map_or(past, |channel| channel.lock().ring.last());
        last.unwrap_or(Position::ORIGIN)
    }

    fn channel(&self, key: &StreamKey) -> Arc<Mutex<Channel>> {
        if let Some(channel) = self.0.channels.read().open.get(key) {
            return channel.clone();
        }
        let mut channels = self.0.channels.write();
        if let Some(channel) = channels.open.get(key) {
            return channel.clone();
        }
        let ring = Ring::after(channels.past.remove(key), self.0.budget.clone());
        let watchers = Vec::new();
        let channel = Arc::new(Mutex::new(Channel { ring, watchers }));
        channels.open.insert(key.clone(), channel.clone());
        channel
    }

    fn sweep(&self, now: Instant) {
        // Not under the lock of them all: publishers must not wait for a large sweep.
        let open: Vec<_> = self.0.channels.read().open.values().cloned().collect();
        for channel in open {
            channel.lock().ring.prune(now);
        }
        let mut channels = self.0.channels.write();
        let Channels { open, past } = &mut *channels;
        open.retain(|key, channel| {
            // Whoever holds the channel outside of the map is about to use it.
            if Arc::strong_count(channel) > 1 {
                return true;
            }
            let channel = channel.lock();
            if !channel.watchers.is_empty() || !channel.ring.is_empty() {
                return true;
            }
            past.extend(
                channel
                    .ring
                    .last_forgotten()
                    .map(|last| (key.clone(), last)),
            );
            false
        });
    }
}

#[cfg(test)]
pub(crate) mod tests;
