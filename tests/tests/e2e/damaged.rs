//! A store that was damaged on purpose.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use ashya_protocol::ws::{ClientMessage, ServerMessage};
use ashya_protocol::{Position, Seq};
use ashya_tests::{
    Account, Delivery, Device, FeedPlan, OpenFeed, Said, World, WorldOptions, binary, eventually,
};

/// The shortest time between two exports that can be set, and room for a busy machine.
const EXPORT_LIMIT: Duration = Duration::from_secs(150);
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_secs(1);
const CONFIGURATION: &str = "[data]\nexport_minutes = 1\n";
/// Bytes of a page of the log.
const PAGE: usize = 4_096;

/// What is done to the store's folder, while nobody has it open.
type Damage = fn(&Path) -> Result<()>;

const DAMAGES: [(&str, Damage); 4] = [
    ("its settings are noise", |store| {
        Ok(std::fs::write(store.join("conf"), "noise of many bytes")?)
    }),
    ("its log begins with noise", |store| {
        change_log(store, |log| log.iter_mut().take(16 * PAGE).for_each(flip))
    }),
    ("a byte of every page of its log is wrong", |store| {
        change_log(store, |log| log.iter_mut().step_by(PAGE).for_each(flip))
    }),
    ("its log is cut off", |store| change_log(store, Vec::clear)),
];

/// Every way leads to the same: nobody loses what was exported, and nobody gets what they have not paid for.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_made_up_for_and_the_door_stays_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let options = WorldOptions {
        gateway_flags: vec!["--config".into(), file.display().to_string()],
        ..WorldOptions::default()
    };
    let mut world = World::start_with(options, |_| {}).await.unwrap();
    // A failure panics while the world still stands, so that it prints its logs.
    if let Err(error) = survives_all(&mut world).await {
        panic!("{error:?}");
    }
}

async fn survives_all(world: &mut World) -> Result<()> {
    let mut shop = Shop::open(world).await?;
    let data = world.gateway.options().data.clone();
    for (name, damage) in DAMAGES {
        world.gateway.process().kill();
        damage(&data.join("store")).context(name)?;
        world.gateway.reopen().await.context(name)?;
        world.gateway.until_ready().await.context(name)?;
        shop.is_right(world).await.context(name)?;
    }
    // sled takes many a damaged log for an empty one, but not the settings.
    ensure!(!entries(&data, "store.damaged-")?.is_empty());
    Ok(())
}

/// All that a gateway sells and knows before the damage.
struct Shop {
    device: Device,
    feed: OpenFeed,
    listing: String,
    blocked: Device,
    buyer: Account,
    expires_at: Option<u64>,
    stranger: Account,
    /// Events that were acknowledged before the export.
    sent: Vec<Vec<u8>>,
}

