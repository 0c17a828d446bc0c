use ashya_protocol::Hash;
use ethers::providers::Middleware;
use ethers::types::{Filter, H256, Log};

use super::Ledger;
use crate::bloom::LogsBloom;
use crate::convert::to_h160;
use crate::error::ChainError;
use crate::events::{self, LoggedEvent};
use crate::rpc::Block;

impl Ledger {
    /// Whether a block with this filter may hold events of the ledger.
    pub fn may_have_written(&self, bloom: &LogsBloom) -> bool {
        bloom.may_hold(self.address.as_bytes())
            && events::topics()
                .iter()
                .any(|topic| bloom.may_hold(topic.as_bytes()))
    }

    /// The events of the blocks `from` to `to`, both included, in the order of the chain, as the node tells them.
    ///
    /// # Errors
    /// When the node does not answer, or finds the range too large.
    pub async fn events(&self, from: u64, to: u64) -> Result<Vec<LoggedEvent>, ChainError> {
        let filter = self.filter().from_block(from).to_block(to);
        events::of_ledger(self.address, self.logs(&filter).await?)
    }

    /// The events of one block, in the order of the chain, as the node tells them.
    ///
    /// # Errors
    /// When the node does not answer, or does not know the block.
    pub async fn events_of(&self, block: Hash) -> Result<Vec<LoggedEvent>, ChainError> {
        let filter = self.filter().at_block_hash(H256(*block.as_bytes()));
        events::of_ledger(self.address, self.logs(&filter).await?)
    }

    /// The events of one block, picked from all logs that it holds. They are held against the block's Bloom filter, so
    /// that a node which leaves some out is found out.
    ///
    /// # Errors
    /// [`ChainError::Incomplete`] when logs are missing, and when the node does not answer or does not know the block.
    pub async fn complete_events_of(&self, block: &Block) -> Result<Vec<LoggedEvent>, ChainError> {
        let filter = Filter::new().at_block_hash(H256(*block.hash.as_bytes()));
        let logs = self.logs(&filter).await?;
        events::check_complete(block, &logs)?;
        let own = logs
            .into_iter()
            .filter(|log| log.address == self.contract.address());
        events::of_ledger(self.address, own.collect())
    }

    fn filter(&self) -> Filter {
        Filter::new()
            .address(to_h160(self.address))
            .topic0(events::topics())
    }

    async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, ChainError> {
        let logs = self.rpc.provider().get_logs(filter).await;
        logs.map_err(ChainError::from_provider)
    }
}
