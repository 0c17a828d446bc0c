//! Chains made of dice.

use std::sync::Arc;

use ashya_contracts::{ClockChange, LedgerEvent, LogsBloom};
use ashya_protocol::{Address, DeviceId, FeedId, Hash, Wei, keccak256};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::logs::encode;

pub(super) const LEDGER: Address = Address::new([0x1e; 20]);

/// A block as a node has it.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) hash: Hash,
    pub(super) parent: Hash,
    pub(super) events: Vec<LedgerEvent>,
    /// All its logs, those of other contracts included.
    pub(super) logs: Vec<Value>,
    /// What its node says of them, if anything.
    bloom: Option<LogsBloom>,
}

/// A chain from block 0.
pub(super) type Chain = Vec<Arc<Block>>;

/// A chain of one block.
pub(super) fn genesis() -> Chain {
    vec![Arc::new(block(None, vec![], 0, 0))]
}

/// Always the same chain of so many blocks after the first.
pub(super) fn chain(blocks: u64) -> Chain {
    let mut chain = genesis();
    grow(&mut chain, blocks, &mut StdRng::seed_from_u64(5));
    chain
}

/// Adds blocks.
pub(super) fn grow(chain: &mut Chain, blocks: u64, dice: &mut StdRng) {
    for _ in 0..blocks {
        let events = match dice.random_range(0..3) {
            0 => vec![],
            _ => (0..dice.random_range(0..5)).map(|_| event(dice)).collect(),
        };
        let noise = dice.random_range(0..3);
        let next = block(chain.last(), events, noise, dice.random());
        chain.push(Arc::new(next));
    }
}

/// Adds a block with these events, like no other.
pub(super) fn add(chain: &mut Chain, events: Vec<LedgerEvent>, salt: u64) {
    let next = block(chain.last(), events, 0, salt);
    chain.push(Arc::new(next));
}

/// Adds a block in which other contracts alone have written.
pub(super) fn add_of_others(chain: &mut Chain) {
    let next = block(chain.last(), vec![], 2, 0);
    chain.push(Arc::new(next));
}

/// The same chain, whose filters below block `first` are empty.
pub(super) fn without_filters(chain: &Chain, first: u64) -> Chain {
    let emptied = |block: &Arc<Block>| match block.number {
        number if number >= first => Arc::clone(block),
        _ => with_filter(block, Some(LogsBloom::EMPTY)),
    };
    chain.iter().map(emptied).collect()
}

/// The same chain by a node that leaves the filters out.
pub(super) fn leaving_filters_out(chain: &Chain) -> Chain {
    let bare = |block: &Arc<Block>| with_filter(block, None);
    chain.iter().map(bare).collect()
}

fn with_filter(block: &Block, bloom: Option<LogsBloom>) -> Arc<Block> {
    Arc::new(Block {
        bloom,
        ..block.clone()
    })
}

impl Block {
    /// A log of the ledger that the block does not hold, with nothing in it that is anywhere on the chain.
    pub(super) fn invented(&self) -> Value {
        let (topics, data) = encode(&LedgerEvent::SubscriptionSet {
            feed: FeedId::new([0xed; 32]),
            beneficiary: Address::new([0xee; 20]),
            payer: Address::new([0xef; 20]),
            price: Wei::new(1),
            start: 0,
            expiry: 1_000_000,
        });
        let index = self.logs.len();
        log(self.number, self.hash, index, LEDGER, topics, &data)
    }

    pub(super) fn json(&self) -> Value {
        let zero = Hash::ZERO;
        let mut json = json!({
            "number": format!("{:#x}", self.number),
            "hash": self.hash,
            "parentHash": self.parent,
            "timestamp": format!("{:#x}", 1_700_000_000 + self.number * 12),
            "stateRoot": zero, "transactionsRoot": zero, "receiptsRoot": zero, "sha3Uncles": zero,
            "miner": Address::ZERO, "gasUsed": "0x0", "gasLimit": "0x0", "extraData": "0x",
            "difficulty": "0x0", "transactions": [], "uncles": [],
        });
        if let Some(bloom) = &self.bloom {
            json["logsBloom"] = json!(format!("0x{}", hex::encode(bloom.as_bytes())));
        }
        json
    }
}

