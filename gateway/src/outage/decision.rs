use std::time::Duration;

use ashya_contracts::FeedClock;
use ashya_protocol::Address;
use ashya_protocol::limits::OUTAGE_SECONDS;
use tokio::time::Instant;

use super::heard::{Heard, Run, Silence};
use crate::ledger_index::FeedView;

/// What to do about a feed's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Its device is silent: stop the clock.
    Pause,
    /// Its device is back: lift our own pause.
    Resume,
}

/// What is to be done about a feed at an instant, when the chain's clock shows `chain_now` (Unix seconds).
///
/// A feed whose listing promises nothing is left alone, save that the gateway lifts its own pause: the listing may have
/// changed since.
pub(super) fn step_for(
    feed: &FeedView,
    own: Address,
    heard: &Heard,
    now: Instant,
    chain_now: u64,
) -> Option<Step> {
    let listing = feed.sold.as_ref().map(|document| &document.listing);
    let promised = listing.and_then(|listing| listing.outage_seconds);
    let promised = promised.map(|seconds| Duration::from_secs(seconds.into()));
    let limit = promised.or_else(|| limit_of_own_pause(&feed.clock, own, chain_now))?;
    let last = match listing {
        Some(listing) => heard.last(feed.device, listing.stream_names()),
        None => heard.last_of_any(feed.device),
    };
    decide(&feed.clock, own, last?.silence(now), limit)
}

/// What counts as silence in a pause of the gateway's own, where the listing does not say it: an event shows that the
/// device is back if it came since the pause, and not longer ago than any listing may allow.
fn limit_of_own_pause(clock: &FeedClock, own: Address, chain_now: u64) -> Option<Duration> {
    let paused_at = clock.paused_at.filter(|_| clock.paused_by == Some(own))?;
    let longest = u64::from(*OUTAGE_SECONDS.end());
    let since = chain_now.saturating_sub(paused_at);
    Some(Duration::from_secs(since.min(longest)))
}