impl Shop {
    /// Fills the gateway and waits for its export.
    async fn open(world: &World) -> Result<Self> {
        let owner = world.account().await?;
        let mut device = world.device(&owner, &["detections"]).await?;
        let plan = FeedPlan::detections("Gate", 1_000);
        let feed = world
            .open_device_feed(&device, &owner, "gate", plan)
            .await?;
        let blocked = world.device(&owner, &["detections"]).await?;
        block(world, &blocked)?;
        let (buyer, stranger) = (world.account().await?, world.account().await?);
        world.subscribe(&buyer, feed, 3_600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        let expires_at = watcher.watch_once_paid(feed.id).await?;
        let mut mqtt = device.connect().await?;
        let mut sent = Vec::new();
        for _ in 0..5 {
            sent.push(device.emit(&mut mqtt, "detections", b"{}").await?);
        }
        let filled = SystemTime::now();
        let exports = world.gateway.options().data.join("export");
        eventually("an export", EXPORT_LIMIT, async || {
            let later = |path: &PathBuf| {
                let written = path.metadata().and_then(|metadata| metadata.modified());
                path.extension().is_some_and(|end| end == "jsonl")
                    && written.is_ok_and(|written| written > filled)
            };
            Ok(entries(&exports, "export-")?
                .iter()
                .any(later)
                .then_some(()))
        })
        .await?;
        Ok(Self {
            listing: listing(world, feed).await?,
            device,
            feed,
            blocked,
            buyer,
            expires_at,
            stranger,
            sent,
        })
    }

    /// The paid are served, the unpaid, the blocked and the replayed are not, and what was signed is there.
    async fn is_right(&mut self, world: &World) -> Result<()> {
        let mut paid = world.watcher(&self.buyer).await?;
        let expires_at = paid.watch_once_paid(self.feed.id).await?;
        ensure!(expires_at == self.expires_at, "the payment: {expires_at:?}");
        let mut unpaid = world.watcher(&self.stranger).await?;
        unpaid.watch_unpaid(self.feed.id).await?;
        ensure!(listing(world, self.feed).await? == self.listing);
        let devices = world.api().devices().await?.devices;
        ensure!(devices.len() == 1, "registered are {devices:?}");
        ensure!(self.blocked.connect().await.is_err(), "the blocked are in");

        let mut mqtt = self.device.connect().await?;
        let topic = self.device.topic("detections")?;
        for (number, old) in self.sent.iter().enumerate() {
            let delivery = mqtt.publish(&topic, old).await?;
            ensure!(delivery == Delivery::Acknowledged);
            let refused = world.gateway.metrics().await?.rejected("replayed")?;
            ensure!(refused == (number + 1) as f64, "{refused} replays refused");
        }
        self.device.emit(&mut mqtt, "detections", b"[1]").await?;
        let event = paid.event(ANSWER_LIMIT).await?;
        ensure!(&*event.event().payload == b"[1]", "an old event came");
        let heard = unpaid.listen(SILENCE).await?;
        ensure!(heard.is_empty(), "an unpaid wallet got {heard:?}");
        self.nothing_is_left_out_in_silence(world, event.event().position)
            .await
    }

    /// Who asks for all since the first event is given, or told to be gone, each number up to `last`.
    async fn nothing_is_left_out_in_silence(&self, world: &World, last: Position) -> Result<()> {
        let mut watcher = world.watcher(&self.buyer).await?;
        let first = Position {
            boot: last.boot,
            seq: Seq::FIRST,
        };
        watcher
            .say(&ClientMessage::Watch {
                feed: self.feed.id,
                streams: None,
                since: [("detections".parse()?, first)].into(),
            })
            .await?;
        let mut told = first.seq;
        while told < last.seq {
            let heard = watcher.next(ANSWER_LIMIT).await?;
            let heard = heard.with_context(|| format!("told up to {told:?} of {last:?}"))?;
            told = match heard.said {
                Said::Event(event) => {
                    let next = event.event().position.seq;
                    ensure!(next == told.next()?, "{next:?} after {told:?}");
                    next
                }
                Said::Control(ServerMessage::Gap { from, to, .. }) => {
                    ensure!(from == told.next()?, "a gap from {from:?} after {told:?}");
                    to
                }
                Said::Control(_) => told,
            };
        }
        Ok(())
    }
}

/// Changes what a store's log says.
fn change_log(store: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    let path = store.join("db");
    let mut log = std::fs::read(&path)?;
    change(&mut log);
    Ok(std::fs::write(path, log)?)
}

fn flip(byte: &mut u8) {
    *byte = !*byte;
}

fn block(world: &World, device: &Device) -> Result<()> {
    let output = Command::new(binary("ashya-gateway")?)
        .args(["block", &device.id().to_string(), "--data"])
        .arg(&world.gateway.options().data)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

async fn listing(world: &World, feed: OpenFeed) -> Result<String> {
    let path = format!("/v1/feeds/{}/listing", feed.id);
    Ok(world.api().get(&path).await?.body)
}

/// What lies in a folder and begins so, if there is one.
fn entries(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
