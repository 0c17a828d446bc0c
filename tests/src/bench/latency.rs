//! How long an event takes from a device to its subscribers, and how soon after a payment's block the first one comes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ashya_tests::{Publisher as Steady, Said, Watcher, now_us};

use crate::load::{Crowd, Pace};
use crate::seller::Seller;
use crate::table::quantile;

/// Events a second of the device.
const RATE: u64 = 1_000;
/// Sockets that watch.
const WATCHERS: usize = 100;
/// Bytes of an event.
const BYTES: usize = 300;
/// Time of the measurement.
const TIME: Duration = Duration::from_secs(5);
/// Payments that are waited for.
const PAYMENTS: usize = 20;
/// Time between events while payments are made: the finest that a first event can tell.
const PACE: Duration = Duration::from_millis(5);

pub(super) async fn run() -> Result<()> {
    let mut seller = Seller::start().await?;
    let sold = seller.sell("detections").await?;
    let pid = seller.world.gateway.process().id();
    let (mut device, dialect) = seller.publisher(sold, "detections", BYTES).await?;
    let mut crowd = Crowd::connect(seller.http(), &dialect, WATCHERS)?;
    let outcome = crowd.measure(pid, &mut device, Pace::PerSecond(RATE), TIME)?;
    let micros = |share| quantile(&outcome.latencies, share) / 1_000;
    println!(
        "From the device's signing to the subscriber, {RATE} events a second to {WATCHERS} sockets: \
         p50 {} µs, p99 {} µs ({:.0} deliveries a second)",
        micros(0.5),
        micros(0.99),
        outcome.per_second
    );
    drop((crowd, device));
    let mut waits = first_events(&seller).await?;
    waits.sort_unstable();
    println!(
        "From a payment's block at the node to the first event, {PAYMENTS} payments: p50 {} ms, p99 {} ms",
        quantile(&waits, 0.5) / 1_000,
        quantile(&waits, 0.99) / 1_000
    );
    Ok(())
}

/// Microseconds from the moment at which the node serves a payment's block to the first event that the payer gets.
async fn first_events(seller: &Seller) -> Result<Vec<u64>> {
    let world = &seller.world;
    let (device, feed) = seller.open("detections").await?;
    let steady = Steady::start(device, "detections", PACE);
    let mut waits = Vec::with_capacity(PAYMENTS);
    for _ in 0..PAYMENTS {
        let payer = world.account().await?;
        let mut watcher = world.watcher(&payer).await?;
        watcher.watch_unpaid(feed.id).await?;
        // All at once: whoever waits for the receipt first reads the socket too late.
        let (_, served, heard) = tokio::try_join!(
            world.subscribe(&payer, feed, 600),
            served(seller, &payer, feed),
            first_event(&mut watcher)
        )?;
        waits.push(heard.saturating_sub(served));
    }
    steady.stop().await?;
    Ok(waits)
}

/// When the first event comes over a socket, in microseconds since the Unix epoch.
async fn first_event(watcher: &mut Watcher) -> Result<u64> {
    loop {
        let heard = watcher.next(Duration::from_secs(15)).await?;
        let heard = heard.context("no event after a payment")?;
        if matches!(heard.said, Said::Event(_)) {
            return Ok(heard.at_us);
        }
    }
}

/// When the node serves the block that holds a payment, asked as often as it answers.
async fn served(
    seller: &Seller,
    payer: &ashya_tests::Account,
    feed: ashya_tests::OpenFeed,
) -> Result<u64> {
    let began = Instant::now();
    loop {
        let who = payer.address();
        let found = seller.world.ledger().subscription(feed.id, who, who);
        if found.await?.is_some() {
            return Ok(now_us());
        }
        anyhow::ensure!(began.elapsed() < Duration::from_secs(15), "no block");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
