//! What a viewer has left out, because the feed's clock stood still as far as anybody knew.
//!
//! The word of a resume comes later than the resume: with the block that holds it. What was accepted between the two is
//! paid, and is taken from what is kept once the word is there.

use std::collections::BTreeMap;

use ashya_protocol::Position;

use super::history::gone_of;
use super::{Outgoing, Viewer};
use crate::hub::Message;
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
#[derive(Debug, Clone)]
struct Runs {
    /// Unix second of chain time at which the first was accepted.
    at: u64,
    /// The first and the last event of each run, in order: whatever came between was left out too.
    runs: Vec<(Position, Position)>,
    /// Whether something was given out or held back since the last run.
    ended: bool,
}

impl LeftOut {
    pub(super) fn forget(&mut self, key: &StreamKey) {
        self.0.remove(key);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&StreamKey) -> bool) {
        self.0.retain(|key, _| keep(key));
    }

    /// Notes an event that was given out or held back.
    pub(super) fn note_given(&mut self, message: &Message) {
        // Hardly ever is there anything.
        if let Some(left_out) = self.0.get_mut(message.key()) {
            left_out.ended = true;
        }
    }

    /// Notes an event that was left out.
    fn note(&mut self, message: &Message) {
        let (at, position) = (message.moment().at, message.position());
        let left_out = self.0.entry(message.key().clone()).or_insert(Runs {
            at,
            runs: Vec::new(),
            ended: true,
        });
        let begins = left_out.ended && left_out.runs.len() < MAX_RUNS;
        match left_out.runs.last_mut().filter(|_| !begins) {
            Some((_, last)) => *last = position,
            None => left_out.runs.push((position, position)),
        }
        left_out.ended = false;
    }
}

impl Runs {
    fn hold(&self, position: Position) -> bool {
        let mut runs = self.runs.iter();
        runs.any(|(first, last)| (*first..=*last).contains(&position))
    }

    fn first(&self) -> Option<Position> {
        self.runs.first().map(|(first, _)| *first)
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
        let mut watches = self.paused_watches(message);
        let is_noted = watches.any(|watch| !watch.is_live() || watch.feed_has_changed());
        drop(watches);
        if is_noted {
            self.left_out.note(message);
        }
        is_noted
    }

    /// The watches to whose feeds an event belongs, and whose clocks stood still when it came.
    fn paused_watches(&self, message: &Message) -> impl Iterator<Item = &Watch> {
        let watches = self.watches.iter().filter(|(feed, watch)| {
            watch.is_paid() && watch.holds(message.key()) && message.moment().is_paused(**feed)
        });
        watches.map(|(_, watch)| &**watch)
    }

    /// Takes up, behind what was held back, what was left out of the streams whose feeds' clocks run, as far as it was
    /// paid after all.
    pub(super) fn take_up_left_out(&mut self) {
        for (key, left_out) in std::mem::take(&mut self.left_out).0 {
            let mut watches = self.watches.values();
            if watches.any(|watch| watch.is_live() && watch.holds(&key)) {
                self.take_up(&key, &left_out);
            } else {
                self.left_out.0.insert(key, left_out);
            }
        }
    }

    fn take_up(&mut self, key: &StreamKey, left_out: &Runs) {
        let (Some(first), Some(following)) = (left_out.first(), self.followed.get(key)) else {
            return;
        };
        let replay = following.look_back(first.before());
        let paid_from = self.watches.iter().filter(|(_, watch)| watch.holds(key));
        let paid_from =
            paid_from.filter_map(|(_, watch)| watch.paid.as_ref()?.runs_from(left_out.at));
        let is_whole =
            replay.gone.is_empty() || paid_from.min().is_none_or(|from| replay.whole_from <= from);
        if !is_whole && self.parts.history.keeps(&key.stream) {
            let held = self.held.iter().find_map(|outgoing| match outgoing {
                Outgoing::Event(message) if message.key() == key => Some(message.position()),
                Outgoing::Event(_) | Outgoing::Control(_) => None,
            });
            return self.replay(key, held.map_or(first, |held| held.min(first)).before());
        }
        if !is_whole {
            let gone = replay.gone.iter();
            self.ready
                .extend(gone.map(|&(boot, from, to)| gone_of(key, boot, from, to)));
        }
        let held_before = self.held.len();
        for message in replay.events {
            if !left_out.hold(message.position()) {
                self.left_out.note_given(&message);
            } else if self.had_paid_for(&message) {
                self.left_out.note_given(&message);
                // What is missing before it was told when it was left out.
                self.held.push_back(Outgoing::Event(message));
            } else {
                self.note_left_out(&message);
            }
        }
        if held_before > 0 {
            // What was held back may have come after it, where pauses follow each other closely.
            let held = self.held.make_contiguous();
            held.sort_by_key(|outgoing| match outgoing {
                Outgoing::Event(message) => Some(message.position()),
                Outgoing::Control(_) => None,
            });
        }
    }
}
