//! The fan-out: each accepted event once in memory, shared by everybody who watches its stream.
//!
//! ```text
//!  Ingest ──publish──► Channel (one a stream) ──► Outbox (one a socket) ──► socket task
//!                        └─ Ring: the last events, for whoever comes back
//! ```
//!
//! Nothing here waits: a full outbox drops pictures first and tells its socket how many.

mod message;
mod outbox;
mod queue;
mod ring;

use std::collections::HashMap;
use std::sync::Arc;

use ashya_protocol::{DeviceId, Position, StreamName};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::demand::{Demand, DemandBoard};
use crate::metrics::{Loss, Metrics};

pub(crate) use message::{Message, Moment};
pub(crate) use outbox::Outbox;
use queue::Pushed;
pub(crate) use queue::Queued;
pub(crate) use ring::Replay;
use ring::Ring;

/// Where one stream of one device meets its watchers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub {
    channels: Arc<RwLock<HashMap<StreamKey, Arc<Mutex<Channel>>>>>,
    demand: DemandBoard,
    metrics: Metrics,
}

/// One stream of one device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamKey {
    pub(crate) device: DeviceId,
    pub(crate) stream: StreamName,
}

#[derive(Debug, Default)]
struct Channel {
    ring: Ring,
    watchers: Vec<Outbox>,
}

/// A place among the watchers of a stream; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Subscription {
    hub: Hub,
    key: StreamKey,
    outbox: Outbox,
}

impl Hub {
    /// A hub without streams.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            channels: Arc::default(),
            demand: DemandBoard::default(),
            metrics,
        }
    }

    /// What watchers want of a device, now and from now on.
    pub fn demand(&self, device: DeviceId) -> watch::Receiver<Demand> {
        self.demand.of(device)
    }

    /// Forgets what is kept for a device that neither listens nor is watched.
    pub(crate) fn release(&self, device: DeviceId) {
        self.demand.release(device);
    }

    /// Hands an accepted event to everybody who watches its stream, and keeps it for a while.
    pub(crate) fn publish(&self, message: Message) {
        let message = Arc::new(message);
        let channel = self.channel(message.key());
        let mut channel = channel.lock();
        channel.ring.push(Instant::now(), message.clone());
        let dropped: u64 = channel
            .watchers
            .iter()
            .map(|outbox| match outbox.push(message.clone()) {
                Pushed::Queued => 0,
                Pushed::Dropped(events) => events,
            })
            .sum();
        drop(channel);
        if dropped > 0 {
            self.metrics.dropped(Loss::Slow, dropped);
        }
    }

    /// Lets an outbox receive a stream from now on; with `since`, also what came after that position. Nothing falls
    /// between the two.
    pub(crate) fn subscribe(
        &self,
        key: StreamKey,
        outbox: &Outbox,
        since: Option<Position>,
    ) -> (Subscription, Replay) {
        let channel = self.channel(&key);
        let mut channel = channel.lock();
        let replay = since.map_or_else(Replay::default, |position| {
            channel.ring.since(Instant::now(), position)
        });
        channel.watchers.push(outbox.clone());
        drop(channel);
        self.demand.add(key.device, &key.stream);
        let subscription = Subscription {
            hub: self.clone(),
            key,
            outbox: outbox.clone(),
        };
        (subscription, replay)
    }

    fn channel(&self, key: &StreamKey) -> Arc<Mutex<Channel>> {
        if let Some(channel) = self.channels.read().get(key) {
            return channel.clone();
        }
        self.channels
            .write()
            .entry(key.clone())
            .or_default()
            .clone()
    }
}

impl Subscription {
    /// What came after `position`; what waits in the outbox is part of it and is taken out there.
    pub(crate) fn replay(&self, position: Position) -> Replay {
        let channel = self.hub.channel(&self.key);
        let mut channel = channel.lock();
        self.outbox.forget(&self.key);
        channel.ring.since(Instant::now(), position)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let channel = self.hub.channel(&self.key);
        channel
            .lock()
            .watchers
            .retain(|outbox| !outbox.is(&self.outbox));
        self.outbox.forget(&self.key);
        self.hub.demand.remove(self.key.device, &self.key.stream);
    }
}

#[cfg(test)]
pub(crate) mod tests;
