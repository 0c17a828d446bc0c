//! Pays, streams, stops at the budget, and brings the rest back to the wei.

use std::time::Duration;

use anyhow::{Result, ensure};
use ashya_protocol::Wei;
use ashya_tests::{
    Agent, FeedPlan, Publisher, Subscriber, World, WorldOptions, eventually, wei_of,
};

use super::{
    PAY_LIMIT, PRICE, balance_of, buyer, check_gapless, feed_on_sale, paid, pass, transactions_of,
};
use crate::in_world;

/// Events of a feed that sends some each second.
const EVENTS_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_buys_another_ones_eyes_over_a_gateways_crash_and_gets_the_rest_back() {
    in_world(async |world| {
        let owner = world.account().await?;
        let agent = Agent::start(world.agent("agent", owner.address(), 1)?).await?;
        let authorization = agent.options().authorize(&"street".parse()?).await?;
        let plan = FeedPlan::detections("Street", PRICE.get());
        let feed = world.open_feed(&owner, authorization, plan).await?;
        let (account, mut options) = buyer(world, feed, &["--cancel"]).await?;
        options.term = "10m".into();
        let before = balance_of(world, account.address()).await?;
        let mut subscriber = Subscriber::start(options)?;
        subscriber.hears("paid", 1, PAY_LIMIT).await?;
        subscriber.hears("event", 10, EVENTS_LIMIT).await?;

        world.gateway.crash_and_restart().await?;
        let seen = subscriber.said("event").len();
        subscriber.hears("event", seen + 15, EVENTS_LIMIT).await?;
        check_gapless(&subscriber)?;
        let device = agent.options().device().await?;
        ensure!(
            subscriber
                .events()?
                .iter()
                .all(|event| event.device == device)
        );

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
        ensure!(value == PRICE.get() * 600, "{value}");
        let gas = gas + wei_of(cancelled, "fee")?.get();
        let after = balance_of(world, account.address()).await?;
        ensure!(
            before - after == value + gas - refund,
            "{before} {after} {value} {gas} {refund}"
        );
        ensure!(refund > 0 && refund % PRICE.get() == 0, "{refund}");
        let kept = world
            .ledger()
            .subscription(feed.id, account.address(), account.address())
            .await?;
        let used = kept.map(|kept| PRICE.get() * u128::from(kept.expiry - kept.start));
        ensure!(used == Some(value - refund), "{used:?}");
        ensure!(transactions_of(world, account.address()).await? == 2);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_extends_while_the_budget_lasts_and_then_says_that_it_is_spent() {
    let options = WorldOptions {
        // The test moves the chain's clock.
        gateway_flags: vec!["--chain-clock".into(), "head".into()],
        ..WorldOptions::default()
    };
    let world = World::start_with(options, |_| {}).await.unwrap();
    if let Err(error) = spend(&world).await {
        panic!("{error:?}");
    }
}

async fn spend(world: &World) -> Result<()> {
    let (device, _, feed) = feed_on_sale(world).await?;
    let publisher = Publisher::start(device, "detections", Duration::from_millis(200));
    let (account, mut options) = buyer(world, feed, &[]).await?;
    // Two minutes and some gas, but no third one.
    let minute = PRICE.get() * 60;
    options.budget = Wei::new(minute * 2 + minute * 4 / 5);
    let before = balance_of(world, account.address()).await?;
    let mut subscriber = Subscriber::start(options.clone())?;
    subscriber.hears("event", 5, PAY_LIMIT).await?;
    pass(world, 40).await?;
    subscriber.hears("paid", 2, PAY_LIMIT).await?;
    let seen = subscriber.said("event").len();
    subscriber.hears("event", seen + 5, EVENTS_LIMIT).await?;
    pass(world, 50).await?;
    eventually("the word that the budget ends", PAY_LIMIT, async || {
        let said = subscriber.said("waiting").into_iter();
        Ok(said
            .map(|line| line.to_string())
            .find(|line| line.contains("budget")))
    })
    .await?;
    pass(world, 40).await?;
    let status = subscriber.ends(END_LIMIT).await?;
    ensure!(
        status.code() == Some(3),
        "{status}: {}",
        subscriber.process().tail()
    );
    let stopped = &subscriber.said("stopped")[0];
    ensure!(
        stopped["reason"]
            .as_str()
            .is_some_and(|why| why.contains("--budget")),
        "{stopped}"
    );
    let (value, gas) = paid(&subscriber)?;
    let after = balance_of(world, account.address()).await?;
    ensure!(
        before - after == value + gas,
        "{before} {after} {value} {gas}"
    );
    ensure!(
        value == minute * 2 && value + gas <= options.budget.get(),
        "{value} {gas}"
    );
    check_gapless(&subscriber)?;

    // Another start has the same budget, and so nothing to spend.
    let mut again = Subscriber::start(options)?;
    ensure!(again.ends(END_LIMIT).await?.code() == Some(3));
    ensure!(transactions_of(world, account.address()).await? == 2);
    drop(publisher);
    Ok(())
}
