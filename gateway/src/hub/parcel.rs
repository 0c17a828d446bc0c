use std::sync::{Arc, OnceLock};

use ashya_protocol::FeedId;

use super::queue::{MAX_PICTURES, MAX_SMALL};
use super::{Encoding, Message};

/// Most bytes that a lane writes for a socket at once.
const MAX_BYTES: usize = 256 * 1024;

/// Events of one stream that came together, with their frames in one piece, made once for everybody who gets them.
#[derive(Debug)]
pub(super) struct Parcel {
    events: Vec<Arc<Message>>,
    fits: bool,
    /// Whether the gateway has missed something before one of them.
    has_gap: bool,
    /// The feeds whose clocks ran at each of them, in their order, with the first and the last time.
    feed_times: Vec<(FeedId, u64, u64)>,
    /// The frames of several events; a single one has its own.
    binary: OnceLock<Vec<u8>>,
    json: OnceLock<Vec<u8>>,
}

impl Parcel {
    pub(super) fn new(events: &[Arc<Message>]) -> Self {
        let pictures = events.iter().filter(|event| event.is_picture());
        let bytes: usize = events.iter().map(|event| event.bytes()).sum();
        let is_queued_whole = pictures.count() <= MAX_PICTURES && events.len() <= MAX_SMALL;
        Self {
            fits: is_queued_whole && bytes <= MAX_BYTES,
            has_gap: events.iter().any(|event| event.lost().is_some()),
            feed_times: feed_times(events),
            events: events.to_vec(),
            binary: OnceLock::new(),
            json: OnceLock::new(),
        }
    }

    pub(super) fn events(&self) -> &[Arc<Message>] {
        &self.events
    }

    /// Whether a lane takes it at once, and an empty queue all of it.
    pub(super) const fn fits(&self) -> bool {
        self.fits
    }

    /// Whether something is missing before one of the events, which has to be told.
    pub(super) const fn has_gap(&self) -> bool {
        self.has_gap
    }

    /// Whether the feed's clock ran at all of the events, and showed times within a half-open window.
    pub(super) fn is_within(&self, feed: FeedId, (start, expiry): (u64, u64)) -> bool {
        let times = &self.feed_times;
        let found = times.binary_search_by_key(&feed, |(id, ..)| *id);
        found.is_ok_and(|index| start <= times[index].1 && times[index].2 < expiry)
    }

    /// The frames.
    pub(super) fn frames(&self, encoding: Encoding) -> &[u8] {
        if let [one] = &*self.events {
            return one.frame(encoding);
        }
        let made = match encoding {
            Encoding::Binary => &self.binary,
            Encoding::Json => &self.json,
        };
        made.get_or_init(|| {
            let frames = self.events.iter().map(|event| event.frame(encoding));
            frames.collect::<Vec<_>>().concat()
        })
    }
}

/// The feeds whose clocks ran at each of the events, in their order, with the least and the greatest time.
fn feed_times(events: &[Arc<Message>]) -> Vec<(FeedId, u64, u64)> {
    let mut moments = events.iter().map(|event| &event.moment().feed_times);
    let first = moments.next().into_iter().flatten();
    let mut times: Vec<_> = first.map(|&(feed, time)| (feed, time, time)).collect();
    for moment in moments {
        // A device may have many feeds: both lists are walked once.
        let mut rest = moment.iter().peekable();
        times.retain_mut(|(feed, first, last)| {
            while rest.next_if(|(id, _)| id < feed).is_some() {}
            let Some((_, time)) = rest.next_if(|(id, _)| id == feed) else {
                return false;
            };
            (*first, *last) = ((*first).min(*time), (*last).max(*time));
            true
        });
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Moment;
    use crate::hub::tests::message;
    use crate::stream::Gap;

    const FEEDS: [FeedId; 2] = [FeedId::new([1; 32]), FeedId::new([2; 32])];

    fn event(feed_times: &[(usize, u64)]) -> Arc<Message> {
        let times = feed_times.iter().map(|(feed, time)| (FEEDS[*feed], *time));
        let moment = Moment {
            at: 0,
            feed_times: times.collect(),
            paused: Vec::new(),
        };
        Arc::new(message("detections", 1, 0, 10, moment))
    }

    #[test]
    fn a_parcel_is_paid_where_each_of_its_events_is() {
        let parcels = [
            vec![event(&[(0, 5)])],
            vec![event(&[(0, 5), (1, 9)]), event(&[(0, 6), (1, 7)])],
            vec![event(&[(0, 7)]), event(&[(0, 5)]), event(&[(0, 6)])],
            vec![event(&[(0, 5), (1, 5)]), event(&[(1, 6)])],
            vec![event(&[]), event(&[(0, 5)])],
        ];
        let mut paid = 0;
        for (index, events) in parcels.iter().enumerate() {
            let parcel = Parcel::new(events);
            for feed in FEEDS {
                for window in (4..=10).flat_map(|start| (start..=10).map(move |end| (start, end))) {
                    let is_paid = |event: &Arc<Message>| event.moment().is_within(feed, &[window]);
                    let expected = events.iter().all(is_paid);
                    assert_eq!(
                        parcel.is_within(feed, window),
                        expected,
                        "{index} {window:?}"
                    );
                    paid += usize::from(expected);
                }
            }
        }
        assert!(paid > 20, "{paid}");
    }

    #[test]
    fn a_gap_before_any_of_its_events_shows() {
        let seq = |seq: u64| seq.try_into().unwrap();
        let lost = Gap {
            from: seq(1),
            to: seq(1),
        };
        let (first, second) = (
            event(&[]),
            message("detections", 1, 2, 10, Moment::default()),
        );
        assert!(!Parcel::new(std::slice::from_ref(&first)).has_gap());
        assert!(Parcel::new(&[first, Arc::new(second.after(lost))]).has_gap());
    }
}
