use std::time::Duration;

use ashya_contracts::FeedClock;
use ashya_protocol::Address;

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
/// `silent` is the time since its last event, `limit` what its owner allows, `own` the gateway's wallet. A pause of
/// anybody else's is left alone, and so is a retired feed, whose last hour only its owner may hold.
pub(super) fn decide(
    clock: &FeedClock,
    own: Address,
    silent: Duration,
    limit: Duration,
) -> Option<Step> {
    if clock.retires_at.is_some() {
        return None;
    }
    match clock.paused_at {
        None => (silent >= limit).then_some(Step::Pause),
        Some(_) => (silent < limit && clock.paused_by == Some(own)).then_some(Step::Resume),
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
        for (what, clock, silent, expected) in [
            ("running, heard", running, 59, None),
            ("running, silent", running, 60, Some(Step::Pause)),
            ("our pause, still silent", paused_by(own), 60, None),
            ("our pause, heard", paused_by(own), 59, Some(Step::Resume)),
            ("the owner's pause, heard", paused_by(owner), 0, None),
            ("the owner's pause, silent", paused_by(owner), 99, None),
            ("retired, silent", retired(running), 99, None),
            (
                "retired in our pause, heard",
                retired(paused_by(own)),
                0,
                None,
            ),
        ] {
            let (silent, limit) = (Duration::from_secs(silent), Duration::from_secs(60));
            assert_eq!(decide(&clock, own, silent, limit), expected, "{what}");
        }
    }
}