/// What a device's silence asks for.
///
/// `limit` is what its owner allows, `own` the gateway's wallet. Only an event of this run shows that a device is back:
/// the gateway's own start does not. A pause of anybody else's is left alone, and so is a retired feed, whose last hour
/// only its owner may hold.
fn decide(clock: &FeedClock, own: Address, silence: Silence, limit: Duration) -> Option<Step> {
    if clock.retires_at.is_some() {
        return None;
    }
    let silent = silence.length >= limit;
    match clock.paused_at {
        None => silent.then_some(Step::Pause),
        Some(_) => {
            let back = !silent && silence.since == Run::This;
            (back && clock.paused_by == Some(own)).then_some(Step::Resume)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ashya_protocol::{DeviceId, FeedId, Hash, Listing, ListingStream, StreamName, Wei};

    use super::*;
    use crate::ledger_index::ListingDocument;

    const OWN: Address = Address::new([1; 20]);
    const CAMERA: DeviceId = DeviceId::new([3; 20]);
    const RUNNING: FeedClock = FeedClock {
        base: 1000,
        paused_at: None,
        paused_total: 0,
        paused_by: None,
        retires_at: None,
    };

    fn paused_by(who: Address) -> FeedClock {
        FeedClock {
            paused_at: Some(2000),
            paused_by: Some(who),
            ..RUNNING
        }
    }

    /// A listing of `detections`.
    fn listing(outage_seconds: Option<u32>) -> Arc<ListingDocument> {
        let listing = Listing {
            description: String::new(),
            device: CAMERA,
            name: "gate".parse().unwrap(),
            outage_seconds,
            privacy: String::new(),
            streams: vec![ListingStream {
                events_per_minute: 60,
                name: "detections".parse().unwrap(),
            }],
            title: "Gate".into(),
        };
        Arc::new(ListingDocument {
            hash: Hash::ZERO,
            text: listing.to_canonical_json().unwrap(),
            listing,
        })
    }

    fn feed(clock: FeedClock, sold: Option<Arc<ListingDocument>>) -> FeedView {
        FeedView {
            id: FeedId::new([4; 32]),
            device: CAMERA,
            name: "gate".parse().unwrap(),
            owner: Address::new([2; 20]),
            price: Wei::new(5),
            listing: Hash::ZERO,
            clock,
            // Those who have paid count, whether or not it is shown to others.
            document: None,
            sold,
        }
    }

    #[test]
    fn what_is_done_about_a_feed_whose_listing_has_changed() {
        let (promise, none, unknown) = (Some(listing(Some(60))), Some(listing(None)), None);
        let (ours, owners) = (paused_by(OWN), paused_by(Address::new([2; 20])));
        let (pause, resume) = (Some(Step::Pause), Some(Step::Resume));
        // The pauses began at 2000, and it is 2300 now.
        for (clock, document, stream, silence, expected) in [
            (RUNNING, &promise, "detections", 70, pause),
            (ours, &promise, "detections", 50, resume),
            (ours, &promise, "detections", 70, None),
            (RUNNING, &none, "detections", 9_999, None),
            (ours, &none, "detections", 50, resume),
            (ours, &none, "detections", 299, resume),
            // That was before the pause.
            (ours, &none, "detections", 301, None),
            // That is not sold.
            (ours, &none, "status", 50, None),
            (owners, &none, "detections", 50, None),
            (RUNNING, &unknown, "detections", 9_999, None),
            (ours, &unknown, "detections", 50, resume),
            // Nobody here knows what is sold.
            (ours, &unknown, "status", 50, resume),
            (ours, &unknown, "status", 301, None),
            (owners, &unknown, "detections", 50, None),
        ] {
            let (heard, start) = (Heard::default(), Instant::now());
            let name: StreamName = stream.parse().unwrap();
            heard.note(CAMERA, &name, start);
            let now = start + Duration::from_secs(silence);
            let feed = feed(clock, document.clone());
            let step = step_for(&feed, OWN, &heard, now, 2_300);
            assert_eq!(step, expected, "{stream} {silence} s ago: {feed:?}");
        }
    }

    #[test]
    fn an_old_event_does_not_lift_an_older_pause() {
        let day = u64::from(*OUTAGE_SECONDS.end());
        for (silence, expected) in [(day - 1, Some(Step::Resume)), (day, None)] {
            let (heard, start) = (Heard::default(), Instant::now());
            heard.note(CAMERA, &"status".parse().unwrap(), start);
            let now = start + Duration::from_secs(silence);
            let paused = feed(paused_by(OWN), None);
            let step = step_for(&paused, OWN, &heard, now, 2_000 + 2 * day);
            assert_eq!(step, expected, "{silence}");
        }
    }

    #[test]
    fn what_silence_asks_for() {
        let (own, owner) = (OWN, Address::new([2; 20]));
        let running = RUNNING;
        let retired = |clock| FeedClock {
            retires_at: Some(3600),
            ..clock
        };
        let heard = |seconds| (Run::This, seconds);
        let remembered = |seconds| (Run::Earlier, seconds);
        for (what, clock, silence, expected) in [
            ("running", running, heard(59), None),
            ("running", running, heard(60), Some(Step::Pause)),
            ("running", running, remembered(59), None),
            ("running", running, remembered(60), Some(Step::Pause)),
            ("our pause", paused_by(own), heard(60), None),
            ("our pause", paused_by(own), heard(59), Some(Step::Resume)),
            ("our pause", paused_by(own), remembered(0), None),
            ("our pause", paused_by(own), remembered(60), None),
            ("the owner's pause", paused_by(owner), heard(0), None),
            ("the owner's pause", paused_by(owner), heard(99), None),
            ("retired", retired(running), heard(99), None),
            (
                "retired in our pause",
                retired(paused_by(own)),
                heard(0),
                None,
            ),
        ] {
            let (since, seconds) = silence;
            let length = Duration::from_secs(seconds);
            let limit = Duration::from_secs(60);
            let step = decide(&clock, own, Silence { length, since }, limit);
            assert_eq!(step, expected, "{what}, {silence:?}");
        }
    }
}
