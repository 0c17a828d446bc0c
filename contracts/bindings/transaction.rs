//! From a call to its receipt.

use std::time::Duration;

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
use crate::transport::HttpTransport;
use crate::wallet::Wallet;

/// Five blocks of the main chain.
const RECEIPT_DEADLINE: Duration = Duration::from_secs(60);
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

    // The node runs the call to estimate it, so a refusal of the ledger shows here and costs nothing.
    let estimate = provider
        .estimate_gas(&TypedTransaction::Eip1559(request.clone()), None)
        .await
        .map_err(ChainError::from_provider)?;
    let (most, tip) = fees(&provider).await?;
    // The books may change until it is mined; what is not used is not paid.
    let request = request
        .gas(estimate + estimate / 4)
        .max_fee_per_gas(most)
        .max_priority_fee_per_gas(tip);

    let transaction = {
        let _turn = wallet.turn().await;
        let nonce = provider
            .get_transaction_count(to_h160(wallet.address()), Some(BlockNumber::Pending.into()))
            .await
            .map_err(ChainError::from_provider)?;
        let signed = wallet.sign(&TypedTransaction::Eip1559(request.nonce(nonce)));
        let pending = provider.send_raw_transaction(signed).await;
        pending.map_err(ChainError::from_provider)?.tx_hash()
    };
    let receipt = wait(&provider, transaction).await?;
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

/// Room for the base fee to double, and the tip that the node advises.
async fn fees(provider: &Provider<HttpTransport>) -> Result<(U256, U256), ChainError> {
    let latest = provider
        .get_block(BlockNumber::Latest)
        .await
        .map_err(ChainError::from_provider)?;
    let base = latest.and_then(|block| block.base_fee_per_gas);
    let base = base.ok_or_else(|| ChainError::unexpected("a chain without base fee (EIP-1559)"))?;
    let advice: Result<U256, _> = provider.request("eth_maxPriorityFeePerGas", ()).await;
    let tip = advice.unwrap_or_else(|_| DEFAULT_TIP.into());
    Ok((base * 2 + tip, tip))
}

async fn wait(
    provider: &Provider<HttpTransport>,
    transaction: TxHash,
) -> Result<TransactionReceipt, ChainError> {
    let deadline = Instant::now() + RECEIPT_DEADLINE;
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
