//! The chain index on disk: one transaction for each batch of blocks.

use ashya_protocol::rest::SignedListing;
use ashya_protocol::{Address, FeedId, Hash};
use serde::{Deserialize, Serialize};
use sled::Transactional;
use sled::transaction::{ConflictableTransactionError, TransactionError};

use super::{Store, StoreError};
use crate::ledger_index::{Changed, Snapshot, SubscriptionKey};

const IDENTITY_KEY: &[u8] = b"identity";
const CURSOR_KEY: &[u8] = b"cursor";

/// Which ledger the store belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LedgerIdentity {
    pub(crate) chain_id: u64,
    pub(crate) ledger: Address,
}

/// How far the ledger's events are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cursor {
    /// The last block whose events are applied.
    pub(crate) number: u64,
    /// Its hash.
    pub(crate) hash: Hash,
    /// Hash of the block in which the ledger was deployed: a chain that began anew shows there.
    pub(crate) deployment_hash: Hash,
}

/// What one batch of blocks changed.
#[derive(Debug)]
pub(crate) struct ChainCommit<'a> {
    pub(crate) cursor: Cursor,
    pub(crate) changed: &'a Changed,
    pub(crate) extent: Extent,
}

/// How much a batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What has changed; the rest stays.
    Changes,
    /// Everything there is; what it does not hold goes.
    Whole,
}

impl Store {
    /// The listing documents, as their owners signed them.
    pub(crate) fn load_listings(&self) -> Result<Vec<(FeedId, String)>, StoreError> {
        let records = self.listings.load::<SignedListing>()?.into_iter();
        let documents =
            records.map(|(key, signed)| Ok((FeedId::new(array(&key)?), signed.document)));
        documents.collect()
    }

    /// Which ledger the store belongs to, once it belongs to one.
    pub(crate) fn identity(&self) -> Result<Option<LedgerIdentity>, StoreError> {
        let identity = self.chain.get(IDENTITY_KEY)?;
        Ok(identity
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()?)
    }

    /// Makes the store belong to a ledger.
    pub(crate) fn set_identity(&self, identity: LedgerIdentity) -> Result<(), StoreError> {
        self.chain
            .insert(IDENTITY_KEY, serde_json::to_vec(&identity)?)?;
        Ok(())
    }

    /// The index as of the last commit; `None` before the first.
    pub(crate) fn load_chain(&self) -> Result<Option<(Cursor, Snapshot)>, StoreError> {
        let Some(cursor) = self.chain.get(CURSOR_KEY)? else {
            return Ok(None);
        };
        let mut snapshot = Snapshot::default();
        for item in &self.feeds {
            let (key, value) = item?;
            let id = FeedId::new(array(&key)?);
            snapshot.feeds.insert(id, serde_json::from_slice(&value)?);
        }
        for item in &self.subscriptions {
            let (key, value) = item?;
            let record = serde_json::from_slice(&value)?;
            snapshot
                .subscriptions
                .insert(subscription_key(&key)?, record);
        }
        Ok(Some((serde_json::from_slice(&cursor)?, snapshot)))
    }

    /// Keeps one batch: cursor and records together or not at all.
    pub(crate) fn commit_chain(&self, commit: &ChainCommit<'_>) -> Result<(), StoreError> {
        let cursor = serde_json::to_vec(&commit.cursor)?;
        let mut feeds = sled::Batch::default();
        let mut subscriptions = sled::Batch::default();
        if commit.extent == Extent::Whole {
            for key in self.feeds.iter().keys() {
                feeds.remove(key?);
            }
            for key in self.subscriptions.iter().keys() {
                subscriptions.remove(key?);
            }
        }
        for (id, record) in &commit.changed.feeds {
            feeds.insert(id.as_bytes(), serde_json::to_vec(record)?);
        }
        for (key, record) in &commit.changed.subscriptions {
            subscriptions.insert(bytes_of(key), serde_json::to_vec(record)?);
        }
        let trees = (&self.feeds, &self.subscriptions, &self.chain);
        trees
            .transaction(|(feed_tree, subscription_tree, chain)| {
                feed_tree.apply_batch(&feeds)?;
                subscription_tree.apply_batch(&subscriptions)?;
                chain.insert(CURSOR_KEY, cursor.clone())?;
                Ok::<_, ConflictableTransactionError<std::convert::Infallible>>(())
            })
            .map_err(|error| match error {
                TransactionError::Storage(error) => StoreError::Io(error),
                TransactionError::Abort(never) => match never {},
            })
    }
}

fn bytes_of(key: &SubscriptionKey) -> Vec<u8> {
    [
        key.feed.as_bytes().as_slice(),
        key.beneficiary.as_bytes(),
        key.payer.as_bytes(),
    ]
    .concat()
}

fn subscription_key(bytes: &[u8]) -> Result<SubscriptionKey, StoreError> {
    let key: [u8; 72] = array(bytes)?;
    Ok(SubscriptionKey {
        feed: FeedId::new(array(&key[..32])?),
        beneficiary: Address::new(array(&key[32..52])?),
        payer: Address::new(array(&key[52..])?),
    })
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Key)
}
