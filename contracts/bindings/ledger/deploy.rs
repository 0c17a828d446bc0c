use std::time::Duration;

use ashya_protocol::{Address, Domain};
use ethers::providers::Middleware;
use ethers::types::{BlockId, Bytes, U256};
use tokio::time::sleep;

use super::Ledger;
use crate::abi::FEEDLEDGER_BYTECODE;
use crate::convert::{address, to_h160};
use crate::error::ChainError;
use crate::records::{Deployed, Deployment};
use crate::release::{PROXY, Release, SALT, is_proxy};
use crate::rpc::Rpc;
use crate::transaction::{self, Action};
use crate::wallet::Wallet;

/// Ten seconds: a block of most chains.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

impl Ledger {
    /// Puts a new ledger on the chain, at an address that follows from the wallet and its nonce.
    ///
    /// # Errors
    /// When the node does not answer or the transaction fails.
    pub async fn deploy(rpc: Rpc, wallet: &Wallet) -> Result<Deployment, ChainError> {
        Ok(Self::deploy_plain(&rpc, wallet).await?.deployment)
    }

    /// As [`Ledger::deploy`], with the receipt.
    ///
    /// # Errors
    /// As [`Ledger::deploy`].
    pub async fn deploy_plain(rpc: &Rpc, wallet: &Wallet) -> Result<Deployed, ChainError> {
        let chain_id = rpc.chain_id().await?;
        let action = Action {
            to: None,
            data: FEEDLEDGER_BYTECODE.clone(),
            value: U256::zero(),
        };
        let receipt = transaction::send(rpc, chain_id, wallet, action).await?;
        let ledger = receipt
            .contract_address
            .ok_or_else(|| ChainError::unexpected("a deployment without an address"))?;
        let receipt = transaction::summary(&receipt)?;
        Self::verify_new(rpc, address(ledger)).await?;
        Ok(Deployed {
            deployment: Deployment {
                chain_id,
                ledger: address(ledger),
                block: receipt.block,
            },
            receipt: Some(receipt),
        })
    }

    /// Puts the ledger at [`Release::address`], the same on every chain, by the deterministic proxy. Anybody may do
    /// so, and only once: the proxy refuses where it stands already, so [`Ledger::verify`] that address first.
    ///
    /// # Errors
    /// [`ChainError::NoProxy`] where the chain lacks the proxy; else when the node does not answer or the transaction
    /// fails.
    pub async fn deploy_deterministic(rpc: &Rpc, wallet: &Wallet) -> Result<Deployed, ChainError> {
        let chain_id = rpc.chain_id().await?;
        let ledger = Release::address();
        if !is_proxy(&code_at(rpc, PROXY, None).await?) {
            return Err(ChainError::NoProxy {
                chain_id,
                proxy: PROXY,
            });
        }
        let action = Action {
            to: Some(to_h160(PROXY).into()),
            data: Bytes::from([&SALT[..], &FEEDLEDGER_BYTECODE].concat()),
            value: U256::zero(),
        };
        let receipt = transaction::send(rpc, chain_id, wallet, action).await?;
        let receipt = transaction::summary(&receipt)?;
        Self::verify_new(rpc, ledger).await?;
        Ok(Deployed {
            deployment: Deployment {
                chain_id,
                ledger,
                block: receipt.block,
            },
            receipt: Some(receipt),
        })
    }

    /// Compares the code at `ledger` with this release's, byte for byte, immutable values of that chain and address
    /// included. Answers the domain that is signed for there.
    ///
    /// # Errors
    /// [`ChainError::NoContract`] where nothing stands, [`ChainError::OtherCode`] where something else does; else when
    /// the node does not answer.
    pub async fn verify(rpc: &Rpc, ledger: Address) -> Result<Domain, ChainError> {
        let chain_id = rpc.chain_id().await?;
        let domain = Domain { chain_id, ledger };
        let code = code_at(rpc, ledger, None).await?;
        if code.is_empty() {
            return Err(ChainError::NoContract {
                address: ledger,
                chain_id,
            });
        }
        if code != Release::code(&domain) {
            return Err(ChainError::OtherCode {
                address: ledger,
                chain_id,
            });
        }
        Ok(domain)
    }

    /// One of the nodes behind an address may have the receipt while the next has not seen the block.
    async fn verify_new(rpc: &Rpc, ledger: Address) -> Result<Domain, ChainError> {
        let mut tries = 1;
        loop {
            match Self::verify(rpc, ledger).await {
                Err(ChainError::NoContract { .. }) if tries < TRIES => sleep(PAUSE).await,
                result => return result,
            }
            tries += 1;
        }
    }

    /// The block in which `ledger` was deployed, by halving: about 25 requests.
    ///
    /// # Errors
    /// [`ChainError::NoHistory`] when the node does not keep the old states; else when it does not answer.
    pub async fn deployment_block(rpc: &Rpc, ledger: Address) -> Result<u64, ChainError> {
        let (mut without, mut with) = (0, rpc.latest().await?.number);
        // Invariant: the contract stands at `with`, and either not at `without` or that is the first block.
        while without < with {
            let middle = without + (with - without) / 2;
            let code = code_at(rpc, ledger, Some(middle)).await;
            let code = code.map_err(|error| match error {
                ChainError::Rpc { .. } => ChainError::NoHistory {
                    address: ledger,
                    source: Box::new(error),
                },
                other => other,
            })?;
            if code.is_empty() {
                without = middle + 1;
            } else {
                with = middle;
            }
        }
        Ok(with)
    }
}

async fn code_at(rpc: &Rpc, who: Address, block: Option<u64>) -> Result<Bytes, ChainError> {
    let provider = rpc.provider();
    let code = provider.get_code(to_h160(who), block.map(BlockId::from));
    code.await.map_err(ChainError::from_provider)
}
