//! A node over HTTP that may fail, lag, refuse, leave out and make up.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use url::Url;

use super::generated::{Block, Chain, LEDGER};

pub(super) const CHAIN_ID: u64 = 7_777;

/// What a node does instead of telling the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// No answer at all.
    Cut,
    /// An HTTP status without words.
    Http(u16),
    /// An error in JSON.
    Error,
    /// An answer that is no answer.
    Garbage,
    /// An earlier block for the newest.
    OldHead,
    /// No such block.
    NoBlock,
    /// No logs.
    NoLogs,
    /// No logs of a range, but those of each block.
    NoRange,
    /// All logs but one.
    OneLogLess,
    /// One event more in a block that holds logs.
    OneLogMore,
    /// One event in a block that holds no logs, as only a chain without filters can have it.
    LogOfNothing,
    /// Another branch: a backend that is behind.
    OldBranch,
    /// A refusal of ranges, in the words of one provider or another.
    Refusal,
}

impl Lie {
    /// Those that are found out whatever was seen before.
    pub(super) const ALL: [Self; 13] = [
        Self::Cut,
        Self::Http(500),
        Self::Http(429),
        Self::Error,
        Self::Garbage,
        Self::OldHead,
        Self::NoBlock,
        Self::NoLogs,
        Self::NoRange,
        Self::OneLogLess,
        Self::OneLogMore,
        Self::OldBranch,
        Self::Refusal,
    ];
}

/// What a node calls final.
enum Final {
    /// The block 20 below the newest.
    Below,
    Block(Arc<Block>),
    Nothing,
}

/// A node; it ends with this value.
pub(super) struct Node {
    pub(super) url: Url,
    inner: Arc<Mutex<Inner>>,
    server: AbortHandle,
}

struct Inner {
    chain: Chain,
    /// The chain before the last change.
    before: Chain,
    by_hash: HashMap<String, Arc<Block>>,
    lies: Vec<Lie>,
    /// How many requests in a hundred are lied to.
    percent: u32,
    most_blocks: u64,
    /// Sizes of the ranges of blocks whose logs were asked for.
    ranges: Vec<u64>,
    finalized: Final,
    dice: StdRng,
    requests: u64,
    /// Questions for the height alone.
    heights: u64,
}

