//! Events that wait for their acknowledgement, in memory and on the disk, each stream in its order.
//!
//! ```text
//!  push ─► fresh ─ ─ ─ ─ ─ ─ ─ ─ ─► head ─► under way ─► acknowledged
//!            └─► on the disk only ─►┘
//! ```
//!
//! It knows nothing of network or disk. A connection takes what is due, says which packet it became, and reports
//! acknowledgements; a new connection begins again with everything that was not acknowledged. What is not acknowledged
//! at once becomes an errand of the spool; while all goes well, nothing is written.

mod lane;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::{Position, StreamName};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::spool::{Errand, Place, Turned};
use crate::voice::{Kind, Signed};
use lane::{Disk, Lane, Waiting};

/// Events under way to the broker at a time.
pub(crate) const WINDOW: usize = 32;
/// Bytes of events under way at a time; one event always fits. More would only keep what is urgent waiting.
const WINDOW_BYTES: usize = 512 * 1024;
/// Events that may wait for the disk, and their bytes: some minutes of a camera whose disk is full.
const FRESH_EVENTS: usize = 4_000;
const FRESH_BYTES: usize = 8 * 1024 * 1024;

/// How long the events of this start wait for a disk that was never opened: those of an earlier start may be on it, and a
/// gateway that has had a later one takes none of them any more. A disk that is full or mounted late is there by then.
pub(crate) const FIRST_LOOK: Duration = Duration::from_secs(20);

/// Why a gateway refuses an event that it has had already.
const REPLAYED: &str = "replayed";

/// What becomes of an event; said once, to whoever wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The gateway has it.
    Acknowledged,
    /// It is on the disk, and will be sent.
    Kept,
    /// The gateway does not take it, for this reason.
    Refused(String),
    /// It had to make room.
    Dropped,
}

/// Where a fate is told.
pub(crate) type Receipt = oneshot::Sender<Fate>;

/// Events of all streams. See the module.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    lanes: BTreeMap<StreamName, Lane>,
    past: Past,
    /// The stream whose turn was last.
    served: Option<StreamName>,
    /// In the order in which they were handed over.
    flights: VecDeque<Flight>,
    /// Events that are done with and still on the disk.
    forget: Vec<Place>,
    tally: Tally,
}

/// What is known of the events that an earlier start has left on the disk. Nothing is due before it: those go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    /// Nothing; since the moment, where there is one, the disk cannot be opened.
    Unknown(Option<Instant>),
    /// Nothing still, and events go without it.
    GivenUp,
    /// The disk was opened.
    Known,
}

impl Default for Past {
    fn default() -> Self {
        Self::Unknown(None)
    }
}

/// Whether events begin to go though nobody knows what the disk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Lasts,
    /// Said once.
    Ended,
}

/// What became of the events so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    /// Events that had to make room.
    pub(crate) dropped_events: u64,
    /// Pictures that had to make room.
    pub(crate) dropped_pictures: u64,
}

/// An event that the connection has.
#[derive(Debug)]
struct Flight {
    place: Place,
    bytes: usize,
    /// Its packet, once that is written, and since when it is.
    packet: Option<(u16, Instant)>,
}

impl Outbox {
    /// Adds an event behind those of its stream. Where too many wait for the disk, the oldest picture makes room, else
    /// the oldest event.
    pub(crate) fn push(&mut self, event: Signed, receipt: Option<Receipt>, now: Instant) {
        let holds_back = self.holds_back();
        let lane = self.lanes.entry(event.stream.clone());
        let lane = lane.or_insert_with(|| Lane::new(holds_back));
        lane.push(Waiting::new(Arc::new(event), receipt, now));
        self.make_room();
    }

    /// The disk has events of these streams, from an earlier start or from before it failed.
    pub(crate) fn expect(&mut self, streams: impl IntoIterator<Item = StreamName>) {
        let is_first = std::mem::replace(&mut self.past, Past::Known) != Past::Known;
        if is_first {
            self.lanes.values_mut().for_each(|lane| lane.deeper = false);
        }
        for stream in streams {
            let lane = self.lanes.entry(stream).or_default();
            if is_first {
                lane.step_back();
            }
            lane.deeper = true;
        }
        self.lanes.values_mut().for_each(Lane::move_up);
    }

