use std::sync::Arc;

use ashya_protocol::{Address, Hash, Wei};
use ethers::abi::{self, Token};
use ethers::contract::EthError;
use ethers::providers::{JsonRpcError, Middleware, Provider, ProviderError, RpcError};
use ethers::types::transaction::eip2718::TypedTransaction;
use ethers::types::{BlockId, BlockNumber, Eip1559TransactionRequest, H256};
use tokio::sync::watch;
use url::Url;

use crate::abi::{VERIFYSIGNATURE_BYTECODE, Verdict};
use crate::bloom::LogsBloom;
use crate::convert::{hash, to_h160, uint64, wei};
use crate::error::ChainError;
use crate::transport::Transport;

/// A node by its JSON-RPC endpoint, or by several of which any may answer. A clone shares its connections. A request may
/// take 10 seconds at each endpoint.
#[derive(Debug, Clone)]
pub struct Rpc {
    provider: Arc<Provider<Transport>>,
}

/// The head of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
    /// Hash of the block before it.
    pub parent: Hash,
    /// Its time in Unix seconds.
    pub timestamp: u64,
    /// What its logs may be; `None` where the node does not say.
    pub logs_bloom: Option<LogsBloom>,
}

impl Rpc {
    /// Names an endpoint. Nothing is sent yet.
    ///
    /// # Errors
    /// When the scheme is none of `http`, `https`, `ws` and `wss`, or TLS cannot be set up.
    pub fn new(url: &Url) -> Result<Self, ChainError> {
        Self::any_of(std::slice::from_ref(url))
    }

    /// Names endpoints of which each request takes the one that answered last, and the next where that one fails. Good
    /// for requests that stand alone: two of them may see two states of the chain.
    ///
    /// # Errors
    /// When there is none, a scheme is none of `http`, `https`, `ws` and `wss`, or TLS cannot be set up.
    pub fn any_of(urls: &[Url]) -> Result<Self, ChainError> {
        let transport = Transport::new(urls)?;
        Ok(Self {
            provider: Arc::new(Provider::new(transport)),
        })
    }

    /// Changes with each new head that the node tells of by itself; `None` for an endpoint that only answers. Needs a
    /// running tokio.
    pub fn heads(&self) -> Option<watch::Receiver<u64>> {
        self.provider.as_ref().as_ref().heads()
    }

    /// The EIP-155 id of the chain.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn chain_id(&self) -> Result<u64, ChainError> {
        uint64(
            self.provider
                .get_chainid()
                .await
                .map_err(ChainError::from_provider)?,
        )
    }

    /// Whether the endpoint is plain HTTP on this machine, so that asking it costs next to nothing.
    pub fn is_on_this_machine(&self) -> bool {
        self.provider.as_ref().as_ref().is_on_this_machine()
    }

    /// The height of the newest block.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn height(&self) -> Result<u64, ChainError> {
        let height = self.provider.get_block_number().await;
        Ok(height.map_err(ChainError::from_provider)?.as_u64())
    }

    /// The newest block.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn latest(&self) -> Result<Block, ChainError> {
        self.tagged(BlockNumber::Latest).await
    }

    /// The newest block that the chain has finalized.
    ///
    /// # Errors
    /// When the node does not answer, or its chain finalizes nothing.
    pub async fn finalized(&self) -> Result<Block, ChainError> {
        self.tagged(BlockNumber::Finalized).await
    }

    /// The block of a height, or `None` while there is none.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn block(&self, number: u64) -> Result<Option<Block>, ChainError> {
        self.get_block(number.into()).await
    }

    /// The money of an account at the newest block.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn balance(&self, who: Address) -> Result<Wei, ChainError> {
        let balance = self.provider.get_balance(to_h160(who), None).await;
        wei(balance.map_err(ChainError::from_provider)?)
    }

    /// Whether `signer` signed `digest`: ERC-6492, then ERC-1271, then ecrecover, all in one `eth_call` of a contract
    /// that is never deployed.
    ///
    /// # Errors
    /// When the node does not answer. A malformed signature is no error but `false`.
    pub async fn verify_signature(
        &self,
        signer: Address,
        digest: &Hash,
        signature: &[u8],
    ) -> Result<bool, ChainError> {
        let arguments = abi::encode(&[
            Token::Address(to_h160(signer)),
            Token::FixedBytes(digest.as_bytes().to_vec()),
            Token::Bytes(signature.to_vec()),
        ]);
        let code = [VERIFYSIGNATURE_BYTECODE.as_ref(), &arguments].concat();
        let call = TypedTransaction::Eip1559(Eip1559TransactionRequest::new().data(code));
        match self.provider.call(&call, None).await {
            Ok(_) => Err(ChainError::unexpected(
                "a signature check without a verdict",
            )),
            Err(error) => verdict(error),
        }
    }

    pub(crate) fn provider(&self) -> Arc<Provider<Transport>> {
        Arc::clone(&self.provider)
    }

    async fn tagged(&self, tag: BlockNumber) -> Result<Block, ChainError> {
        self.get_block(tag.into())
            .await?
            .ok_or_else(|| ChainError::unexpected(format!("there is no {tag} block")))
    }

    async fn get_block(&self, id: BlockId) -> Result<Option<Block>, ChainError> {
        let block = self.provider.get_block(id).await;
        block
            .map_err(ChainError::from_provider)?
            .as_ref()
            .map(head)
            .transpose()
    }
}

fn head(block: &ethers::types::Block<H256>) -> Result<Block, ChainError> {
    let (Some(number), Some(own_hash)) = (block.number, block.hash) else {
        return Err(ChainError::unexpected("a block without number or hash"));
    };
    Ok(Block {
        number: number.as_u64(),
        hash: hash(own_hash),
        parent: hash(block.parent_hash),
        timestamp: uint64(block.timestamp)?,
        logs_bloom: block.logs_bloom.map(|bloom| LogsBloom::new(bloom.0)),
    })
}

/// A revert without data comes from a wrapper that does not decode, so from no valid signature.
fn verdict(error: ProviderError) -> Result<bool, ChainError> {
    let data = error
        .as_error_response()
        .and_then(JsonRpcError::as_revert_data);
    match data {
        Some(data) if data.is_empty() => Ok(false),
        Some(data) => Verdict::decode_with_selector(&data)
            .map(|verdict| verdict.valid)
            .ok_or_else(|| ChainError::from_provider(error)),
        None => Err(ChainError::from_provider(error)),
    }
}
