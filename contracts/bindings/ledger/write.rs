use ashya_protocol::{Address, FeedId, Hash, Wei};
use ethers::abi::AbiEncode;
use ethers::types::{Bytes, U256};

use super::Ledger;
use crate::abi::{
    AcceptFeedCall, CancelCall, ExtendCall, OpenFeedCall, PauseCall, ResumeCall, RetireCall,
    SetDeviceCall, SetListingCall, SetPauserCall, SetPayoutCall, SetPriceCall, SettleCall,
    SubscribeCall, TransferFeedCall, WithdrawCall,
};
use crate::convert::to_h160;
use crate::error::{ChainError, LedgerRefusal};
use crate::events::{LedgerEvent, LoggedEvent};
use crate::records::{
    Cancelled, FeedAuthorization, FeedTerms, SubscribeTerms, Subscribed, SubscriptionRecord,
    Withdrawn,
};
use crate::transaction::{self, Mined, Receipt};
use crate::wallet::Wallet;

/// Every verb waits until its transaction is mined. All fail when the node does not answer, when the ledger refuses
/// ([`ChainError::Refused`] names its reason) and when the wallet cannot pay.
impl Ledger {
    /// Opens a feed with its device's consent; the wallet must be the owner that the consent names.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn open_feed(
        &self,
        wallet: &Wallet,
        terms: FeedTerms,
    ) -> Result<(FeedId, Receipt), ChainError> {
        let consent = terms.authorization;
        let feed = FeedId::derive(consent.device, &consent.name);
        let call = OpenFeedCall {
            device: to_h160(consent.device.address()),
            name: consent.name.to_bytes32(),
            price: terms.price.get(),
            payout: to_h160(terms.payout),
            pauser: to_h160(terms.pauser),
            listing: *terms.listing.as_bytes(),
            deadline: consent.deadline,
            device_signature: signature_bytes(&consent.signature),
        };
        Ok((feed, self.send(wallet, Wei::default(), call).await?.receipt))
    }

    /// Buys a subscription, paid by the wallet.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn subscribe(
        &self,
        wallet: &Wallet,
        terms: SubscribeTerms,
    ) -> Result<Subscribed, ChainError> {
        let call = SubscribeCall {
            feed: *terms.feed.as_bytes(),
            beneficiary: to_h160(terms.beneficiary),
            duration: terms.duration,
            max_price: terms.max_price.get(),
            listing: *terms.listing.as_bytes(),
        };
        let mined = self
            .send(wallet, total(terms.price, terms.duration)?, call)
            .await?;
        Ok(Subscribed {
            expiry: self.new_expiry(&mined)?,
            receipt: mined.receipt,
        })
    }

    /// Prolongs a live subscription by `duration` seconds at the price in wei per second that it was bought for.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn extend(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        beneficiary: Address,
        duration: u64,
    ) -> Result<Subscribed, ChainError> {
        let record = self.own_subscription(wallet, feed, beneficiary).await?;
        let call = ExtendCall {
            feed: *feed.as_bytes(),
            beneficiary: to_h160(beneficiary),
            duration,
        };
        let mined = self
            .send(wallet, total(record.price, duration)?, call)
            .await?;
        Ok(Subscribed {
            expiry: self.new_expiry(&mined)?,
            receipt: mined.receipt,
        })
    }

    /// Ends a subscription that the wallet has paid for; what is left of the money goes to `to`.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn cancel(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        beneficiary: Address,
        to: Address,
    ) -> Result<Cancelled, ChainError> {
        let before = self.own_subscription(wallet, feed, beneficiary).await?;
        let call = CancelCall {
            feed: *feed.as_bytes(),
            beneficiary: to_h160(beneficiary),
            to: to_h160(to),
        };
        let mined = self.send(wallet, Wei::default(), call).await?;
        let seconds = before.expiry.saturating_sub(self.new_expiry(&mined)?);
        Ok(Cancelled {
            refund: total(before.price, seconds)?,
            receipt: mined.receipt,
        })
    }

    /// Settles up to `max_buckets` hours in which subscriptions end and pays out what is earned.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn withdraw(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        max_buckets: u64,
    ) -> Result<Withdrawn, ChainError> {
        let call = WithdrawCall {
            feed: *feed.as_bytes(),
            max_buckets: U256::from(max_buckets),
        };
        let mined = self.send(wallet, Wei::default(), call).await?;
        let paid = self
            .events_of(&mined)?
            .into_iter()
            .find_map(|event| match event {
                LedgerEvent::Withdrawn { amount, .. } => Some(amount),
                _ => None,
            });
        Ok(Withdrawn {
            paid: paid.unwrap_or_default(),
            receipt: mined.receipt,
        })
    }

    /// Settles up to `max_buckets` hours in which subscriptions end, without paying out. Anyone may.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn settle(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        max_buckets: u64,
    ) -> Result<Receipt, ChainError> {
        self.receipt(
            wallet,
            SettleCall {
                feed: *feed.as_bytes(),
                max_buckets: U256::from(max_buckets),
            },
        )
        .await
    }

    /// Stops the feed's clock: nobody's time runs and nothing is earned.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn pause(&self, wallet: &Wallet, feed: FeedId) -> Result<Receipt, ChainError> {
        self.receipt(
            wallet,
            PauseCall {
                feed: *feed.as_bytes(),
            },
        )
        .await
    }

    /// Lets the feed's clock run again.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn resume(&self, wallet: &Wallet, feed: FeedId) -> Result<Receipt, ChainError> {
        self.receipt(
            wallet,
            ResumeCall {
                feed: *feed.as_bytes(),
            },
        )
        .await
    }

    /// Stops the feed's clock for good at the next full hour of feed time.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn retire(&self, wallet: &Wallet, feed: FeedId) -> Result<Receipt, ChainError> {
        self.receipt(
            wallet,
            RetireCall {
                feed: *feed.as_bytes(),
            },
        )
        .await
    }

    /// Changes the price in wei per second for new subscriptions.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn set_price(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        price: Wei,
    ) -> Result<Receipt, ChainError> {
        self.receipt(
            wallet,
            SetPriceCall {
                feed: *feed.as_bytes(),
                price: price.get(),
            },
        )
        .await
    }

    /// Changes where withdrawals go.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn set_payout(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        payout: Address,
    ) -> Result<Receipt, ChainError> {
        self.receipt(
            wallet,
            SetPayoutCall {
                feed: *feed.as_bytes(),
                payout: to_h160(payout),
            },
        )
        .await
    }

    /// Changes who may pause beside the owner; [`Address::ZERO`] for nobody.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn set_pauser(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        pauser: Address,
    ) -> Result<Receipt, ChainError> {
        self.receipt(
            wallet,
            SetPauserCall {
                feed: *feed.as_bytes(),
                pauser: to_h160(pauser),
            },
        )
        .await
    }

    /// Changes the hash of the listing.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn set_listing(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        listing: Hash,
    ) -> Result<Receipt, ChainError> {
        self.receipt(
            wallet,
            SetListingCall {
                feed: *feed.as_bytes(),
                listing: *listing.as_bytes(),
            },
        )
        .await
    }

    /// Moves the feed to another device, which consents as it would to a new feed of that name.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn set_device(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        consent: &FeedAuthorization,
    ) -> Result<Receipt, ChainError> {
        let call = SetDeviceCall {
            feed: *feed.as_bytes(),
            device: to_h160(consent.device.address()),
            deadline: consent.deadline,
            device_signature: signature_bytes(&consent.signature),
        };
        self.receipt(wallet, call).await
    }

    /// Offers the feed to another wallet; [`Address::ZERO`] takes the offer back.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn transfer_feed(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        to: Address,
    ) -> Result<Receipt, ChainError> {
        self.receipt(
            wallet,
            TransferFeedCall {
                feed: *feed.as_bytes(),
                to: to_h160(to),
            },
        )
        .await
    }

    /// Takes a feed that was offered to the wallet, with its unpaid earnings.
    ///
    /// # Errors
    /// As all verbs.
    pub async fn accept_feed(&self, wallet: &Wallet, feed: FeedId) -> Result<Receipt, ChainError> {
        self.receipt(
            wallet,
            AcceptFeedCall {
                feed: *feed.as_bytes(),
            },
        )
        .await
    }

    async fn own_subscription(
        &self,
        wallet: &Wallet,
        feed: FeedId,
        beneficiary: Address,
    ) -> Result<SubscriptionRecord, ChainError> {
        self.subscription(feed, wallet.address(), beneficiary)
            .await?
            .ok_or_else(|| {
                // What the ledger itself would say, without a transaction.
                ChainError::Refused(LedgerRefusal {
                    name: "SubscriptionNotLive".into(),
                    detail: format!(
                        "no subscription of {feed} by {} for {beneficiary}",
                        wallet.address()
                    ),
                })
            })
    }

    /// The expiry that a transaction gave to a subscription.
    fn new_expiry(&self, mined: &Mined) -> Result<u64, ChainError> {
        let expiry = self
            .events_of(mined)?
            .into_iter()
            .find_map(|event| match event {
                LedgerEvent::SubscriptionSet { expiry, .. } => Some(expiry),
                _ => None,
            });
        expiry
            .ok_or_else(|| ChainError::Unexpected("no SubscriptionSet event in the receipt".into()))
    }

    /// The ledger's own events in a transaction; a recipient that is a contract may have added others.
    fn events_of(&self, mined: &Mined) -> Result<Vec<LedgerEvent>, ChainError> {
        let own = mined
            .logs
            .iter()
            .filter(|log| log.address == to_h160(self.address()));
        let decoded = own
            .cloned()
            .filter_map(|log| LoggedEvent::decode(log).transpose());
        decoded
            .map(|logged| logged.map(|logged| logged.event))
            .collect()
    }

    async fn receipt(&self, wallet: &Wallet, call: impl AbiEncode) -> Result<Receipt, ChainError> {
        Ok(self.send(wallet, Wei::default(), call).await?.receipt)
    }

    async fn send(
        &self,
        wallet: &Wallet,
        value: Wei,
        call: impl AbiEncode,
    ) -> Result<Mined, ChainError> {
        transaction::send(
            &self.rpc,
            self.domain.chain_id,
            wallet,
            Some(self.address()),
            value,
            call.encode(),
        )
        .await
    }
}

fn total(price: Wei, seconds: u64) -> Result<Wei, ChainError> {
    price
        .checked_mul(seconds)
        .ok_or_else(|| ChainError::Unexpected("the total overflows".into()))
}

fn signature_bytes(signature: &ashya_protocol::Signature) -> Bytes {
    Bytes::from(signature.as_bytes().to_vec())
}
