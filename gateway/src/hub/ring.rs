use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ashya_protocol::{Boot, Position, Seq};
use tokio::time::Instant;

use super::Message;
use crate::defaults::{RING_EVENTS, RING_MINUTES};

/// Most memory for the events of one stream, with all that is made from them: enough for [`RING_EVENTS`] detections
/// of 2 kB each.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most of it for pictures: a handful, since whoever comes back wants the newest.
const MAX_PICTURE_BYTES: usize = 2 * 1024 * 1024;
/// Most memory for the events of all streams. Beyond, the largest rings give up their oldest.
const MAX_TOTAL_BYTES: usize = 256 * 1024 * 1024;
/// Most starts of a device whose last forgotten event is remembered.
const MAX_BOOTS: usize = 16;

/// The last events of one stream.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<(Instant, Arc<Message>)>,
    bytes: usize,
    picture_bytes: usize,
    budget: Budget,
    /// The last forgotten number of each boot.
    forgotten: BTreeMap<Boot, Seq>,
    /// The latest Unix second of chain time at which an event was accepted that is forgotten since.
    forgotten_at: u64,
}

/// What is kept of each stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLimits {
    /// Most events.
    pub events: usize,
    /// Longest time.
    pub age: Duration,
}

/// The memory that all rings share, and what each may keep. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    used: Arc<AtomicUsize>,
    max: usize,
    limits: RingLimits,
}

/// What a returning client has missed.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Numbers that are no longer kept: boot, first and last.
    pub(crate) gone: Vec<(Boot, Seq, Seq)>,
    /// Unix second of chain time from which on nothing is gone.
    pub(crate) whole_from: u64,
    /// What is still kept, in order.
    pub(crate) events: Vec<Arc<Message>>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(MAX_TOTAL_BYTES)
    }
}

impl Budget {
    /// A budget of so many bytes.
    pub(super) fn of(max: usize) -> Self {
        Self {
            used: Arc::default(),
            max,
            limits: RingLimits::default(),
        }
    }

    /// The same budget with limits for each ring.
    pub(super) fn with_limits(self, limits: RingLimits) -> Self {
        Self { limits, ..self }
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.max
    }

    /// Bytes that all rings take.
    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// What is left once room is made: somewhat less than there may be, so that it is not made for each event.
    pub(super) const fn target(&self) -> usize {
        self.max - self.max / 8
    }
}

impl Default for RingLimits {
    fn default() -> Self {
        Self {
            events: RING_EVENTS,
            age: Duration::from_secs(60 * RING_MINUTES),
        }
    }
}

impl Ring {
    /// A ring of a stream of which everything up to `last` is no longer kept.
    pub(super) fn after(last: Option<Position>, budget: Budget) -> Self {
        let mut ring = Self::default();
        ring.budget = budget;
        ring.forgotten
            .extend(last.map(|last| (last.boot, last.seq)));
        ring
    }

    pub(super) fn push(&mut self, now: Instant, message: Arc<Message>) {
        let weight = message.weight();
        self.bytes += weight;
        if message.is_picture() {
            self.picture_bytes += weight;
        }
        self.budget.used.fetch_add(weight, Ordering::Relaxed);
        self.events.push_back((now, message));
        self.prune(now);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The last event of all.
    pub(super) fn last(&self) -> Option<Position> {
        let newest = self.events.back().map(|(_, message)| message.position());
        newest.or_else(|| self.last_forgotten())
    }

    /// The last event that is no longer kept.
    pub(super) fn last_forgotten(&self) -> Option<Position> {
        let (&boot, &seq) = self.forgotten.last_key_value()?;
        Some(Position { boot, seq })
    }

    /// Everything after `position`, and which numbers are gone.
    pub(super) fn since(&mut self, now: Instant, position: Position) -> Replay {
        self.prune(now);
        let events = self.events.iter().map(|(_, message)| message);
        let events = events.filter(|message| message.position() > position);
        Replay {
            gone: self.gone_after(position),
            whole_from: self.forgotten_at.saturating_add(1),
            events: events.cloned().collect(),
        }
    }

    /// Of some events those that were accepted at the Unix second `from` or later, and which numbers are gone.
    pub(super) fn part(
        &mut self,
        now: Instant,
        wanted: RangeInclusive<Position>,
        from: u64,
    ) -> Replay {
        self.prune(now);
        let events = self.events.iter().map(|(_, message)| message);
        let events = events
            .filter(|message| wanted.contains(&message.position()) && message.moment().at >= from);
        let end = *wanted.end();
        let mut gone = self.gone_after(wanted.start().before());
        gone.retain(|(boot, first, _)| (*boot, *first) <= (end.boot, end.seq));
        for (_, _, last) in gone.iter_mut().filter(|(boot, _, _)| *boot == end.boot) {
            *last = end.seq.min(*last);
        }
        Replay {
            gone,
            whole_from: self.forgotten_at.saturating_add(1),
            events: events.cloned().collect(),
        }
    }

    /// The forgotten numbers after a position.
    fn gone_after(&self, position: Position) -> Vec<(Boot, Seq, Seq)> {
        let after = self.forgotten.iter().filter(|(boot, last)| {
            **boot > position.boot || (**boot == position.boot && **last > position.seq)
        });
        after
            .filter_map(|(&boot, &last)| {
                let first = if boot == position.boot {
                    position.seq.next().ok()?
                } else {
                    Seq::FIRST
                };
                Some((boot, first, last))
            })
            .collect()
    }

    /// Forgets what is too old or too much.
    pub(super) fn prune(&mut self, now: Instant) {
        while let Some((at, _)) = self.events.front() {
            let RingLimits { events, age } = self.budget.limits;
            let too_old = now.saturating_duration_since(*at) > age;
            let too_many = self.events.len() > events;
            // One event stays: a stream of large pictures would otherwise keep nothing at all.
            let too_large = self.events.len() > 1
                && (self.bytes > MAX_BYTES || self.picture_bytes > MAX_PICTURE_BYTES);
            if !(too_old || too_many || too_large) {
                return;
            }
            self.forget_oldest();
        }
    }

    /// Bytes that it takes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets the oldest events until it takes no more than so many bytes.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        while self.bytes > bytes {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, message)) = self.events.pop_front() else {
            return;
        };
        let weight = message.weight();
        self.bytes -= weight;
        if message.is_picture() {
            self.picture_bytes -= weight;
        }
        self.budget.used.fetch_sub(weight, Ordering::Relaxed);
        let Position { boot, seq } = message.position();
        self.forgotten.insert(boot, seq);
        self.forgotten_at = self.forgotten_at.max(message.moment().at);
        if self.forgotten.len() > MAX_BOOTS {
            self.forgotten.pop_first();
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
