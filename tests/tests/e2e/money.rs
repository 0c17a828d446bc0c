//! Cancelling, pausing and the exact wei.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ashya_protocol::Wei;
use ashya_protocol::ws::{ClientMessage, EndReason, NoticeState, ServerMessage};
use ashya_tests::{FeedPlan, Publisher, Said, Watcher, now};

use crate::in_world;

const PACE: Duration = Duration::from_millis(50);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// A cancel must end the feed within so long after its receipt: the time to read one block.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn cancel_ends_the_feed_and_refunds_to_the_wei() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let plan = FeedPlan::detections("Gate", 277_777_777_777);
        let feed = world
            .open_device_feed(&device, &owner, "gate", plan)
            .await?;
        let publisher = Publisher::start(device, "detections", PACE);
        let buyer = world.account().await?;
        let expiry = world.subscribe(&buyer, feed, 3600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        watcher.watch_once_paid(feed.id).await?;
        watcher.event(ANSWER_LIMIT).await?;

        let ledger = world.ledger();
        let before = ledger.rpc().balance(buyer.address()).await?;
        let (cancelled, ended) = tokio::join!(
            async {
                let outcome = ledger
                    .cancel(buyer.wallet(), feed.id, buyer.address(), buyer.address())
                    .await?;
                anyhow::Ok((outcome, Instant::now()))
            },
            async {
                anyhow::Ok((
                    watcher.ended(Duration::from_secs(30)).await?,
                    Instant::now(),
                ))
            }
        );
        let ((cancelled, receipt_at), (reason, ended_at)) = (cancelled?, ended?);
        ensure!(reason == EndReason::Cancelled, "{reason:?}");
        let delay = ended_at.saturating_duration_since(receipt_at);
        println!("ended {delay:?} after the receipt of the cancel");
        ensure!(
            delay < CANCEL_LIMIT,
            "the feed ended {delay:?} after the receipt"
        );
        let after = watcher.listen(Duration::from_secs(2)).await?;
        ensure!(after.is_empty(), "after the end came {after:?}");
        watcher.watch_unpaid(feed.id).await?;

        let block = ledger
            .rpc()
            .block(cancelled.receipt.block)
            .await?
            .context("no block")?;
        let clock = ledger.clock(feed.id).await?;
        let left = expiry - clock.feed_time(block.timestamp);
        let refund = feed.price.checked_mul(left).context("overflow")?;
        ensure!(
            cancelled.refund == refund,
            "{} instead of {refund}",
            cancelled.refund
        );
        let balance = ledger.rpc().balance(buyer.address()).await?;
        let expected = before.get() + refund.get() - cancelled.receipt.fee.get();
        ensure!(
            balance == Wei::new(expected),
            "{balance} instead of {expected}"
        );
        publisher.stop().await?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_feed_and_clock_and_the_socket_carries_on() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let feed = world
            .open_device_feed(&device, &owner, "gate", FeedPlan::detections("Gate", 1_000))
            .await?;
        let publisher = Publisher::start(device, "detections", PACE);
        let buyer = world.account().await?;
        world.subscribe(&buyer, feed, 3600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        let first_expiry = watcher
            .watch_once_paid(feed.id)
            .await?
            .context("no expiry")?;
        watcher.event(ANSWER_LIMIT).await?;

        world.ledger().pause(owner.wallet(), feed.id).await?;
        ensure!(notice(&mut watcher, NoticeState::Paused).await?.is_none());
        let held = watcher.listen(Duration::from_secs(3)).await?;
        ensure!(held.is_empty(), "while paused came {held:?}");
        let mut late = world.watcher(&buyer).await?;
        ensure!(
            late.watch_paid(feed.id).await?.is_none(),
            "paused time does not run out"
        );
        let newcomer = world.account().await?;
        ensure!(
            world.subscribe(&newcomer, feed, 60).await.is_err(),
            "a paused feed is not sold"
        );
        let mut unpaid = world.watcher(&newcomer).await?;
        unpaid
            .say(&ClientMessage::Watch {
                feed: feed.id,
                streams: None,
                since: Default::default(),
            })
            .await?;
        let answer = unpaid.control(ANSWER_LIMIT).await?;
        ensure!(
            matches!(
                answer,
                ServerMessage::Notice {
                    state: NoticeState::Paused,
                    ..
                }
            ),
            "nor offered: {answer:?}"
        );

        world.ledger().resume(owner.wallet(), feed.id).await?;
        let expiry = notice(&mut watcher, NoticeState::Resumed)
            .await?
            .context("no expiry")?;
        let clock = world.ledger().clock(feed.id).await?;
        ensure!(
            clock.paused_total >= 3,
            "paused for {} s",
            clock.paused_total
        );
        ensure!(
            expiry == first_expiry + clock.paused_total,
            "{first_expiry} became {expiry}"
        );
        watcher
            .event(ANSWER_LIMIT)
            .await
            .context("the old socket")?;
        late.event(ANSWER_LIMIT)
            .await
            .context("the socket opened while paused")?;
        let answer = unpaid.control(ANSWER_LIMIT).await?;
        ensure!(
            matches!(answer, ServerMessage::PaymentRequired(_)),
            "no offer after the resume: {answer:?}"
        );
        ensure!(expiry > now());
        publisher.stop().await?;
        Ok(())
    })
    .await;
}

/// Waits for a notice and returns the expiry that it tells. Events that were written before it are passed over.
async fn notice(watcher: &mut Watcher, wanted: NoticeState) -> Result<Option<u64>> {
    let deadline = Instant::now() + ANSWER_LIMIT;
    while let Some(heard) = watcher
        .next(deadline.saturating_duration_since(Instant::now()))
        .await?
    {
        match heard.said {
            Said::Control(ServerMessage::Notice {
                state, expires_at, ..
            }) if state == wanted => {
                return Ok(expires_at);
            }
            _ => {}
        }
    }
    bail!("no notice {wanted:?}")
}
