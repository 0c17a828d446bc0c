//! Which event a viewer may see at this moment.

use std::time::Duration;

use ashya_protocol::FeedId;

use super::Viewer;
use crate::access::Access;
use crate::hub::Message;
use crate::metrics::Loss;
use crate::socket::limits::CUT_MARGIN;
use crate::socket::watch::{Phase, Watch};

/// What a viewer may do with one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// See it, until that Unix second of chain time if one is known.
    Until(Option<u64>),
    /// See it once the pause is over.
    Held,
    None,
}

impl Viewer {
    /// Whether an event that is being written may still be seen, now or after the pause.
    pub(crate) fn may_still_see(&self, message: &Message) -> bool {
        self.right_to(message) != Right::None
    }

    /// The best right to an event, by any watch, at this moment.
    pub(super) fn right_to(&self, message: &Message) -> Right {
        let earliest = self.parts.clock.now() + CUT_MARGIN;
        let mut best = Right::None;
        for (feed, watch) in &self.watches {
            if !watch.holds(message.key()) || !watch.has_paid_for(*feed, message) {
                continue;
            }
            match (watch.phase, best) {
                (Phase::Live { until: None }, _) => return Right::Until(None),
                (Phase::Live { until: Some(until) }, _)
                    if earliest < Duration::from_secs(until) =>
                {
                    let other = match best {
                        Right::Until(other) => other,
                        Right::Held | Right::None => None,
                    };
                    best = Right::Until(other.max(Some(until)));
                }
                (Phase::Held, Right::None) => best = Right::Held,
                (Phase::Live { .. } | Phase::Held | Phase::Unpaid, _) => {}
            }
        }
        best
    }

    /// Counts an event that nobody had to pay for, since the feed's clock stood still.
    pub(super) fn count_paused(&self, message: &Message) {
        let mut watches = self.watches.iter();
        if watches.any(|(feed, watch)| {
            watch.is_paid() && watch.holds(message.key()) && !message.moment().runs(*feed)
        }) {
            self.parts.metrics.dropped(Loss::Paused, 1);
        }
    }

    pub(super) fn access(&self, feed: FeedId) -> Access {
        let now = self.parts.clock.now_seconds();
        self.parts.index.access(feed, self.wallet, now)
    }

    /// What the wallet has paid of a feed: half-open windows of feed time.
    pub(super) fn paid(&self, feed: FeedId) -> Vec<(u64, u64)> {
        let subscriptions = self.parts.index.subscriptions_of(self.wallet).into_iter();
        subscriptions
            .filter(|paid| paid.feed == feed && paid.beneficiary == self.wallet)
            .map(|paid| (paid.start, paid.expiry))
            .collect()
    }
}

impl Watch {
    /// History is sold like the present: only what was accepted inside the wallet's own paid, unpaused time.
    pub(super) fn has_paid_for(&self, feed: FeedId, message: &Message) -> bool {
        let is_owner = self.phase == Phase::Live { until: None };
        is_owner || message.moment().is_within(feed, &self.paid)
    }
}
