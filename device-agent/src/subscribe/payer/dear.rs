//! Gas that was dearer than expected, and is so for a while.

use std::time::Duration;

use ashya_protocol::Wei;
use tokio::time::Instant;

/// How long such a price is believed: five blocks of the main chain. A spike must not end a purchase later on.
const BELIEVED_FOR: Duration = Duration::from_secs(60);

/// What the gas of a payment was found to cost, where that was more than expected.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dear(Option<(Wei, Instant)>);

impl Dear {
    /// A payment was drafted that costs up to so much.
    pub(super) fn found(fee: Wei, now: Instant) -> Self {
        Self(Some((fee, now)))
    }

    /// What gas costs at least, as far as it is known now; nothing where it is not.
    pub(super) fn at(self, now: Instant) -> Wei {
        let recent = |(_, found): &(Wei, Instant)| now.duration_since(*found) < BELIEVED_FOR;
        let known = self.0.filter(recent);
        known.map_or_else(Wei::default, |(fee, _)| fee)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_passes() {
        let (now, fee) = (Instant::now(), Wei::new(7));
        let dear = Dear::found(fee, now);
        for (seconds, known) in [(0, fee), (59, fee), (60, Wei::default())] {
            let later = now + Duration::from_secs(seconds);
            assert_eq!(dear.at(later), known, "{seconds}");
        }
        assert_eq!(Dear::default().at(now), Wei::default());
    }
}
