//! The machine subscriber: the real `ashya-agent subscribe` buys from a real agent or device.

mod closed;
mod demo;
mod leaving;
mod money;
mod moving;
mod trouble;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::{Address, Wei};
use ashya_tests::{Account, Device, FeedPlan, OpenFeed, Subscriber, SubscriberOptions, World};
use serde_json::{Value, json};
use url::Url;

/// A payment, on a busy machine: some blocks.
const PAY_LIMIT: Duration = Duration::from_secs(40);
/// A second costs so much, that gas does not hide a minute.
const PRICE: Wei = Wei::new(10_000_000_000_000);

/// A feed of a raw device.
async fn feed_on_sale(world: &World) -> Result<(Device, Account, OpenFeed)> {
    let owner = world.account().await?;
    let device = world.device(&owner, &["detections"]).await?;
    let plan = FeedPlan::detections("Gate", PRICE.get());
    let feed = world
        .open_device_feed(&device, &owner, "gate", plan)
        .await?;
    Ok((device, owner, feed))
}

/// A buyer with a key, a folder, and a budget of 0.1 ETH.
async fn buyer(
    world: &World,
    feed: OpenFeed,
    more: &[&str],
) -> Result<(Account, SubscriberOptions)> {
    let account = world.account().await?;
    let folder = world.folder("buyer")?;
    let options = SubscriberOptions {
        name: "buyer".into(),
        feed: feed.id,
        gateway: world.api().base().clone(),
        rpc: world.anvil.url().clone(),
        budget: Wei::new(Wei::ETH.get() / 10),
        term: "60s".into(),
        logs: folder.clone(),
        folder,
        more: more.iter().map(|flag| (*flag).to_owned()).collect(),
    };
    Ok((account.clone(), options.with_key(&account)?))
}

/// How many transactions of a wallet are in blocks.
async fn transactions_of(world: &World, wallet: Address) -> Result<u64> {
    let count = world
        .anvil
        .rpc("eth_getTransactionCount", json!([wallet, "latest"]))
        .await?;
    number(&count)
}

async fn balance_of(world: &World, wallet: Address) -> Result<u128> {
    Ok(world.ledger().rpc().balance(wallet).await?.get())
}

/// What all payments of a run have cost, as it says: for the feed, and for gas.
fn paid(subscriber: &Subscriber) -> Result<(u128, u128)> {
    let mut sums = (0, 0);
    for line in subscriber.said("paid") {
        sums.0 += ashya_tests::wei_of(&line, "value")?.get();
        sums.1 += ashya_tests::wei_of(&line, "fee")?.get();
    }
    Ok(sums)
}

fn number(value: &Value) -> Result<u64> {
    let text = value.as_str().context("a number")?;
    Ok(u64::from_str_radix(text.trim_start_matches("0x"), 16)?)
}

fn address_of(url: &Url) -> Result<SocketAddr> {
    let found = url.socket_addrs(|| None)?;
    found.first().copied().context("an address")
}

/// Moves the chain's clock forward and makes a block.
async fn pass(world: &World, seconds: u64) -> Result<()> {
    world
        .anvil
        .rpc("evm_increaseTime", json!([seconds]))
        .await?;
    world.anvil.rpc("evm_mine", json!([])).await?;
    Ok(())
}

/// Every event of a start follows the one before.
fn check_gapless(subscriber: &Subscriber) -> Result<()> {
    let events = subscriber.events()?;
    for pair in events.windows(2) {
        let next = (pair[0].boot, pair[0].seq.next()?);
        ensure!(
            (pair[1].boot, pair[1].seq) == next || pair[1].boot > pair[0].boot,
            "after {} {} came {} {}",
            pair[0].boot,
            pair[0].seq,
            pair[1].boot,
            pair[1].seq
        );
    }
    let gaps = subscriber.said("gap");
    ensure!(gaps.is_empty(), "{gaps:?}");
    Ok(())
}
