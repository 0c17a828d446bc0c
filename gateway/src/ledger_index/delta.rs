use std::collections::BTreeMap;

use ashya_protocol::FeedId;
use serde::{Deserialize, Serialize};

use super::{FeedRecord, SubscriptionKey, SubscriptionRecord};

/// Absolute values of some feeds and subscriptions; `None` for one that is not there.
///
/// As what a step has changed it says what is; as an undo it says what was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delta {
    #[serde(with = "pairs")]
    pub(crate) feeds: BTreeMap<FeedId, Option<FeedRecord>>,
    #[serde(with = "pairs")]
    pub(crate) subscriptions: BTreeMap<SubscriptionKey, Option<SubscriptionRecord>>,
}

/// All feeds and subscriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) feeds: BTreeMap<FeedId, FeedRecord>,
    pub(crate) subscriptions: BTreeMap<SubscriptionKey, SubscriptionRecord>,
}

/// A step from one state of the chain to another: blocks to take back, newest first, then blocks to apply.
#[derive(Debug, Default)]
pub(crate) struct Stepped {
    /// For each applied block what was before it.
    pub(crate) undos: Vec<Delta>,
    /// What is now of everything that the step has touched.
    pub(crate) changed: Delta,
}

impl Delta {
    pub(crate) fn is_empty(&self) -> bool {
        self.feeds.is_empty() && self.subscriptions.is_empty()
    }

    /// Takes over values of which none is known yet: the oldest value of each stays.
    pub(super) fn keep_older(&mut self, other: &Self) {
        for (feed, record) in &other.feeds {
            self.feeds.entry(*feed).or_insert_with(|| record.clone());
        }
        for (key, record) in &other.subscriptions {
            self.subscriptions
                .entry(*key)
                .or_insert_with(|| record.clone());
        }
    }
}

/// JSON has no maps with keys like these.
mod pairs {
    use std::collections::BTreeMap;

    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        let pairs = Vec::<(K, V)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}
