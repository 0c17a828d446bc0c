//! Feeds that nobody can buy now, or ever again.

use std::time::Duration;

use anyhow::{Result, ensure};
use ashya_protocol::ws::{ClientMessage, EndReason, NoticeState, ServerMessage};
use ashya_tests::{Publisher, Said, Subscriber, Watcher};

use super::{PAY_LIMIT, buyer, feed_on_sale, transactions_of};
use crate::in_world;

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_feed_is_bought_when_it_is_resumed_and_a_retired_one_not_at_all() {
    in_world(async |world| {
        let (device, owner, feed) = feed_on_sale(world).await?;
        let publisher = Publisher::start(device, "detections", Duration::from_millis(200));
        // Somebody looks on at the wire and never pays.
        let mut watcher = world.watcher(&world.account().await?).await?;
        let offer = ServerMessage::PaymentRequired(watcher.watch_unpaid(feed.id).await?);
        let paused = ServerMessage::Notice {
            feed: feed.id,
            state: NoticeState::Paused,
            expires_at: None,
        };
        let retired = ServerMessage::Ended {
            feed: feed.id,
            reason: EndReason::Retired,
        };
        let asks = ClientMessage::Watch {
            feed: feed.id,
            streams: None,
            since: Default::default(),
        };
        world.ledger().pause(owner.wallet(), feed.id).await?;
        told(&mut watcher, &paused).await?;
        let (account, mut options) = buyer(world, feed, &[]).await?;
        options.term = "10m".into();
        let mut subscriber = Subscriber::start(options)?;
        let waits = subscriber.hears("waiting", 1, PAY_LIMIT).await?;
        ensure!(waits.to_string().contains("paused"), "{waits}");
        ensure!(transactions_of(world, account.address()).await? == 0);
        // Asking again brings no offer either.
        watcher.say(&asks).await?;
        told(&mut watcher, &paused).await?;
        watcher.say(&ClientMessage::Ping {}).await?;
        told(&mut watcher, &ServerMessage::Pong {}).await?;

        world.ledger().resume(owner.wallet(), feed.id).await?;
        told(&mut watcher, &offer).await?;
        subscriber.hears("event", 3, PAY_LIMIT).await?;
        ensure!(transactions_of(world, account.address()).await? == 1);

        world.ledger().retire(owner.wallet(), feed.id).await?;
        told(&mut watcher, &retired).await?;
        watcher.say(&asks).await?;
        told(&mut watcher, &retired).await?;
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

/// What comes next over a watcher's websocket is this message, and no event before it.
async fn told(watcher: &mut Watcher, wanted: &ServerMessage) -> Result<()> {
    let heard = watcher.next(PAY_LIMIT).await?.map(|heard| heard.said);
    ensure!(
        matches!(&heard, Some(Said::Control(said)) if said == wanted),
        "{heard:?} instead of {wanted:?}"
    );
    Ok(())
}
