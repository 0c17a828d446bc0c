//! Gaps, replays and reorderings: what the numbers of a stream's events tell.

use std::collections::BTreeMap;

use ashya_protocol::limits::MAX_STREAMS;
use ashya_protocol::{Boot, Position, Seq, StreamName};

/// The last event of each stream, and what the gateway has told of missing ones since.
#[derive(Debug, Default)]
pub(crate) struct Order {
    last: BTreeMap<StreamName, Position>,
    told: BTreeMap<StreamName, Told>,
}

/// Up to where the gateway has owned up to missing events of a start.
#[derive(Debug, Clone, Copy)]
struct Told {
    boot: Boot,
    to: Seq,
}

/// Missing events, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) boot: Boot,
    pub(crate) from: Seq,
    pub(crate) to: Seq,
}

impl Missing {
    /// How many they are.
    pub(crate) fn count(self) -> u64 {
        (self.to.get() + 1).saturating_sub(self.from.get())
    }
}

/// What the number of an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is new. Some before it may be missing without a word of the gateway.
    New(Option<Missing>),
    /// It came before, or was overtaken by a later one: events never go back.
    Old,
}

impl Order {
    /// Begins after these.
    pub(crate) fn after(last: BTreeMap<StreamName, Position>) -> Self {
        Self {
            last,
            told: BTreeMap::new(),
        }
    }

    /// The last event of each stream.
    pub(crate) fn last(&self) -> &BTreeMap<StreamName, Position> {
        &self.last
    }

    /// Forgets everything, since the feed has another device.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What the number of an event says. The first of a stream, and of a new start, may have any number: what was before
    /// is not ours, or cannot be known.
    pub(crate) fn place(&self, stream: &StreamName, position: Position) -> Place {
        let last = self.last.get(stream).copied();
        if last.is_some_and(|last| position <= last) {
            return Place::Old;
        }
        let expected = match last {
            Some(last) if last.boot == position.boot => last.seq.get() + 1,
            // Every start counts from zero.
            Some(_) => 0,
            None => return Place::New(None),
        };
        let told = self.told.get(stream);
        let told = told.filter(|told| told.boot == position.boot);
        let expected = told.map_or(expected, |told| expected.max(told.to.get() + 1));
        let missing = (expected < position.seq.get()).then(|| Missing {
            boot: position.boot,
            from: bounded(expected),
            to: bounded(position.seq.get() - 1),
        });
        Place::New(missing)
    }

    /// Remembers an event that was handed on. One that was not is to come again.
    pub(crate) fn accept(&mut self, stream: &StreamName, position: Position) {
        self.last.insert(stream.clone(), position);
    }

    /// Hears from the gateway that events are missing. No feed has more streams than [`MAX_STREAMS`]: what is told of
    /// others is not remembered.
    pub(crate) fn hear(&mut self, stream: &StreamName, missing: Missing) {
        let told = Told {
            boot: missing.boot,
            to: missing.to,
        };
        let is_full = self.told.len() >= MAX_STREAMS;
        match self.told.get_mut(stream) {
            Some(old) if (old.boot, old.to) < (told.boot, told.to) => *old = told,
            None if !is_full => {
                self.told.insert(stream.clone(), told);
            }
            Some(_) | None => {}
        }
    }
}

/// Between two numbers that are in range.
fn bounded(number: u64) -> Seq {
    Seq::try_from(number).expect("it is below the number of an event")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: u64, seq: u64) -> Position {
        Position {
            boot: boot.try_into().unwrap(),
            seq: seq.try_into().unwrap(),
        }
    }

    fn missing(boot: u64, from: u64, to: u64) -> Missing {
        Missing {
            boot: boot.try_into().unwrap(),
            from: from.try_into().unwrap(),
            to: to.try_into().unwrap(),
        }
    }

    /// An event that comes and is handed on.
    fn take(order: &mut Order, stream: &StreamName, position: Position) -> Place {
        let place = order.place(stream, position);
        if place != Place::Old {
            order.accept(stream, position);
        }
        place
    }

    #[test]
    fn an_event_that_was_not_handed_on_comes_again() {
        let stream: StreamName = "detections".parse().unwrap();
        let mut order = Order::after([(stream.clone(), at(1, 4))].into());
        for _ in 0..2 {
            let gap = Place::New(Some(missing(1, 5, 5)));
            assert_eq!(order.place(&stream, at(1, 6)), gap);
            assert_eq!(order.last()[&stream], at(1, 4));
        }
        order.accept(&stream, at(1, 6));
        assert_eq!(order.place(&stream, at(1, 6)), Place::Old);
    }

    #[test]
    fn told_gaps_take_no_more_room_than_a_feed_has_streams() {
        let mut order = Order::default();
        let names = (0..10_000).map(|number| format!("s{number}").parse().unwrap());
        let names: Vec<StreamName> = names.collect();
        for name in &names {
            order.hear(name, missing(1, 0, 4));
        }
        assert_eq!(order.told.len(), MAX_STREAMS);
        // Those that are known are still followed.
        let first = &names[0];
        order.hear(first, missing(1, 5, 9));
        assert_eq!(order.told[first].to, missing(1, 5, 9).to);
    }

    #[test]
    fn places() {
        let stream: StreamName = "detections".parse().unwrap();
        let other: StreamName = "frames".parse().unwrap();
        let mut order = Order::default();
        for (name, position, place) in [
            ("the first may have any number", at(1, 7), Place::New(None)),
            ("the next", at(1, 8), Place::New(None)),
            ("a replay", at(1, 8), Place::Old),
            ("one that was overtaken", at(1, 7), Place::Old),
            ("a gap", at(1, 12), Place::New(Some(missing(1, 9, 11)))),
            ("out of the gap, too late", at(1, 10), Place::Old),
            ("a new start", at(5, 0), Place::New(None)),
            ("an old start", at(1, 13), Place::Old),
            (
                "a start with a gap",
                at(6, 2),
                Place::New(Some(missing(6, 0, 1))),
            ),
        ] {
            assert_eq!(take(&mut order, &stream, position), place, "{name}");
        }
        assert_eq!(take(&mut order, &other, at(1, 3)), Place::New(None));
        assert_eq!(order.last()[&stream], at(6, 2));
    }

    #[test]
    fn a_gap_that_was_told_is_no_news() {
        let stream: StreamName = "frames".parse().unwrap();
        let mut order = Order::after([(stream.clone(), at(1, 4))].into());
        order.hear(&stream, missing(1, 5, 9));
        assert_eq!(take(&mut order, &stream, at(1, 10)), Place::New(None));
        order.hear(&stream, missing(1, 11, 12));
        let rest = Place::New(Some(missing(1, 13, 14)));
        assert_eq!(
            take(&mut order, &stream, at(1, 15)),
            rest,
            "more than was told"
        );
        order.hear(&stream, missing(1, 16, 99));
        assert_eq!(take(&mut order, &stream, at(2, 0)), Place::New(None));
        assert_eq!(take(&mut order, &stream, at(2, 1)), Place::New(None));
        order.clear();
        assert_eq!(take(&mut order, &stream, at(1, 0)), Place::New(None));
    }
}
