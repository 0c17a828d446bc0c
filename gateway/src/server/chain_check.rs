use futures_util::future::join_all;
use tokio::time::timeout;

use super::ServerError;
use super::parts::endpoints;
use crate::config::Config;
use crate::defaults::CHAIN_ID_PATIENCE;

/// Refuses nodes of another chain than the ledger's, as far as they answer: whoever pays there would be told here that
/// nobody has. One that is gone may come back at any time; the follower looks at it again.
///
/// # Errors
/// When a node names another chain.
pub(crate) async fn refuse_other_chain(config: &Config, expected: u64) -> Result<(), ServerError> {
    let rpcs = endpoints(config)?;
    let asked = rpcs
        .iter()
        .map(|rpc| timeout(CHAIN_ID_PATIENCE, rpc.chain_id()));
    for (at, answer) in join_all(asked).await.into_iter().enumerate() {
        if let Ok(Ok(found)) = answer
            && found != expected
        {
            return Err(ServerError::OtherChain {
                node: at + 1,
                found,
                expected,
            });
        }
    }
    Ok(())
}
