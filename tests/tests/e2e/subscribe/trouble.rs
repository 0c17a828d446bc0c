//! Nodes that do not answer, gateways that lie, chains that go back: never a second payment, never a wrong one.

use std::time::Duration;

use anyhow::{Result, ensure};
use ashya_protocol::Address;
use ashya_tests::{
    AnvilOptions, BlockTime, Publisher, Subscriber, Tamper, Tampering, World, WorldOptions,
    free_port,
};
use serde_json::json;

use super::{
    PAY_LIMIT, PRICE, address_of, balance_of, buyer, check_gapless, feed_on_sale, transactions_of,
};
use crate::in_world;

/// A node that says nothing is given up after 10 seconds.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
const SEND: &[u8] = b"eth_sendRawTransaction";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_takes_a_payment_and_does_not_say_so_is_not_paid_by_again() {
    in_world(async |world| {
        let (device, _, feed) = feed_on_sale(world).await?;
        let publisher = Publisher::start(device, "detections", Duration::from_millis(200));
        let node = Tampering::start(address_of(world.anvil.url())?).await?;
        node.set(Tamper::Mute(SEND.to_vec()));
        let (account, mut options) = buyer(world, feed, &[]).await?;
        options.rpc = node.url()?;
        options.term = "10m".into();
        let mut subscriber = Subscriber::start(options)?;
        subscriber.hears("unsure", 1, SILENCE_LIMIT).await?;
        subscriber.hears("event", 5, SILENCE_LIMIT).await?;
        ensure!(subscriber.said("sent").len() == 1);
        ensure!(transactions_of(world, account.address()).await? == 1);
        drop(publisher);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_never_left_is_the_one_that_is_sent_after_a_kill() {
    in_world(async |world| {
        let (device, _, feed) = feed_on_sale(world).await?;
        let publisher = Publisher::start(device, "detections", Duration::from_millis(200));
        let node = Tampering::start(address_of(world.anvil.url())?).await?;
        node.set(Tamper::Swallow(SEND.to_vec()));
        let (account, mut options) = buyer(world, feed, &[]).await?;
        options.rpc = node.url()?;
        options.term = "10m".into();
        let mut first = Subscriber::start(options.clone())?;
        let sent = first.hears("sent", 1, PAY_LIMIT).await?;
        ensure!(transactions_of(world, account.address()).await? == 0);
        node.set(Tamper::Pass);
        let mut second = first.crash_and_restart(options)?;
        let paid = second.hears("paid", 1, SILENCE_LIMIT).await?;
        ensure!(paid["transaction"] == sent["transaction"], "{sent} {paid}");
        second.hears("event", 5, SILENCE_LIMIT).await?;
        ensure!(second.said("sent").is_empty());
        ensure!(transactions_of(world, account.address()).await? == 1);

        // And what was handed on is not handed on again after another kill, but for the last second.
        let last = second.events()?.pop().map(|event| (event.boot, event.seq));
        let options = second.options().clone();
        let mut third = second.crash_and_restart(options)?;
        third.hears("event", 3, SILENCE_LIMIT).await?;
        let first = third
            .events()?
            .first()
            .map(|event| (event.boot, event.seq.get() + 10));
        let last = last.map(|(boot, seq)| (boot, seq.get()));
        ensure!(first > last, "{first:?} {last:?}");
        check_gapless(&third)?;
        drop(publisher);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_lies_gets_nothing() {
    let port = free_port(0).unwrap();
    let options = WorldOptions {
        gateway_flags: vec!["--domain".into(), format!("127.0.0.1:{port}")],
        ..WorldOptions::default()
    };
    let world = World::start_with(options, |_| {}).await.unwrap();
    if let Err(error) = lie(&world, port).await {
        panic!("{error:?}");
    }
}

async fn lie(world: &World, port: u16) -> Result<()> {
    let (_device, _, feed) = feed_on_sale(world).await?;
    let gateway = Tampering::start_on(port, world.gateway.addresses().http).await?;
    let ledger = world.ledger().address();
    let elsewhere = Address::new([0x5a; 20]).to_string();
    let (price, cheaper) = (PRICE.to_string(), PRICE.to_string().replace('1', "9"));
    for (name, truth, lie, trusted, code) in [
        (
            "its contract is unknown",
            ledger.to_string(),
            elsewhere.clone(),
            false,
            5,
        ),
        (
            "another contract than the trusted one",
            ledger.to_string(),
            elsewhere,
            true,
            5,
        ),
        ("another price", price, cheaper, true, 5),
        ("another chain", "31337".into(), "31338".into(), true, 5),
    ] {
        let (account, mut options) = buyer(world, feed, &[]).await?;
        options.gateway = gateway.url()?;
        options.name = name.replace(' ', "-");
        options.folder = world.folder(&options.name)?;
        let mut options = options.with_key(&account)?;
        if trusted {
            options.more = vec!["--ledger".into(), ledger.to_string()];
        }
        gateway.set(Tamper::Forge(truth.into_bytes(), lie.into_bytes()));
        let before = balance_of(world, account.address()).await?;
        let mut subscriber = Subscriber::start(options)?;
        let status = subscriber.ends(SILENCE_LIMIT).await?;
        ensure!(
            status.code() == Some(code),
            "{name}: {status}: {}",
            subscriber.process().tail()
        );
        ensure!(subscriber.said("sent").is_empty(), "{name}");
        ensure!(
            balance_of(world, account.address()).await? == before,
            "{name}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_a_reorganisation_undoes_is_sent_again_and_is_the_same() {
    let options = WorldOptions {
        anvil: AnvilOptions {
            // So that the payment stays in the newest block, which is not final.
            block_time: BlockTime::EachTransaction,
            ..AnvilOptions::default()
        },
        ..WorldOptions::default()
    };
    let world = World::start_with(options, |_| {}).await.unwrap();
    if let Err(error) = reorganise(&world).await {
        panic!("{error:?}");
    }
}

async fn reorganise(world: &World) -> Result<()> {
    let (device, _, feed) = feed_on_sale(world).await?;
    let publisher = Publisher::start(device, "detections", Duration::from_millis(200));
    let (account, mut options) = buyer(world, feed, &[]).await?;
    options.term = "10m".into();
    let mut subscriber = Subscriber::start(options)?;
    let paid = subscriber.hears("paid", 1, PAY_LIMIT).await?;
    subscriber.hears("event", 3, PAY_LIMIT).await?;
    world.anvil.rpc("anvil_reorg", json!([1, []])).await?;
    let undone = subscriber.hears("undone", 1, PAY_LIMIT).await?;
    ensure!(
        undone["transaction"] == paid["transaction"],
        "{undone} {paid}"
    );
    let again = subscriber.hears("paid", 2, PAY_LIMIT).await?;
    ensure!(
        again["transaction"] == paid["transaction"],
        "{again} {paid}"
    );
    let seen = subscriber.said("event").len();
    subscriber.hears("event", seen + 3, PAY_LIMIT).await?;
    ensure!(transactions_of(world, account.address()).await? == 1);
    ensure!(subscriber.said("sent").len() == 1);
    drop(publisher);
    Ok(())
}
