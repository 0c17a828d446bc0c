use std::collections::VecDeque;
use std::sync::Arc;

use ashya_protocol::{Boot, Envelope, FeedId, Position, Seq, VerifiedEvent};

use super::{Request, Right};
use crate::hub::{Message, Moment};
use crate::store::{HistoryTrees, Record, StoreError};
use crate::stream::Gap;

/// Most events of a page.
const EVENTS: usize = 256;
/// Bytes of envelopes from which on a page is full: what a socket that stands still keeps in memory.
const BYTES: usize = 64 * 1024;
/// Most events that are looked at for a page: who has paid little of a long time waits in between for others.
const LOOKED_AT: usize = 4_096;

/// Some of what came after a position, in order.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    /// The last position that was looked at.
    pub(crate) next: Position,
    /// Whether nothing after it is kept on disk.
    pub(crate) is_last: bool,
}

#[derive(Debug)]
pub(crate) enum Item {
    /// Numbers of one boot that are no longer kept, both ends included.
    Gone((Boot, Seq, Seq)),
    Event(Arc<Message>),
}

/// Walks from kept event to kept event and sees what is missing between.
#[derive(Debug)]
struct Walk {
    last: Position,
    /// The last pruned number of each boot, in order.
    pruned: VecDeque<(Boot, Seq)>,
}

/// Reads a page. Blocks.
pub(super) fn read(trees: &HistoryTrees, request: &Request) -> Result<Page, StoreError> {
    let reached = trees.reached_before(&request.key, request.from)?;
    let after = reached.map_or(request.after, |reached| reached.max(request.after));
    let pruned = trees.pruned(&request.key, after.boot)?;
    let mut walk = Walk {
        last: after,
        pruned: pruned.into(),
    };
    let mut items = Vec::new();
    let (mut events, mut bytes, mut looked_at) = (0, 0, 0);
    let is_full =
        |events, bytes, looked_at| events >= EVENTS || bytes >= BYTES || looked_at >= LOOKED_AT;
    for item in trees.after(&request.key, after) {
        let (position, record) = item?;
        if is_full(events, bytes, looked_at) {
            return Ok(Page {
                items,
                next: walk.last,
                is_last: false,
            });
        }
        looked_at += 1;
        let Some((lost, message)) = message(&record, position, request) else {
            tracing::warn!(device.id = %request.key.device, "an event of history cannot be read");
            let gone = walk.meet(position, 0);
            items.extend(gone.into_iter().map(Item::Gone));
            items.push(Item::Gone((position.boot, position.seq, position.seq)));
            continue;
        };
        let gone = walk.meet(position, lost);
        items.extend(gone.into_iter().map(Item::Gone));
        if let Some(message) = message {
            bytes += message.bytes();
            events += 1;
            items.push(Item::Event(Arc::new(message)));
        }
    }
    let gone = walk.end();
    items.extend(gone.into_iter().map(Item::Gone));
    Ok(Page {
        items,
        next: walk.last,
        is_last: true,
    })
}

/// How many numbers before a kept event never came, and the event, if it is paid. Nothing when it cannot be read.
fn message(
    record: &Record,
    position: Position,
    request: &Request,
) -> Option<(u64, Option<Message>)> {
    let parts = record.parts()?;
    let Some(moment) = moment(&request.rights, parts.at, || parts.feeds()) else {
        return Some((parts.lost, None));
    };
    let envelope = Envelope::decode(parts.envelope).ok()?;
    let event = &envelope.event;
    let is_it = event.position == position
        && event.device == request.key.device
        && event.stream == request.key.stream;
    if !is_it {
        return None;
    }
    let gap = lost_before(position, parts.lost);
    // Checked when it was accepted; nothing else comes to the disk.
    let verified = VerifiedEvent::checked_before(envelope);
    let message = Message::new(verified, parts.envelope, gap, moment);
    Some((parts.lost, Some(message)))
}

/// When an event was accepted, with the feeds by which the wallet may see it; nothing when it may not. What their clocks
/// showed is left open, so that the ledger is asked once more when the event is written.
fn moment<F: Iterator<Item = FeedId>>(
    rights: &[Right],
    at: u64,
    sold: impl Fn() -> F,
) -> Option<Moment> {
    let covering = rights.iter().filter(|right| right.covers(at, sold()));
    let paused: Vec<_> = covering.map(|right| right.feed).collect();
    (!paused.is_empty()).then_some(Moment {
        at,
        feed_times: Vec::new(),
        paused,
    })
}

fn lost_before(position: Position, lost: u64) -> Option<Gap> {
    let to = position.seq.get().checked_sub(1)?;
    let from = position.seq.get().checked_sub(lost)?;
    (lost > 0).then_some(())?;
    Some(Gap {
        from: from.try_into().ok()?,
        to: to.try_into().ok()?,
    })
}

impl Walk {
    /// What is gone before the next kept event, before which `lost` numbers never came.
    fn meet(&mut self, position: Position, lost: u64) -> Vec<(Boot, Seq, Seq)> {
        let mut gone = self.pass_until(position.boot);
        self.pruned.pop_front_if(|(boot, _)| *boot == position.boot);
        // What never came is told with the event.
        let before = position.seq.get().checked_sub(lost + 1);
        let to = before.and_then(|seq| seq.try_into().ok());
        gone.extend(to.and_then(|to| self.missing(position.boot, to)));
        self.last = position;
        gone
    }

    /// What is gone after the last kept event.
    fn end(&mut self) -> Vec<(Boot, Seq, Seq)> {
        let mut gone = Vec::new();
        while let Some((boot, to)) = self.pruned.pop_front() {
            gone.extend(self.missing(boot, to));
            self.last = self.last.max(Position { boot, seq: to });
        }
        gone
    }

    /// What is gone of the boots before one.
    fn pass_until(&mut self, boot: Boot) -> Vec<(Boot, Seq, Seq)> {
        let mut gone = Vec::new();
        while let Some((earlier, to)) = self.pruned.pop_front_if(|(pruned, _)| *pruned < boot) {
            gone.extend(self.missing(earlier, to));
            self.last = self.last.max(Position {
                boot: earlier,
                seq: to,
            });
        }
        gone
    }

    /// The numbers of a boot up to `to` that come after the last position.
    fn missing(&self, boot: Boot, to: Seq) -> Option<(Boot, Seq, Seq)> {
        let from = if boot == self.last.boot {
            self.last.seq.next().ok()?
        } else {
            Seq::FIRST
        };
        (boot >= self.last.boot && from <= to).then_some((boot, from, to))
    }
}

#[cfg(test)]
mod tests;
