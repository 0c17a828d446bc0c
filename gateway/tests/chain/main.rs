//! The gateway against a real chain: what happens on the ledger shows over REST, whatever the node does.

mod anvil;
mod gateway;
mod reorgs;

use std::time::Duration;

use anvil::{Chain, Door, device, key, url, wallet};
use ashya_contracts::Deployment;
use ashya_gateway::{FollowerError, Listeners, ServerError, run};
use ashya_protocol::{Address, Hash, Listing, ListingStream};
use gateway::{Gateway, config, until};
use reqwest::StatusCode;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

fn listing(name: &str) -> String {
    let listing = Listing {
        description: "Who passes".into(),
        device: device().device_id(),
        name: name.parse().unwrap(),
        outage_seconds: None,
        privacy: String::new(),
        streams: vec![ListingStream {
            events_per_minute: 300,
            name: "detections".parse().unwrap(),
        }],
        title: "The gate".into(),
    };
    listing.to_canonical_json().unwrap()
}

#[tokio::test]
async fn a_feed_shows_with_its_listing() {
    let chain = Chain::start().await;
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &url(chain.address), &chain.deployment).await;
    let document = listing("gate");
    let hash = Listing::hash_of(&document);
    let feed = chain.open_feed("gate", hash).await;
    let path = format!("/v1/feeds/{feed}/listing");
    let digest = chain.ledger.domain().feed_listing(feed, hash);
    let owner = key(0).sign(&digest);
    let stranger = key(1).sign(&digest);
    let other = listing("gate").replace("Who passes", "Who stays");
    let body = |document: &str, signature| json!({ "document": document, "signature": signature });
    // Sent before the follower can have seen the block: the gateway waits for it.
    for (body, status, code) in [
        (body(&document, stranger), 403, "signature-invalid"),
        (body(&other, owner), 409, "listing-hash"),
        (body("{}", owner), 400, "listing-invalid"),
        (body(&document, owner), 204, ""),
        (body(&document, owner), 204, ""),
    ] {
        let (found, problem) = gateway.put(&path, &body).await;
        assert_eq!(found.as_u16(), status, "{problem}");
        assert_eq!(problem["code"].as_str().unwrap_or_default(), code);
    }
    let shown = gateway
        .wait_for(&format!("/v1/feeds/{feed}"), StatusCode::OK)
        .await;
    assert_eq!(shown["title"], "The gate");
    assert_eq!(shown["streams"], json!(["detections"]));
    assert_eq!(shown["price"], anvil::PRICE.to_string());
    assert_eq!(shown["state"], "open");
    let (_, served) = gateway.get(&path).await;
    assert_eq!(
        served,
        serde_json::from_str::<serde_json::Value>(&document).unwrap()
    );
    let (_, told) = gateway.get("/v1/chain").await;
    assert_eq!(told["ledger"], json!(chain.deployment.ledger));
    assert!(told.get("demoKeys").is_none(), "{told}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_wallet_signs_in_once_with_each_nonce() {
    let chain = Chain::start().await;
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &url(chain.address), &chain.deployment).await;
    let (alice, bob) = (key(1), key(2));
    let message = gateway.message(&alice, &gateway.nonce().await);
    for (signer, status, code) in [
        (&bob, 403, "signature-invalid"),
        (&alice, 200, ""),
        (&alice, 403, "nonce-used"),
    ] {
        let (found, answer) = gateway.session(&message, signer).await;
        assert_eq!(found.as_u16(), status, "{answer}");
        assert_eq!(answer["code"].as_str().unwrap_or_default(), code);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_payment_shows_within_two_seconds_and_a_cancel_too() {
    let chain = Chain::start().await;
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &url(chain.address), &chain.deployment).await;
    let feed = chain.open_feed("gate", Hash::ZERO).await;
    gateway
        .wait_for(&format!("/v1/feeds/{feed}"), StatusCode::OK)
        .await;
    let session = gateway.sign_in(&key(1)).await;
    assert!(
        gateway
            .subscriptions(&session.token)
            .await
            .subscriptions
            .is_empty()
    );
    let alice = wallet(1);
    let expiry = chain.subscribe(&alice, feed, 600).await;
    let paid = Instant::now();
    let expires_at = gateway.wait_for_live(&session.token, feed, true).await;
    assert!(
        paid.elapsed() < Duration::from_secs(2),
        "{:?}",
        paid.elapsed()
    );
    let clock = chain.ledger.clock(feed).await.unwrap();
    assert_eq!(expires_at, clock.wall_time(expiry));
    chain.ledger.pause(&wallet(0), feed).await.unwrap();
    while gateway
        .wait_for_live(&session.token, feed, true)
        .await
        .is_some()
    {}
    chain.ledger.resume(&wallet(0), feed).await.unwrap();
    while gateway
        .wait_for_live(&session.token, feed, true)
        .await
        .is_none()
    {}
    let to = alice.address();
    chain.ledger.cancel(&alice, feed, to, to).await.unwrap();
    let cancelled = Instant::now();
    gateway.wait_for_live(&session.token, feed, false).await;
    assert!(
        cancelled.elapsed() < Duration::from_secs(2),
        "{:?}",
        cancelled.elapsed()
    );
    // Anvil takes nothing back that lies two epochs of 32 blocks below its newest block.
    let one = async || gateway.subscriptions(&session.token).await.subscriptions[0].clone();
    assert!(!one().await.is_final);
    chain.request("anvil_mine", json!(["0x40"])).await;
    until("a final cancel", || async {
        one().await.is_final.then_some(())
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_node_that_was_gone_is_taken_up_again() {
    let chain = Chain::start().await;
    let door = Door::to(&chain).await;
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &url(door.address), &chain.deployment).await;
    gateway.wait_for("/v1/health/ready", StatusCode::OK).await;
    door.lead(None);
    let feed = chain.open_feed("gate", Hash::ZERO).await;
    let message = gateway.message(&key(1), &gateway.nonce().await);
    let (status, problem) = gateway.session(&message, &key(1)).await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (503, Some("chain-unavailable"))
    );
    let path = format!("/v1/feeds/{feed}");
    assert_eq!(gateway.get(&path).await.0, StatusCode::NOT_FOUND);
    door.lead(Some(&chain));
    gateway.wait_for(&path, StatusCode::OK).await;
    let (status, session) = gateway.session(&message, &key(1)).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_restart_takes_up_where_the_store_ends() {
    let chain = Chain::start().await;
    let door = Door::to(&chain).await;
    let folder = tempfile::tempdir().unwrap();
    let rpc = url(door.address);
    let feed = chain.open_feed("gate", Hash::ZERO).await;
    let path = format!("/v1/feeds/{feed}");
    let gateway = Gateway::start(folder.path(), &rpc, &chain.deployment).await;
    gateway.wait_for(&path, StatusCode::OK).await;
    gateway.stop().await;

    door.lead(None);
    let second = chain.open_feed("yard", Hash::ZERO).await;
    let gateway = Gateway::start(folder.path(), &rpc, &chain.deployment).await;
    assert_eq!(
        gateway.get(&path).await.0,
        StatusCode::OK,
        "from the store, without a node"
    );
    let (status, problem) = gateway.get("/v1/health/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    door.lead(Some(&chain));
    gateway
        .wait_for(&format!("/v1/feeds/{second}"), StatusCode::OK)
        .await;
    gateway.stop().await;

    let elsewhere = Deployment {
        ledger: Address::new([1; 20]),
        ..chain.deployment
    };
    let config = config(folder.path(), &rpc, &elsewhere);
    let listeners = Listeners::bind(&config).unwrap();
    let refused = run(config, listeners, CancellationToken::new()).await;
    let other_ledger = FollowerError::OtherLedger {
        known_ledger: chain.deployment.ledger,
        known_chain: 31_337,
        ledger: elsewhere.ledger,
        chain: 31_337,
    };
    match refused {
        Err(ServerError::Follower(found)) => {
            assert_eq!(found.to_string(), other_ledger.to_string());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_changed_past_is_replayed() {
    let chain = Chain::start().await;
    let door = Door::to(&chain).await;
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &url(door.address), &chain.deployment).await;
    let kept = chain.open_feed("gate", Hash::ZERO).await;
    chain.request("anvil_mine", json!(["0x3"])).await;
    let undone = chain.open_feed("yard", Hash::ZERO).await;
    gateway
        .wait_for(&format!("/v1/feeds/{undone}"), StatusCode::OK)
        .await;
    // Replaces the last two blocks by empty ones of the same height.
    chain.request("anvil_reorg", json!([2, []])).await;
    gateway
        .wait_for(&format!("/v1/feeds/{undone}"), StatusCode::NOT_FOUND)
        .await;
    gateway
        .wait_for(&format!("/v1/feeds/{kept}"), StatusCode::OK)
        .await;

    // A new chain with the same ledger address, shorter than the old one.
    let fresh = Chain::start_behind(Duration::from_secs(100)).await;
    assert_eq!(fresh.deployment, chain.deployment);
    door.lead(Some(&fresh));
    gateway
        .wait_for(&format!("/v1/feeds/{kept}"), StatusCode::NOT_FOUND)
        .await;
    let feed = fresh.open_feed("door", Hash::ZERO).await;
    gateway
        .wait_for(&format!("/v1/feeds/{feed}"), StatusCode::OK)
        .await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_ledger_of_another_chain_is_refused_at_the_start() {
    let chain = Chain::start().await;
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = Deployment {
        chain_id: 11_155_111,
        ..chain.deployment
    };
    let config = config(folder.path(), &url(chain.address), &elsewhere);
    let listeners = Listeners::bind(&config).unwrap();
    let refused = run(config, listeners, CancellationToken::new()).await;
    let line = refused.unwrap_err().to_string();
    assert_eq!(
        line,
        "node 1 is on chain 31337, the ledger on chain 11155111"
    );
}