impl Node {
    pub(super) async fn start(chain: Chain, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner {
            before: chain.clone(),
            chain: Vec::new(),
            by_hash: HashMap::new(),
            lies: Vec::new(),
            percent: 0,
            most_blocks: u64::MAX,
            ranges: Vec::new(),
            finalized: Final::Below,
            dice: StdRng::seed_from_u64(seed),
            requests: 0,
            heights: 0,
        }));
        let routes = Router::new()
            .route("/", post(serve))
            .with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let node = Self {
            url: url.parse().unwrap(),
            inner,
            server: server.abort_handle(),
        };
        node.show(chain);
        node
    }

    /// Serves another chain from now on.
    pub(super) fn show(&self, chain: Chain) {
        let mut inner = self.inner.lock();
        for block in &chain {
            inner
                .by_hash
                .insert(block.hash.to_string(), Arc::clone(block));
        }
        inner.before = std::mem::replace(&mut inner.chain, chain);
    }

    /// Lies to so many of a hundred requests.
    pub(super) fn lie(&self, lies: &[Lie], percent: u32) {
        let mut inner = self.inner.lock();
        inner.lies = lies.to_vec();
        inner.percent = percent;
    }

    /// Refuses ranges of more blocks.
    pub(super) fn limit(&self, blocks: u64) {
        self.inner.lock().most_blocks = blocks;
    }

    /// Calls a block final, whatever chain it is of.
    pub(super) fn finalize(&self, block: &Arc<Block>) {
        self.inner.lock().finalized = Final::Block(Arc::clone(block));
    }

    /// Calls nothing final from now on.
    pub(super) fn finalize_nothing(&self) {
        self.inner.lock().finalized = Final::Nothing;
    }

    pub(super) fn ranges(&self) -> Vec<u64> {
        self.inner.lock().ranges.clone()
    }

    pub(super) fn heights(&self) -> u64 {
        self.inner.lock().heights
    }

    pub(super) fn requests(&self) -> u64 {
        self.inner.lock().requests
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(State(inner): State<Arc<Mutex<Inner>>>, Json(request): Json<Value>) -> Response {
    let mut inner = inner.lock();
    inner.requests += 1;
    let percent = inner.percent;
    let lied = inner.dice.random_range(0..100) < percent;
    let lies = if lied { inner.lies.clone() } else { vec![] };
    let lie = lies.choose(&mut inner.dice).copied();
    let method = request["method"].as_str().unwrap();
    let answer = match lie {
        Some(Lie::Cut) => return (StatusCode::OK, "").into_response(),
        Some(Lie::Garbage) => json!({ "result": { "number": [] } }),
        Some(Lie::Http(status)) => return StatusCode::from_u16(status).unwrap().into_response(),
        Some(Lie::Error) => json!({ "error": { "code": -32_000, "message": "header not found" } }),
        lie => match inner.answer(method, &request["params"], lie) {
            Ok(result) => json!({ "result": result }),
            Err((code, message)) => json!({ "error": { "code": code, "message": message } }),
        },
    };
    let mut answer = answer;
    answer["jsonrpc"] = json!("2.0");
    answer["id"] = request["id"].clone();
    Json(answer).into_response()
}

impl Inner {
    fn answer(
        &mut self,
        method: &str,
        params: &Value,
        lie: Option<Lie>,
    ) -> Result<Value, (i64, &'static str)> {
        let chain = if lie == Some(Lie::OldBranch) {
            self.before.clone()
        } else {
            self.chain.clone()
        };
        match method {
            "eth_chainId" => Ok(json!(format!("{CHAIN_ID:#x}"))),
            "eth_getCode" => Ok(json!("0x01")),
            "eth_blockNumber" => {
                self.heights += 1;
                Ok(json!(format!("{:#x}", chain.len() - 1)))
            }
            "eth_getBlockByNumber" => {
                let newest = chain.len() - 1;
                if params[0] == "finalized" {
                    match &self.finalized {
                        Final::Below => {}
                        Final::Block(block) => return Ok(block.json()),
                        Final::Nothing => return Ok(Value::Null),
                    }
                }
                let number = match params[0].as_str().unwrap() {
                    "latest" if lie == Some(Lie::OldHead) => self.dice.random_range(0..=newest),
                    "latest" => newest,
                    "finalized" => newest.saturating_sub(20),
                    number => usize::from_str_radix(&number[2..], 16).unwrap(),
                };
                let block = chain.get(number).filter(|_| lie != Some(Lie::NoBlock));
                Ok(block.map_or(Value::Null, |block| block.json()))
            }
            "eth_getLogs" => self.logs(&chain, &params[0], lie),
            _ => Err((-32_601, "the method does not exist")),
        }
    }

    fn logs(
        &mut self,
        chain: &Chain,
        filter: &Value,
        lie: Option<Lie>,
    ) -> Result<Value, (i64, &'static str)> {
        let blocks: Vec<_> = if let Some(hash) = filter["blockHash"].as_str() {
            let known = self.by_hash.get(hash);
            vec![Arc::clone(known.ok_or((-32_000, "unknown block"))?)]
        } else {
            let bound = |name: &str| {
                let text = filter[name].as_str().unwrap();
                u64::from_str_radix(&text[2..], 16).unwrap()
            };
            let (from, to) = (bound("fromBlock"), bound("toBlock"));
            self.ranges.push(to - from + 1);
            let refused = lie == Some(Lie::Refusal) && to > from;
            if to - from >= self.most_blocks || refused {
                let words = [
                    (-32_005, "limit exceeded"),
                    (-32_602, "query exceeds max block range"),
                    (-32_000, "query returned more than 10000 results"),
                ];
                return Err(*words.choose(&mut self.dice).unwrap());
            }
            let within = |block: &&Arc<Block>| (from..=to).contains(&block.number);
            chain.iter().filter(within).cloned().collect()
        };
        let mut logs: Vec<_> = blocks
            .iter()
            .flat_map(|block| &block.logs)
            .filter(|log| filter.get("address").is_none() || log["address"] == json!(LEDGER))
            .cloned()
            .collect();
        match lie {
            Some(Lie::NoLogs) => logs.clear(),
            Some(Lie::NoRange) if filter["blockHash"].is_null() => logs.clear(),
            Some(Lie::OneLogLess) if !logs.is_empty() => {
                // Never the last: alike in its topics to another it could not be missed.
                logs.remove(self.dice.random_range(0..logs.len().max(2) - 1));
            }
            Some(lie @ (Lie::OneLogMore | Lie::LogOfNothing)) => {
                let is_bare = lie == Lie::LogOfNothing;
                let fitting = blocks
                    .iter()
                    .filter(|block| block.logs.is_empty() == is_bare);
                let fitting: Vec<_> = fitting.collect();
                logs.extend(fitting.choose(&mut self.dice).map(|block| block.invented()));
            }
            _ => {}
        }
        Ok(Value::Array(logs))
    }
}
