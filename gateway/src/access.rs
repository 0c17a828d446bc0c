//! Who may see a feed, and until when: a pure decision over the ledger's words and the time.
//!
//! The moment at which a decision ends by itself is a part of it ([`Access::until`]). Each socket sleeps until the soonest
//! of its own, in tokio's timer, which is a hierarchical wheel: setting and clearing an entry costs the same however many
//! there are, so a wheel of our own beside it would only be a second one. What ends a decision sooner, an event of the
//! chain or a reorganisation, reaches the sockets that it concerns through
//! [`LedgerIndex::changes_for`](crate::LedgerIndex::changes_for) and wakes no other.

use ashya_contracts::FeedClock;

/// A wallet's right to a feed at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The wallet owns the feed and watches free, for as long as it owns it.
    Owner,
    /// The wallet has paid.
    Granted {
        /// Unix second (chain time) of the first moment without access; `None` while the feed's clock stands
        /// still. A feed whose clock stands still holds its events back from subscribers.
        until: Option<u64>,
    },
    /// The wallet has paid for a time that has not begun: its block's clock is ahead of this one.
    Awaited {
        /// Unix second (chain time) of the first moment with access.
        from: u64,
    },
    /// The wallet has not paid, or no longer.
    Denied,
}

impl Access {
    /// Whether the wallet may watch, or wait for a paused feed to resume.
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Owner | Self::Granted { .. })
    }

    /// Unix second at which access ends, where one is known.
    pub const fn until(self) -> Option<u64> {
        match self {
            Self::Granted { until } => until,
            Self::Owner | Self::Awaited { .. } | Self::Denied => None,
        }
    }
}

/// Decides about one wallet and one feed.
///
/// `subscriptions` are the wallet's `(start, expiry)` pairs in feed time, one for each payer; each holds in the
/// half-open `[start, expiry)` and the one that ends last counts. `now` is chain time in Unix seconds. Once a
/// retired feed's clock has reached its end nobody but the owner has access.
pub(crate) fn decide(
    feed: &FeedClock,
    owner: bool,
    subscriptions: impl IntoIterator<Item = (u64, u64)>,
    now: u64,
) -> Access {
    if owner {
        return Access::Owner;
    }
    let feed_time = feed.feed_time(now);
    if has_ended(feed, now) {
        return Access::Denied;
    }
    let (mut last, mut next) = (None, None);
    for (start, expiry) in subscriptions {
        if expiry <= start.max(feed_time) {
            // It is over, or never was.
            continue;
        }
        if start <= feed_time {
            last = last.max(Some(expiry));
        } else {
            next = Some(next.map_or(start, |next: u64| next.min(start)));
        }
    }
    if let Some(expiry) = last {
        return Access::Granted {
            until: wall_time(feed, expiry),
        };
    }
    // A clock that stands still does not get there; its resume is looked at again.
    match next.and_then(|start| feed.wall_time(start)) {
        Some(from) => Access::Awaited { from },
        None => Access::Denied,
    }
}

/// Whether a retired feed's clock has reached the feed time at which it stops for good.
pub(crate) fn has_ended(feed: &FeedClock, now: u64) -> bool {
    feed.retires_at
        .is_some_and(|end| feed.feed_time(now) >= end)
}

/// The Unix second at which the feed's clock shows `feed_time` or stops for good before it; `None` while it stands
/// still.
fn wall_time(feed: &FeedClock, feed_time: u64) -> Option<u64> {
    feed.wall_time(feed.retires_at.map_or(feed_time, |end| feed_time.min(end)))
}

#[cfg(test)]
mod tests;
