//! A payment in steps, for who must not pay twice: draft, sign, keep on disk, send, and ask what became of it.

use std::ops::Range;

use ashya_protocol::{Address, FeedId, Wei};
use ethers::providers::Middleware;
use ethers::types::{BlockId, U64};

use super::subscriber::set_by;
use super::{Call, Ledger, action_of};
use crate::convert::{to_h160, to_h256, uint64};
use crate::error::ChainError;
use crate::records::{Fate, Settled, SubscribeTerms};
use crate::transaction::{self, Draft, SignedTransaction};
use crate::wallet::Wallet;

/// Blocks after which a chain that finalizes nothing, or a node that does not tell, is taken at its word: two epochs of
/// Ethereum.
const DEPTH: u64 = 64;

impl Ledger {
    /// Drafts the purchase of a subscription that begins now.
    ///
    /// # Errors
    /// When the ledger refuses, the wallet cannot pay it, or the chain cannot be reached.
    pub async fn draft_subscribe(
        &self,
        wallet: &Wallet,
        terms: SubscribeTerms,
    ) -> Result<Draft, ChainError> {
        self.draft(wallet, self.subscribe_call(terms)?).await
    }

    /// Drafts the extension of the wallet's live subscription, which was bought at `price`.
    ///
    /// # Errors
    /// As [`Self::draft_subscribe`].
    pub async fn draft_extend(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        beneficiary: Address,
        duration: u64,
        price: Wei,
    ) -> Result<Draft, ChainError> {
        let call = self.extend_call(feed, beneficiary, duration, price)?;
        self.draft(wallet, call).await
    }

    /// Drafts the cancel of the wallet's live subscription; what was not used goes to `to`.
    ///
    /// # Errors
    /// As [`Self::draft_subscribe`].
    pub async fn draft_cancel(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        beneficiary: Address,
        to: Address,
    ) -> Result<Draft, ChainError> {
        self.draft(wallet, self.cancel_call(feed, beneficiary, to))
            .await
    }

    /// Signs a draft with the wallet's next number, which is `least_nonce` or above. Nothing is sent.
    ///
    /// # Errors
    /// When the node does not answer, or an external signer refuses.
    pub async fn sign(
        &self,
        wallet: &Wallet,
        draft: Draft,
        least_nonce: u64,
    ) -> Result<SignedTransaction, ChainError> {
        transaction::sign(&self.rpc, wallet, draft, least_nonce).await
    }

    /// Hands a signed transaction to the node, for the first time or again.
    ///
    /// # Errors
    /// When the node does not answer, or does not take it. Neither says that it will not be mined: it may have been
    /// taken before. [`Self::fate`] tells.
    pub async fn send(&self, transaction: &SignedTransaction) -> Result<(), ChainError> {
        transaction::broadcast(&self.rpc, transaction).await
    }

    /// What has become of a transaction that `sender` signed.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn fate(
        &self,
        sender: Address,
        transaction: &SignedTransaction,
    ) -> Result<Fate, ChainError> {
        let provider = self.rpc.provider();
        let receipt = provider
            .get_transaction_receipt(to_h256(transaction.hash))
            .await
            .map_err(ChainError::from_provider)?;
        if let Some(receipt) = receipt.filter(|receipt| receipt.block_number.is_some()) {
            let mined = self.mined(&receipt)?;
            return Ok(Fate::Settled(Settled {
                passed: receipt.status == Some(U64::one()),
                subscription: set_by(&mined.events),
                receipt: mined.receipt,
            }));
        }
        let height = BlockId::from(self.final_height().await?);
        let taken = provider.get_transaction_count(to_h160(sender), Some(height));
        let taken = uint64(taken.await.map_err(ChainError::from_provider)?)?;
        Ok(if taken > transaction.nonce {
            Fate::Displaced
        } else {
            Fate::Open
        })
    }

    /// The numbers of a wallet's transactions that the node holds and no block does: those that are on their way, or
    /// stuck behind the first. The range is empty where there are none.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn unmined(&self, wallet: Address) -> Result<Range<u64>, ChainError> {
        transaction::unmined(&self.rpc, wallet).await
    }

    /// Height up to which the chain takes nothing back.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn final_height(&self) -> Result<u64, ChainError> {
        match self.rpc.finalized().await {
            Ok(block) => Ok(block.number),
            Err(ChainError::Rpc { .. } | ChainError::UnexpectedAnswer(_)) => {
                Ok(self.rpc.height().await?.saturating_sub(DEPTH))
            }
            Err(error) => Err(error),
        }
    }

    /// The most that so much gas costs at the fees of this moment.
    ///
    /// # Errors
    /// When the node does not answer, or the chain asks more than the wallet's limit.
    pub async fn fee_of(&self, wallet: &Wallet, gas: u64) -> Result<Wei, ChainError> {
        transaction::fee_of(&self.rpc, wallet, gas).await
    }

    async fn draft<R>(&self, wallet: &Wallet, call: Call<R>) -> Result<Draft, ChainError> {
        transaction::draft(&self.rpc, self.chain_id, wallet, action_of(&call)).await
    }
}
