//! The end of paid time: twenty subscribers, one after the other, and not one event too late.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::FeedId;
use ashya_protocol::ws::{EndReason, ServerMessage};
use ashya_tests::{Account, FeedPlan, Heard, OpenFeed, Publisher, Said, World, now_us};

use crate::in_world;

const TRIALS: usize = 20;
/// Fifty events a second.
const PACE: Duration = Duration::from_millis(20);
/// The shortest subscription that the ledger sells.
const PAID: u64 = 60;
/// Time between two subscribers, so that their expiries fall on different seconds.
const STAGGER: Duration = Duration::from_millis(650);
/// What lies between the gateway's write and the moment at which a task of this test reads it: a loopback socket and
/// a scheduler with twenty readers on a busy machine. The capture time, which has no such noise, is checked exactly.
const READING_DELAY_US: u64 = 400_000;
/// The chain's clock runs up to a second ahead of the wall's, as its blocks are dated in whole seconds, and the gateway
/// believes the later of both. Access may end that much early by the wall clock, but not more.
const EARLY_US: u64 = 2_500_000;

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_written_at_or_after_the_expiry() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let plan = FeedPlan::detections("Gate", 1_000_000);
        let feed = world
            .open_device_feed(&device, &owner, "gate", plan)
            .await?;
        let publisher = Publisher::start(device, "detections", PACE);
        let world = &*world;
        let trials = (0..TRIALS).map(|trial| async move {
            tokio::time::sleep(STAGGER * u32::try_from(trial)?).await;
            one_trial(world, feed)
                .await
                .with_context(|| format!("trial {trial}"))
        });
        let ends = futures_util::future::try_join_all(trials).await?;
        let captured = ends.iter().map(|end| end.captured_before_us).min();
        let arrived = ends.iter().map(|end| end.arrived_before_us).min();
        println!(
            "{TRIALS} trials; the latest event was captured {captured:?} µs and arrived {arrived:?} µs before its expiry"
        );
        publisher.stop().await?;
        Ok(())
    })
    .await;
}

struct End {
    /// From the capture of the last event to the expiry.
    captured_before_us: u64,
    /// From its arrival to the expiry; negative when it was read after.
    arrived_before_us: i64,
}

async fn one_trial(world: &World, feed: OpenFeed) -> Result<End> {
    let buyer: Account = world.account().await?;
    let mut watcher = world.watcher(&buyer).await?;
    let paid = world.subscribe(&buyer, feed, PAID).await?;
    let expires_at = watcher
        .watch_once_paid(feed.id)
        .await?
        .context("a running feed has an expiry")?;
    let clock = world.ledger().clock(feed.id).await?;
    ensure!(
        clock.wall_time(paid) == Some(expires_at),
        "gateway and ledger disagree"
    );
    let expiry_us = expires_at * 1_000_000;

    let mut last_capture_us = 0;
    let mut last_arrival_us = 0;
    loop {
        let left = expiry_us.saturating_sub(now_us()) + 3_000_000;
        let heard = watcher
            .next(Duration::from_micros(left))
            .await?
            .context("no `ended` within 3 s of the expiry")?;
        match heard.said {
            Said::Event(event) => {
                last_capture_us = event.event().time_us.get();
                last_arrival_us = heard.at_us;
                ensure!(
                    last_capture_us < expiry_us,
                    "captured at or after the expiry"
                );
                ensure!(
                    heard.at_us < expiry_us + READING_DELAY_US,
                    "arrived {} µs after the expiry",
                    heard.at_us - expiry_us
                );
            }
            Said::Control(ServerMessage::Ended { feed: id, reason }) => {
                ensure!(id == feed.id && reason == EndReason::Expired, "{reason:?}");
                break;
            }
            Said::Control(ServerMessage::Notice { .. }) => {}
            Said::Control(other) => anyhow::bail!("unexpected {other:?}"),
        }
    }
    let captured_before_us = expiry_us - last_capture_us;
    ensure!(
        captured_before_us < EARLY_US,
        "the last event was {captured_before_us} µs before the expiry"
    );
    nothing_more(&mut watcher, feed.id).await?;
    Ok(End {
        captured_before_us,
        arrived_before_us: i64::try_from(expiry_us)? - i64::try_from(last_arrival_us)?,
    })
}

/// After the end there are no events, and asking again is answered with the offer.
async fn nothing_more(watcher: &mut ashya_tests::Watcher, feed: FeedId) -> Result<()> {
    let after: Vec<Heard> = watcher.listen(Duration::from_secs(2)).await?;
    ensure!(after.is_empty(), "after the end came {after:?}");
    watcher.watch_unpaid(feed).await?;
    Ok(())
}
