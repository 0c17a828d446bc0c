//! Events that the gateway must not forward: each is refused for its own reason, counted once and told to the device.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::limits::MAX_ENVELOPE_BYTES;
use ashya_protocol::{Domain, Envelope, Event, Topic};
use ashya_tests::{Delivery, Device, FeedPlan, Metrics, Mqtt, OpenFeed, Watcher, World};

use crate::in_world;

const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Every reason that the gateway counts.
const REASONS: [&str; 8] = [
    "malformed",
    "too-large",
    "topic",
    "signature",
    "device",
    "stream",
    "replayed",
    "future",
];

/// A device with a feed, its session and a watcher of the feed.
struct Stage {
    owner: ashya_tests::Account,
    device: Device,
    mqtt: Mqtt,
    watcher: Watcher,
}

impl Stage {
    async fn set(world: &World) -> Result<Self> {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections", "frames"]).await?;
        let plan = FeedPlan {
            streams: vec!["detections".into(), "frames".into()],
            ..FeedPlan::detections("Gate", 1_000)
        };
        let feed: OpenFeed = world
            .open_device_feed(&device, &owner, "gate", plan)
            .await?;
        let mut mqtt = device.connect().await?;
        mqtt.subscribe(&Topic::Notice(device.id()).to_string())
            .await?;
        let mut watcher = world.watcher(&owner).await?;
        watcher.watch_paid(feed.id).await?;
        Ok(Self {
            owner,
            device,
            mqtt,
            watcher,
        })
    }

    /// The next event of the device; the caller spoils it.
    fn next(&mut self) -> Result<Event> {
        self.device.event("detections", b"{\"bad\":true}")
    }

    /// The same, well signed.
    fn signed(&mut self) -> Result<Envelope> {
        let event = self.next()?;
        Ok(self.device.sign(event))
    }

    /// Publishes a good event, which must be the very next one that the watcher gets.
    async fn good_event_is_next(&mut self, after: &str) -> Result<Vec<u8>> {
        let sent = self
            .device
            .emit(&mut self.mqtt, "detections", b"{\"good\":true}")
            .await?;
        let event = self
            .watcher
            .event(ANSWER_LIMIT)
            .await
            .with_context(|| format!("after {after}"))?;
        let got = Envelope {
            event: event.event().clone(),
            signature: *event.signature(),
        };
        ensure!(
            got.encode()? == sent,
            "after {after} came {:?}",
            event.event()
        );
        Ok(sent)
    }

