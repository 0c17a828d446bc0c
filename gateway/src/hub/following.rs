//! A place among the watchers of a stream.

use std::ops::RangeInclusive;

use ashya_protocol::Position;
use tokio::time::Instant;

use super::{Hub, Outbox, Replay};
use crate::stream::StreamKey;

/// A place among the watchers of a stream; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Following {
    hub: Hub,
    key: StreamKey,
    outbox: Outbox,
    wanted: bool,
    /// Whether what is published comes into the outbox; not while older events come from elsewhere.
    joined: bool,
}

/// What to do when some of what came after a position is no longer in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Stay apart: it may be had elsewhere.
    Refuse,
    /// Tell it.
    Tell,
}

impl Following {
    /// A place of an outbox that is among the watchers already.
    pub(super) const fn joined(hub: Hub, key: StreamKey, outbox: Outbox) -> Self {
        Self {
            hub,
            key,
            outbox,
            wanted: true,
            joined: true,
        }
    }

    /// Joins the watchers with what came after `position`; what waits in the outbox is part of it and is taken out there.
    /// Nothing falls between the two. Where something is missing and that is refused, it leaves them instead, and gives
    /// back nothing.
    pub(crate) fn join(&mut self, position: Position, missing: Missing) -> Option<Replay> {
        let channel = self.hub.channel(&self.key);
        let mut channel = channel.lock();
        self.outbox.forget(&self.key);
        let replay = channel.ring.since(Instant::now(), position);
        let may_join = missing == Missing::Tell || replay.gone.is_empty();
        match (self.joined, may_join) {
            (false, true) => channel.watchers.push(self.outbox.clone()),
            (true, false) => channel.watchers.retain(|outbox| !outbox.is(&self.outbox)),
            (true, true) | (false, false) => {}
        }
        self.joined = may_join;
        may_join.then_some(replay)
    }

    /// What memory has of some events, as far as they were accepted at the Unix second `from` or later.
    pub(crate) fn look_back(&self, events: RangeInclusive<Position>, from: u64) -> Replay {
        let channel = self.hub.channel(&self.key);
        channel.lock().ring.part(Instant::now(), events, from)
    }

    /// Whether the device shall send the stream for this place: not while a pause holds it back.
    pub(crate) fn set_wanted(&mut self, wanted: bool) {
        match (self.wanted, wanted) {
            (false, true) => self.hub.0.demand.add(self.key.device, &self.key.stream),
            (true, false) => self.hub.0.demand.remove(self.key.device, &self.key.stream),
            (true, true) | (false, false) => {}
        }
        self.wanted = wanted;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let channel = self.hub.channel(&self.key);
        channel
            .lock()
            .watchers
            .retain(|outbox| !outbox.is(&self.outbox));
        self.outbox.forget(&self.key);
        self.set_wanted(false);
    }
}
