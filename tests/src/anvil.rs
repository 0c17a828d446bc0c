use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ashya_protocol::{Address, Wei};
use serde_json::{Value, json};
use url::Url;

use crate::paths;
use crate::process::Process;
use crate::wait::eventually;

/// Chain id of a local development chain.
pub const LOCAL_CHAIN: u64 = 31_337;
/// Time that a chain may take to answer for the first time, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);
/// A free port can be taken before anvil has it: so many tries.
const TRIES: usize = 3;

/// When the chain makes a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockTime {
    /// One a second, so that the time of the chain is the time of the wall clock.
    EverySecond,
    /// One for each transaction. Many in one second put the chain's clock ahead of the wall's.
    EachTransaction,
}

/// How a chain is started.
#[derive(Debug, Clone, Copy)]
pub struct AnvilOptions {
    /// The port wanted; another one when it is taken.
    pub port: u16,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// When blocks are made.
    pub block_time: BlockTime,
    /// The rules of the chain, such as `prague`; anvil's newest when absent.
    pub hardfork: Option<&'static str>,
}

impl Default for AnvilOptions {
    fn default() -> Self {
        Self {
            port: 0,
            chain_id: LOCAL_CHAIN,
            block_time: BlockTime::EverySecond,
            hardfork: None,
        }
    }
}

/// A local chain of its own.
#[derive(Debug)]
pub struct Anvil {
    process: Process,
    url: Url,
    http: reqwest::Client,
}

impl Anvil {
    /// Starts a chain and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(options: AnvilOptions, folder: &Path) -> Result<Self> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::try_start(options, folder).await {
                Ok(anvil) => return Ok(anvil),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no try was made")?)
    }

    /// JSON-RPC address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Calls one JSON-RPC method.
    ///
    /// # Errors
    /// When the chain is gone or answers with an error.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let response = self.http.post(self.url.clone()).json(&request);
        let mut answer: Value = response.send().await?.json().await?;
        if let Some(error) = answer.get("error") {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].take())
    }

    /// Gives an account money out of nothing.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn set_balance(&self, who: Address, amount: Wei) -> Result<()> {
        let amount = format!("{:#x}", amount.get());
        self.rpc("anvil_setBalance", json!([who, amount])).await?;
        Ok(())
    }

    async fn try_start(options: AnvilOptions, folder: &Path) -> Result<Self> {
        let port = paths::free_port(options.port)?;
        let mut command = Command::new(paths::anvil()?);
        command
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--chain-id", &options.chain_id.to_string()])
            .args(["--slots-in-an-epoch", "1", "--silent"])
            // A killed chain leaves its old states behind: they go with the folder, not into the home of whoever tests.
            .arg("--cache-path")
            .arg(folder.join("anvil"));
        if options.block_time == BlockTime::EverySecond {
            command.args(["--block-time", "1"]);
        }
        if let Some(hardfork) = options.hardfork {
            command.args(["--hardfork", hardfork]);
        }
        let mut anvil = Self {
            process: Process::spawn("anvil", command, folder)?,
            url: format!("http://127.0.0.1:{port}").parse()?,
            http: reqwest::Client::new(),
        };
        let expected = json!(format!("{:#x}", options.chain_id));
        eventually("the chain", START_LIMIT, async || {
            anvil.process.check_running()?;
            let answer = anvil.rpc("eth_chainId", json!([])).await;
            Ok(answer.ok().filter(|id| *id == expected))
        })
        .await?;
        Ok(anvil)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_chain_makes_a_block_a_second_and_gives_money() {
        let folder = tempfile::tempdir().unwrap();
        let anvil = Anvil::start(AnvilOptions::default(), folder.path())
            .await
            .unwrap();
        let who = Address::new([9; 20]);
        anvil.set_balance(who, Wei::ETH).await.unwrap();
        let balance = anvil
            .rpc("eth_getBalance", json!([who, "latest"]))
            .await
            .unwrap();
        assert_eq!(balance, json!("0xde0b6b3a7640000"));
        eventually("three blocks", START_LIMIT, async || {
            let height = anvil.rpc("eth_blockNumber", json!([])).await?;
            Ok((height == json!("0x3")).then_some(()))
        })
        .await
        .unwrap();
        assert!(anvil.rpc("no_such_method", json!([])).await.is_err());
    }
}
