//! How a viewer gets from the past on disk to the present in memory.
//!
//! ```text
//!  disk ──page──► ready ──written out──► next page … until memory has the rest ──► join the watchers, in one step
//! ```
//!
//! While a stream catches up, nothing of it waits in the outbox: however long it takes, it fills no queue.

use std::collections::BTreeMap;

use ashya_protocol::Position;

use super::history::{gone_of, with_lost};
use super::{Outgoing, Viewer};
use crate::history::{Item, Page, Request, Unreadable};
use crate::hub::Missing;
use crate::socket::signals::Silencer;
use crate::stream::StreamKey;

/// The streams of which older events come from the disk.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    streams: BTreeMap<StreamKey, Progress>,
    /// The page that is being read, one at a time.
    reading: Option<(StreamKey, Silencer)>,
}

/// How far one of them is.
#[derive(Debug, Clone, Copy)]
struct Progress {
    after: Position,
    /// Whether the disk has been read to its end, so that what is missing can only be on its way there.
    settled: bool,
    /// Unix second of chain time before which nothing is wanted.
    from: u64,
}

impl CatchingUp {
    /// Begins after a position, with what was accepted at the Unix second `from` or later.
    pub(super) fn begin(&mut self, key: StreamKey, after: Position, from: u64) {
        let progress = Progress {
            after,
            settled: false,
            from,
        };
        self.reading.take_if(|(other, _)| *other == key);
        self.streams.insert(key, progress);
    }

    pub(super) fn forget(&mut self, key: &StreamKey) {
        self.retain(|other| other != key);
    }

    /// Asks for the page that is being read once more, by the rights of then.
    pub(super) fn ask_again(&mut self) {
        self.reading = None;
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&StreamKey) -> bool) {
        self.streams.retain(|key, _| keep(key));
        self.reading.take_if(|(key, _)| !keep(key));
    }
}

impl Viewer {
    /// Whether older events of any stream are still to come from the disk.
    #[cfg(test)]
    pub(crate) fn is_catching_up(&self) -> bool {
        !self.catching_up.streams.is_empty()
    }

    /// Asks for the next page once all that came before it is handed out. A paused stream waits until it is resumed.
    pub(super) fn read_on(&mut self) {
        if self.catching_up.streams.is_empty()
            || self.catching_up.reading.is_some()
            || !self.ready.is_empty()
        {
            return;
        }
        self.look_at_changed();
        // What was said by the way goes out first.
        if !self.ready.is_empty() {
            return;
        }
        let streams = self.catching_up.streams.iter();
        let next = streams.map(|(key, progress)| (key.clone(), *progress));
        let next = next.into_iter().find(|(key, _)| {
            let mut watches = self.watches.values();
            watches.any(|watch| watch.is_live() && watch.holds(key))
        });
        let Some((key, progress)) = next else { return };
        let holding = self.watches.iter().filter(|(_, watch)| watch.holds(&key));
        let request = Request {
            key: key.clone(),
            after: progress.after,
            rights: holding
                .filter_map(|(feed, watch)| watch.right(*feed))
                .collect(),
            settled: progress.settled,
            from: progress.from,
        };
        let page = self.parts.history.clone().page(request);
        let silencer = self.signals.await_page(key.clone(), page);
        self.catching_up.reading = Some((key, silencer));
    }

    /// Takes a page, and joins the stream's watchers if memory has the rest.
    pub(super) fn take_page(&mut self, key: &StreamKey, page: Result<Page, Unreadable>) {
        // It was read by the rights of when it was asked for.
        self.look_at_changed();
        if self.catching_up.reading.take().is_none() {
            return;
        }
        let Some(progress) = self.catching_up.streams.get_mut(key) else {
            return;
        };
        let before = *progress;
        // What cannot be read is gone.
        let mut missing = Missing::Tell;
        if let Ok(page) = page {
            if !page.is_last || page.next != before.after || !before.settled {
                missing = Missing::Refuse;
            }
            progress.after = page.next;
            progress.settled = page.is_last;
            let outgoing = page.items.into_iter().flat_map(|item| match item {
                Item::Gone((boot, from, to)) => vec![gone_of(key, boot, from, to)],
                Item::Event(message) => with_lost(message).collect(),
            });
            self.ready.extend(outgoing.collect::<Vec<Outgoing>>());
        }
        let after = self
            .catching_up
            .streams
            .get(key)
            .map(|progress| progress.after);
        if after.is_some_and(|after| self.join(key, after, missing)) {
            self.catching_up.forget(key);
        }
    }
}
