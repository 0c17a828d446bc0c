//! What a viewer has left out, because the feed's clock stood still as far as anybody knew.
//!
//! The word of a resume comes later than the resume: with the block that holds it. What was accepted between the two is
//! paid, and is taken from what is kept once the word is there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ashya_protocol::{FeedId, Position};

use super::history::gone_of;
use super::{Outgoing, Viewer};
use crate::hub::{Message, Missing};
use crate::metrics::Loss;
use crate::socket::watch::Watch;
use crate::stream::StreamKey;

/// Most runs of a stream that are told apart. Beyond, the last one holds what was given out between too, which may then
/// come twice; only who watches several feeds of one device has more than one.
const MAX_RUNS: usize = 64;

/// What was left out of each stream.
#[derive(Debug, Default)]
pub(super) struct LeftOut(BTreeMap<StreamKey, Runs>);

/// What was left out of one stream since its feeds' clocks last ran.
#[derive(Debug)]
struct Runs {
    /// The feeds by which some of it may be paid.
    feeds: BTreeSet<FeedId>,
    /// Unix second of chain time at which the earliest was accepted.
    at: u64,
    /// The first and the last event of each run: whatever came between was left out too.
    runs: Vec<(Position, Position)>,
    /// Whether something else became of an event since the last run.
    ended: bool,
}

impl LeftOut {
    pub(super) fn forget(&mut self, key: &StreamKey) {
        self.0.remove(key);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&StreamKey) -> bool) {
        self.0.retain(|key, _| keep(key));
    }

    /// Takes a feed that may have paid for what was left out of a stream for others.
    pub(super) fn add(&mut self, key: &StreamKey, feed: FeedId) {
        if let Some(left_out) = self.0.get_mut(key) {
            left_out.feeds.insert(feed);
        }
    }

    /// Ends the run of a stream: something else became of its next event.
    pub(super) fn end_run(&mut self, key: &StreamKey) {
        // Hardly ever is there any.
        if let Some(left_out) = self.0.get_mut(key) {
            left_out.ended = true;
        }
    }

    /// Puts back what was left out earlier than all that is noted of a stream.
    fn put_before(&mut self, key: StreamKey, earlier: Runs) {
        let Some(later) = self.0.remove(&key) else {
            self.0.insert(key, earlier);
            return;
        };
        let mut runs = [earlier.runs, later.runs].concat();
        let cut = runs.split_off(runs.len().min(MAX_RUNS));
        if let Some((first, last)) = runs.last_mut() {
            for (from, to) in cut {
                *first = from.min(*first);
                *last = to.max(*last);
            }
        }
        let both = Runs {
            feeds: earlier.feeds.into_iter().chain(later.feeds).collect(),
            at: earlier.at.min(later.at),
            runs,
            ended: later.ended,
        };
        self.0.insert(key, both);
    }

    /// Notes an event that was left out, but may be paid by some feeds.
    fn note(&mut self, message: &Message, feeds: BTreeSet<FeedId>) {
        let (at, position) = (message.moment().at, message.position());
        let left_out = self.0.entry(message.key().clone()).or_insert(Runs {
            feeds: BTreeSet::new(),
            at,
            runs: Vec::new(),
            ended: true,
        });
        left_out.feeds.extend(feeds);
        left_out.at = left_out.at.min(at);
        // What was held back, or a replay brings, may come after what is later: it is a run by itself.
        let is_late = left_out.last() > position;
        let begins = (left_out.ended || is_late) && left_out.runs.len() < MAX_RUNS;
        match left_out.runs.last_mut().filter(|_| !begins) {
            Some((first, last)) => {
                *first = position.min(*first);
                *last = position.max(*last);
            }
            None => left_out.runs.push((position, position)),
        }
        left_out.ended = is_late;
    }
}

impl Runs {
    fn hold(&self, position: Position) -> bool {
        let mut runs = self.runs.iter();
        runs.any(|(first, last)| (*first..=*last).contains(&position))
    }

    fn first(&self) -> Position {
        let first = self.runs.iter().map(|(first, _)| *first).min();
        first.unwrap_or(Position::ORIGIN)
    }

    fn last(&self) -> Position {
        let last = self.runs.iter().map(|(_, last)| *last).max();
        last.unwrap_or(Position::ORIGIN)
    }

    /// What of it comes before a position, or all of it, for some of the feeds.
    fn until(mut self, end: Option<Position>, feeds: BTreeSet<FeedId>) -> Self {
        if let Some(end) = end {
            self.runs.retain(|(first, _)| *first < end);
            for (_, last) in &mut self.runs {
                *last = (*last).min(end.before());
            }
        }
        Self {
            feeds,
            ended: true,
            ..self
        }
    }
}

impl Viewer {
    /// Leaves out an event that nobody has paid for, as far as is known: the ledger may say of a pause later that it
    /// had ended.
    pub(super) fn leave_out(&mut self, message: &Message) {
        if self.paused_watches(message).next().is_some() {
            self.parts.metrics.dropped(Loss::Paused, 1);
        }
        self.note_left_out(message);
    }

    /// Notes an event that is left out, if the ledger may still say that it is paid; gives back whether.
    pub(super) fn note_left_out(&mut self, message: &Message) -> bool {
        let watches = self.paused_watches(message);
        let open = watches.filter(|(_, watch)| !watch.is_live() || watch.feed_has_changed());
        let feeds: BTreeSet<_> = open.map(|(feed, _)| feed).collect();
        let is_noted = !feeds.is_empty();
        if is_noted {
            self.left_out.note(message, feeds);
        }
        is_noted
    }

