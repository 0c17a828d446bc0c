use ashya_protocol::{Address, FeedId, FeedName, Hash, Wei};
use ethers::abi::{AbiDecode, AbiEncode};
use ethers::types::{Bytes, Log, U64, U256};
use serde_json::json;

use super::Ledger;
use crate::abi::{
    ClockOfCall, ClockOfReturn, FeedOfCall, FeedOfReturn, SubscriptionOfCall, SubscriptionOfReturn,
    WithdrawableOfCall,
};
use crate::clock::FeedClock;
use crate::convert::{address, somebody, sometime, to_h160, wei};
use crate::error::{ChainError, LedgerRefusal};
use crate::events::LoggedEvent;
use crate::records::{FeedRecord, SubscriptionRecord};

impl Ledger {
    /// A feed; `None` when it was never opened.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn feed(&self, feed: FeedId) -> Result<Option<FeedRecord>, ChainError> {
        let returned = self
            .call::<FeedOfReturn>(FeedOfCall {
                feed: *feed.as_bytes(),
            })
            .await;
        let view = match returned {
            Ok(FeedOfReturn(view)) => view,
            Err(ChainError::Refused(LedgerRefusal { name, .. })) if name == "FeedUnknown" => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let name = FeedName::from_bytes32(&view.name)
            .map_err(|error| ChainError::Unexpected(format!("a feed's name: {error}")))?;
        Ok(Some(FeedRecord {
            device: address(view.device).into(),
            name,
            owner: address(view.owner),
            pending_owner: somebody(view.pending_owner),
            price: Wei::new(view.price),
            payout: address(view.payout),
            pauser: somebody(view.pauser),
            listing: Hash::new(view.listing),
        }))
    }

    /// The clock of a feed.
    ///
    /// # Errors
    /// When the node does not answer, or the feed was never opened.
    pub async fn clock(&self, feed: FeedId) -> Result<FeedClock, ChainError> {
        let ClockOfReturn(view) = self
            .call(ClockOfCall {
                feed: *feed.as_bytes(),
            })
            .await?;
        Ok(FeedClock {
            base: view.base,
            paused_at: sometime(view.paused_at),
            paused_total: view.paused_total,
            paused_by: somebody(view.paused_by),
            retires_at: sometime(view.retires_at),
        })
    }

    /// A subscription; `None` when there never was one.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn subscription(
        &self,
        feed: FeedId,
        payer: Address,
        beneficiary: Address,
    ) -> Result<Option<SubscriptionRecord>, ChainError> {
        let call = SubscriptionOfCall {
            feed: *feed.as_bytes(),
            payer: to_h160(payer),
            beneficiary: to_h160(beneficiary),
        };
        let SubscriptionOfReturn(record) = self.call(call).await?;
        Ok((record.price != 0).then_some(SubscriptionRecord {
            price: Wei::new(record.price),
            start: record.start,
            expiry: record.expiry,
        }))
    }

    /// What `withdraw` would pay now.
    ///
    /// # Errors
    /// When the node does not answer, or the feed was never opened.
    pub async fn withdrawable(&self, feed: FeedId) -> Result<Wei, ChainError> {
        wei(self
            .call::<U256>(WithdrawableOfCall {
                feed: *feed.as_bytes(),
            })
            .await?)
    }

    /// The ledger's events from block `from` to block `to`, both included, in order.
    ///
    /// # Errors
    /// When the node does not answer or finds the range too wide.
    pub async fn events(&self, from: u64, to: u64) -> Result<Vec<LoggedEvent>, ChainError> {
        let filter = json!([{ "address": self.address(), "fromBlock": U64::from(from), "toBlock": U64::from(to) }]);
        let logs: Vec<Log> = self.rpc.request("eth_getLogs", filter).await?;
        logs.into_iter()
            .filter_map(|log| LoggedEvent::decode(log).transpose())
            .collect()
    }

    async fn call<R: AbiDecode>(&self, call: impl AbiEncode) -> Result<R, ChainError> {
        let call = json!({ "to": self.address(), "data": Bytes::from(call.encode()) });
        let returned: Bytes = self
            .rpc
            .request("eth_call", json!([call, "latest"]))
            .await?;
        R::decode(returned)
            .map_err(|error| ChainError::Unexpected(format!("an answer of the ledger: {error}")))
    }
}
