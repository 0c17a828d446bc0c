//! A gateway that is killed without warning loses nothing that it had promised.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::rest::Registration;
use ashya_tests::{Delivery, FeedPlan};

use crate::in_world;

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_keeps_registrations_listings_payments_and_positions() {
    in_world(async |world| {
        let owner = world.account().await?;
        let mut device = world.device(&owner, &["detections"]).await?;
        let feed = world
            .open_device_feed(&device, &owner, "gate", FeedPlan::detections("Gate", 1_000))
            .await?;
        let buyer = world.account().await?;
        world.subscribe(&buyer, feed, 3600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        let expires_at = watcher.watch_once_paid(feed.id).await?;
        let mut mqtt = device.connect().await?;
        let mut sent = Vec::new();
        for _ in 0..5 {
            sent.push(device.emit(&mut mqtt, "detections", b"{}").await?);
        }
        let listing = world
            .api()
            .get(&format!("/v1/feeds/{}/listing", feed.id))
            .await?
            .body;
        let (devices, feeds) = (world.api().devices().await?, world.api().feeds().await?);

        // At once: every event was acknowledged, so every position is on the disk.
        world.gateway.crash_and_restart().await?;
        let offline = |mut device: ashya_protocol::rest::Device| {
            device.online = false;
            device
        };
        let again = world.api().devices().await?.devices;
        ensure!(
            again
                .into_iter()
                .map(offline)
                .eq(devices.devices.into_iter().map(offline)),
            "registrations"
        );
        let again = world.api().feed(feed.id).await?;
        ensure!(again.title == feeds.feeds[0].title && again.streams == feeds.feeds[0].streams);
        let path = format!("/v1/feeds/{}/listing", feed.id);
        ensure!(
            world.api().get(&path).await?.body == listing,
            "the listing's exact bytes"
        );

        let mut mqtt = device.connect().await?;
        let topic = device.topic("detections")?;
        let mut watcher = world.watcher(&buyer).await?;
        ensure!(
            watcher.watch_paid(feed.id).await? == expires_at,
            "the payment"
        );
        for (index, old) in sent.iter().enumerate() {
            let delivery = mqtt.publish(&topic, old).await?;
            ensure!(delivery == Delivery::Acknowledged);
            let refused = world.gateway.metrics().await?.rejected("replayed")?;
            ensure!(refused == (index + 1) as f64, "{refused} replays refused");
        }
        device.emit(&mut mqtt, "detections", b"{\"new\":1}").await?;
        let event = watcher.event(ANSWER_LIMIT).await?;
        ensure!(
            &*event.event().payload == b"{\"new\":1}",
            "an old event came"
        );
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_highest_revision_wins_and_survives_a_crash() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let revision = |revision: u64, title: &str| {
            device.sign_registration(Registration {
                device: device.id(),
                owner: owner.address(),
                revision,
                title: title.into(),
                description: String::new(),
                streams: vec!["detections".parse().unwrap()],
            })
        };
        let newer = world.api().register(&revision(7, "Seventh")).await?;
        ensure!(newer.status.is_success(), "{newer:?}");
        let older = world.api().register(&revision(6, "Sixth")).await?;
        ensure!(older.status.is_client_error(), "{older:?}");
        let mut forged = revision(8, "Eighth");
        forged.registration.title = "Mine now".into();
        let forged = world.api().register(&forged).await?;
        ensure!(forged.status.is_client_error(), "{forged:?}");
        world.gateway.crash_and_restart().await?;
        let devices = world.api().devices().await?.devices;
        let kept = &devices.first().context("the device is gone")?.registration;
        ensure!(kept.title == "Seventh" && kept.revision == 7, "{kept:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_goes_away_is_told_and_then_followed_again() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let before = head(world).await?;
        world.anvil.process().pause()?;
        let told =
            ashya_tests::eventually("`ready` to say so", Duration::from_secs(60), async || {
                let answer = world.api().get("/v1/health/ready").await?;
                Ok((!answer.status.is_success()).then_some(answer))
            });
        told.await?;
        let alive = world.api().get("/v1/health/live").await?;
        ensure!(alive.status.is_success(), "{alive:?}");
        world.anvil.process().resume()?;
        ashya_tests::eventually(
            "the gateway to catch up",
            Duration::from_secs(30),
            async || {
                let ready = world
                    .api()
                    .get("/v1/health/ready")
                    .await?
                    .status
                    .is_success();
                Ok((ready && head(world).await? > before).then_some(()))
            },
        )
        .await?;
        world
            .open_device_feed(&device, &owner, "gate", FeedPlan::detections("Gate", 1_000))
            .await?;
        Ok(())
    })
    .await;
}

async fn head(world: &ashya_tests::World) -> Result<u64> {
    Ok(world.api().chain().await?.head.context("no head")?.number)
}
