//! From a call to its receipt.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Duration;

use ashya_protocol::{Address, Hash, Wei, keccak256};
use ethers::providers::{Middleware, Provider};
use ethers::types::transaction::eip2718::TypedTransaction;
use ethers::types::{
    BlockNumber, Bytes, Eip1559TransactionRequest, NameOrAddress, TransactionReceipt, TxHash, U64,
    U256,
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::convert::{hash, to_h160, to_h256, uint64, wei};
use crate::error::ChainError;
use crate::records::Receipt;
use crate::rpc::Rpc;
use crate::transport::Transport;
use crate::wallet::{Progress, Wallet};

/// A local chain has the receipt at once; the pause doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Where a node does not advise a tip: one gwei.
const DEFAULT_TIP: u64 = 1_000_000_000;

/// What a transaction does: creates a contract where it names none.
pub(crate) struct Action {
    pub(crate) to: Option<NameOrAddress>,
    pub(crate) data: Bytes,
    pub(crate) value: U256,
}

/// A transaction that would pass now, with the most that it may cost, before it has a number and a signature.
#[derive(Debug, Clone)]
pub struct Draft {
    request: Eip1559TransactionRequest,
    gas: u64,
    value: Wei,
    most_fee: Wei,
}

/// A signed transaction (EIP-1559). It may be sent any number of times: the chain takes its number once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedTransaction {
    /// Its hash.
    pub hash: Hash,
    /// Its number among those of its sender.
    pub nonce: u64,
    /// The ETH that goes along.
    pub value: Wei,
    /// The most that its gas may cost.
    pub most_fee: Wei,
    /// The bytes that are sent, 0x-hex.
    raw: String,
}

impl Draft {
    /// The ETH that goes along.
    pub fn value(&self) -> Wei {
        self.value
    }

    /// The most that its gas may cost.
    pub fn most_fee(&self) -> Wei {
        self.most_fee
    }
}

/// Sends a transaction (EIP-1559) and waits for its receipt.
pub(crate) async fn send(
    rpc: &Rpc,
    chain_id: u64,
    wallet: &Wallet,
    action: Action,
) -> Result<TransactionReceipt, ChainError> {
    let draft = draft(rpc, chain_id, wallet, action).await?;
    wallet.tell(&Progress::Estimated {
        gas: draft.gas,
        most: draft.most_fee,
    });
    let transaction = {
        let _turn = wallet.turn().await;
        let signed = sign(rpc, wallet, draft, 0).await?;
        wallet.tell(&Progress::Signed);
        hand_over(rpc, wallet, &signed).await?;
        signed.hash
    };
    wallet.tell(&Progress::Sent { transaction });
    let receipt = wait(&rpc.provider(), to_h256(transaction), wallet.patience()).await?;
    if receipt.status == Some(U64::one()) {
        Ok(receipt)
    } else {
        Err(ChainError::Reverted { transaction })
    }
}

/// Finds out whether a transaction would pass and what it may cost.
pub(crate) async fn draft(
    rpc: &Rpc,
    chain_id: u64,
    wallet: &Wallet,
    action: Action,
) -> Result<Draft, ChainError> {
    let provider = rpc.provider();
    let value = wei(action.value)?;
    let mut request = Eip1559TransactionRequest::new()
        .from(to_h160(wallet.address()))
        .chain_id(chain_id)
        .data(action.data)
        .value(action.value);
    request.to = action.to;

    let balance = rpc.balance(wallet.address()).await?;
    // A node would refuse to estimate it, in words of its own.
    affordable(wallet.address(), balance, value)?;
    // The node runs the call to estimate it, so a refusal of the ledger shows here and costs nothing.
    let estimate = provider
        .estimate_gas(&TypedTransaction::Eip1559(request.clone()), None)
        .await
        .map_err(ChainError::from_provider)?;
    // The books may change until it is mined; what is not used is not paid.
    let gas = estimate.saturating_add(estimate / 4);
    let (usual, tip) = advice(&provider).await?.within(wallet.max_fee())?;
    let money = U256::from(balance.get().saturating_sub(value.get()));
    let means = money.checked_div(gas).unwrap_or_default();
    let most = offered(usual, means, wallet.standing_offer());
    let most_fee = wei(gas.saturating_mul(most))?;
    let needed = value.get().saturating_add(most_fee.get());
    affordable(wallet.address(), balance, Wei::new(needed))?;
    Ok(Draft {
        request: request
            .gas(gas)
            .max_fee_per_gas(most)
            .max_priority_fee_per_gas(tip),
        gas: uint64(gas)?,
        value,
        most_fee,
    })
}

