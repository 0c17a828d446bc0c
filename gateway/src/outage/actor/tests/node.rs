//! A node that mines each transaction, keeps it waiting, or refuses it, as it does what the wallet could not pay.

use std::sync::Arc;

use ashya_protocol::{Address, Hash};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use url::Url;

/// Gas that each transaction takes.
pub(super) const GAS: u64 = 44_000;
/// What is paid for a unit of it, in wei.
pub(super) const GAS_PRICE: u64 = 2 * GWEI;
const GWEI: u64 = 1_000_000_000;
const ETH: u64 = GWEI * GWEI;

/// What becomes of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    /// It is mined at once.
    Mines,
    /// It waits.
    Keeps,
    /// It is not taken.
    Refuses,
}

/// A node; it ends with this value.
pub(super) struct Node {
    pub(super) url: Url,
    inner: Arc<Mutex<Inner>>,
    server: AbortHandle,
}

struct Inner {
    taking: Taking,
    /// Transactions of the wallet in blocks.
    mined: u64,
    /// Those and the ones that wait.
    known: u64,
    /// How often a transaction was sent.
    sent: u64,
    /// What the wallet holds, in wei.
    money: u64,
    /// The most that those which wait may cost together.
    owed: u128,
}

impl Node {
    /// A node with so many transactions of the wallet that wait.
    pub(super) async fn start(waiting: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner {
            taking: Taking::Mines,
            mined: 0,
            known: waiting,
            sent: 0,
            money: ETH,
            owed: 0,
        }));
        let routes = Router::new()
            .route("/", post(serve))
            .with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            url: url.parse().unwrap(),
            inner,
            server: server.abort_handle(),
        }
    }

    pub(super) fn take(&self, taking: Taking) {
        self.inner.lock().taking = taking;
    }

    /// Leaves the wallet so much, in wei.
    pub(super) fn leave(&self, money: u64) {
        self.inner.lock().money = money;
    }

    /// Mines everything that waits.
    pub(super) fn mine(&self) {
        self.inner.lock().mine();
    }

    /// How many transactions wait.
    pub(super) fn waiting(&self) -> u64 {
        let inner = self.inner.lock();
        inner.known - inner.mined
    }

    pub(super) fn sent(&self) -> u64 {
        self.inner.lock().sent
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(State(inner): State<Arc<Mutex<Inner>>>, Json(request): Json<Value>) -> Json<Value> {
    let method = request["method"].as_str().unwrap();
    let mut answer = match inner.lock().answer(method, &request["params"]) {
        Ok(result) => json!({ "result": result }),
        Err(message) => json!({ "error": { "code": -32_000, "message": message } }),
    };
    answer["jsonrpc"] = json!("2.0");
    answer["id"] = request["id"].clone();
    Json(answer)
}

impl Inner {
    fn answer(&mut self, method: &str, params: &Value) -> Result<Value, &'static str> {
        Ok(match method {
            "eth_chainId" => json!("0x7a69"),
            "eth_getCode" => json!("0x01"),
            "eth_getBalance" => number(self.money),
            "eth_estimateGas" => number(GAS),
            "eth_maxPriorityFeePerGas" => number(GWEI),
            "eth_getBlockByNumber" => block(),
            "eth_getTransactionCount" if params[1] == "pending" => number(self.known),
            "eth_getTransactionCount" => number(self.mined),
            "eth_sendRawTransaction" => {
                self.sent += 1;
                if self.taking == Taking::Refuses {
                    return Err("not today");
                }
                let owed = self.owed + most_fee(params[0].as_str().unwrap());
                if owed > u128::from(self.money) {
                    return Err("insufficient funds for gas * price + value");
                }
                (self.owed, self.known) = (owed, self.known + 1);
                if self.taking == Taking::Mines {
                    self.mine();
                }
                json!(Hash::ZERO)
            }
            "eth_getTransactionReceipt" if self.taking == Taking::Mines => receipt(&params[0]),
            "eth_getTransactionReceipt" | "eth_getTransactionByHash" => Value::Null,
            _ => return Err("the method does not exist"),
        })
    }

    fn mine(&mut self) {
        (self.owed, self.mined) = (0, self.known);
    }
}

/// The most that a signed transaction (EIP-1559) may pay for gas. It begins with short numbers: chain, nonce, tip, most
/// for a unit, gas.
fn most_fee(raw: &str) -> u128 {
    let bytes = hex::decode(&raw[2..]).unwrap();
    // Type 2, and a list whose length takes one byte.
    assert_eq!(bytes[..2], [0x02, 0xf8], "{raw}");
    let mut rest = &bytes[3..];
    let numbers = [(); 5].map(|()| {
        let (number, others) = match rest[0] {
            0..0x80 => rest.split_at(1),
            length => rest[1..].split_at(usize::from(length - 0x80)),
        };
        rest = others;
        let digits = number.iter().copied().map(u128::from);
        digits.fold(0_u128, |sum, digit| sum * 256 + digit)
    });
    let [_, _, _, most, gas] = numbers;
    most * gas
}

fn number(value: u64) -> Value {
    json!(format!("{value:#x}"))
}

fn no_logs() -> String {
    format!("0x{}", "00".repeat(256))
}

fn block() -> Value {
    let zero = Hash::ZERO;
    json!({
        "number": "0x1", "hash": zero, "parentHash": zero, "timestamp": "0x1", "logsBloom": no_logs(),
        "stateRoot": zero, "transactionsRoot": zero, "receiptsRoot": zero, "sha3Uncles": zero,
        "miner": Address::ZERO, "gasUsed": "0x0", "gasLimit": "0x0", "extraData": "0x",
        "difficulty": "0x0", "transactions": [], "uncles": [], "baseFeePerGas": number(GWEI),
    })
}

fn receipt(transaction: &Value) -> Value {
    json!({
        "transactionHash": transaction, "transactionIndex": "0x0", "blockHash": Hash::ZERO,
        "blockNumber": "0x1", "from": Address::ZERO, "to": null, "cumulativeGasUsed": number(GAS),
        "gasUsed": number(GAS), "contractAddress": null, "logs": [], "status": "0x1",
        "logsBloom": no_logs(), "type": "0x2", "effectiveGasPrice": number(GAS_PRICE),
    })
}