    /// Publishes bytes that must be refused for `reason`, and nothing else.
    async fn refused(
        &mut self,
        world: &World,
        name: &str,
        reason: &str,
        bytes: &[u8],
    ) -> Result<()> {
        let before = world.gateway.metrics().await?;
        let topic = self.device.topic("detections")?;
        let delivery = self
            .mqtt
            .publish(&topic, bytes)
            .await
            .with_context(|| name.to_owned())?;
        ensure!(delivery == Delivery::Acknowledged, "{name}: {delivery:?}");
        rose_by_one(&before, &world.gateway.metrics().await?, name, reason)?;
        let notice = self
            .mqtt
            .message()
            .await
            .with_context(|| format!("notice of {name}"))?;
        let told: serde_json::Value = serde_json::from_slice(&notice.payload)?;
        ensure!(
            told["reason"] == reason,
            "{name}: the device was told {told}"
        );
        self.good_event_is_next(name).await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_are_refused_counted_once_and_never_forwarded() {
    in_world(async |world| {
        let mut stage = Stage::set(world).await?;
        let stranger = Device::unregistered(world.api(), world.domain())?;
        let replayed = stage.good_event_is_next("nothing").await?;

        let mut forged = stage.signed()?;
        forged.signature = stranger.sign(forged.event.clone()).signature;
        let mut tampered = stage.signed()?;
        tampered.event.payload = b"{\"good\":false}".as_slice().into();
        let mut moved = stage.signed()?;
        moved.event.position.seq = moved.event.position.seq.next()?;
        let elsewhere = Domain {
            chain_id: 1,
            ..world.domain()
        };
        let other_chain = stage.next()?.sign(stage.device.key(), &elsewhere);
        let mut foreign = stage.next()?;
        foreign.device = stranger.id();
        let foreign_key = stranger.sign(foreign);
        let mut future = stage.next()?;
        future.position.boot = (future.position.boot.get() + 2 * 24 * 3600).try_into()?;
        let future = stage.device.sign(future);
        let frames = stage.device.envelope("frames", b"{}")?;
        let unregistered = stage.device.envelope("secrets", b"{}")?;
        let mut trailing = stage.device.envelope("detections", b"{}")?;
        trailing.push(0);
        let mut truncated = stage.device.envelope("detections", b"{}")?;
        truncated.truncate(100);

        for (name, reason, bytes) in [
            ("a forged event", "signature", forged.encode()?),
            ("a tampered payload", "signature", tampered.encode()?),
            ("a tampered number", "signature", moved.encode()?),
            (
                "an event for another chain",
                "signature",
                other_chain.encode()?,
            ),
            ("an event by a foreign key", "device", foreign_key.encode()?),
            ("a replayed event", "replayed", replayed),
            ("an event of another stream", "stream", frames),
            ("an event of an unregistered stream", "stream", unregistered),
            (
                "a start of the day after tomorrow",
                "future",
                future.encode()?,
            ),
            ("trailing bytes", "malformed", trailing),
            ("half an envelope", "malformed", truncated),
            ("garbage", "malformed", b"\xff\x00garbage".to_vec()),
            ("nothing at all", "malformed", Vec::new()),
        ] {
            stage.refused(world, name, reason, &bytes).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_number_is_a_replay_even_when_newly_signed() {
    in_world(async |world| {
        let mut stage = Stage::set(world).await?;
        let skipped = stage.next()?;
        stage.good_event_is_next("a skipped number").await?;
        let late = stage.device.sign(skipped).encode()?;
        stage
            .refused(world, "a late event", "replayed", &late)
            .await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_event_is_refused() {
    in_world(async |world| {
        let mut stage = Stage::set(world).await?;
        let before = world.gateway.metrics().await?;
        let topic = stage.device.topic("detections")?;
        // Whether the broker acknowledges or ends the session, it counts and does not forward.
        stage
            .mqtt
            .publish(&topic, &vec![0; MAX_ENVELOPE_BYTES + 1])
            .await?;
        rose_by_one(
            &before,
            &world.gateway.metrics().await?,
            "too large",
            "too-large",
        )?;
        stage.mqtt = stage.device.connect().await?;
        stage.good_event_is_next("an oversized event").await?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_on_a_foreign_topic_ends_the_session() {
    in_world(async |world| {
        let mut stage = Stage::set(world).await?;
        let mut intruder = world.device(&stage.owner, &["detections"]).await?;
        let id = stage.device.id();
        for topic in [
            Topic::Up(id, "detections".parse()?).to_string(),
            Topic::Presence(id).to_string(),
            Topic::Demand(intruder.id()).to_string(),
            "somewhere/else".to_owned(),
        ] {
            let before = world.gateway.metrics().await?;
            let mut mqtt = intruder.connect().await?;
            let bytes = intruder.envelope("detections", b"{}")?;
            let delivery = mqtt.publish(&topic, &bytes).await?;
            ensure!(delivery == Delivery::Closed, "{topic}: {delivery:?}");
            rose_by_one(&before, &world.gateway.metrics().await?, &topic, "topic")?;
            stage.good_event_is_next(&topic).await?;
        }
        Ok(())
    })
    .await;
}

fn rose_by_one(before: &Metrics, after: &Metrics, name: &str, reason: &str) -> Result<()> {
    for each in REASONS {
        let rise = after.rejected(each)? - before.rejected(each)?;
        let expected = f64::from(u8::from(each == reason));
        ensure!(
            (rise - expected).abs() < f64::EPSILON,
            "{name}: {each} rose by {rise}"
        );
    }
    let accepted = "ashya_events_accepted_total";
    ensure!(
        (after.value(accepted)? - before.value(accepted)?).abs() < f64::EPSILON,
        "{name}: accepted"
    );
    Ok(())
}