fn block(parent: Option<&Arc<Block>>, events: Vec<LedgerEvent>, noise: u8, salt: u64) -> Block {
    let number = parent.map_or(0, |parent| parent.number + 1);
    let parent = parent.map_or(Hash::ZERO, |parent| parent.hash);
    let seed = [
        &number.to_be_bytes()[..],
        parent.as_bytes(),
        &salt.to_be_bytes(),
    ]
    .concat();
    let hash = keccak256(&seed);
    let mut bloom = LogsBloom::EMPTY;
    let mut logs = Vec::new();
    let mut write = |address: Address, topics: Vec<[u8; 32]>, data: Vec<u8>| {
        bloom.add(address.as_bytes());
        topics.iter().for_each(|topic| bloom.add(topic));
        let index = logs.len();
        logs.push(log(number, hash, index, address, topics, &data));
    };
    for event in &events {
        let (topics, data) = encode(event);
        write(LEDGER, topics, data);
    }
    for other in 0..noise {
        write(Address::new([other + 1; 20]), vec![[other; 32]], vec![]);
    }
    Block {
        number,
        hash,
        parent,
        events,
        logs,
        bloom: Some(bloom),
    }
}

/// A log as a node has it.
fn log(
    number: u64,
    block: Hash,
    index: usize,
    address: Address,
    topics: Vec<[u8; 32]>,
    data: &[u8],
) -> Value {
    let topics: Vec<_> = topics.into_iter().map(Hash::new).collect();
    json!({
        "address": address, "topics": topics, "data": format!("0x{}", hex::encode(data)),
        "blockNumber": format!("{number:#x}"), "blockHash": block,
        "transactionHash": Hash::ZERO, "transactionIndex": "0x0",
        "logIndex": format!("{index:#x}"), "removed": false,
    })
}

/// Few names and wallets, so that much happens to each.
fn event(dice: &mut StdRng) -> LedgerEvent {
    let feed = FeedId::new([dice.random_range(1..5); 32]);
    let wallet = |dice: &mut StdRng| Address::new([dice.random_range(1..6); 20]);
    let device = DeviceId::new([dice.random_range(1..4); 20]);
    match dice.random_range(0..12) {
        0 | 1 => LedgerEvent::FeedOpened {
            feed,
            device,
            name: "gate".parse().unwrap(),
            owner: wallet(dice),
            base: dice.random_range(1..1_000),
        },
        2 => LedgerEvent::FeedSet {
            feed,
            device,
            price: Wei::new(dice.random_range(1..1 << 96)),
            payout: wallet(dice),
            pauser: wallet(dice),
            listing: Hash::new([dice.random(); 32]),
        },
        3 | 4 => {
            let paused = dice.random_bool(0.5);
            LedgerEvent::FeedClock {
                feed,
                clock: ClockChange {
                    paused_at: paused.then(|| dice.random_range(1..1_000)),
                    paused_total: dice.random_range(0..1_000),
                    paused_by: paused.then(|| wallet(dice)),
                    retires_at: dice.random_bool(0.2).then(|| dice.random_range(1..9_999)),
                },
            }
        }
        5 => LedgerEvent::FeedTransferred {
            feed,
            from: wallet(dice),
            to: wallet(dice),
        },
        6 => LedgerEvent::Withdrawn {
            feed,
            payout: wallet(dice),
            amount: Wei::new(dice.random_range(1..1_000)),
        },
        _ => LedgerEvent::SubscriptionSet {
            feed,
            beneficiary: wallet(dice),
            payer: wallet(dice),
            price: Wei::new(dice.random_range(1..1 << 96)),
            start: dice.random_range(0..4),
            expiry: dice.random_range(4..100),
        },
    }
}
