use std::time::Duration;

use ashya_contracts::FeedClock;
use ashya_protocol::Address;

use super::heard::{Run, Silence};

/// What to do about a feed's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Its device is silent: stop the clock.
    Pause,
    /// Its device is back: lift our own pause.
    Resume,
}

/// What a device's silence asks for.
///
/// `limit` is what its owner allows, `own` the gateway's wallet. Only an event of this run shows that a device is back:
/// the gateway's own start does not. A pause of anybody else's is left alone, and so is a retired feed, whose last hour
/// only its owner may hold.
pub(super) fn decide(
    clock: &FeedClock,
    own: Address,
    silence: Silence,
    limit: Duration,
) -> Option<Step> {
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
    use super::*;

    #[test]
    fn what_silence_asks_for() {
        let (own, owner) = (Address::new([1; 20]), Address::new([2; 20]));
        let running = FeedClock {
            base: 1000,
            paused_at: None,
            paused_total: 0,
            paused_by: None,
            retires_at: None,
        };
        let paused_by = |who| FeedClock {
            paused_at: Some(2000),
            paused_by: Some(who),
            ..running
        };
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
