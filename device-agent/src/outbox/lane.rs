use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::{Position, StreamName};
use tokio::time::Instant;

use super::{Fate, Receipt};
use crate::spool::Fetch;
use crate::voice::{Kind, Signed};

/// Events of one stream that are ready to be sent, and their bytes; one event always fits.
const HEAD_EVENTS: usize = 128;
const HEAD_BYTES: usize = 1024 * 1024;
/// More are read from the disk when so few are left.
const HEAD_LOW: usize = HEAD_EVENTS / 2;

/// One stream. In the order of the events: `head`, then what is on the disk alone, then `fresh`.
#[derive(Debug, Default)]
pub(super) struct Lane {
    head: VecDeque<Waiting>,
    /// Whether the disk has events between head and fresh.
    pub(super) deeper: bool,
    fresh: VecDeque<Waiting>,
    /// The last event that came into the head.
    loaded: Option<Position>,
    /// The latest event that a connection took.
    sent: Option<Position>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) event: Arc<Signed>,
    since: Instant,
    pub(super) state: State,
    pub(super) disk: Disk,
    /// Whether an earlier connection, or an earlier start, may have brought it to the gateway.
    pub(super) was_sent_before: bool,
    /// Why the gateway does not take it.
    pub(super) refused: Option<String>,
    receipt: Option<Receipt>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not given to this connection yet.
    Due,
    /// The connection has it.
    UnderWay,
}

/// Whether a kill would leave an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    Not,
    /// The spool is about to keep it.
    Going,
    There,
}

impl Waiting {
    pub(super) const fn new(event: Arc<Signed>, receipt: Option<Receipt>, since: Instant) -> Self {
        Self {
            event,
            since,
            state: State::Due,
            disk: Disk::Not,
            was_sent_before: false,
            refused: None,
            receipt,
        }
    }

    /// Tells whoever asked; the first word is the last.
    pub(super) fn tell(mut self, fate: Fate) {
        self.say(fate);
    }

    fn say(&mut self, fate: Fate) {
        if let Some(receipt) = self.receipt.take() {
            // Who no longer waits does not need to know.
            let _ = receipt.send(fate);
        }
    }

    fn is_now_on_disk(&mut self) {
        self.disk = Disk::There;
        self.say(Fate::Kept);
    }
}

