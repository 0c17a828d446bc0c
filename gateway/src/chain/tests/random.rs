use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::generated::{Chain, genesis, grow};
use super::node::{Lie, Node};
use super::rig::{Options, Rig};

/// Chains of the short form.
const CHAINS: u64 = 60;
/// Deepest reorganisation.
const DEEPEST: u64 = 64;

#[derive(Debug, Default)]
struct Tally {
    blocks: u64,
    reorgs: u64,
    deepest: u64,
    restarts: u64,
    requests: u64,
    refused_rounds: u64,
    omissions: u64,
    rebuilds: u64,
}

/// `ASHYA_CHAINS` says how many, `ASHYA_SEED` which.
#[tokio::test]
async fn the_index_equals_a_fresh_replay_after_any_history() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let chains = number("ASHYA_CHAINS").unwrap_or(CHAINS);
    let seed: u64 = number("ASHYA_SEED").unwrap_or_else(rand::random);
    let mut tally = Tally::default();
    for chain in 0..chains {
        history(seed.wrapping_add(chain), &mut tally).await;
        if (chain + 1) % 100 == 0 {
            eprintln!("{} of {chains} chains", chain + 1);
        }
    }
    println!("seed {seed}, {chains} chains: {tally:?}");
    assert!(tally.reorgs > chains && tally.restarts > 0 && tally.refused_rounds > 0);
}

/// One chain's life, with everything that nodes and power cuts do to it.
async fn history(seed: u64, tally: &mut Tally) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut chain = genesis();
    let options = Options {
        deployment: dice.random_range(0..4),
        journal_blocks: [8, 32, 100, 4_096][dice.random_range(0..4)],
        blocks_per_request: [1, 3, 10, 1_000][dice.random_range(0..4)],
    };
    let length = options.deployment + dice.random_range(1..80);
    grow(&mut chain, length, &mut dice);
    let mut nodes = Vec::new();
    for node in 0..dice.random_range(1..3) {
        nodes.push(Arc::new(Node::start(chain.clone(), seed ^ node).await));
    }
    nodes[0].limit(dice.random_range(1..50));
    let mut rig = Rig::new(nodes.clone(), options);
    let mut chains = vec![chain.clone()];
    for step in 0..dice.random_range(4..9) {
        let context = format!("seed {seed}, step {step}, {options:?}");
        for node in &nodes {
            node.lie(&Lie::ALL, dice.random_range(0..40));
        }
        for _ in 0..dice.random_range(0..5) {
            tally.refused_rounds += u64::from(rig.round().await.is_err());
            rig.check_honest(&chains, &context);
            if dice.random_bool(0.2) {
                tally.restarts += 1;
                rig.restart();
            }
        }
        if dice.random_bool(0.5) {
            calm(&nodes);
            rig.settle().await;
            rig.check_equals(&chain, &context);
        }
        change(&mut chain, options.deployment, &mut dice, tally);
        chains.push(chain.clone());
        for node in &nodes {
            node.show(chain.clone());
        }
    }
    calm(&nodes);
    rig.settle().await;
    rig.check_equals(&chain, &format!("seed {seed}, at the end, {options:?}"));
    rig.restart();
    rig.settle().await;
    rig.check_equals(&chain, &format!("seed {seed}, restarted, {options:?}"));
    tally.blocks += chain.len() as u64;
    tally.requests += nodes.iter().map(|node| node.requests()).sum::<u64>();
    tally.omissions += rig.metrics.chain_omissions.get();
    tally.rebuilds += rig.metrics.chain_rebuilds.get();
}

fn calm(nodes: &[Arc<Node>]) {
    for node in nodes {
        node.lie(&[], 0);
    }
}

/// Grows the chain, or parts from it up to 64 blocks below its end; the new branch is longer, as fork choice has it.
fn change(chain: &mut Chain, deployment: u64, dice: &mut StdRng, tally: &mut Tally) {
    if dice.random_bool(0.25) {
        grow(chain, dice.random_range(1..30), dice);
        return;
    }
    let top = chain.len() as u64 - 1;
    // The block of the deployment itself may be another one, too.
    let most = DEEPEST.min(top + 1 - deployment.max(1));
    let depth = dice.random_range(1..=most);
    chain.truncate(usize::try_from(top + 1 - depth).unwrap());
    grow(chain, depth + dice.random_range(0..8), dice);
    tally.reorgs += 1;
    tally.deepest = tally.deepest.max(depth);
}
