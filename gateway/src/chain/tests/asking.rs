//! What nodes are asked, how often, and in what portions.

use std::sync::Arc;
use std::time::Duration;

use ashya_contracts::Rpc;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::endpoints::Endpoints;
use super::super::{Pace, RoundError};
use super::generated::{add, chain, grow};
use super::node::{Lie, Node};
use super::rig::{OPTIONS, Rig, eventually, follow};
use crate::defaults::{BACKOFF_MIN, LOCAL_POLL};
use crate::store::StoreError;

#[tokio::test]
async fn the_next_block_costs_few_questions() {
    let mut longer = chain(3);
    let (node, mut rig) = follow(&longer).await;
    for _ in 0..3 {
        add(&mut longer, vec![], 0);
        node.show(longer.clone());
        let before = node.requests();
        rig.round().await.unwrap();
        // For the head, its logs, and the final block.
        assert_eq!(node.requests() - before, 3);
    }
}

#[tokio::test]
async fn a_node_that_refuses_is_asked_for_less_and_now_and_then_for_more() {
    let chain = chain(60);
    let node = Arc::new(Node::start(chain.clone(), 1).await);
    node.limit(5);
    let mut rig = Rig::new(vec![Arc::clone(&node)], OPTIONS);
    rig.round().await.unwrap();
    rig.check_equals(&chain, "in fives");
    assert_eq!(node.ranges(), [10, 5, 5, 5, 5].repeat(3));
}

#[tokio::test]
async fn logs_that_a_range_leaves_out_are_found_block_by_block() {
    let (old, mut longer) = (chain(20), chain(20));
    grow(&mut longer, 20, &mut StdRng::seed_from_u64(7));
    let (node, mut rig) = follow(&old).await;
    assert_eq!(rig.metrics.chain_omissions.get(), 0, "all was told");
    node.lie(&[Lie::NoRange], 100);
    node.show(longer.clone());
    rig.round().await.unwrap();
    rig.check_equals(&longer, "from the blocks themselves");
    let written = longer[21..].iter().filter(|block| !block.events.is_empty());
    assert_eq!(rig.metrics.chain_omissions.get(), written.count() as u64);
}

#[tokio::test]
async fn the_wait_is_the_paces_and_grows_with_failures() {
    let (_node, mut rig) = follow(&chain(3)).await;
    rig.pace = Pace::local();
    rig.restart();
    assert_eq!(rig.wait_after(&Ok(())), LOCAL_POLL);
    let failed = Err(RoundError::Store(StoreError::Key));
    for step in [1, 2, 4] {
        let (wait, longest) = (rig.wait_after(&failed), BACKOFF_MIN * step);
        let slack = Duration::from_millis(50);
        assert!(longest / 2 - slack <= wait && wait <= longest, "{wait:?}");
    }
    assert_eq!(
        rig.metrics.chain_failovers.get(),
        0,
        "there is no other node"
    );
    assert_eq!(rig.wait_after(&Ok(())), LOCAL_POLL);
    let wait = rig.wait_after(&failed);
    assert!(wait <= BACKOFF_MIN, "{wait:?} after one that went well");
}

#[tokio::test]
async fn a_height_that_stays_the_same_is_no_new_head() {
    let old = chain(20);
    let node = Node::start(old.clone(), 1).await;
    let rpc = Rpc::new(&node.url).unwrap();
    let head = rpc.latest().await.unwrap();
    let mut endpoints = Endpoints::new(vec![rpc], OPTIONS.deployment(), Pace::public());
    endpoints.saw(&head);
    let waiting = tokio::time::timeout(Duration::from_secs(10), endpoints.new_head());
    let mut waiting = std::pin::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("woken by nothing"),
        () = eventually(|| node.heights() > 2) => {}
    }
    node.show(chain(21));
    waiting.await.expect("the new head was missed");
}

#[tokio::test]
async fn every_change_of_the_node_is_counted() {
    let mut nodes = Vec::new();
    for seed in 0..2 {
        nodes.push(Arc::new(Node::start(chain(20), seed).await));
    }
    let mut rig = Rig::new(nodes.clone(), OPTIONS);
    rig.settle().await;
    assert_eq!(rig.metrics.chain_failovers.get(), 0);
    nodes[0].lie(&[Lie::Http(500)], 100);
    rig.settle().await;
    assert_eq!(rig.metrics.chain_failovers.get(), 1);
    rig.settle().await;
    assert_eq!(
        rig.metrics.chain_failovers.get(),
        1,
        "it stays with the other"
    );
}
