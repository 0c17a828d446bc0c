use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ashya_protocol::{Address, Domain, Hash};
use ashya_tests::{Anvil, AnvilOptions, BlockTime, LOCAL_CHAIN};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Log;
use crate::call::Operation;

/// Unix second of the ledger's deployment: ahead of any wall clock, and the same in each run.
pub(crate) const BEGINNING: u64 = 4_000_000_000;
/// Enough for a settlement of a thousand hours, and below the limit of a block.
const GAS: &str = "0x1900000";
const DEPLOYER: Address = Address::new([0xd0; 20]);
/// `PUSH0 PUSH0 REVERT`
const REFUSES_ALL: &str = "0x5f5ffd";

/// A chain of its own with the ledger on it, whose gas is free and whose time is told to it.
#[derive(Debug)]
pub(crate) struct Chain {
    anvil: Anvil,
    http: reqwest::Client,
    ledger: Address,
}

/// What the chain says of an operation.
#[derive(Debug)]
pub(crate) struct Mined {
    pub(crate) accepted: bool,
    /// What the ledger returned, or the data of its error.
    pub(crate) output: Vec<u8>,
    pub(crate) logs: Vec<Log>,
}

/// A question about the state after the latest block.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    Balance(Address),
    Call(Vec<u8>),
}

#[derive(Debug, Deserialize)]
struct MinedBlock {
    transactions: Vec<MinedTransaction>,
}

#[derive(Debug, Deserialize)]
struct MinedTransaction {
    output: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MinedReceipt {
    status: String,
    logs: Vec<MinedLog>,
    contract_address: Option<Address>,
}

#[derive(Debug, Deserialize)]
struct MinedLog {
    address: Address,
    topics: Vec<Hash>,
    data: String,
}

impl Chain {
    /// Starts a chain on which everybody has the money that they are said to have.
    ///
    /// # Errors
    /// When the chain does not start or the ledger cannot be deployed.
    pub(crate) async fn start(
        artifact: &Path,
        folder: &Path,
        wallets: &BTreeMap<Address, u128>,
        refuser: Address,
    ) -> Result<Self> {
        let options = AnvilOptions {
            block_time: BlockTime::EachTransaction,
            ..AnvilOptions::default()
        };
        let mut chain = Self {
            anvil: Anvil::start(options, folder).await?,
            http: reqwest::Client::builder().tcp_nodelay(true).build()?,
            ledger: Address::ZERO,
        };
        chain.rpc("evm_setAutomine", json!([false])).await?;
        let base_fee = "anvil_setNextBlockBaseFeePerGas";
        chain.rpc(base_fee, json!(["0x0"])).await?;
        let anybody_sends = "anvil_autoImpersonateAccount";
        chain.rpc(anybody_sends, json!([true])).await?;
        for (who, wei) in wallets {
            chain.set_balance(*who, *wei).await?;
        }
        let refuses_all = json!([refuser, REFUSES_ALL]);
        chain.rpc("anvil_setCode", refuses_all).await?;
        chain.ledger = chain.deploy(artifact).await?;
        Ok(chain)
    }

    /// The domain that devices sign for.
    pub(crate) fn domain(&self) -> Domain {
        Domain {
            chain_id: LOCAL_CHAIN,
            ledger: self.ledger,
        }
    }

    /// Gives an account this balance, asked or not.
    ///
    /// # Errors
    /// When the chain refuses.
    pub(crate) async fn set_balance(&self, who: Address, wei: u128) -> Result<()> {
        let balance = json!([who, format!("{wei:#x}")]);
        self.rpc("anvil_setBalance", balance).await?;
        Ok(())
    }