    /// The next event to hand to the connection, if it may take one more; streams take turns. [`Self::handed`]
    /// confirms that it did.
    pub(crate) fn due(&self) -> Option<&Arc<Signed>> {
        if self.flights.len() >= WINDOW {
            return None;
        }
        let under_way: usize = self.flights.iter().map(|flight| flight.bytes).sum();
        let event = &self.next_lane()?.1.due()?.event;
        (under_way == 0 || under_way + event.envelope.len() <= WINDOW_BYTES).then_some(event)
    }

    /// The connection took what [`Self::due`] offered.
    pub(crate) fn handed(&mut self) {
        let Some(stream) = self.next_lane().map(|(stream, _)| stream.clone()) else {
            return;
        };
        let handed = self.lanes.get_mut(&stream).and_then(Lane::hand);
        if let Some(waiting) = handed {
            self.flights.push_back(Flight {
                place: Place::of(&waiting.event),
                bytes: waiting.event.envelope.len(),
                packet: None,
            });
        }
        self.served = Some(stream);
    }

    /// The connection wrote the oldest event that it was handed, as this packet.
    pub(crate) fn written(&mut self, packet: u16, now: Instant) {
        let oldest = self
            .flights
            .iter_mut()
            .find(|flight| flight.packet.is_none());
        if let Some(flight) = oldest {
            flight.packet = Some((packet, now));
        }
    }

    /// The gateway refuses an event for good. Its acknowledgement follows. True where it may have had the event before,
    /// so that it is only known already.
    pub(crate) fn refused(
        &mut self,
        stream: &StreamName,
        position: Position,
        reason: &str,
    ) -> bool {
        let lane = self.lanes.get_mut(stream);
        let Some(waiting) = lane.and_then(|lane| lane.find(position)) else {
            return false;
        };
        if waiting.was_sent_before && reason == REPLAYED {
            return true;
        }
        waiting.refused = Some(reason.to_owned());
        false
    }

    /// The packet was acknowledged: its event is done. False where no event waits for it.
    pub(crate) fn acknowledged(&mut self, packet: u16) -> bool {
        let flight = self
            .flights
            .iter()
            .position(|flight| flight.packet.is_some_and(|(written, _)| written == packet));
        let Some(Flight { place, .. }) = flight.and_then(|flight| self.flights.remove(flight))
        else {
            return false;
        };
        let lane = self.lanes.get_mut(&place.stream);
        let Some(mut waiting) = lane.and_then(|lane| lane.take(place.position)) else {
            return false;
        };
        if waiting.disk != Disk::Not {
            self.forget.push(place);
        }
        match waiting.refused.take() {
            None => {
                self.tally.acknowledged += 1;
                waiting.tell(Fate::Acknowledged);
            }
            Some(reason) => {
                self.tally.refused += 1;
                waiting.tell(Fate::Refused(reason));
            }
        }
        true
    }

    /// The connection is gone: whatever was not acknowledged is due again, in the old order.
    pub(crate) fn rewind(&mut self) {
        self.flights.clear();
        self.lanes.values_mut().for_each(Lane::rewind);
    }

    /// What the spool is to do now: keep what has waited for `patience` and what memory has no room for, forget what
    /// is done, and read on. Nothing where there is nothing to do.
    pub(crate) fn errand(&mut self, now: Instant, patience: Duration) -> Option<Errand> {
        let mut errand = Errand {
            forget: std::mem::take(&mut self.forget),
            ..Errand::default()
        };
        for (stream, lane) in &mut self.lanes {
            lane.keep(&mut errand.keep, now, patience);
            errand.fetch.extend(lane.fetch(stream));
        }
        let idle = errand.keep.is_empty() && errand.forget.is_empty() && errand.fetch.is_empty();
        (!idle).then_some(errand)
    }

    /// What the spool is to read, where little is left of what it has.
    pub(crate) fn reading(&mut self) -> Option<Errand> {
        let lanes = self.lanes.iter();
        let fetch: Vec<_> = lanes
            .filter_map(|(stream, lane)| lane.fetch(stream))
            .collect();
        if fetch.is_empty() {
            return None;
        }
        Some(Errand {
            fetch,
            forget: std::mem::take(&mut self.forget),
            ..Errand::default()
        })
    }

