use ashya_contracts::FeedClock;

use super::Pauses;

/// What one wallet has paid of one feed, now and before, and when the feed's clock stood still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paid {
    /// Half-open windows of feed time.
    pub(super) windows: Vec<(u64, u64)>,
    pub(super) clock: FeedClock,
    pub(super) pauses: Pauses,
}

impl Paid {
    /// What was paid: half-open windows of feed time.
    pub(crate) fn windows(&self) -> &[(u64, u64)] {
        &self.windows
    }

    /// The first Unix second from `at` on in which the feed's clock ran, if it has run since.
    pub(crate) fn runs_from(&self, at: u64) -> Option<u64> {
        self.pauses.runs_from(&self.clock, at)
    }

    /// When the purchase began that ends last, in feed time.
    pub(super) fn last_start(&self) -> Option<u64> {
        let last = self.windows.iter().max_by_key(|(_, expiry)| *expiry);
        last.map(|(start, _)| *start)
    }

    /// Whether the wallet had paid for the Unix second `at`, and the clock ran; gives back the feed time.
    pub(crate) fn paid_time_at(&self, at: u64) -> Option<u64> {
        let time = self.pauses.feed_time_at(&self.clock, at)?;
        let mut windows = self.windows.iter();
        let is_paid = windows.any(|&(start, expiry)| start <= time && time < expiry);
        is_paid.then_some(time)
    }
}
