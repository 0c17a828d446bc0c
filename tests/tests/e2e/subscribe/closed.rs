//! Feeds that nobody can buy now, or ever again.

use std::time::Duration;

use anyhow::ensure;
use ashya_tests::{Publisher, Subscriber};

use super::{PAY_LIMIT, buyer, feed_on_sale, transactions_of};
use crate::in_world;

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_feed_is_bought_when_it_is_resumed_and_a_retired_one_not_at_all() {
    in_world(async |world| {
        let (device, owner, feed) = feed_on_sale(world).await?;
        let publisher = Publisher::start(device, "detections", Duration::from_millis(200));
        world.ledger().pause(owner.wallet(), feed.id).await?;
        let (account, mut options) = buyer(world, feed, &[]).await?;
        options.term = "10m".into();
        let mut subscriber = Subscriber::start(options)?;
        let waits = subscriber.hears("waiting", 1, PAY_LIMIT).await?;
        ensure!(waits.to_string().contains("paused"), "{waits}");
        ensure!(transactions_of(world, account.address()).await? == 0);

        world.ledger().resume(owner.wallet(), feed.id).await?;
        subscriber.hears("event", 3, PAY_LIMIT).await?;
        ensure!(transactions_of(world, account.address()).await? == 1);

        world.ledger().retire(owner.wallet(), feed.id).await?;
        let (late, mut options) = buyer(world, feed, &[]).await?;
        options.folder = world.folder("late")?;
        options.logs = options.folder.clone();
        let mut refused = Subscriber::start(options.with_key(&late)?)?;
        let status = refused.ends(PAY_LIMIT).await?;
        let tail = refused.process().tail();
        ensure!(!status.success() && tail.contains("retired"), "{tail}");
        ensure!(transactions_of(world, late.address()).await? == 0);
        // Who has paid watches on, to the end of the hour.
        let seen = subscriber.said("event").len();
        subscriber.hears("event", seen + 3, PAY_LIMIT).await?;
        publisher.stop().await?;
        Ok(())
    })
    .await;
}
