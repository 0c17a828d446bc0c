//! Subscribers who have paid and do not read.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ashya_protocol::ws::ClientMessage;
use ashya_tests::{FeedPlan, Opcode, RawSocket, Subprotocol, Watcher, frame};

use crate::shop::attacked;
use crate::{report, scaled};

/// A picture.
const PICTURE_BYTES: usize = 50_000;
/// What one socket may hold back in the gateway, and what pictures that all share may take.
const KB_EACH: u64 = 1_024;
const KB_SHARED: u64 = 96_000;

#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_costs_a_bounded_amount_and_delays_nobody() {
    attacked(async |shop| {
        let (count, pictures) = (scaled(20, 200), scaled(200, 2_000));
        let owner = &shop.owner;
        let mut camera = shop.world.device(owner, &["frames"]).await?;
        let plan = FeedPlan {
            streams: vec!["frames".into()],
            ..FeedPlan::detections("Pictures", 1)
        };
        let feed = shop.world.open_device_feed(&camera, owner, "pictures", plan).await?;
        // The owner watches free.
        let token = shop.world.sign_in(owner).await?.token;
        let watch = ClientMessage::Watch {
            feed: feed.id,
            streams: None,
            since: Default::default(),
        };
        let mut stalled = Vec::new();
        for _ in 0..count {
            let mut socket = RawSocket::open(shop.http()).await?;
            let token = token.clone();
            for message in [&ClientMessage::Auth { token }, &watch] {
                socket.send(&frame(Opcode::Text, &serde_json::to_vec(message)?)).await?;
                socket.next().await?.context("no answer")?;
            }
            stalled.push(socket);
        }
        let (base, domain) = (shop.world.api().base().clone(), shop.world.domain());
        let mut reader = Watcher::open(&base, domain, Subprotocol::Binary).await?;
        reader.authenticate(&token).await?;
        reader.watch_paid(feed.id).await?;

        let mut mqtt = camera.connect().await?;
        let before = shop.memory_kb()?;
        let (mut peak, mut slowest, started) = (before, Duration::ZERO, Instant::now());
        let picture = vec![0xa5; PICTURE_BYTES];
        for number in 0..pictures {
            camera.emit(&mut mqtt, "frames", &picture).await?;
            reader.event(Duration::from_secs(10)).await.context("the subscriber who reads")?;
            if number % 10 == 0 {
                slowest = slowest.max(shop.deliver().await?);
                peak = peak.max(shop.memory_kb()?);
            }
        }
        let grown = peak - before;
        let bound = KB_SHARED + KB_EACH * count as u64;
        ensure!(grown < bound, "{grown} kB more, at most {bound} are right");
        report(
            "subscribers who never read, behind pictures of 50 kB",
            &format!("{count} sockets, {pictures} pictures"),
            &format!(
                "at most {grown} kB more for {} MB that they were owed; a reader beside them got every picture within {} s; \
                 slowest delivery meanwhile {} ms",
                count * pictures * PICTURE_BYTES / 1_000_000,
                started.elapsed().as_secs(),
                slowest.as_millis()
            ),
        );
        drop(stalled);
        Ok(())
    })
    .await;
}
