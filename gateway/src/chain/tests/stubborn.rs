//! One kind of trouble at a time, for as long as it takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ashya_contracts::{ChainError, LedgerEvent};
use ashya_protocol::{Address, FeedId, Wei};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::{Pace, RoundError};
use super::generated::{
    Chain, add, add_of_others, chain, genesis, grow, leaving_filters_out, without_filters,
};
use super::node::{Lie, Node};
use super::rig::{OPTIONS, Rig, eventually, follow};
use crate::defaults::PUBLIC_POLL;

/// The chain without its last blocks, and others in their place.
fn branch(chain: &Chain, depth: usize, blocks: u64) -> Chain {
    let mut branch = chain[..chain.len() - depth].to_vec();
    grow(&mut branch, blocks, &mut StdRng::seed_from_u64(6));
    branch
}

#[tokio::test]
async fn logs_that_are_left_out_are_waited_for() {
    for lie in [Lie::NoLogs, Lie::OneLogLess] {
        let old = chain(20);
        let (node, mut rig) = follow(&old).await;
        let mut longer = old.clone();
        grow(&mut longer, 20, &mut StdRng::seed_from_u64(7));
        node.show(longer.clone());
        node.lie(&[lie], 100);
        for _ in 0..5 {
            let round = rig.round().await;
            assert!(
                matches!(round, Err(RoundError::Node(_))),
                "{lie:?}: {round:?}"
            );
            rig.check_honest(&[longer.clone()], "left out");
        }
        assert!(rig.metrics.chain_omissions.get() > 0);
        node.lie(&[], 0);
        rig.settle().await;
        rig.check_equals(&longer, "told at last");
    }
}

#[tokio::test]
async fn events_that_the_filters_rule_out_are_refused() {
    let old = chain(20);
    let [mut long, mut sold, mut others, mut bare] = [(); 4].map(|()| old.clone());
    grow(&mut long, 20, &mut StdRng::seed_from_u64(7));
    let withdrawn = LedgerEvent::Withdrawn {
        feed: FeedId::new([1; 32]),
        payout: Address::new([1; 20]),
        amount: Wei::new(1),
    };
    add(&mut sold, vec![withdrawn], 0);
    add_of_others(&mut others);
    add(&mut bare, vec![], 0);
    for (name, longer, lie) in [
        ("in one of many blocks", long, Lie::OneLogMore),
        ("beside another event", sold, Lie::OneLogMore),
        ("beside logs of others", others, Lie::OneLogMore),
        ("in a block without logs", bare, Lie::LogOfNothing),
    ] {
        let (node, mut rig) = follow(&old).await;
        node.show(longer.clone());
        node.lie(&[lie], 100);
        for _ in 0..3 {
            let round = rig.round().await;
            let unexpected = matches!(
                round,
                Err(RoundError::Node(ChainError::UnexpectedAnswer(_)))
            );
            assert!(unexpected, "{name}: {round:?}");
            rig.check_equals(&old, name);
        }
        node.lie(&[], 0);
        rig.settle().await;
        rig.check_equals(&longer, name);
    }
}

#[tokio::test]
async fn a_chain_whose_filters_are_empty_is_followed() {
    // Below block 15, as on a chain that has learnt to fill them in, and everywhere.
    for first in [15, u64::MAX] {
        let (node, mut rig) = follow(&without_filters(&chain(40), first)).await;
        let mut other = genesis();
        grow(&mut other, 45, &mut StdRng::seed_from_u64(6));
        let other = without_filters(&other, first);
        node.show(other.clone());
        rig.settle().await;
        rig.check_equals(&other, "read anew");
        assert_eq!(rig.metrics.chain_rebuilds.get(), 1);
    }
}

#[tokio::test]
async fn a_node_that_leaves_filters_out_takes_over_from_one_that_fills_them() {
    let old = chain(20);
    let mut longer = old.clone();
    grow(&mut longer, 20, &mut StdRng::seed_from_u64(7));
    let nodes = [
        Arc::new(Node::start(old.clone(), 1).await),
        Arc::new(Node::start(leaving_filters_out(&longer), 2).await),
    ];
    let mut rig = Rig::new(nodes.to_vec(), OPTIONS);
    rig.settle().await;
    rig.check_equals(&old, "by the first");
    nodes[0].lie(&[Lie::Http(500)], 100);
    rig.settle().await;
    rig.check_equals(&longer, "by the other");
}

