//! What helps after a failure.

use ashya_contracts::{ChainError, show_eth};
use ashya_protocol::Wei;

use super::config::Config;

/// What to do about an error, where that is known.
pub(crate) fn hint(config: &Config, error: &anyhow::Error) -> Option<String> {
    match error.downcast_ref::<ChainError>()? {
        ChainError::Transport(_) => Some(format!(
            "is a node running at {}? Name another by --rpc or ASHYA_RPC",
            config.node
        )),
        ChainError::InsufficientFunds {
            wallet,
            balance,
            needed,
        } => {
            let missing = Wei::new(needed.get().saturating_sub(balance.get()));
            Some(format!(
                "send {} to {wallet} on that chain, or lower --max-fee-gwei",
                show_eth(missing)
            ))
        }
        ChainError::FeeAboveLimit { .. } => {
            Some("try again when the chain is quieter, or raise --max-fee-gwei".to_owned())
        }
        ChainError::Timeout { transaction } => Some(format!(
            "nothing was lost: look {transaction} up before you try again, or it may be paid twice"
        )),
        ChainError::NoProxy { .. } => Some(
            "deploy --without-create2 gives this chain's ledger an address of its own; or put the proxy there first \
             (github.com/Arachnid/deterministic-deployment-proxy)"
                .to_owned(),
        ),
        ChainError::NoHistory { .. } => Some(
            "name the block by --block (an explorer shows it; any earlier block is right too), or ask an archive node"
                .to_owned(),
        ),
        _ => None,
    }
}