    /// The spool did its errand.
    pub(crate) fn settle(&mut self, turned: Turned) {
        self.lanes.values_mut().for_each(Lane::kept);
        for fetched in turned.fetched {
            if let Some(lane) = self.lanes.get_mut(&fetched.stream) {
                lane.fetched(fetched.events, fetched.more);
            }
        }
        for (place, kind) in turned.dropped {
            let lane = self.lanes.get_mut(&place.stream);
            if lane.is_none_or(|lane| lane.lost_on_disk(place.position)) {
                self.tally.drop(kind);
            }
        }
        self.lanes.values_mut().for_each(Lane::move_up);
        self.lanes.retain(|_, lane| !lane.is_done());
    }

    /// Whether events wait for what an earlier start may have left.
    pub(crate) const fn holds_back(&self) -> bool {
        matches!(self.past, Past::Unknown(_))
    }

    /// The spool failed to do this errand, or to open: what it was to keep is in memory alone. One that was never opened
    /// holds everything back for a while; then events go without what an earlier start may have left.
    pub(crate) fn unsettle(&mut self, errand: Errand, now: Instant) -> Patience {
        self.forget.extend(errand.forget);
        self.lanes.values_mut().for_each(Lane::not_kept);
        self.make_room();
        let Past::Unknown(since) = self.past else {
            return Patience::Lasts;
        };
        let since = since.unwrap_or(now);
        if now.duration_since(since) < FIRST_LOOK {
            self.past = Past::Unknown(Some(since));
            return Patience::Lasts;
        }
        self.past = Past::GivenUp;
        for lane in self.lanes.values_mut() {
            lane.deeper = false;
            lane.move_up();
        }
        Patience::Ended
    }

    /// Whether the connection has events whose acknowledgement has not come.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Since when the oldest event that was written waits for its acknowledgement.
    pub(crate) fn waits_since(&self) -> Option<Instant> {
        let (_, since) = self.flights.front()?.packet?;
        Some(since)
    }

    /// Events that are in memory alone.
    pub(crate) fn unkept(&self) -> usize {
        self.lanes.values().map(Lane::unkept).sum()
    }

    /// What became of the events so far.
    pub(crate) const fn tally(&self) -> Tally {
        self.tally
    }

    /// The first stream with a due event after the one that was served last.
    fn next_lane(&self) -> Option<(&StreamName, &Lane)> {
        let after = match &self.served {
            Some(stream) => Bound::Excluded(stream.clone()),
            None => Bound::Unbounded,
        };
        let later = self.lanes.range((after, Bound::Unbounded));
        let mut turns = later.chain(&self.lanes);
        turns.find(|(_, lane)| lane.due().is_some())
    }

    fn make_room(&mut self) {
        loop {
            let (events, bytes) = self.lanes.values().fold((0, 0), |(events, bytes), lane| {
                (events + lane.fresh_len(), bytes + lane.fresh_bytes())
            });
            if events <= FRESH_EVENTS && bytes <= FRESH_BYTES {
                return;
            }
            let of_kind = |kind: Kind| {
                let oldest = |lane: &Lane| lane.oldest_droppable(kind);
                let lanes = self.lanes.iter();
                let candidates =
                    lanes.filter_map(|(stream, lane)| Some((oldest(lane)?, stream.clone())));
                candidates.min()
            };
            let victim = of_kind(Kind::Picture).map(|found| (Kind::Picture, found));
            let victim = victim.or_else(|| of_kind(Kind::Event).map(|found| (Kind::Event, found)));
            let Some((kind, (_, stream))) = victim else {
                return;
            };
            if let Some(waiting) = self
                .lanes
                .get_mut(&stream)
                .and_then(|lane| lane.drop_oldest(kind))
            {
                waiting.tell(Fate::Dropped);
                self.tally.drop(kind);
            }
        }
    }
}

impl Tally {
    const fn drop(&mut self, kind: Kind) {
        match kind {
            Kind::Event => self.dropped_events += 1,
            Kind::Picture => self.dropped_pictures += 1,
        }
    }
}

#[cfg(test)]
mod tests;
