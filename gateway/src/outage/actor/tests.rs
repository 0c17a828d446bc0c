mod node;

use std::sync::Arc;

use ashya_contracts::LedgerEvent;
use ashya_protocol::rest::Head;
use ashya_protocol::{DeviceId, DeviceKey, Domain, Listing, ListingStream, StreamName, Wei};

use super::*;
use crate::chain_clock::{ClockSource, Freshness};
use crate::ledger_index::ListingDocument;
use node::{GAS, GAS_PRICE, Node, Taking};

const DOMAIN: Domain = Domain {
    chain_id: 31_337,
    ledger: Address::new([9; 20]),
};
const OWNER: Address = Address::new([1; 20]);
const ALICE: Address = Address::new([2; 20]);
/// A node that mines a transaction has its receipt at once; a busy machine takes longer to ask for it.
const PATIENCE: Duration = Duration::from_secs(2);
const MAX_FEE: u64 = 50_000_000_000;

/// Outage credit at a node of its own.
struct Rig {
    actor: Actor,
    node: Node,
    now: Instant,
}

impl Rig {
    /// With so many transactions of an earlier run that wait to be mined.
    async fn start(waiting: u64) -> Self {
        let node = Node::start(waiting).await;
        let rpc = Rpc::new(&node.url).unwrap();
        let ledger = Ledger::connect(rpc.clone(), DOMAIN.ledger).await.unwrap();
        let now = Instant::now();
        let parts = parts(rpc, now);
        Self {
            actor: Actor::new(parts, KeptAllowance::default(), ledger, now),
            node,
            now,
        }
    }

    /// Begins the next run of the same gateway; what is under way is cut off.
    fn restart(self) -> Self {
        let Self { actor, node, now } = self;
        let Actor {
            ledger,
            parts: earlier,
            ..
        } = actor;
        let kept = load_allowance(&earlier.store).unwrap();
        let parts = OutageParts {
            index: earlier.index,
            heard: earlier.heard,
            store: earlier.store,
            ..parts(earlier.rpc, now)
        };
        Self {
            actor: Actor::new(parts, kept, ledger, now),
            node,
            now,
        }
    }

    /// Opens a feed whose device falls silent, and for which somebody has paid.
    fn open_silent_feed(&self, number: u8) {
        let parts = &self.actor.parts;
        let (feed, device) = (FeedId::new([number; 32]), DeviceId::new([number; 20]));
        let document = listing(device);
        parts.index.apply(&[
            LedgerEvent::FeedOpened {
                feed,
                device,
                name: document.listing.name.clone(),
                owner: OWNER,
                base: wall_clock().as_secs() - 1_000,
            },
            LedgerEvent::FeedSet {
                feed,
                device,
                price: Wei::new(5),
                payout: OWNER,
                pauser: parts.wallet.address(),
                listing: document.hash,
            },
            LedgerEvent::SubscriptionSet {
                feed,
                beneficiary: ALICE,
                payer: ALICE,
                price: Wei::new(5),
                start: 0,
                expiry: 1_000_000,
            },
        ]);
        parts.index.set_document(feed, document);
        parts.heard.note(device, &stream(), self.now);
    }

    /// Looks at the feeds when all have rested, and waits for the end of what that begins.
    async fn look(&mut self) {
        self.now += LONG_REST;
        self.actor.look(self.now).await;
        while let Some(done) = self.actor.under_way.join_next().await {
            self.actor.finish(done.unwrap(), self.now);
        }
    }

    /// What is spent or set aside, in units of gas at the highest fee.
    fn spent(&self) -> u128 {
        self.actor.allowance.spent() / u128::from(MAX_FEE)
    }
}