impl Lane {
    /// An empty lane, behind what the disk may have of its stream.
    pub(super) fn new(deeper: bool) -> Self {
        Self {
            deeper,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        if !self.deeper && self.fresh.is_empty() && self.has_room() {
            self.append(waiting);
        } else {
            self.fresh.push_back(waiting);
        }
    }

    /// The first event that the connection does not have.
    pub(super) fn due(&self) -> Option<&Waiting> {
        self.head.iter().find(|waiting| waiting.state == State::Due)
    }

    /// Gives the due event to the connection.
    pub(super) fn hand(&mut self) -> Option<&Waiting> {
        let mut waiting = self.head.iter_mut();
        let due = waiting.find(|waiting| waiting.state == State::Due)?;
        due.state = State::UnderWay;
        self.sent = self.sent.max(Some(due.event.position()));
        Some(due)
    }

    pub(super) fn find(&mut self, position: Position) -> Option<&mut Waiting> {
        self.head
            .iter_mut()
            .find(|waiting| waiting.event.position() == position)
    }

    /// Takes an event out of the head.
    pub(super) fn take(&mut self, position: Position) -> Option<Waiting> {
        let index = self.index(position)?;
        let taken = self.head.remove(index);
        self.move_up();
        taken
    }

    pub(super) fn rewind(&mut self) {
        for waiting in &mut self.head {
            // The gateway takes none of an earlier start once it has had a later one: that it knows such a one means
            // nothing.
            let boot = waiting.event.boot;
            let is_overtaken = self.sent.is_some_and(|sent| sent.boot > boot);
            waiting.was_sent_before |= waiting.state == State::UnderWay && !is_overtaken;
            waiting.state = State::Due;
        }
    }

    /// Adds what the spool is to keep: what has waited for `patience`, and what the head has no room for.
    pub(super) fn keep(&mut self, keep: &mut Vec<Arc<Signed>>, now: Instant, patience: Duration) {
        let old = self
            .head
            .iter_mut()
            .filter(|waiting| now.duration_since(waiting.since) >= patience);
        for waiting in old.chain(&mut self.fresh) {
            if waiting.disk == Disk::Not {
                waiting.disk = Disk::Going;
                keep.push(waiting.event.clone());
            }
        }
    }

    /// Asks for more where little is left.
    pub(super) fn fetch(&self, stream: &StreamName) -> Option<Fetch> {
        let asks = self.deeper && self.head.len() <= HEAD_LOW && self.has_room();
        asks.then(|| Fetch {
            stream: stream.clone(),
            after: self.loaded,
            most: HEAD_EVENTS - self.head.len(),
        })
    }

    /// What was on its way to the disk is there; what the head has no room for goes from memory.
    pub(super) fn kept(&mut self) {
        let going = self.head.iter_mut();
        for waiting in going.filter(|waiting| waiting.disk == Disk::Going) {
            waiting.is_now_on_disk();
        }
        while let Some(mut waiting) = self
            .fresh
            .pop_front_if(|waiting| waiting.disk == Disk::Going)
        {
            waiting.is_now_on_disk();
            self.deeper = true;
        }
    }

    /// What was on its way to the disk is not there.
    pub(super) fn not_kept(&mut self) {
        for waiting in self.head.iter_mut().chain(&mut self.fresh) {
            if waiting.disk == Disk::Going {
                waiting.disk = Disk::Not;
            }
        }
    }

    /// The disk is read for the first time, and has earlier events: they go before all that no connection took.
    pub(super) fn step_back(&mut self) {
        let sent = self.sent;
        let not_sent = |waiting: &mut Waiting| Some(waiting.event.position()) > sent;
        while let Some(waiting) = self.head.pop_back_if(not_sent) {
            self.fresh.push_front(waiting);
        }
        self.loaded = None;
    }

    pub(super) fn fetched(&mut self, events: Vec<Signed>, more: bool) {
        let now = Instant::now();
        for event in events {
            let position = event.position();
            // After a [step back](Self::step_back) the disk also has what is in the head, or done with.
            let is_known = |sent: Position| sent.boot == position.boot && position <= sent;
            if self.sent.is_some_and(is_known) {
                self.loaded = Some(position);
                continue;
            }
            // What the disk was asked to keep before it failed may be there all the same.
            while let Some(mut known) = self
                .fresh
                .pop_front_if(|fresh| fresh.event.position() <= position)
            {
                known.say(Fate::Kept);
            }
            let mut waiting = Waiting::new(Arc::new(event), None, now);
            waiting.disk = Disk::There;
            // One that a later start has overtaken is refused for that, and lost.
            waiting.was_sent_before = self.sent.is_none_or(|sent| sent.boot <= position.boot);
            self.append(waiting);
        }
        self.deeper = more;
    }

    /// The disk had no room for this event. True where that means that it is lost: one that is under way is not.
    pub(super) fn lost_on_disk(&mut self, position: Position) -> bool {
        let Some(index) = self.index(position) else {
            return true;
        };
        match self.head[index].state {
            State::Due => {
                self.head.remove(index);
                true
            }
            State::UnderWay => {
                self.head[index].disk = Disk::Not;
                false
            }
        }
    }

    /// Fills the head with what is fresh, where nothing is between them.
    pub(super) fn move_up(&mut self) {
        while !self.deeper && self.has_room() {
            let Some(waiting) = self.fresh.pop_front() else {
                return;
            };
            self.append(waiting);
        }
    }

    /// Since when the oldest of what may be dropped has waited: it is in memory alone and not on its way to the disk.
    pub(super) fn oldest_droppable(&self, kind: Kind) -> Option<Instant> {
        let oldest = self.fresh.iter().find(|waiting| waiting.is_droppable(kind));
        oldest.map(|waiting| waiting.since)
    }

    pub(super) fn drop_oldest(&mut self, kind: Kind) -> Option<Waiting> {
        let index = self
            .fresh
            .iter()
            .position(|waiting| waiting.is_droppable(kind))?;
        self.fresh.remove(index)
    }

    pub(super) fn fresh_len(&self) -> usize {
        self.fresh.len()
    }

    pub(super) fn fresh_bytes(&self) -> usize {
        self.fresh
            .iter()
            .map(|waiting| waiting.event.envelope.len())
            .sum()
    }

    pub(super) fn unkept(&self) -> usize {
        let all = self.head.iter().chain(&self.fresh);
        all.filter(|waiting| waiting.disk != Disk::There).count()
    }

    pub(super) fn is_done(&self) -> bool {
        self.head.is_empty() && self.fresh.is_empty() && !self.deeper
    }

    fn has_room(&self) -> bool {
        let bytes: usize = self
            .head
            .iter()
            .map(|waiting| waiting.event.envelope.len())
            .sum();
        self.head.len() < HEAD_EVENTS && bytes < HEAD_BYTES
    }

    fn append(&mut self, waiting: Waiting) {
        self.loaded = Some(waiting.event.position());
        self.head.push_back(waiting);
    }

    fn index(&self, position: Position) -> Option<usize> {
        self.head
            .iter()
            .position(|waiting| waiting.event.position() == position)
    }
}

impl Waiting {
    fn is_droppable(&self, kind: Kind) -> bool {
        self.disk == Disk::Not && self.event.kind == kind
    }
}
