//! What a round leaves behind: on the disk, in the index, and for those who look.

use ashya_contracts::{Deployment, LedgerEvent};
use ashya_protocol::{Address, DeviceId, FeedId, Hash, Wei};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::FollowerError;
use super::generated::{Chain, add, chain, genesis, grow};
use super::rig::{OPTIONS, follow};

const FEED: FeedId = FeedId::new([1; 32]);
const DEVICE: DeviceId = DeviceId::new([2; 20]);
const OWNER: Address = Address::new([3; 20]);

fn opened() -> LedgerEvent {
    LedgerEvent::FeedOpened {
        feed: FEED,
        device: DEVICE,
        name: "gate".parse().unwrap(),
        owner: OWNER,
        base: 1,
    }
}

fn priced(price: u128) -> LedgerEvent {
    LedgerEvent::FeedSet {
        feed: FEED,
        device: DEVICE,
        price: Wei::new(price),
        payout: OWNER,
        pauser: Address::ZERO,
        listing: Hash::ZERO,
    }
}

/// A chain on which a feed is opened, and then its price set in one block after another.
fn priced_chain(prices: &[u128], salt: u64) -> Chain {
    let mut chain = genesis();
    add(&mut chain, vec![opened()], 0);
    for price in prices {
        add(&mut chain, vec![priced(*price)], salt);
    }
    chain
}

#[tokio::test]
async fn what_a_round_has_learnt_survives_a_power_cut() {
    let mut longer = priced_chain(&[1], 0);
    let (node, mut rig) = follow(&longer).await;
    // Several rounds: sled brings everything to the disk by itself every half a second.
    for round in 1..7 {
        for price in 0..=round % 2 {
            add(&mut longer, vec![priced(10 * round + price)], 0);
        }
        node.show(longer.clone());
        rig.round().await.unwrap();
        assert_eq!(rig.on_disk(), Some(rig.replay(&longer)), "round {round}");
    }
}

#[tokio::test]
async fn a_replay_from_the_deployment_survives_a_power_cut() {
    let (node, mut rig) = follow(&chain(40)).await;
    let mut other = genesis();
    grow(&mut other, 45, &mut StdRng::seed_from_u64(6));
    node.show(other.clone());
    rig.round().await.unwrap();
    assert_eq!(rig.metrics.chain_rebuilds.get(), 1);
    assert_eq!(rig.on_disk(), Some(rig.replay(&other)));
}

#[tokio::test]
async fn a_chain_that_began_anew_is_followed_though_it_is_short() {
    let (node, mut rig) = follow(&chain(40)).await;
    let mut other = genesis();
    grow(&mut other, 5, &mut StdRng::seed_from_u64(6));
    node.show(other.clone());
    rig.settle().await;
    rig.check_equals(&other, "begun anew");
}

#[tokio::test]
async fn a_longer_chain_is_told_block_by_block() {
    let (node, mut rig) = follow(&priced_chain(&[1], 0)).await;
    let changes = rig.index.changes(FEED);
    let before = *changes.borrow();
    node.show(priced_chain(&[1, 2, 3, 4], 0));
    rig.round().await.unwrap();
    assert_eq!(*changes.borrow() - before, 3);
    assert_eq!(rig.metrics.chain_reorgs.get(), 0);
}

#[tokio::test]
async fn what_stands_on_both_branches_does_not_flicker() {
    let (node, mut rig) = follow(&priced_chain(&[1, 2, 3], 0)).await;
    let version = rig.index.version();
    let other = priced_chain(&[1, 2, 3], 1);
    node.show(other.clone());
    rig.round().await.unwrap();
    rig.check_equals(&other, "the other branch");
    assert_eq!(rig.index.version(), version, "somebody was told");
    assert_eq!(rig.metrics.chain_reorgs.get(), 1);
}

#[tokio::test]
async fn operators_see_how_far_it_is() {
    let (_node, rig) = follow(&chain(30)).await;
    assert_eq!(rig.metrics.chain_head_number.get(), 30);
    let timestamp = 1_700_000_000 + 30 * 12;
    assert_eq!(rig.metrics.chain_head_timestamp.get(), timestamp);
    assert_eq!(rig.metrics.chain_finalized_number.get(), 10);
    let shown = rig.status.newest_final().unwrap();
    assert_eq!((shown.number, shown.timestamp), (10, 1_700_000_120));
}

#[tokio::test]
async fn a_final_block_is_believed_where_it_fits_the_chain() {
    let old = chain(30);
    let (mut other, mut longer) = (old[..20].to_vec(), old.clone());
    grow(&mut other, 12, &mut StdRng::seed_from_u64(6));
    grow(&mut longer, 4, &mut StdRng::seed_from_u64(7));
    for (name, block, believed) in [
        ("before the last that was told", &old[3], false),
        ("the next", &old[11], true),
        ("in the journal", &longer[25], true),
        ("the head itself", &longer[32], true),
        ("above the head", &longer[33], false),
        ("of another branch", &other[25], false),
    ] {
        let (node, mut rig) = follow(&old).await;
        node.finalize(block);
        node.show(longer[..=32].to_vec());
        rig.round().await.unwrap();
        let shown = rig.status.newest_final().unwrap().number;
        assert_eq!(shown == block.number, believed, "{name}");
    }
}

#[tokio::test]
async fn a_store_serves_one_ledger_alone() {
    let (_node, mut rig) = follow(&chain(3)).await;
    let own = OPTIONS.deployment();
    let ledger = Address::new([9; 20]);
    let chain_id = own.chain_id + 1;
    for (deployment, refused) in [
        (Deployment { chain_id, ..own }, true),
        (Deployment { ledger, ..own }, true),
        (own, false),
    ] {
        let refusal = rig.refusal_of(deployment);
        let is_other = matches!(refusal, Some(FollowerError::OtherLedger { .. }));
        assert_eq!(
            (is_other, refusal.is_some()),
            (refused, refused),
            "{refusal:?}"
        );
    }
}
