//! Which event a viewer may see at this moment.

use ashya_protocol::FeedId;
use tokio::time::Instant;

use super::Viewer;
use crate::access::Access;
use crate::chain_clock::Reading;
use crate::history;
use crate::hub::{Message, Pass};
use crate::ledger_index::Paid;
use crate::socket::watch::{Phase, Watch};

/// What a viewer may do with one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// See it.
    Granted(Grant),
    /// See it once the pause is over.
    Held,
    None,
}

/// The right to see an event, by one of the wallet's watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The feed that is watched.
    feed: FeedId,
    /// Unix second of chain time at which it ends, if one is known.
    pub(crate) until: Option<u64>,
}

impl Viewer {
    /// A grant as it stands now: it may have been extended or cut, the feed may have another device, or have been
    /// paused, which does not take back what came before the pause. `None` when the event may no longer be seen at all.
    pub(crate) fn renew(&self, grant: Grant, message: &Message, now: Reading) -> Option<Grant> {
        let watch = self.watches.get(&grant.feed)?;
        let until = match watch.phase {
            Phase::Live { until } if until.is_none_or(|until| now.is_before(until)) => until,
            // It was given by all that was known then: a pause does not take it back, however late its word.
            Phase::Held if watch.was_given(grant.feed, message) => None,
            // Another watch may still entitle to it.
            Phase::Live { .. } | Phase::Held | Phase::Unpaid => {
                return match self.right_to(message, now) {
                    Right::Granted(other) => Some(other),
                    Right::Held => Some(Grant {
                        until: None,
                        ..grant
                    }),
                    Right::None => None,
                };
            }
        };
        Some(Grant { until, ..grant })
    }

    /// What may be written to this viewer by others while its task waits: the events of the one feed that it watches.
    /// Who watches several, or waits for a pause to end, is asked for each.
    pub(super) fn pass(&self, session_ends: Instant) -> Option<Pass> {
        // Read first: what changes from here on makes the pass void.
        let ledger = self.parts.index.version();
        let waits = !self.held.is_empty() || !self.ready.is_empty();
        if self.over.is_some() || waits || self.has_changed() {
            return None;
        }
        let mut watches = self.watches.iter();
        let (Some((&feed, watch)), None) = (watches.next(), watches.next()) else {
            return None;
        };
        let Phase::Live { until } = watch.phase else {
            return None;
        };
        let paid = match until {
            None => None,
            Some(_) => Some(
                *watch
                    .paid
                    .as_ref()?
                    .windows()
                    .iter()
                    .max_by_key(|(_, expiry)| *expiry)?,
            ),
        };
        Some(Pass {
            feed,
            paid,
            until,
            session_ends,
            ledger,
        })
    }

    /// The right by which a pass has let events through.
    pub(crate) const fn grant_of(pass: &Pass) -> Grant {
        Grant {
            feed: pass.feed,
            until: pass.until,
        }
    }

    /// The best right to an event, by any watch, at the moment `now`.
    pub(super) fn right_to(&self, message: &Message, now: Reading) -> Right {
        let mut best = Right::None;
        for (&feed, watch) in &self.watches {
            if !watch.holds(message.key()) || !watch.has_paid_for(feed, message) {
                continue;
            }
            match (watch.phase, best) {
                (Phase::Live { until: None }, _) => {
                    return Right::Granted(Grant { feed, until: None });
                }
                (Phase::Live { until: Some(until) }, _) if now.is_before(until) => {
                    let longer = match best {
                        Right::Granted(other) => other.until < Some(until),
                        Right::Held | Right::None => true,
                    };
                    if longer {
                        let until = Some(until);
                        best = Right::Granted(Grant { feed, until });
                    }
                }
                (Phase::Held, Right::None) => best = Right::Held,
                (Phase::Live { .. } | Phase::Held | Phase::Unpaid, _) => {}
            }
        }
        best
    }

    /// Whether any watch had paid for an event of the past.
    pub(super) fn had_paid_for(&self, message: &Message) -> bool {
        let mut watches = self.watches.iter();
        watches
            .any(|(feed, watch)| watch.holds(message.key()) && watch.had_paid_for(*feed, message))
    }

    pub(super) fn access(&self, feed: FeedId) -> Access {
        let now = self.parts.clock.now_seconds();
        self.parts.index.access(feed, self.wallet, now)
    }

    /// What the wallet has paid of a feed.
    pub(super) fn paid(&self, feed: FeedId) -> Option<Paid> {
        self.parts.index.paid(feed, self.wallet)
    }
}

impl Watch {
    /// History is sold like the present: only what was accepted inside the wallet's own paid, unpaused time, by what the
    /// ledger has said since. Where more was said than was looked at, whoever stamped the event may have known it.
    pub(super) fn has_paid_for(&self, feed: FeedId, message: &Message) -> bool {
        if !self.feed_has_changed() {
            return self.had_paid_for(feed, message);
        }
        self.is_owners() || self.was_given(feed, message)
    }

    /// Whether it was paid by what was known when it came.
    fn was_given(&self, feed: FeedId, message: &Message) -> bool {
        let windows = self.paid.as_ref().map_or(&[][..], Paid::windows);
        message.moment().is_within(feed, windows)
    }

    /// [`Self::has_paid_for`] of an event of the past, by what the ledger has said since it came.
    pub(super) fn had_paid_for(&self, feed: FeedId, message: &Message) -> bool {
        let paid = self.paid.as_ref();
        self.is_owners() || paid.is_some_and(|paid| message.moment().was_within(feed, paid))
    }

    /// What history may give out for this watch.
    pub(super) fn right(&self, feed: FeedId) -> Option<history::Right> {
        if self.is_owners() {
            return Some(history::Right { feed, paid: None });
        }
        let paid = Some(self.paid.clone()?);
        Some(history::Right { feed, paid })
    }

    fn is_owners(&self) -> bool {
        self.phase == Phase::Live { until: None }
    }
}
