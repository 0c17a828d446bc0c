//! A machine in front of the demo: it pays, streams, outlives the gateway, stops at its budget, and gets the rest back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::Wei;
use ashya_tests::{Demo, DemoOptions, Subscriber, eventually, wei_of};
use serde_json::json;

use super::{PAY_LIMIT, balance_of, buyer, check_gapless, paid, pass, transactions_of};

/// Events of a device that sees five pictures a second, on a busy machine.
const EVENTS_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(40);
/// Time until what is left of a minute is so little that another is bought, or would be.
const MINUTE_LIMIT: Duration = Duration::from_secs(90);
const MINUTE: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_buys_from_the_demo_up_to_its_budget_and_gets_the_rest_back() {
    let mut demo = Demo::start(DemoOptions::free_ports(), |_| {})
        .await
        .unwrap();
    if let Err(error) = buy(&mut demo).await {
        panic!("{error:?}");
    }
}

async fn buy(demo: &mut Demo) -> Result<()> {
    let feed = *demo.feeds().last().context("a feed")?;
    let minute = feed.price.get() * u128::from(MINUTE);
    let world = demo.world();
    // Gas that costs next to nothing, so that the budget is spent by minutes.
    let free = json!(["0x0"]);
    world
        .anvil
        .rpc("anvil_setNextBlockBaseFeePerGas", free)
        .await?;
    let flags = ["--cancel", "--max-fee-gwei", "0.02"];
    let (account, mut options) = buyer(world, feed, &flags).await?;
    options
        .more
        .extend(["--streams".into(), "detections".into()]);
    // Two minutes and their gas, but no third one.
    options.budget = Wei::new(minute * 2 + minute * 4 / 5);
    let before = balance_of(world, account.address()).await?;
    let mut subscriber = Subscriber::start(options.clone())?;

    // It pays, and streams.
    subscriber.hears("paid", 1, PAY_LIMIT).await?;
    subscriber.hears("event", 10, EVENTS_LIMIT).await?;

    // The gateway is killed and comes back; no event is missing.
    world.gateway.process().kill();
    subscriber.hears("gateway-away", 1, EVENTS_LIMIT).await?;
    let seen = subscriber.said("event").len();
    world.gateway.reopen().await?;
    world.gateway.until_ready().await?;
    subscriber.hears("event", seen + 20, EVENTS_LIMIT).await?;
    check_gapless(&subscriber)?;

    // It extends once, and stops at the budget. The clocks of chain and gateway may differ by a minute.
    pass(world, 15).await?;
    subscriber.hears("paid", 2, MINUTE_LIMIT).await?;
    pass(world, 40).await?;
    eventually("the word that the budget ends", MINUTE_LIMIT, async || {
        let said = subscriber.said("waiting").into_iter();
        Ok(said
            .map(|line| line.to_string())
            .find(|line| line.contains("budget")))
    })
    .await?;
    let seen = subscriber.said("event").len();
    subscriber.hears("event", seen + 5, EVENTS_LIMIT).await?;
    ensure!(subscriber.said("paid").len() == 2);

    // It is told to stop, cancels, and the refund is there to the wei.
    subscriber.process().interrupt()?;
    let status = subscriber.ends(END_LIMIT).await?;
    ensure!(
        status.success(),
        "{status}: {}",
        subscriber.process().tail()
    );
    let cancelled = &subscriber.said("cancelled")[0];
    let refund = wei_of(cancelled, "refund")?.get();
    let (value, gas) = paid(&subscriber)?;
    ensure!(value == minute * 2, "{value}");
    let gas = gas + wei_of(cancelled, "fee")?.get();
    ensure!(value + gas <= options.budget.get(), "{value} {gas}");
    ensure!(refund > 0 && refund % feed.price.get() == 0, "{refund}");
    let after = balance_of(world, account.address()).await?;
    ensure!(
        before - after == value + gas - refund,
        "{before} {after} {value} {gas} {refund}"
    );
    let kept = world
        .ledger()
        .subscription(feed.id, account.address(), account.address())
        .await?;
    let used = kept.map(|kept| feed.price.get() * u128::from(kept.expiry - kept.start));
    ensure!(used == Some(value - refund), "{used:?}");
    ensure!(transactions_of(world, account.address()).await? == 3);
    check_gapless(&subscriber)
}
