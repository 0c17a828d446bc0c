//! A real chain that is reorganised, shortened and left alone at random: the gateway must show what one shows that has
//! never seen anything else.

use std::time::Duration;

use ashya_contracts::SubscribeTerms;
use ashya_protocol::{FeedId, Hash};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use url::Url;

use crate::anvil::{Chain, PRICE, key, url, wallet};
use crate::gateway::Gateway;

/// Longest wait for the two gateways to agree.
const PATIENCE: Duration = Duration::from_secs(15);

#[tokio::test]
async fn the_gateway_shows_what_a_fresh_one_shows() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    for (round, scheme) in ["http", "ws", "http", "ws"].into_iter().enumerate() {
        history(seed.wrapping_add(round as u64), scheme).await;
    }
}

/// `http` or `ws`: anvil speaks both on one port.
fn endpoint(chain: &Chain, scheme: &str) -> Url {
    let http = url(chain.address).to_string();
    http.replacen("http", scheme, 1).parse().unwrap()
}

async fn history(seed: u64, scheme: &str) {
    let mut dice = StdRng::seed_from_u64(seed);
    let chain = Chain::start().await;
    let rpc = endpoint(&chain, scheme);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start(folder.path(), &rpc, &chain.deployment).await;
    let mut feeds = Vec::new();
    let mut snapshot = Value::Null;
    for step in 0..20 {
        match dice.random_range(0..10) {
            0 | 1 => feeds.push(chain.open_feed(&format!("feed-{step}"), Hash::ZERO).await),
            2..=5 => buy_or_cancel(&chain, &feeds, &mut dice).await,
            6 => snapshot = chain.request("evm_snapshot", json!([])).await,
            // Shortens the chain, for longer or not.
            7 if !snapshot.is_null() => {
                chain.request("evm_revert", json!([snapshot])).await;
                snapshot = Value::Null;
                chain.request("anvil_mine", json!(["0x1"])).await;
            }
            7 | 8 => {
                let head = chain.ledger.rpc().latest().await.unwrap().number;
                let most = (head - chain.deployment.block).min(64);
                if most > 0 {
                    let depth = dice.random_range(1..=most);
                    chain.request("anvil_reorg", json!([depth, []])).await;
                    // anvil cannot go back to a block that is gone.
                    snapshot = Value::Null;
                }
            }
            _ => {
                gateway.stop().await;
                gateway = Gateway::start(folder.path(), &rpc, &chain.deployment).await;
            }
        }
        if dice.random_bool(0.5) {
            // Sometimes it sees every step, sometimes several at once.
            sleep(Duration::from_millis(dice.random_range(0..300))).await;
        }
    }
    // A chain that is only shorter proves nothing; one that has grown past it does.
    chain.request("anvil_mine", json!(["0x40"])).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let fresh = Gateway::start(elsewhere.path(), &url(chain.address), &chain.deployment).await;
    let (old_tokens, new_tokens) = (tokens(&gateway).await, tokens(&fresh).await);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let old = shown(&gateway, &old_tokens).await;
        let new = shown(&fresh, &new_tokens).await;
        if old == new && new.is_some() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "seed {seed}: {old:#?} is not {new:#?}"
        );
        sleep(Duration::from_millis(50)).await;
    }
    gateway.stop().await;
    fresh.stop().await;
}

async fn tokens(gateway: &Gateway) -> Vec<String> {
    let mut tokens = Vec::new();
    for number in [1, 2] {
        tokens.push(gateway.sign_in(&key(number)).await.token);
    }
    tokens
}

/// What a gateway shows of feeds and of two wallets' subscriptions; `None` while it is not ready.
async fn shown(gateway: &Gateway, tokens: &[String]) -> Option<Value> {
    let (status, _) = gateway.get("/v1/health/ready").await;
    if !status.is_success() {
        return None;
    }
    let (_, chain) = gateway.get("/v1/chain").await;
    let (_, feeds) = gateway.get("/v1/feeds").await;
    let mut subscriptions = Vec::new();
    for token in tokens {
        let list = gateway.subscriptions(token).await;
        subscriptions.push(serde_json::to_value(list).unwrap());
    }
    Some(json!({ "head": chain["head"], "feeds": feeds, "subscriptions": subscriptions }))
}

async fn buy_or_cancel(chain: &Chain, feeds: &[FeedId], dice: &mut StdRng) {
    if feeds.is_empty() {
        return;
    }
    let feed = feeds[dice.random_range(0..feeds.len())];
    let payer = wallet(dice.random_range(1..3));
    let beneficiary = wallet(dice.random_range(1..3)).address();
    // The ledger refuses what is not possible now, such as a feed that a reorg took away.
    let _ = if dice.random_bool(0.7) {
        let terms = SubscribeTerms {
            feed,
            beneficiary,
            duration: dice.random_range(60..10_000),
            max_price: PRICE,
            listing: Hash::ZERO,
            price: PRICE,
        };
        chain.ledger.subscribe(&payer, terms).await.map(|_| ())
    } else {
        let to = payer.address();
        chain
            .ledger
            .cancel(&payer, feed, beneficiary, to)
            .await
            .map(|_| ())
    };
}
