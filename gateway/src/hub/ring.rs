use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::{Boot, Position, Seq};
use tokio::time::Instant;

use super::Message;

/// Most events of one stream that are kept for whoever comes back.
const MAX_EVENTS: usize = 1_000;
/// Longest time for which they are kept.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Most memory for the events of one stream: all of the small ones, and a handful of pictures.
const MAX_BYTES: usize = 1024 * 1024;
/// Most starts of a device whose last forgotten event is remembered.
const MAX_BOOTS: usize = 16;

/// The last events of one stream.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<(Instant, Arc<Message>)>,
    bytes: usize,
    /// The last forgotten number of each boot.
    forgotten: BTreeMap<Boot, Seq>,
}

/// What a returning client has missed.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Numbers that are no longer kept: boot, first and last.
    pub(crate) gone: Vec<(Boot, Seq, Seq)>,
    /// What is still kept, in order.
    pub(crate) events: Vec<Arc<Message>>,
}

impl Ring {
    pub(super) fn push(&mut self, now: Instant, message: Arc<Message>) {
        self.bytes += message.weight();
        self.events.push_back((now, message));
        self.prune(now);
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

    fn prune(&mut self, now: Instant) {
        while let Some((at, _)) = self.events.front() {
            let too_old = now.duration_since(*at) > MAX_AGE;
            // One event always stays: a stream of large pictures would otherwise keep nothing at all.
            let too_many =
                self.events.len() > MAX_EVENTS || (self.bytes > MAX_BYTES && self.events.len() > 1);
            if !too_old && !too_many {
                return;
            }
            if let Some((_, message)) = self.events.pop_front() {
                self.bytes -= message.weight();
                self.forgotten
                    .insert(message.position().boot, message.position().seq);
            }
            if self.forgotten.len() > MAX_BOOTS {
                self.forgotten.pop_first();
            }
        }
    }
}