#[tokio::test]
async fn a_head_that_goes_back_takes_nothing_away() {
    let old = chain(40);
    let (node, mut rig) = follow(&old).await;
    for length in [40, 30, 10, 2] {
        node.show(old[..length].to_vec());
        let round = rig.round().await;
        assert!(
            matches!(round, Err(RoundError::Behind { .. })),
            "{length}: {round:?}"
        );
        rig.check_equals(&old, "shortened");
    }
    // Shorter than before, but another branch: within the journal, and below it.
    for (depth, blocks) in [(10, 5), (30, 3)] {
        let other = branch(&old, depth, blocks);
        node.show(other.clone());
        if depth <= OPTIONS.journal_blocks {
            rig.settle().await;
            rig.check_equals(&other, "a shorter branch");
        }
    }
    let other = branch(&old, 30, 40);
    node.show(other.clone());
    rig.settle().await;
    rig.check_equals(&other, "from below the journal");
    assert_eq!(rig.metrics.chain_rebuilds.get(), 1);
}

#[tokio::test]
async fn nothing_goes_on_from_a_store_that_cannot_be_read_again() {
    let old = chain(20);
    let (node, mut rig) = follow(&old).await;
    let mut longer = old.clone();
    grow(&mut longer, 5, &mut StdRng::seed_from_u64(7));
    node.show(longer.clone());
    let store = rig.fail_store();
    let cursor = store.swap_cursor(b"{");
    let requests = node.requests();
    for _ in 0..3 {
        let round = rig.round().await;
        assert!(matches!(round, Err(RoundError::Store(_))), "{round:?}");
    }
    assert_eq!(node.requests(), requests, "a block was asked for");
    store.swap_cursor(&cursor);
    rig.check_equals(&old, "as it was");
    rig.settle().await;
    rig.check_equals(&longer, "mended");
}

#[tokio::test]
async fn a_near_node_is_asked_for_its_height_between_two_looks() {
    let old = chain(20);
    let (node, mut rig) = follow(&old).await;
    let mut longer = old.clone();
    grow(&mut longer, 20, &mut StdRng::seed_from_u64(7));
    rig.pace = Pace::public();
    rig.restart();
    let _running = rig.run();
    eventually(|| node.heights() > 0).await;
    node.show(longer.clone());
    let began = Instant::now();
    eventually(|| rig.shows(&longer)).await;
    assert!(began.elapsed() < PUBLIC_POLL / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn another_node_takes_over() {
    let old = chain(20);
    let nodes = [
        Arc::new(Node::start(old.clone(), 1).await),
        Arc::new(Node::start(old.clone(), 2).await),
    ];
    let mut rig = Rig::new(nodes.to_vec(), OPTIONS);
    rig.settle().await;
    let longer = branch(&old, 0, 5);
    for (down, up) in [(0, 1), (1, 0), (0, 1)] {
        nodes[down].lie(&[Lie::Http(500)], 100);
        nodes[up].lie(&[], 0);
        nodes[up].show(longer.clone());
        let before = nodes[up].requests();
        rig.settle().await;
        rig.check_equals(&longer, "fail-over");
        assert!(nodes[up].requests() > before);
    }
}

#[tokio::test]
async fn a_node_that_stays_behind_another_is_left() {
    for (ahead, is_final, left) in [(2, true, 0), (3, true, 1), (3, false, 1)] {
        let old = chain(20);
        let longer = branch(&old, 0, ahead);
        let nodes = [
            Arc::new(Node::start(old.clone(), 1).await),
            Arc::new(Node::start(longer.clone(), 2).await),
        ];
        if !is_final {
            nodes.iter().for_each(|node| node.finalize_nothing());
        }
        let mut rig = Rig::new(nodes.to_vec(), OPTIONS);
        rig.settle().await;
        rig.round().await.unwrap();
        assert_eq!(rig.metrics.chain_failovers.get(), 0, "left too early");
        // Long enough for the other to be asked how far it is.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(16)).await;
        tokio::time::resume();
        rig.round().await.unwrap();
        assert_eq!(rig.metrics.chain_failovers.get(), left, "{ahead} blocks");
        rig.settle().await;
        let followed = if left == 1 { &longer } else { &old };
        rig.check_equals(followed, "behind another");
    }
}

#[tokio::test]
async fn a_branch_of_any_height_is_taken_over() {
    let old = chain(40);
    // Shorter, as high, one block higher as the next block would be, and much higher.
    for (depth, blocks) in [(3, 2), (1, 1), (1, 2), (5, 6), (2, 30)] {
        let (node, mut rig) = follow(&old).await;
        let other = branch(&old, depth, blocks);
        node.show(other.clone());
        rig.round().await.unwrap();
        rig.check_equals(&other, "another branch");
    }
}

#[tokio::test]
async fn a_branch_is_not_taken_over_by_halves() {
    let old = chain(40);
    let (node, mut rig) = follow(&old).await;
    let other = branch(&old, 12, 14);
    node.show(other.clone());
    node.lie(&[Lie::Error, Lie::NoBlock, Lie::NoLogs, Lie::OldBranch], 30);
    for _ in 0..30 {
        // Whatever the outcome, the index is that of the one branch or the other.
        drop(rig.round().await);
        rig.check_honest(&[old.clone(), other.clone()], "half read");
    }
    node.lie(&[], 0);
    rig.settle().await;
    rig.check_equals(&other, "taken over");
}
