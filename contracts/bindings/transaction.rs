//! From a call to its receipt.

use std::time::Duration;

use ashya_protocol::{Address, Wei};
use ethers::providers::{Middleware, Provider};
use ethers::types::transaction::eip2718::TypedTransaction;
use ethers::types::{
    BlockNumber, Bytes, Eip1559TransactionRequest, NameOrAddress, TransactionReceipt, TxHash, U64,
    U256,
};
use tokio::time::{Instant, sleep};

use crate::convert::{hash, to_h160, uint64, wei};
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

/// Sends a transaction (EIP-1559) and waits for its receipt.
pub(crate) async fn send(
    rpc: &Rpc,
    chain_id: u64,
    wallet: &Wallet,
    action: Action,
) -> Result<TransactionReceipt, ChainError> {
    let provider = rpc.provider();
    let mut request = Eip1559TransactionRequest::new()
        .from(to_h160(wallet.address()))
        .chain_id(chain_id)
        .data(action.data)
        .value(action.value);
    request.to = action.to;

    let balance = rpc.balance(wallet.address()).await?;
    // A node would refuse to estimate it, in words of its own.
    affordable(
        wallet.address(),
        balance,
        wei(request.value.unwrap_or_default())?,
    )?;
    // The node runs the call to estimate it, so a refusal of the ledger shows here and costs nothing.
    let estimate = provider
        .estimate_gas(&TypedTransaction::Eip1559(request.clone()), None)
        .await
        .map_err(ChainError::from_provider)?;
    // The books may change until it is mined; what is not used is not paid.
    let gas = estimate.saturating_add(estimate / 4);
    let advice = advice(&provider).await?;
    let (most, tip) = advice.within(wallet.max_fee())?;
    let cost = wei(gas.saturating_mul(most))?;
    let value = request.value.unwrap_or_default();
    affordable(
        wallet.address(),
        balance,
        wei(gas.saturating_mul(most).saturating_add(value))?,
    )?;
    wallet.tell(&Progress::Estimated {
        gas: uint64(gas)?,
        most: cost,
    });
    let request = request
        .gas(gas)
        .max_fee_per_gas(most)
        .max_priority_fee_per_gas(tip);

    let transaction = {
        let _turn = wallet.turn().await;
        let nonce = provider
            .get_transaction_count(to_h160(wallet.address()), Some(BlockNumber::Pending.into()))
            .await
            .map_err(ChainError::from_provider)?;
        let signed = wallet
            .sign(&TypedTransaction::Eip1559(request.nonce(nonce)))
            .await?;
        let pending = provider.send_raw_transaction(signed).await;
        pending.map_err(ChainError::from_provider)?.tx_hash()
    };
    wallet.tell(&Progress::Sent {
        transaction: hash(transaction),
    });
    let receipt = wait(&provider, transaction, wallet.patience()).await?;
    if receipt.status == Some(U64::one()) {
        Ok(receipt)
    } else {
        Err(ChainError::Reverted {
            transaction: hash(transaction),
        })
    }
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
}
