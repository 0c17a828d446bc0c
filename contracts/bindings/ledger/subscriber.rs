//! The subscriber's verbs.

use ashya_protocol::{Address, FeedId, Wei};
use ethers::types::U256;

use super::{Call, Ledger, Mined};
use crate::convert::to_h160;
use crate::error::ChainError;
use crate::events::LedgerEvent;
use crate::records::{Cancelled, SubscribeTerms, Subscribed, SubscriptionRecord};
use crate::wallet::Wallet;

impl Ledger {
    /// Buys a subscription that begins now, and pays `price` times `duration`.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn subscribe(
        &self,
        wallet: &Wallet,
        terms: SubscribeTerms,
    ) -> Result<Subscribed, ChainError> {
        let call = self.subscribe_call(terms)?;
        let mined = self.write(wallet, call).await?;
        Ok(Subscribed {
            expiry: subscription_in(&mined)?.expiry,
            receipt: mined.receipt,
        })
    }

    /// Adds `duration` seconds to the wallet's live subscription for `beneficiary`, at its own price.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn extend(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        beneficiary: Address,
        duration: u64,
    ) -> Result<Subscribed, ChainError> {
        let held = self
            .subscription(feed, wallet.address(), beneficiary)
            .await?;
        // Without a subscription the ledger gives the reason, whatever is paid.
        let price = held.map_or(Wei::default(), |held| held.price);
        let call = self.extend_call(feed, beneficiary, duration, price)?;
        let mined = self.write(wallet, call).await?;
        Ok(Subscribed {
            expiry: subscription_in(&mined)?.expiry,
            receipt: mined.receipt,
        })
    }

    /// Ends the wallet's live subscription for `beneficiary` now, and pays what was not used to `to`.
    ///
    /// # Errors
    /// When the ledger refuses, or the chain cannot be reached.
    pub async fn cancel(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        beneficiary: Address,
        to: Address,
    ) -> Result<Cancelled, ChainError> {
        // Only this wallet can change its subscription, so the old expiry holds until the cancel.
        let held = self
            .subscription(feed, wallet.address(), beneficiary)
            .await?;
        let call = self.cancel_call(feed, beneficiary, to);
        let mined = self.write(wallet, call).await?;
        let ended = subscription_in(&mined)?;
        let unused = held.and_then(|held| held.expiry.checked_sub(ended.expiry));
        let refund = unused.and_then(|seconds| ended.price.checked_mul(seconds));
        Ok(Cancelled {
            refund: refund.ok_or_else(|| ChainError::unexpected("a cancel that added time"))?,
            receipt: mined.receipt,
        })
    }

    pub(super) fn subscribe_call(&self, terms: SubscribeTerms) -> Result<Call<u64>, ChainError> {
        let payment = payment(terms.price, terms.duration)?;
        let call = self.contract.subscribe(
            *terms.feed.as_bytes(),
            to_h160(terms.beneficiary),
            terms.duration,
            terms.max_price.get(),
            *terms.listing.as_bytes(),
        );
        Ok(call.value(payment))
    }

    pub(super) fn extend_call(
        &self,
        feed: FeedId,
        beneficiary: Address,
        duration: u64,
        price: Wei,
    ) -> Result<Call<u64>, ChainError> {
        let payment = payment(price, duration)?;
        let call = self
            .contract
            .extend(*feed.as_bytes(), to_h160(beneficiary), duration);
        Ok(call.value(payment))
    }

    pub(super) fn cancel_call(
        &self,
        feed: FeedId,
        beneficiary: Address,
        to: Address,
    ) -> Call<U256> {
        self.contract
            .cancel(*feed.as_bytes(), to_h160(beneficiary), to_h160(to))
    }
}

fn payment(price: Wei, duration: u64) -> Result<u128, ChainError> {
    let payment = price.checked_mul(duration);
    payment.map(Wei::get).ok_or(ChainError::PaymentTooLarge)
}

fn subscription_in(mined: &Mined) -> Result<SubscriptionRecord, ChainError> {
    set_by(&mined.events)
        .ok_or_else(|| ChainError::unexpected("a receipt without its subscription"))
}

/// The subscription as the events of a transaction leave it.
pub(super) fn set_by(events: &[LedgerEvent]) -> Option<SubscriptionRecord> {
    events.iter().find_map(|event| match *event {
        LedgerEvent::SubscriptionSet {
            price,
            start,
            expiry,
            ..
        } => Some(SubscriptionRecord {
            price,
            start,
            expiry,
        }),
        _ => None,
    })
}
