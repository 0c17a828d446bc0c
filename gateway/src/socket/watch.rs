use std::collections::BTreeSet;
use std::future::Future;

use ashya_protocol::rest::FeedState;
use ashya_protocol::ws::ErrorCode;
use ashya_protocol::{DeviceId, Offer, StreamName};
use thiserror::Error;
use tokio::sync::watch;

use super::limits::EXPIRY_NOTICE_SECONDS;
use super::signals::{Cause, Silencer};
use crate::access::Access;
use crate::ledger_index::{FeedView, Paid};
use crate::stream::StreamKey;

/// One feed that a client has asked for.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) device: DeviceId,
    /// The streams asked for; all when `None`.
    pub(super) wanted: Option<BTreeSet<StreamName>>,
    /// The streams that it gets.
    pub(super) streams: Box<[StreamName]>,
    pub(super) phase: Phase,
    /// Unix second of chain time at which it was asked for.
    pub(super) asked_at: u64,
    /// Unix second at which an unpaid watch begins, where what was paid has not begun.
    pub(super) begins: Option<u64>,
    /// What the wallet has paid of it.
    pub(super) paid: Option<Paid>,
    /// Tells what has changed since it was looked at.
    pub(super) changes: Changes,
    /// What a client that has not paid was told last: how to pay, or why nobody can.
    pub(super) told: Option<Result<Offer, FeedState>>,
    /// Whether the client takes its device to be there, as it does unless told otherwise.
    pub(super) online: bool,
    /// Whether the coming end was told.
    pub(super) reminded: bool,
    /// Ends the wait for the next change.
    pub(super) _await: Silencer,
}

/// What concerns a watch, and changes without its doing.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    /// The feed, and what the wallet has paid of it.
    pub(super) feed: watch::Receiver<u64>,
    /// Whether its device is there.
    pub(super) presence: watch::Receiver<bool>,
    /// The steps of the chain's clock.
    pub(super) clock: watch::Receiver<u64>,
}

/// Where a watch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not paid: nothing is sent until it is.
    Unpaid,
    /// Events flow until that Unix second; without end for the feed's owner.
    Live { until: Option<u64> },
    /// Paid, but the feed's clock stands still.
    Held,
}

/// What a look at the access has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    Begun,
    /// The end has moved.
    Moved,
    Paused,
    Resumed,
    Ended,
}

/// Why a watch cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum WatchRefusal {
    #[error("No such feed on the ledger.")]
    UnknownFeed,
    #[error("The gateway shows no listing of this feed; an owner who may sell here has to put it.")]
    ListingMissing,
    #[error("The feed does not hold one of these streams.")]
    UnknownStream,
    #[error("A socket may watch 256 feeds.")]
    TooManyWatches,
    #[error("The gateway has no current view of the chain; try again soon.")]
    ChainUnavailable,
}

impl Changes {
    /// The next change of any of them after what was seen.
    pub(super) fn next(&self) -> impl Future<Output = Cause> + Send + use<> {
        let mut of = self.clone();
        async move {
            tokio::select! {
                biased;
                _ = of.feed.changed() => Cause::Feed,
                _ = of.presence.changed() => Cause::Presence,
                _ = of.clock.changed() => Cause::Clock,
            }
        }
    }
}

impl Watch {
    /// Unix second at which access ends, as messages tell it.
    pub(super) const fn expires_at(&self) -> Option<u64> {
        match self.phase {
            Phase::Live { until } => until,
            Phase::Unpaid | Phase::Held => None,
        }
    }

    pub(super) const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live { .. })
    }

    /// Whether it is paid, paused or not.
    pub(super) fn is_paid(&self) -> bool {
        self.phase != Phase::Unpaid
    }

    /// Whether the feed has changed since it was looked at.
    pub(super) fn feed_has_changed(&self) -> bool {
        self.changes.feed.has_changed().unwrap_or(true)
    }

    /// Whether it gets a stream.
    pub(super) fn holds(&self, key: &StreamKey) -> bool {
        self.device == key.device && self.streams.contains(&key.stream)
    }

    /// The next Unix second at which something is due: the beginning, the reminder, then the end.
    pub(super) fn due(&self) -> Option<u64> {
        if self.phase == Phase::Unpaid {
            return self.begins;
        }
        let until = self.expires_at()?;
        Some(if self.reminded {
            until
        } else {
            until.saturating_sub(EXPIRY_NOTICE_SECONDS)
        })
    }
}