    /// The watches to whose feeds an event belongs, and whose clocks stood still when it came, as far as was known then or
    /// is known now.
    fn paused_watches(&self, message: &Message) -> impl Iterator<Item = (FeedId, &Watch)> {
        let watches = self.watches.iter().filter(|(feed, watch)| {
            let (moment, paid) = (message.moment(), watch.paid.as_ref());
            let stood_still =
                || paid.is_some_and(|paid| paid.runs_from(moment.at) != Some(moment.at));
            watch.is_paid()
                && watch.holds(message.key())
                && (moment.is_paused(**feed) || stood_still())
        });
        watches.map(|(feed, watch)| (*feed, &**watch))
    }

    /// Takes up, behind what was held back, what was left out for feeds whose clocks run, as far as it was paid after
    /// all.
    pub(super) fn take_up_left_out(&mut self) {
        for (key, left_out) in std::mem::take(&mut self.left_out).0 {
            self.take_up(key, left_out);
        }
    }

    fn take_up(&mut self, key: StreamKey, left_out: Runs) {
        let is_live = |feed: &FeedId| {
            let watch = self.watches.get(feed);
            watch.is_some_and(|watch| watch.is_live() && watch.holds(&key))
        };
        let (live, others): (BTreeSet<_>, _) = left_out.feeds.iter().copied().partition(is_live);
        let watches = live.iter().filter_map(|feed| self.watches.get(feed));
        let paid = watches.filter_map(|watch| watch.paid.as_ref());
        let paid_from = paid.filter_map(|paid| paid.runs_from(left_out.at)).min();
        let (Some(paid_from), Some(following)) = (paid_from, self.followed.get(&key)) else {
            self.left_out.0.insert(key, left_out);
            return;
        };
        let replay = following.look_back(left_out.first()..=left_out.last(), paid_from);
        if !replay.gone.is_empty() && replay.whole_from > paid_from {
            if self.reads_alone(&key) {
                self.read_again(&key, left_out.first(), paid_from);
                return;
            }
            let gone = replay.gone.iter();
            let gone = gone.map(|&(boot, from, to)| gone_of(&key, boot, from, to));
            self.ready.extend(gone);
        }
        let next = replay.events.first().map(|message| message.position());
        self.hold_what_is_paid(&key, &left_out, replay.events);
        if !others.is_empty() {
            let earlier = left_out.until(next, others);
            self.left_out.put_before(key, earlier);
        }
    }

    /// Whether a stream can be read from the disk again: it is kept there, and one watch alone says what is paid of it.
    fn reads_alone(&self, key: &StreamKey) -> bool {
        let watches = self.watches.values().filter(|watch| watch.holds(key));
        watches.count() == 1 && self.parts.history.keeps(&key.stream)
    }

    /// Takes a stream from the disk once more, from an event on, as far as it was accepted at the Unix second
    /// `paid_from` or later.
    fn read_again(&mut self, key: &StreamKey, first: Position, paid_from: u64) {
        self.forget_replay(key, first);
        if !self.join(key, first.before(), Missing::Refuse) {
            let after = first.before();
            self.catching_up.begin(key.clone(), after, paid_from);
        }
    }

    /// Holds back, in one order with all that waits of the stream, what was left out of some events and is paid.
    fn hold_what_is_paid(&mut self, key: &StreamKey, left_out: &Runs, events: Vec<Arc<Message>>) {
        let is_of_key = |outgoing: &Outgoing| matches!(outgoing, Outgoing::Event(message) if message.key() == key);
        let waiting = std::mem::take(&mut self.ready).into_iter();
        let (waiting, ready): (VecDeque<_>, _) = waiting.partition(is_of_key);
        self.ready = ready;
        self.held.extend(waiting);
        for message in events {
            if !left_out.hold(message.position()) {
                self.left_out.end_run(key);
            } else if self.had_paid_for(&message) {
                self.left_out.end_run(key);
                // What is missing before it was told when it was left out.
                self.held.push_back(Outgoing::Event(message));
            } else {
                self.note_left_out(&message);
            }
        }
        // What is noted next may come much later.
        self.left_out.end_run(key);
        // What was held back may have come after it, where pauses follow each other closely.
        let held = self.held.make_contiguous();
        held.sort_by_key(|outgoing| match outgoing {
            Outgoing::Event(message) => Some(message.position()),
            Outgoing::Control(_) => None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Moment;
    use crate::hub::tests::message;

    #[test]
    fn events_in_a_row_are_one_run_and_of_runs_there_is_a_most() {
        let mut left_out = LeftOut::default();
        let mut note = |seq, is_apart| {
            let event = message("detections", 3, seq, 10, Moment::default());
            if is_apart {
                left_out.end_run(event.key());
            }
            left_out.note(&event, [FeedId::new([1; 32])].into());
            left_out.0[event.key()].runs.len()
        };
        for seq in 0..3 {
            assert_eq!(note(seq, false), 1);
        }
        for number in 1..2 * MAX_RUNS {
            let seq = 10 + 2 * number as u64;
            assert_eq!(note(seq, true), MAX_RUNS.min(number + 1));
        }
    }
}
