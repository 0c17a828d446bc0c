//! Who sees what: the unpaid, the paying, the owner.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ashya_protocol::rest::FeedState;
use ashya_protocol::ws::{JsonEvent, ServerMessage};
use ashya_protocol::{Domain, Envelope, Event, Offer};
use ashya_tests::{FeedPlan, Publisher, Said, Subprotocol, World, eventually};
use reqwest::{Method, StatusCode};

use crate::in_world;

/// The first event must come within so long after the receipt of the payment.
const FIRST_EVENT_LIMIT: Duration = Duration::from_secs(2);
const PACE: Duration = Duration::from_millis(50);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn the_unpaid_get_an_offer_and_the_paying_get_events() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let plan = FeedPlan::detections("Gate", 277_777_777_777);
        let feed = world
            .open_device_feed(&device, &owner, "gate", plan)
            .await?;
        let publisher = Publisher::start(device, "detections", PACE);

        let buyer = world.account().await?;
        let mut watcher = world.watcher(&buyer).await?;
        let offer = watcher.watch_unpaid(feed.id).await?;
        let expected = Offer {
            feed: feed.id,
            price: feed.price,
            listing: feed.listing,
            chain_id: 31_337,
            ledger: world.ledger().address(),
            minimum: 60,
        };
        ensure!(offer == expected, "{offer:?}");
        let heard = watcher.listen(Duration::from_secs(3)).await?;
        ensure!(heard.is_empty(), "an unpaid wallet got {heard:?}");

        world.subscribe(&buyer, feed, 3600).await?;
        let paid = Instant::now();
        // Nobody asks again: the watch that was answered with the offer begins by itself.
        let expires_at = watcher.begins(feed.id).await?;
        watcher.event(ANSWER_LIMIT).await?;
        let first = paid.elapsed();
        println!("first event {first:?} after the receipt");
        ensure!(first < FIRST_EVENT_LIMIT, "the first event took {first:?}");

        let clock = world.ledger().clock(feed.id).await?;
        let record = world
            .ledger()
            .subscription(feed.id, buyer.address(), buyer.address())
            .await?
            .context("no subscription on the ledger")?;
        ensure!(expires_at == clock.wall_time(record.expiry));
        publisher.stop().await?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_says_402_with_the_offer_and_streams_to_the_paying() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let feed = world
            .open_device_feed(&device, &owner, "gate", FeedPlan::detections("Gate", 1_000))
            .await?;
        let publisher = Publisher::start(device, "detections", PACE);
        let path = format!("/v1/feeds/{}/events", feed.id);

        let nobody = world.api().get(&path).await?;
        ensure!(nobody.status == StatusCode::UNAUTHORIZED, "{nobody:?}");
        nobody.problem()?;

        let buyer = world.account().await?;
        let session = world.sign_in(&buyer).await?;
        let unpaid = world.api().get_as(&session, &path).await?;
        ensure!(unpaid.status == StatusCode::PAYMENT_REQUIRED, "{unpaid:?}");
        let offer = unpaid.problem()?.offer.context("no offer")?;
        ensure!(offer.price == feed.price && offer.listing == feed.listing);

        world.subscribe(&buyer, feed, 3600).await?;
        let mut response = eventually("the paid stream", ANSWER_LIMIT, async || {
            let request = world.api().request(Method::GET, &path)?;
            let response = request.bearer_auth(&session.token).send().await?;
            Ok((response.status() == StatusCode::OK).then_some(response))
        })
        .await?;
        ensure!(response.headers()["content-type"] == "text/event-stream");
        let event = first_sse_event(&mut response).await?;
        verify(event, &world.domain())?;
        let mine = world.api().subscriptions(&session).await?.subscriptions;
        ensure!(mine.len() == 1 && mine[0].live && mine[0].feed == feed.id);
        publisher.stop().await?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_events_carry_the_same_signed_event() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let feed = world
            .open_device_feed(&device, &owner, "gate", FeedPlan::detections("Gate", 1_000))
            .await?;
        let publisher = Publisher::start(device, "detections", PACE);
        let mut watcher = world.watcher_with(&owner, Subprotocol::Json).await?;
        watcher.watch_paid(feed.id).await?;
        loop {
            match watcher.control(ANSWER_LIMIT).await? {
                ServerMessage::Event(event) => break verify(*event, &world.domain())?,
                // The device may only just be coming online.
                ServerMessage::Notice { .. } => {}
                other => bail!("expected an event, got {other:?}"),
            }
        }
        publisher.stop().await?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_feed_has_its_price_and_its_own_events() {
    in_world(async |world| {
        let owner = world.account().await?;
        let north = world.device(&owner, &["detections", "frames"]).await?;
        let south = world.device(&owner, &["detections"]).await?;
        let (north_id, south_id) = (north.id(), south.id());
        let cheap = world
            .open_device_feed(
                &north,
                &owner,
                "north",
                FeedPlan::detections("North", 1_000),
            )
            .await?;
        let dear = world
            .open_device_feed(
                &south,
                &owner,
                "south",
                FeedPlan::detections("South", 5_000),
            )
            .await?;
        let publishers = [
            Publisher::start(north, "detections", PACE),
            Publisher::start(south, "detections", PACE),
        ];

        let feeds = world.api().feeds().await?.feeds;
        let mut prices: Vec<_> = feeds
            .iter()
            .map(|feed| (feed.device, feed.price.get()))
            .collect();
        prices.sort_by_key(|&(_, price)| price);
        ensure!(
            prices == [(north_id, 1_000), (south_id, 5_000)],
            "{prices:?}"
        );
        ensure!(
            feeds
                .iter()
                .all(|feed| feed.state == FeedState::Open && feed.owner == owner.address())
        );
        let proven = world.api().devices().await?.devices;
        ensure!(proven.len() == 2 && proven.iter().all(|device| device.owner_proven));

        let buyer = world.account().await?;
        world.subscribe(&buyer, cheap, 3600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        ensure!(watcher.watch_unpaid(dear.id).await?.price == dear.price);
        watcher.watch_once_paid(cheap.id).await?;
        let heard = watcher.listen(Duration::from_secs(2)).await?;
        ensure!(heard.len() > 10, "only {} messages", heard.len());
        for one in heard {
            if let Said::Event(event) = one.said {
                ensure!(
                    event.event().device == north_id,
                    "an event of an unpaid device"
                );
            }
        }
        for publisher in publishers {
            publisher.stop().await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_watches_free_and_demand_follows_the_watchers() {
    in_world(async |world| {
        let owner = world.account().await?;
        let mut device = world.device(&owner, &["detections", "frames"]).await?;
        let plan = FeedPlan {
            streams: vec!["detections".into(), "frames".into()],
            ..FeedPlan::detections("Gate", 1_000)
        };
        let feed = world
            .open_device_feed(&device, &owner, "gate", plan)
            .await?;
        let mut mqtt = device.connect().await?;
        mqtt.subscribe(&format!("ashya/v1/{}/down/#", device.id()))
            .await?;

        let mut watcher = world.watcher(&owner).await?;
        ensure!(
            watcher.watch_paid(feed.id).await?.is_none(),
            "an owner's watch does not end"
        );
        wait_for_demand(&mut mqtt, &["detections", "frames"]).await?;
        let sent = device
            .emit(&mut mqtt, "frames", b"\xff\xd8 a picture")
            .await?;
        let event = watcher.event(ANSWER_LIMIT).await?;
        let again = Envelope {
            event: event.event().clone(),
            signature: *event.signature(),
        };
        ensure!(again.encode()? == sent, "the gateway must not re-encode");

        drop(watcher);
        wait_for_demand(&mut mqtt, &[]).await?;
        stranger_pays_nothing(world, feed.id).await
    })
    .await;
}

/// A wallet that owns nothing and paid nothing is asked to pay, also right after the owner has watched.
async fn stranger_pays_nothing(world: &World, feed: ashya_protocol::FeedId) -> Result<()> {
    let stranger = world.account().await?;
    world.watcher(&stranger).await?.watch_unpaid(feed).await?;
    Ok(())
}

async fn wait_for_demand(mqtt: &mut ashya_tests::Mqtt, streams: &[&str]) -> Result<()> {
    for _ in 0..10 {
        let message = mqtt.message().await?;
        if message.topic.ends_with("/down/demand") {
            let mut demand: serde_json::Value = serde_json::from_slice(&message.payload)?;
            let list = demand["streams"].as_array_mut().context("no streams")?;
            list.sort_by_key(ToString::to_string);
            if *list == streams {
                return Ok(());
            }
        }
    }
    bail!("the demand never became {streams:?}")
}

/// Reads a stream of Server-Sent Events up to its first event.
async fn first_sse_event(response: &mut reqwest::Response) -> Result<JsonEvent> {
    let mut text = String::new();
    let read = async {
        while let Some(bytes) = response.chunk().await? {
            text.push_str(&String::from_utf8_lossy(&bytes));
            // Each block ends with an empty line; only those named `event` are events of the feed.
            let mut blocks: Vec<&str> = text.split("\n\n").collect();
            blocks.pop();
            let event = blocks
                .iter()
                .find(|block| block.lines().any(|line| line == "event: event"));
            if let Some(block) = event {
                let data = block.lines().find_map(|line| line.strip_prefix("data:"));
                return Ok(serde_json::from_str(data.context("no data")?.trim())?);
            }
        }
        bail!("the stream ended: {text:?}")
    };
    tokio::time::timeout(ANSWER_LIMIT, read).await?
}

/// Checks the device's signature of an event that came as JSON text.
fn verify(event: JsonEvent, domain: &Domain) -> Result<()> {
    ensure!(event.encoding.is_none(), "a JSON payload travels as text");
    let envelope = Envelope {
        event: Event {
            device: event.device,
            stream: event.stream,
            position: ashya_protocol::Position {
                boot: event.boot,
                seq: event.seq,
            },
            time_us: event.time_us,
            content_type: event.content_type,
            payload: event.payload.as_bytes().into(),
        },
        signature: event.signature,
    };
    envelope.verify(domain)?;
    Ok(())
}
