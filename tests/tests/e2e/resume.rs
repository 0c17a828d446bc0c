//! The word of a resume comes later than the resume: what came between is paid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use ashya_protocol::ws::{NoticeState, ServerMessage};
use ashya_tests::{FeedPlan, Publisher, Said, Watcher};
use serde_json::json;

use crate::in_world;

const PACE: Duration = Duration::from_millis(50);
/// Longest time from an event's signature to its acceptance on a busy machine.
const SIGNED_BEFORE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(10);
/// Time from a block's second to its arrival.
const LATE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_between_a_resume_and_the_word_of_it_arrives() {
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
        watcher.watch_once_paid(feed.id).await?;
        world.ledger().pause(owner.wallet(), feed.id).await?;
        until(&mut watcher, NoticeState::Paused).await?;

        world.anvil.rpc("evm_setIntervalMining", json!([0])).await?;
        tokio::time::sleep(LATE).await;
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let late_block = async {
            tokio::time::sleep(LATE).await;
            let block = json!([{"timestamp": at}]);
            world.anvil.rpc("evm_mine_detailed", block).await
        };
        let resume = world.ledger().resume(owner.wallet(), feed.id);
        let (mined, resumed) = tokio::join!(late_block, resume);
        mined?;
        resumed?;
        until(&mut watcher, NoticeState::Resumed).await?;

        let first = watcher.event(LIMIT).await?;
        let came_us = first.event().time_us.get();
        // What is signed at the end of a second may be accepted in the next one.
        let signed = Duration::from_micros(came_us) + SIGNED_BEFORE;
        let after = signed.checked_sub(Duration::from_secs(at));
        let after = after.context("an event from before the resume")?;
        println!(
            "the first event came {after:?} after the resume, which was known {LATE:?} after it"
        );
        ensure!(after < Duration::from_secs(2), "{after:?}");
        let mut last = first.event().position;
        for _ in 0..2 * LATE.as_millis() / PACE.as_millis() {
            let next = watcher.event(LIMIT).await?.event().position;
            ensure!(next.seq == last.seq.next()?, "{next:?} after {last:?}");
            last = next;
        }
        publisher.stop().await?;
        Ok(())
    })
    .await;
}

/// Reads until a notice.
async fn until(watcher: &mut Watcher, expected: NoticeState) -> Result<()> {
    loop {
        let heard = watcher.next(LIMIT).await?;
        let heard = heard.with_context(|| format!("no notice {expected:?}"))?;
        if let Said::Control(ServerMessage::Notice { state, .. }) = heard.said
            && state == expected
        {
            return Ok(());
        }
    }
}