fn parts(rpc: Rpc, now: Instant) -> OutageParts {
    let freshness = Freshness {
        max_silence: Duration::from_secs(3600),
        max_head_age: None,
    };
    let clock = ChainClock::new(ClockSource::Wall, freshness);
    let timestamp = wall_clock().as_secs();
    let head = Head {
        number: 1,
        timestamp,
    };
    clock.saw(head, now).unwrap();
    let limits = Limits {
        max_fee: Wei::new(MAX_FEE.into()),
        per_day: Wei::ETH,
        pauses_per_feed: 9,
    };
    let wallet = Wallet::new(DeviceKey::from_bytes([7; 32]).unwrap());
    OutageParts {
        wallet: wallet.with_max_fee(limits.max_fee).with_patience(PATIENCE),
        rpc,
        index: LedgerIndex::new(DOMAIN),
        clock,
        heard: Heard::default(),
        limits,
        store: Store::temporary(),
        metrics: Metrics::new(),
    }
}

fn stream() -> StreamName {
    "detections".parse().unwrap()
}

fn listing(device: DeviceId) -> Arc<ListingDocument> {
    let listing = Listing {
        description: String::new(),
        device,
        name: "gate".parse().unwrap(),
        outage_seconds: Some(10),
        privacy: String::new(),
        streams: vec![ListingStream {
            events_per_minute: 60,
            name: stream(),
        }],
        title: "Gate".into(),
    };
    let text = listing.to_canonical_json().unwrap();
    Arc::new(ListingDocument {
        hash: Listing::hash_of(&text),
        text,
        listing,
    })
}

#[tokio::test]
async fn behind_a_transaction_that_is_stuck_nothing_is_sent() {
    let mut rig = Rig::start(0).await;
    rig.node.take(Taking::Keeps);
    rig.open_silent_feed(1);
    rig.look().await;
    assert_eq!(rig.node.sent(), 1);

    rig.open_silent_feed(2);
    for _ in 0..3 {
        rig.look().await;
    }
    assert_eq!(rig.node.sent(), 1);

    rig.node.mine();
    rig.node.take(Taking::Mines);
    rig.look().await;
    // The index has not heard of the first pause, and this node takes it twice.
    assert_eq!(rig.node.sent(), 3);
}

#[tokio::test]
async fn a_poor_wallet_pauses_as_many_feeds_at_once_as_any() {
    let mut rig = Rig::start(0).await;
    rig.node.take(Taking::Keeps);
    // For three at the highest fee.
    rig.node.leave(10_000_000_000_000_000);
    for number in 1..=16 {
        rig.open_silent_feed(number);
    }
    rig.look().await;
    assert_eq!((rig.node.sent(), rig.node.waiting()), (16, 16));
}

#[tokio::test]
async fn what_an_earlier_run_has_sent_is_waited_for() {
    let mut rig = Rig::start(1).await;
    rig.open_silent_feed(1);
    rig.look().await;
    assert_eq!(rig.node.sent(), 0);
    rig.node.mine();
    rig.look().await;
    assert_eq!(rig.node.sent(), 1);
}

#[tokio::test]
async fn a_pause_counts_as_its_fee_and_not_at_all_where_the_node_refuses_it() {
    let mut rig = Rig::start(0).await;
    rig.open_silent_feed(1);
    rig.node.take(Taking::Refuses);
    for tries in 1..4 {
        rig.look().await;
        assert_eq!((rig.node.sent(), rig.spent()), (tries, 0));
    }
    rig.node.take(Taking::Mines);
    rig.look().await;
    // Its resume may cost as much as any.
    let fee = GAS * GAS_PRICE / MAX_FEE;
    assert_eq!(rig.spent(), 80_000 + u128::from(fee));
}

#[tokio::test]
async fn the_next_run_goes_on_with_the_day_of_the_last() {
    let mut rig = Rig::start(0).await;
    rig.open_silent_feed(1);
    // The index hears of no pause, and this node takes each.
    for _ in 0..5 {
        rig.look().await;
    }
    let spent = rig.spent();
    let mut rig = rig.restart();
    assert_eq!(rig.spent(), spent);
    for _ in 0..6 {
        rig.look().await;
    }
    assert_eq!(rig.node.sent(), 9, "as often as a day allows, in both runs");

    // What a step has set aside that is under way may be spent.
    rig.open_silent_feed(2);
    rig.now += LONG_REST;
    rig.actor.look(rig.now).await;
    assert_eq!(rig.actor.under_way.len(), 1);
    let spent = rig.spent();
    assert_eq!(rig.restart().spent(), spent);
}
