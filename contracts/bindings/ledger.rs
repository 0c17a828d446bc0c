mod deploy;
mod logs;
mod provider;
mod steps;
mod subscriber;

use ashya_protocol::{Address, Domain, FeedId, Hash, Wei};
use ethers::abi::Detokenize;
use ethers::contract::ContractError;
use ethers::contract::builders::ContractCall;
use ethers::providers::{Middleware, Provider};
use ethers::types::TransactionReceipt;

use crate::abi::FeedLedger;
use crate::convert::{address, feed_name, non_zero, somebody, to_h160, wei};
use crate::error::{ChainError, LedgerRefusal};
use crate::events::{self, LedgerEvent};
use crate::records::{FeedClock, FeedRecord, Receipt, SubscriptionRecord};
use crate::rpc::Rpc;
use crate::transaction::{self, Action};
use crate::transport::Transport;
use crate::wallet::Wallet;

type Client = Provider<Transport>;
type Call<R> = ContractCall<Client, R>;

/// A ledger on a chain. A clone shares its connections.
///
/// Each verb that writes takes the wallet that signs and pays, and returns when the transaction is mined, or with
/// [`ChainError::Timeout`] after 60 seconds. What the ledger refuses costs nothing: it is found out before sending.
#[derive(Debug, Clone)]
pub struct Ledger {
    rpc: Rpc,
    address: Address,
    chain_id: u64,
    contract: FeedLedger<Client>,
}

impl Ledger {
    /// Connects to a ledger that stands at `address`.
    ///
    /// # Errors
    /// When the node does not answer, or nothing stands there.
    pub async fn connect(rpc: Rpc, address: Address) -> Result<Self, ChainError> {
        let chain_id = rpc.chain_id().await?;
        let code = rpc.provider().get_code(to_h160(address), None).await;
        if code.map_err(ChainError::from_provider)?.is_empty() {
            return Err(ChainError::NoContract { address, chain_id });
        }
        let contract = FeedLedger::new(to_h160(address), rpc.provider());
        Ok(Self {
            rpc,
            address,
            chain_id,
            contract,
        })
    }

    /// The EIP-712 domain of everything that is signed for this ledger.
    pub fn domain(&self) -> Domain {
        Domain {
            chain_id: self.chain_id,
            ledger: self.address,
        }
    }

    /// Where it stands.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The node that it is reached by.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The terms of a feed, or `None` when no such feed was opened.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn feed(&self, feed: FeedId) -> Result<Option<FeedRecord>, ChainError> {
        let view = match read(self.contract.feed_of(*feed.as_bytes())).await {
            Ok(view) => view,
            Err(ChainError::Refused(refusal)) if refusal.name == "FeedUnknown" => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(FeedRecord {
            device: address(view.device).into(),
            name: feed_name(&view.name)?,
            owner: address(view.owner),
            pending_owner: somebody(view.pending_owner),
            price: Wei::new(view.price),
            payout: address(view.payout),
            pauser: address(view.pauser),
            listing: Hash::new(view.listing),
        }))
    }

    /// The clock of a feed.
    ///
    /// # Errors
    /// When the node does not answer, or no such feed was opened.
    pub async fn clock(&self, feed: FeedId) -> Result<FeedClock, ChainError> {
        let view = read(self.contract.clock_of(*feed.as_bytes())).await?;
        Ok(FeedClock {
            base: view.base,
            paused_at: non_zero(view.paused_at),
            paused_total: view.paused_total,
            paused_by: somebody(view.paused_by),
            retires_at: non_zero(view.retires_at),
        })
    }

    /// The latest subscription that `payer` bought for `beneficiary`, live or not; `None` when there was none.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn subscription(
        &self,
        feed: FeedId,
        payer: Address,
        beneficiary: Address,
    ) -> Result<Option<SubscriptionRecord>, ChainError> {
        let call =
            self.contract
                .subscription_of(*feed.as_bytes(), to_h160(payer), to_h160(beneficiary));
        let view = read(call).await?;
        Ok((view.price != 0).then(|| SubscriptionRecord {
            price: Wei::new(view.price),
            start: view.start,
            expiry: view.expiry,
        }))
    }

    /// What a withdrawal without limit would pay now.
    ///
    /// # Errors
    /// When the node does not answer, or no such feed was opened.
    pub async fn withdrawable(&self, feed: FeedId) -> Result<Wei, ChainError> {
        wei(read(self.contract.withdrawable_of(*feed.as_bytes())).await?)
    }

    /// Signs, sends and waits.
    async fn write<R>(&self, wallet: &Wallet, call: Call<R>) -> Result<Mined, ChainError> {
        let action = action_of(&call);
        let receipt = transaction::send(&self.rpc, self.chain_id, wallet, action).await?;
        self.mined(&receipt)
    }

    /// What the ledger said in a transaction.
    fn mined(&self, receipt: &TransactionReceipt) -> Result<Mined, ChainError> {
        let events = receipt
            .logs
            .iter()
            .filter(|log| log.address == self.contract.address());
        Ok(Mined {
            receipt: transaction::summary(receipt)?,
            events: events
                .filter_map(|log| events::decode(log.clone()).transpose())
                .collect::<Result<_, _>>()?,
        })
    }
}

fn action_of<R>(call: &Call<R>) -> Action {
    Action {
        to: call.tx.to().cloned(),
        data: call.tx.data().cloned().unwrap_or_default(),
        value: call.tx.value().copied().unwrap_or_default(),
    }
}

/// A mined transaction with what the ledger said in it.
struct Mined {
    receipt: Receipt,
    events: Vec<LedgerEvent>,
}

async fn read<R: Detokenize>(call: Call<R>) -> Result<R, ChainError> {
    call.call().await.map_err(|error| match error {
        ContractError::Revert(data) => match LedgerRefusal::decode(&data) {
            Some(refusal) => ChainError::Refused(refusal),
            None => ChainError::unexpected("the call was reverted without a known reason"),
        },
        ContractError::MiddlewareError { e } | ContractError::ProviderError { e } => {
            ChainError::from_provider(e)
        }
        other => ChainError::unexpected(other.to_string()),
    })
}
