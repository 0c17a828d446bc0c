//! The provider's verbs.

use ashya_protocol::{Address, FeedAuthorization, FeedId, Hash, Wei};
use ethers::types::{Bytes, U256};

use super::Ledger;
use crate::convert::to_h160;
use crate::error::ChainError;
use crate::events::LedgerEvent;
use crate::records::{FeedTerms, Receipt, Withdrawn};
use crate::wallet::Wallet;

impl Ledger {
    /// Opens a feed that the wallet owns.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn open_feed(
        &self,
        wallet: &Wallet,
        terms: FeedTerms,
    ) -> Result<(FeedId, Receipt), ChainError> {
        let FeedAuthorization {
            device,
            name,
            deadline,
            signature,
            ..
        } = &terms.authorization;
        let call = self.contract.open_feed(
            to_h160(device.address()),
            name.to_bytes32(),
            terms.price.get(),
            to_h160(terms.payout),
            to_h160(terms.pauser),
            *terms.listing.as_bytes(),
            *deadline,
            Bytes::from(signature.as_bytes()),
        );
        let mined = self.write(wallet, call).await?;
        Ok((FeedId::derive(*device, name), mined.receipt))
    }

    /// Sets the price of new subscriptions, in wei per second.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn set_price(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        price: Wei,
    ) -> Result<Receipt, ChainError> {
        let call = self.contract.set_price(*feed.as_bytes(), price.get());
        Ok(self.write(wallet, call).await?.receipt)
    }

    /// Sets where withdrawals go.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn set_payout(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        payout: Address,
    ) -> Result<Receipt, ChainError> {
        let call = self.contract.set_payout(*feed.as_bytes(), to_h160(payout));
        Ok(self.write(wallet, call).await?.receipt)
    }

    /// Names who may pause beside the owner; zero names nobody.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn set_pauser(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        pauser: Address,
    ) -> Result<Receipt, ChainError> {
        let call = self.contract.set_pauser(*feed.as_bytes(), to_h160(pauser));
        Ok(self.write(wallet, call).await?.receipt)
    }

    /// Sets the hash of the listing document.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn set_listing(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        listing: Hash,
    ) -> Result<Receipt, ChainError> {
        let call = self
            .contract
            .set_listing(*feed.as_bytes(), *listing.as_bytes());
        Ok(self.write(wallet, call).await?.receipt)
    }

    /// Replaces the device behind the feed by the one of `authorization`, which names the feed's name and owner.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn set_device(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        authorization: &FeedAuthorization,
    ) -> Result<Receipt, ChainError> {
        let call = self.contract.set_device(
            *feed.as_bytes(),
            to_h160(authorization.device.address()),
            authorization.deadline,
            Bytes::from(authorization.signature.as_bytes()),
        );
        Ok(self.write(wallet, call).await?.receipt)
    }

    /// Offers the feed to `to`; zero takes the offer back.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn transfer_feed(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        to: Address,
    ) -> Result<Receipt, ChainError> {
        let call = self.contract.transfer_feed(*feed.as_bytes(), to_h160(to));
        Ok(self.write(wallet, call).await?.receipt)
    }

    /// Takes over a feed that was offered to the wallet.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn accept_feed(&self, wallet: &Wallet, feed: FeedId) -> Result<Receipt, ChainError> {
        let call = self.contract.accept_feed(*feed.as_bytes());
        Ok(self.write(wallet, call).await?.receipt)
    }

    /// Stops the feed's clock, and with it the earnings and everybody's time.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn pause(&self, wallet: &Wallet, feed: FeedId) -> Result<Receipt, ChainError> {
        let call = self.contract.pause(*feed.as_bytes());
        Ok(self.write(wallet, call).await?.receipt)
    }

    /// Lets the feed's clock run again.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn resume(&self, wallet: &Wallet, feed: FeedId) -> Result<Receipt, ChainError> {
        let call = self.contract.resume(*feed.as_bytes());
        Ok(self.write(wallet, call).await?.receipt)
    }

    /// Stops the feed's clock for good at its next hour boundary.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn retire(&self, wallet: &Wallet, feed: FeedId) -> Result<Receipt, ChainError> {
        let call = self.contract.retire(*feed.as_bytes());
        Ok(self.write(wallet, call).await?.receipt)
    }

    /// Settles up to `max_buckets` hours in which subscriptions end, and pays what is safe to the payout address.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn withdraw(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        max_buckets: u64,
    ) -> Result<Withdrawn, ChainError> {
        let call = self
            .contract
            .withdraw(*feed.as_bytes(), U256::from(max_buckets));
        let mined = self.write(wallet, call).await?;
        let paid = mined.events.iter().find_map(|event| match event {
            LedgerEvent::Withdrawn { amount, .. } => Some(*amount),
            _ => None,
        });
        Ok(Withdrawn {
            receipt: mined.receipt,
            paid: paid.unwrap_or_default(),
        })
    }

    /// Settles up to `max_buckets` hours in which subscriptions end. Anyone may.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn settle(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        max_buckets: u64,
    ) -> Result<Receipt, ChainError> {
        let call = self
            .contract
            .settle(*feed.as_bytes(), U256::from(max_buckets));
        Ok(self.write(wallet, call).await?.receipt)
    }
}
