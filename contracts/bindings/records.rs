//! What the ledger holds and what is said to it, in the words of the protocol.

use ashya_protocol::{Address, DeviceId, FeedAuthorization, FeedId, FeedName, Hash, Wei};
use serde::{Deserialize, Serialize};

/// Where a ledger stands: the content of a deployment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Address of the ledger.
    pub ledger: Address,
    /// Block in which it was deployed: no event is older.
    pub block: u64,
}

/// A ledger that was deployed, or stood already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// Where it stands.
    #[serde(flatten)]
    pub deployment: Deployment,
    /// The transaction; absent when the ledger stood there already.
    pub receipt: Option<Receipt>,
}

/// The terms under which a feed is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedTerms {
    /// The device's consent; its owner must be the wallet that opens the feed.
    pub authorization: FeedAuthorization,
    /// Wei per second, at least one.
    pub price: Wei,
    /// Where withdrawals go.
    pub payout: Address,
    /// Who may pause beside the owner, or zero.
    pub pauser: Address,
    /// Hash of the listing document.
    pub listing: Hash,
}

/// What a subscriber agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeTerms {
    /// The feed.
    pub feed: FeedId,
    /// Who may watch.
    pub beneficiary: Address,
    /// Seconds of feed time, from 60 up to 366 days.
    pub duration: u64,
    /// Highest price in wei per second that is accepted.
    pub max_price: Wei,
    /// Hash of the listing that was read.
    pub listing: Hash,
    /// The price in wei per second that is paid: the present one of the feed.
    pub price: Wei,
}

/// The terms of a feed on the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedRecord {
    /// The device whose events are sold.
    pub device: DeviceId,
    /// Name of the feed.
    pub name: FeedName,
    /// The provider.
    pub owner: Address,
    /// Who may accept the feed, if it is offered to somebody.
    pub pending_owner: Option<Address>,
    /// Wei per second for new subscriptions.
    pub price: Wei,
    /// Where withdrawals go.
    pub payout: Address,
    /// Who may pause beside the owner, or zero.
    pub pauser: Address,
    /// Hash of the listing document.
    pub listing: Hash,
}

/// A feed's clock. Feed time counts the seconds for which the feed was not paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedClock {
    /// Unix second at which the feed was opened.
    pub base: u64,
    /// Unix second at which the running pause began.
    pub paused_at: Option<u64>,
    /// Seconds of all finished pauses.
    pub paused_total: u64,
    /// Who began the running pause.
    pub paused_by: Option<Address>,
    /// Feed time at which the clock stops for good, once the feed is retired.
    pub retires_at: Option<u64>,
}

/// What a pause, a resume or a retirement sets: all of a [`FeedClock`] but its base, which never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockChange {
    /// Unix second at which the running pause began.
    pub paused_at: Option<u64>,
    /// Seconds of all finished pauses.
    pub paused_total: u64,
    /// Who began the running pause.
    pub paused_by: Option<Address>,
    /// Feed time at which the clock stops for good, once the feed is retired.
    pub retires_at: Option<u64>,
}

/// A subscription, live while the feed time is in `start..expiry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionRecord {
    /// Wei per second that was agreed.
    pub price: Wei,
    /// First second of access, in feed time.
    pub start: u64,
    /// First second without access, in feed time.
    pub expiry: u64,
}

/// A transaction that was mined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Its hash.
    pub transaction: Hash,
    /// Height of its block.
    pub block: u64,
    /// Gas that it used.
    pub gas_used: u64,
    /// What its sender paid for the gas.
    pub fee: Wei,
}

/// A subscription that was bought or extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscribed {
    /// The transaction.
    pub receipt: Receipt,
    /// First second without access, in feed time.
    pub expiry: u64,
}

/// A subscription that was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancelled {
    /// The transaction.
    pub receipt: Receipt,
    /// What was paid back.
    pub refund: Wei,
}

/// What has become of a signed transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No block holds it; one may yet.
    Open,
    /// A block holds it, unless the chain is reorganised.
    Settled(Settled),
    /// Another transaction has taken its number, in a block that is final: it will never be mined.
    Displaced,
}

/// What a mined transaction has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The transaction.
    pub receipt: Receipt,
    /// Whether it did what it asked for. If not, its ETH has stayed with the sender, and the gas is paid.
    pub passed: bool,
    /// The subscription as it left it.
    pub subscription: Option<SubscriptionRecord>,
}

/// Earnings that were paid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawn {
    /// The transaction.
    pub receipt: Receipt,
    /// What was paid; zero when nothing was due.
    pub paid: Wei,
}

impl FeedClock {
    /// Feed time at the Unix second `now`.
    pub fn feed_time(&self, now: u64) -> u64 {
        let open = self
            .paused_at
            .unwrap_or(now)
            .saturating_sub(self.base)
            .saturating_sub(self.paused_total);
        self.retires_at.map_or(open, |end| open.min(end))
    }

    /// The Unix second at which the clock shows `feed_time`; `None` while it is paused, or when the feed retires
    /// before.
    pub fn wall_time(&self, feed_time: u64) -> Option<u64> {
        if self.paused_at.is_some() || self.retires_at.is_some_and(|end| end < feed_time) {
            return None;
        }
        self.base
            .checked_add(self.paused_total)?
            .checked_add(feed_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feed_time_and_wall_time() {
        let open = FeedClock {
            base: 1000,
            paused_at: None,
            paused_total: 50,
            paused_by: None,
            retires_at: None,
        };
        let paused = FeedClock {
            paused_at: Some(1200),
            ..open
        };
        let retired = FeedClock {
            retires_at: Some(3600),
            ..open
        };
        for (name, clock, now, feed_time) in [
            ("open", open, 1150, 100),
            ("at its base", open, 1000, 0),
            ("before its base", open, 10, 0),
            ("paused", paused, 9999, 150),
            ("before it retires", retired, 1150, 100),
            ("at the boundary", retired, 4650, 3600),
            ("after it retired", retired, 9999, 3600),
        ] {
            assert_eq!(clock.feed_time(now), feed_time, "{name}");
        }
        for (name, clock, feed_time, wall_time) in [
            ("open", open, 100, Some(1150)),
            ("paused", paused, 100, None),
            ("reached before it retires", retired, 3600, Some(4650)),
            ("never reached", retired, 3601, None),
            ("beyond all time", open, u64::MAX, None),
        ] {
            assert_eq!(clock.wall_time(feed_time), wall_time, "{name}");
        }
    }

    #[test]
    fn a_deployment_file() {
        let text =
            r#"{"chainId":31337,"ledger":"0x5fbdb2315678afecb367f032d93f642f64180aa3","block":1}"#;
        let deployment: Deployment = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&deployment).unwrap(), text);
    }
}
