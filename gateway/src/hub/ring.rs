use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ashya_protocol::{Boot, Position, Seq};
use tokio::time::Instant;

use super::Message;

/// Most events of one stream that are kept for whoever comes back.
const MAX_EVENTS: usize = 1_000;
/// Longest time for which they are kept.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Most memory for the events of one stream, with all that is made from them: enough for [`MAX_EVENTS`] detections
/// of 2 kB each.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most of it for pictures: a handful, since whoever comes back wants the newest.
const MAX_PICTURE_BYTES: usize = 2 * 1024 * 1024;
/// Most memory for the events of all streams. Beyond, the stream that publishes gives up its oldest.
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
}

/// The memory that all rings share. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    used: Arc<AtomicUsize>,
    max: usize,
}

/// What a returning client has missed.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Numbers that are no longer kept: boot, first and last.
    pub(crate) gone: Vec<(Boot, Seq, Seq)>,
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
        }
    }

    fn is_exceeded(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.max
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

    /// The last event that is no longer kept.
    pub(super) fn last_forgotten(&self) -> Option<Position> {
        let (&boot, &seq) = self.forgotten.last_key_value()?;
        Some(Position { boot, seq })
    }

    /// Everything after `position`, and which numbers are gone.
    pub(super) fn since(&mut self, now: Instant, position: Position) -> Replay {
        self.prune(now);
        let after = self.forgotten.iter().filter(|(boot, last)| {
            **boot > position.boot || (**boot == position.boot && **last > position.seq)
        });
        let gone = after
            .filter_map(|(&boot, &last)| {
                let first = if boot == position.boot {
                    position.seq.next().ok()?
                } else {
                    Seq::FIRST
                };
                Some((boot, first, last))
            })
            .collect();
        let events = self.events.iter().map(|(_, message)| message);
        Replay {
            gone,
            events: events
                .filter(|message| message.position() > position)
                .cloned()
                .collect(),
        }
    }

    /// Forgets what is too old or too much.
    pub(super) fn prune(&mut self, now: Instant) {
        while let Some((at, _)) = self.events.front() {
            let too_old = now.saturating_duration_since(*at) > MAX_AGE;
            let too_many = self.events.len() > MAX_EVENTS;
            // One event stays: a stream of large pictures would otherwise keep nothing at all.
            let too_large = self.events.len() > 1
                && (self.bytes > MAX_BYTES || self.picture_bytes > MAX_PICTURE_BYTES);
            if !(too_old || too_many || too_large || self.budget.is_exceeded()) {
                return;
            }
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
