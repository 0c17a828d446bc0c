//! How soon a payment acts.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_tests::{Account, FeedPlan, OpenFeed, Publisher, Said, Watcher, World, now_us};

use crate::in_world;

/// Longest time from the block at the node to the first event on a machine that is busy with other tests; alone it is
/// some 20 ms, which `make bench` measures.
const BOUND: Duration = Duration::from_millis(400);

/// Payments, of which the best but one counts: a busy machine stands still now and then.
const PAYMENTS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_first_event_comes_soon_after_the_payments_block() {
    in_world(async |world| {
        let world = &*world;
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let plan = FeedPlan::detections("Gate", 1_000);
        let feed = world.open_device_feed(&device, &owner, "gate", plan);
        let feed = feed.await?;
        let publisher = Publisher::start(device, "detections", Duration::from_millis(10));
        let mut waits = Vec::new();
        for _ in 0..PAYMENTS {
            let payer = world.account().await?;
            let mut watcher = world.watcher(&payer).await?;
            watcher.watch_unpaid(feed.id).await?;
            let (_, served, heard) = tokio::try_join!(
                world.subscribe(&payer, feed, 600),
                served(world, &payer, feed),
                first_event(&mut watcher),
            )?;
            waits.push(Duration::from_micros(heard.saturating_sub(served)));
        }
        publisher.stop().await?;
        waits.sort_unstable();
        ensure!(waits[1] < BOUND, "{waits:?}");
        Ok(())
    })
    .await;
}

/// When the first event comes, in microseconds since the Unix epoch.
async fn first_event(watcher: &mut Watcher) -> Result<u64> {
    loop {
        let heard = watcher.next(Duration::from_secs(15)).await?;
        let heard = heard.context("no event after a payment")?;
        if matches!(heard.said, Said::Event(_)) {
            return Ok(heard.at_us);
        }
    }
}

/// When the node serves the block that holds the payment, in microseconds since the Unix epoch.
async fn served(world: &World, payer: &Account, feed: OpenFeed) -> Result<u64> {
    let who = payer.address();
    loop {
        let found = world.ledger().subscription(feed.id, who, who);
        if found.await?.is_some() {
            return Ok(now_us());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