/// Signs a draft with the wallet's next number, which is `least_nonce` or above.
pub(crate) async fn sign(
    rpc: &Rpc,
    wallet: &Wallet,
    draft: Draft,
    least_nonce: u64,
) -> Result<SignedTransaction, ChainError> {
    let next = next_nonce(rpc, wallet.address(), BlockNumber::Pending).await?;
    let nonce = next.max(least_nonce);
    let raw = wallet
        .sign(&TypedTransaction::Eip1559(draft.request.nonce(nonce)))
        .await?;
    Ok(SignedTransaction {
        hash: keccak256(&raw),
        nonce,
        value: draft.value,
        most_fee: draft.most_fee,
        raw: raw.to_string(),
    })
}

/// Hands a transaction to the node.
pub(crate) async fn broadcast(rpc: &Rpc, signed: &SignedTransaction) -> Result<(), ChainError> {
    let raw = signed.raw.parse();
    let raw = raw.map_err(|_| ChainError::unexpected("a kept transaction that is no hex"))?;
    let provider = rpc.provider();
    let pending = provider.send_raw_transaction(raw).await;
    pending.map(drop).map_err(ChainError::from_provider)
}

/// Hands over what was just signed, and tells if it was refused. A node may refuse what it has already, by way of
/// another endpoint that did not say so: that is as good as sent.
pub(crate) async fn hand_over(
    rpc: &Rpc,
    wallet: &Wallet,
    signed: &SignedTransaction,
) -> Result<(), ChainError> {
    let refusal = match broadcast(rpc, signed).await {
        Err(refusal @ (ChainError::Rpc { .. } | ChainError::Refused(_))) => refusal,
        outcome => return outcome,
    };
    let provider = rpc.provider();
    match provider.get_transaction(to_h256(signed.hash)).await {
        Ok(Some(_)) => return Ok(()),
        Ok(None) => wallet.tell(&Progress::Refused),
        Err(error) => tracing::debug!(%error, "a refused transaction could not be looked up"),
    }
    Err(refusal)
}

/// The numbers of a wallet's transactions that the node holds and no block does.
pub(crate) async fn unmined(rpc: &Rpc, sender: Address) -> Result<Range<u64>, ChainError> {
    // In this order nothing seems to wait that is mined in between.
    let after = next_nonce(rpc, sender, BlockNumber::Pending).await?;
    let first = next_nonce(rpc, sender, BlockNumber::Latest).await?;
    Ok(first..after)
}

/// The most that so much gas costs at the advice of this moment.
pub(crate) async fn fee_of(rpc: &Rpc, wallet: &Wallet, gas: u64) -> Result<Wei, ChainError> {
    let (most, _) = advice(&rpc.provider()).await?.within(wallet.max_fee())?;
    wei(most.saturating_mul(gas.into()))
}

pub(crate) fn summary(receipt: &TransactionReceipt) -> Result<Receipt, ChainError> {
    let (Some(block), Some(gas_used), Some(gas_price)) = (
        receipt.block_number,
        receipt.gas_used,
        receipt.effective_gas_price,
    ) else {
        return Err(ChainError::unexpected(
            "a receipt without block, gas or price",
        ));
    };
    let fee = gas_used
        .checked_mul(gas_price)
        .ok_or_else(|| ChainError::unexpected("an impossible fee"))?;
    Ok(Receipt {
        transaction: hash(receipt.transaction_hash),
        block: block.as_u64(),
        gas_used: uint64(gas_used)?,
        fee: wei(fee)?,
    })
}

/// What a unit of gas costs, in wei.
#[derive(Debug, Clone, Copy)]
struct FeeAdvice {
    base: U256,
    tip: U256,
}

impl FeeAdvice {
    /// The most that is paid for a unit of gas, and the tip in it: room for the base fee to double, and the tip that
    /// the node advises, within the limit.
    fn within(self, limit: Option<Wei>) -> Result<(U256, U256), ChainError> {
        let most = self.base.saturating_mul(2.into()).saturating_add(self.tip);
        let Some(limit) = limit else {
            return Ok((most, self.tip));
        };
        let most = most.min(limit.get().into());
        if most < self.base {
            return Err(ChainError::FeeAboveLimit {
                base_fee: wei(self.base)?,
                max_fee: limit,
            });
        }
        Ok((most, self.tip.min(most)))
    }
}

