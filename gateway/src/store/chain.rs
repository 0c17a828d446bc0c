//! The chain index on disk: one transaction for each batch of blocks.

use ashya_protocol::rest::SignedListing;
use ashya_protocol::{Address, FeedId, Hash};
use serde::{Deserialize, Serialize};
use sled::Transactional;
use sled::transaction::{ConflictableTransactionError, TransactionError};

use super::{Store, StoreError};
use crate::ledger_index::{Delta, Snapshot, SubscriptionKey};

const IDENTITY_KEY: &[u8] = b"identity";
pub(super) const CURSOR_KEY: &[u8] = b"cursor";

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

/// A block by height and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockId {
    pub(crate) number: u64,
    pub(crate) hash: Hash,
}

/// An applied block, and what was before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalBlock {
    #[serde(flatten)]
    pub(crate) id: BlockId,
    pub(crate) parent: Hash,
    pub(crate) undo: Delta,
}

/// One step along the chain: a block, or a branch in place of another.
#[derive(Debug)]
pub(crate) struct ChainCommit {
    pub(crate) cursor: Cursor,
    /// What is now of everything that the step has touched.
    pub(crate) changed: Delta,
    /// Heights of the journal's blocks that are gone: taken back, or too old.
    pub(crate) forgotten: Vec<u64>,
    /// The journal's new blocks, some of them in place of forgotten ones.
    pub(crate) added: Vec<JournalBlock>,
}

/// The index as it was kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeptChain {
    pub(crate) cursor: Cursor,
    pub(crate) snapshot: Snapshot,
    /// Rising by height.
    pub(crate) journal: Vec<JournalBlock>,
}

/// Changes of the trees, to be made all together.
#[derive(Default)]
struct Batches {
    feeds: sled::Batch,
    subscriptions: sled::Batch,
    blocks: sled::Batch,
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
    pub(crate) fn load_chain(&self) -> Result<Option<KeptChain>, StoreError> {
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
        let journal = self.blocks.iter().values();
        let journal = journal.map(|value| Ok(serde_json::from_slice(&value?)?));
        Ok(Some(KeptChain {
            cursor: serde_json::from_slice(&cursor)?,
            snapshot,
            journal: journal.collect::<Result<_, StoreError>>()?,
        }))
    }

    /// Keeps one step: cursor, records and journal together or not at all.
    pub(crate) fn commit_chain(&self, commit: &ChainCommit) -> Result<(), StoreError> {
        let mut batches = Batches::default();
        for (id, record) in &commit.changed.feeds {
            match record {
                Some(record) => batches
                    .feeds
                    .insert(id.as_bytes(), serde_json::to_vec(record)?),
                None => batches.feeds.remove(id.as_bytes()),
            }
        }
        for (key, record) in &commit.changed.subscriptions {
            match record {
                Some(record) => batches
                    .subscriptions
                    .insert(bytes_of(key), serde_json::to_vec(record)?),
                None => batches.subscriptions.remove(bytes_of(key)),
            }
        }
        for number in &commit.forgotten {
            batches.blocks.remove(&number.to_be_bytes());
        }
        batches.add_blocks(&commit.added)?;
        self.apply(commit.cursor, &batches)
    }

    /// Keeps another index in place of the one before: all of it or nothing.
    pub(crate) fn replace_chain<'a>(
        &self,
        cursor: Cursor,
        snapshot: &Snapshot,
        journal: impl IntoIterator<Item = &'a JournalBlock>,
    ) -> Result<(), StoreError> {
        let mut batches = Batches::default();
        let trees = [
            (&self.feeds, &mut batches.feeds),
            (&self.subscriptions, &mut batches.subscriptions),
            (&self.blocks, &mut batches.blocks),
        ];
        for (tree, batch) in trees {
            for key in tree.iter().keys() {
                batch.remove(key?);
            }
        }
        for (id, record) in &snapshot.feeds {
            batches
                .feeds
                .insert(id.as_bytes(), serde_json::to_vec(record)?);
        }
        for (key, record) in &snapshot.subscriptions {
            batches
                .subscriptions
                .insert(bytes_of(key), serde_json::to_vec(record)?);
        }
        batches.add_blocks(journal)?;
        self.apply(cursor, &batches)
    }

    /// Puts other bytes in place of the cursor, and gives back what was there.
    #[cfg(test)]
    pub(crate) fn swap_cursor(&self, bytes: &[u8]) -> Vec<u8> {
        let before = self.chain.insert(CURSOR_KEY, bytes).unwrap();
        before.unwrap().to_vec()
    }

    fn apply(&self, cursor: Cursor, batches: &Batches) -> Result<(), StoreError> {
        let cursor = serde_json::to_vec(&cursor)?;
        let trees = (&self.feeds, &self.subscriptions, &self.blocks, &self.chain);
        trees
            .transaction(|(feeds, subscriptions, blocks, chain)| {
                feeds.apply_batch(&batches.feeds)?;
                subscriptions.apply_batch(&batches.subscriptions)?;
                blocks.apply_batch(&batches.blocks)?;
                chain.insert(CURSOR_KEY, cursor.clone())?;
                Ok::<_, ConflictableTransactionError<std::convert::Infallible>>(())
            })
            .map_err(|error| match error {
                TransactionError::Storage(error) => StoreError::Io(error),
                TransactionError::Abort(never) => match never {},
            })
    }
}

impl Batches {
    fn add_blocks<'a>(
        &mut self,
        blocks: impl IntoIterator<Item = &'a JournalBlock>,
    ) -> Result<(), StoreError> {
        for block in blocks {
            let key = block.id.number.to_be_bytes();
            self.blocks.insert(&key, serde_json::to_vec(block)?);
        }
        Ok(())
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