impl WatchRefusal {
    pub(crate) const fn code(self) -> ErrorCode {
        match self {
            Self::UnknownFeed => ErrorCode::UnknownFeed,
            Self::ListingMissing => ErrorCode::ListingMissing,
            Self::UnknownStream => ErrorCode::UnknownStream,
            Self::TooManyWatches => ErrorCode::TooManyWatches,
            Self::ChainUnavailable => ErrorCode::ChainUnavailable,
        }
    }
}

/// What a watch becomes with the access of this moment.
pub(super) fn step(phase: Phase, access: Access) -> (Phase, Change) {
    let next = match access {
        Access::Owner => Phase::Live { until: None },
        Access::Granted { until: Some(until) } => Phase::Live { until: Some(until) },
        Access::Granted { until: None } => Phase::Held,
        Access::Awaited { .. } | Access::Denied => Phase::Unpaid,
    };
    let change = match (phase, next) {
        (before, after) if before == after => Change::Nothing,
        (Phase::Unpaid, _) => Change::Begun,
        (_, Phase::Unpaid) => Change::Ended,
        (_, Phase::Held) => Change::Paused,
        (Phase::Held, Phase::Live { .. }) => Change::Resumed,
        (Phase::Live { .. }, Phase::Live { .. }) => Change::Moved,
    };
    (next, change)
}

/// When a watch with this access begins, where that is only a matter of time.
pub(super) const fn begins(access: Access) -> Option<u64> {
    match access {
        Access::Awaited { from } => Some(from),
        Access::Owner | Access::Granted { .. } | Access::Denied => None,
    }
}

/// The streams that a watch gets of what the feed's listing holds now, in the order of their names.
pub(super) fn streams_of(
    feed: &FeedView,
    wanted: Option<&BTreeSet<StreamName>>,
) -> Result<Box<[StreamName]>, WatchRefusal> {
    let Some(sold) = &feed.sold else {
        return Err(WatchRefusal::ListingMissing);
    };
    let held: BTreeSet<_> = sold.listing.stream_names().cloned().collect();
    match wanted {
        None => Ok(held.into_iter().collect()),
        Some(wanted) if wanted.is_subset(&held) => Ok(wanted.iter().cloned().collect()),
        Some(_) => Err(WatchRefusal::UnknownStream),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step() {
        let live = |until| Phase::Live { until };
        let granted = |until| Access::Granted { until };
        for (phase, access, next, change) in [
            (
                Phase::Unpaid,
                Access::Denied,
                Phase::Unpaid,
                Change::Nothing,
            ),
            (
                Phase::Unpaid,
                granted(Some(9)),
                live(Some(9)),
                Change::Begun,
            ),
            (Phase::Unpaid, granted(None), Phase::Held, Change::Begun),
            (Phase::Unpaid, Access::Owner, live(None), Change::Begun),
            (
                live(Some(9)),
                granted(Some(9)),
                live(Some(9)),
                Change::Nothing,
            ),
            (
                live(Some(9)),
                granted(Some(12)),
                live(Some(12)),
                Change::Moved,
            ),
            (live(Some(9)), Access::Owner, live(None), Change::Moved),
            (live(None), granted(Some(9)), live(Some(9)), Change::Moved),
            (live(Some(9)), granted(None), Phase::Held, Change::Paused),
            (live(Some(9)), Access::Denied, Phase::Unpaid, Change::Ended),
            (Phase::Held, granted(None), Phase::Held, Change::Nothing),
            (
                Phase::Held,
                granted(Some(9)),
                live(Some(9)),
                Change::Resumed,
            ),
            (Phase::Held, Access::Denied, Phase::Unpaid, Change::Ended),
            (live(None), Access::Denied, Phase::Unpaid, Change::Ended),
        ] {
            assert_eq!(step(phase, access), (next, change), "{phase:?} {access:?}");
        }
    }
}