    /// Puts an operation into a block of its own, at its second.
    ///
    /// # Errors
    /// When the chain does not take the transaction.
    pub(crate) async fn execute(&self, operation: &Operation) -> Result<Mined> {
        let transaction = json!({
            "from": operation.sender,
            "to": self.ledger,
            "value": format!("{:#x}", operation.value),
            "data": prefixed(&operation.call.encode()),
        });
        let (output, receipt) = self.mine(transaction, operation.at).await?;
        let logs = receipt.logs.into_iter().map(|log| {
            Ok(Log {
                address: log.address,
                topics: log.topics,
                data: bytes(&log.data)?,
            })
        });
        Ok(Mined {
            accepted: receipt.status == "0x1",
            output: bytes(&output)?,
            logs: logs.collect::<Result<_>>()?,
        })
    }

    /// Asks all questions in one request. A call's answer is its data, or the data of its error.
    ///
    /// # Errors
    /// When the chain is gone.
    pub(crate) async fn ask(
        &self,
        questions: impl Iterator<Item = &Question>,
    ) -> Result<Vec<std::result::Result<Vec<u8>, Vec<u8>>>> {
        let requests: Vec<Value> = questions
            .enumerate()
            .map(|(id, question)| match question {
                Question::Balance(who) => request(id, "eth_getBalance", &json!([who, "latest"])),
                Question::Call(data) => {
                    let call = json!({"to": self.ledger, "data": prefixed(data)});
                    request(id, "eth_call", &json!([call, "latest"]))
                }
            })
            .collect();
        let mut answers = self.post(&Value::Array(requests)).await?;
        let answers = answers.as_array_mut().context("no answers to a batch")?;
        answers.sort_by_key(|answer| answer["id"].as_u64());
        answers
            .iter()
            .map(|answer| match answer["result"].as_str() {
                Some(result) => Ok(Ok(bytes(result)?)),
                None => {
                    let data = answer["error"]["data"].as_str();
                    Ok(Err(bytes(data.with_context(|| answer.to_string())?)?))
                }
            })
            .collect()
    }

    async fn deploy(&self, artifact: &Path) -> Result<Address> {
        let text =
            fs::read_to_string(artifact).with_context(|| format!("read {}", artifact.display()))?;
        let artifact: Value = serde_json::from_str(&text)?;
        let transaction = json!({"from": DEPLOYER, "data": artifact["bytecode"]});
        let (_, receipt) = self.mine(transaction, BEGINNING).await?;
        ensure!(receipt.status == "0x1", "the ledger was not deployed");
        receipt.contract_address.context("no ledger was deployed")
    }

    async fn mine(&self, mut transaction: Value, at: u64) -> Result<(String, MinedReceipt)> {
        transaction["gas"] = json!(GAS);
        transaction["gasPrice"] = json!("0x0");
        let hash = self
            .rpc("eth_sendTransaction", json!([transaction]))
            .await?;
        let mined = self
            .rpc("evm_mine_detailed", json!([{"timestamp": at}]))
            .await?;
        let blocks: Vec<MinedBlock> = serde_json::from_value(mined)?;
        let receipt = self.rpc("eth_getTransactionReceipt", json!([hash])).await?;
        let outputs = blocks.into_iter().flat_map(|block| block.transactions);
        let outputs: Vec<String> = outputs.map(|transaction| transaction.output).collect();
        let [output] = <[String; 1]>::try_from(outputs)
            .map_err(|outputs| anyhow::anyhow!("{} transactions in a block", outputs.len()))?;
        Ok((output, serde_json::from_value(receipt)?))
    }

    async fn rpc(&self, method: &str, parameters: Value) -> Result<Value> {
        let mut answer = self.post(&request(0, method, &parameters)).await?;
        if let Some(error) = answer.get("error") {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].take())
    }

    async fn post(&self, body: &Value) -> Result<Value> {
        let response = self.http.post(self.anvil.url().clone()).json(body);
        Ok(response.send().await?.json().await?)
    }
}

fn request(id: usize, method: &str, parameters: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters})
}

fn prefixed(data: &[u8]) -> String {
    format!("0x{}", hex::encode(data))
}

/// Bytes of `0x…`; a number may have an odd count of digits.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let digits = text.strip_prefix("0x").context("no 0x in front")?;
    let even = if digits.len() % 2 == 0 { "" } else { "0" };
    Ok(hex::decode(format!("{even}{digits}"))?)
}