/// What is offered for a unit of gas: what usually does or, where a wallet has a standing offer, as much of that as the
/// transaction's share of its `means` allows.
fn offered(usual: U256, means: U256, standing: Option<(Wei, NonZeroUsize)>) -> U256 {
    standing.map_or(usual, |(offer, shares)| {
        let share = means / shares.get();
        usual.max(share.min(offer.get().into()))
    })
}

/// The number of a wallet's first transaction that is not in the chain up to a block.
async fn next_nonce(rpc: &Rpc, sender: Address, block: BlockNumber) -> Result<u64, ChainError> {
    let provider = rpc.provider();
    let count = provider.get_transaction_count(to_h160(sender), Some(block.into()));
    uint64(count.await.map_err(ChainError::from_provider)?)
}

async fn advice(provider: &Provider<Transport>) -> Result<FeeAdvice, ChainError> {
    let latest = provider
        .get_block(BlockNumber::Latest)
        .await
        .map_err(ChainError::from_provider)?;
    let base = latest.and_then(|block| block.base_fee_per_gas);
    let base = base.ok_or_else(|| ChainError::unexpected("a chain without base fee (EIP-1559)"))?;
    let advice: Result<U256, _> = provider.request("eth_maxPriorityFeePerGas", ()).await;
    let tip = advice.unwrap_or_else(|_| DEFAULT_TIP.into());
    Ok(FeeAdvice { base, tip })
}

fn affordable(wallet: Address, balance: Wei, needed: Wei) -> Result<(), ChainError> {
    if balance >= needed {
        return Ok(());
    }
    Err(ChainError::InsufficientFunds {
        wallet,
        balance,
        needed,
    })
}

async fn wait(
    provider: &Provider<Transport>,
    transaction: TxHash,
    patience: Duration,
) -> Result<TransactionReceipt, ChainError> {
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    while Instant::now() < deadline {
        match provider.get_transaction_receipt(transaction).await {
            Ok(Some(receipt)) if receipt.block_number.is_some() => return Ok(receipt),
            Ok(_) => {}
            // The transaction is out: a node that stumbles now is asked again until the deadline.
            Err(error) => tracing::debug!(%error, "a receipt could not be read"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Err(ChainError::Timeout {
        transaction: hash(transaction),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_within_a_limit() {
        let advice = FeeAdvice {
            base: 100.into(),
            tip: 7.into(),
        };
        for (limit, expected) in [
            (None, Some((207, 7))),
            (Some(1000), Some((207, 7))),
            (Some(150), Some((150, 7))),
            (Some(100), Some((100, 7))),
            (Some(99), None),
        ] {
            let found = advice.within(limit.map(Wei::new)).ok();
            let expected = expected.map(|(most, tip): (u64, u64)| (most.into(), tip.into()));
            assert_eq!(found, expected, "{limit:?}");
        }
        let cheap = FeeAdvice {
            base: 1.into(),
            tip: 50.into(),
        };
        assert_eq!(
            cheap.within(Some(Wei::new(20))).ok(),
            Some((20.into(), 20.into()))
        );
    }

    #[test]
    fn a_standing_offer_is_made_as_far_as_the_money_goes() {
        let rows: [(u64, u64, Option<u128>, usize, u64); 8] = [
            (21, 1000, None, 1, 21),
            (21, 1000, Some(50), 1, 50),
            (50, 1000, Some(50), 1, 50),
            // A poor wallet offers what it has.
            (21, 30, Some(50), 1, 30),
            // That it cannot pay even this is found out later.
            (21, 10, Some(50), 1, 21),
            // What others may cost is left to them.
            (21, 1000, Some(50), 16, 50),
            (21, 640, Some(50), 16, 40),
            (21, 160, Some(50), 16, 21),
        ];
        for (usual, means, limit, shares, expected) in rows {
            let standing = limit.map(Wei::new).zip(NonZeroUsize::new(shares));
            let found = offered(usual.into(), means.into(), standing);
            assert_eq!(found, U256::from(expected), "{usual} {means} {standing:?}");
        }
    }
}
