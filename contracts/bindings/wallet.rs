use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::typed_data::personal_message;
use ashya_protocol::{Address, DeviceKey, Domain, FeedId, Hash, Signature, Wei};
use ethers::types::transaction::eip2718::TypedTransaction;
use ethers::types::{Bytes, H256, U256};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::ChainError;
use crate::signer::ExternalSigner;

/// Five blocks of the main chain.
const PATIENCE: Duration = Duration::from_secs(60);

/// What signs transactions and pays for them. A clone is the same wallet.
#[derive(Debug, Clone)]
pub struct Wallet {
    key: Key,
    max_fee: Option<Wei>,
    /// Among how many transactions its money is shared, where it always offers its limit.
    shares: Option<NonZeroUsize>,
    patience: Duration,
    watcher: Option<fn(&Progress)>,
    /// Held from reading the next nonce to sending with it, so that two transactions never take the same.
    turn: Arc<Mutex<()>>,
}

/// Where a transaction is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It would pass. This is what it may cost at most, beside the ETH that it carries.
    Estimated {
        /// Most gas that it may use.
        gas: u64,
        /// Most that this gas may cost.
        most: Wei,
    },
    /// The external signer was asked for a signature, which may take a press on a button.
    Asked,
    /// It is signed, and goes to the node: from here on it may be on the chain, whatever fails.
    Signed,
    /// The node has refused it and knows of no such transaction: it is not on the chain.
    Refused,
    /// The node has it.
    Sent {
        /// Its hash.
        transaction: Hash,
    },
}

#[derive(Debug, Clone)]
enum Key {
    Own(Arc<DeviceKey>),
    External(Arc<ExternalSigner>),
}

impl Wallet {
    /// A wallet of this key.
    pub fn new(key: DeviceKey) -> Self {
        Self::with_key(Key::Own(Arc::new(key)))
    }

    /// A wallet whose key never comes here.
    pub fn external(signer: ExternalSigner) -> Self {
        Self::with_key(Key::External(Arc::new(signer)))
    }

    /// Refuses to pay more than this for a unit of gas, tip included.
    #[must_use]
    pub fn with_max_fee(self, max_fee: Wei) -> Self {
        Self {
            max_fee: Some(max_fee),
            ..self
        }
    }

    /// Always offers its whole limit for a unit of gas, as far as its money goes, so that no transaction stays behind
    /// when the base fee rises after it was sent. What is paid is the base fee and the tip all the same. It changes
    /// nothing without [`Self::with_max_fee`].
    ///
    /// A node takes no transaction of a wallet whose money does not cover the offers of all that wait, so each offers at
    /// most one of as many `shares` of it as may be under way at once, yet never less than usually does.
    #[must_use]
    pub fn offering_its_limit(self, shares: NonZeroUsize) -> Self {
        Self {
            shares: Some(shares),
            ..self
        }
    }

    /// Waits this long for a receipt; 60 seconds when not told.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Tells `watcher` of each step of a transaction.
    #[must_use]
    pub fn with_watcher(self, watcher: fn(&Progress)) -> Self {
        Self {
            watcher: Some(watcher),
            ..self
        }
    }

    /// Its address.
    pub fn address(&self) -> Address {
        match &self.key {
            Key::Own(key) => key.address(),
            Key::External(signer) => signer.address(),
        }
    }

    /// Vouches for a listing document, as the owner of its feed.
    ///
    /// # Errors
    /// When an external signer refuses, does not answer, or signs something else.
    pub async fn sign_listing(
        &self,
        domain: &Domain,
        feed: FeedId,
        listing: Hash,
    ) -> Result<Signature, ChainError> {
        match &self.key {
            Key::Own(key) => Ok(key.sign(&domain.feed_listing(feed, listing))),
            Key::External(signer) => {
                self.tell(&Progress::Asked);
                signer.sign_listing(domain, feed, listing).await
            }
        }
    }

    /// Signs a text as wallets do (EIP-191), which signs in by EIP-4361.
    ///
    /// # Errors
    /// When an external signer refuses, does not answer, or signs something else.
    pub async fn sign_message(&self, text: &str) -> Result<Signature, ChainError> {
        match &self.key {
            Key::Own(key) => Ok(key.sign(&personal_message(text))),
            Key::External(signer) => {
                self.tell(&Progress::Asked);
                signer.sign_message(text).await
            }
        }
    }

    pub(crate) fn max_fee(&self) -> Option<Wei> {
        self.max_fee
    }

    /// What is offered for each unit of gas, whatever the chain asks now, and among how many transactions the money for
    /// it is shared.
    pub(crate) fn standing_offer(&self) -> Option<(Wei, NonZeroUsize)> {
        self.max_fee.zip(self.shares)
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    pub(crate) fn tell(&self, progress: &Progress) {
        if let Some(watcher) = self.watcher {
            watcher(progress);
        }
    }

    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The signed transaction as it is sent. Its chain id is a part of what is signed.
    pub(crate) async fn sign(&self, transaction: &TypedTransaction) -> Result<Bytes, ChainError> {
        let signature = match &self.key {
            Key::Own(key) => {
                let H256(digest) = transaction.sighash();
                key.sign(&Hash::new(digest))
            }
            Key::External(signer) => {
                self.tell(&Progress::Asked);
                signer.sign(transaction).await?
            }
        };
        let bytes = signature.as_bytes();
        Ok(transaction.rlp_signed(&ethers::types::Signature {
            r: U256::from_big_endian(&bytes[..32]),
            s: U256::from_big_endian(&bytes[32..64]),
            // A typed transaction (EIP-2718) has the parity of y there, not 27 or 28.
            v: u64::from(bytes[64] - 27),
        }))
    }

    fn with_key(key: Key) -> Self {
        Self {
            key,
            max_fee: None,
            shares: None,
            patience: PATIENCE,
            watcher: None,
            turn: Arc::default(),
        }
    }
}
