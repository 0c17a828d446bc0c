use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ashya_tests::{
    Account, Device, FeedPlan, Mqtt, OpenFeed, Watcher, World, WorldOptions, raise_file_limit,
    resident_kb,
};
use tokio::sync::Mutex;

/// Time for an event to arrive while a crowd attacks two cores that run the crowd too.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds that are paid for: longer than any attack.
pub(crate) const PAID_SECONDS: u64 = 3_600;

/// One attack at a time, so that each is measured alone.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A gateway that sells, a device that publishes, and a subscriber who has paid.
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) owner: Account,
    pub(crate) feed: OpenFeed,
    device: Device,
    mqtt: Mqtt,
    watcher: Watcher,
}

/// Runs an attack on a shop of its own, and then looks whether everybody is still served. A failure panics while the
/// world still stands, so that it prints its logs.
pub(crate) async fn attacked(attack: impl AsyncFnOnce(&mut Shop) -> Result<()>) {
    attacked_with("", attack).await;
}

/// [`attacked`], with lines of the configuration file.
pub(crate) async fn attacked_with(config: &str, attack: impl AsyncFnOnce(&mut Shop) -> Result<()>) {
    let _alone = ALONE.lock().await;
    let mut shop = Shop::open(config).await.unwrap();
    let outcome = async {
        attack(&mut shop).await?;
        shop.is_well().await
    };
    if let Err(error) = outcome.await {
        panic!("{error:?}");
    }
}

impl Shop {
    async fn open(config: &str) -> Result<Self> {
        raise_file_limit()?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, config)?;
        let options = WorldOptions {
            gateway_flags: vec!["--config".into(), file.display().to_string()],
            ..WorldOptions::default()
        };
        let world = World::start_with(options, |_| {}).await?;
        let (owner, subscriber) = (world.account().await?, world.account().await?);
        let device = world.device(&owner, &["detections"]).await?;
        let plan = FeedPlan::detections("Shop", 1_000);
        let feed = world
            .open_device_feed(&device, &owner, "shop", plan)
            .await?;
        world.subscribe(&subscriber, feed, PAID_SECONDS).await?;
        let mut watcher = world.watcher(&subscriber).await?;
        watcher.watch_once_paid(feed.id).await?;
        let mqtt = device.connect().await?;
        let mut shop = Self {
            world,
            owner,
            feed,
            device,
            mqtt,
            watcher,
        };
        shop.deliver().await?;
        Ok(shop)
    }

    /// Publishes an event; returns how long the paid subscriber waited for it.
    pub(crate) async fn deliver(&mut self) -> Result<Duration> {
        let started = Instant::now();
        let sent = self
            .device
            .emit(&mut self.mqtt, "detections", b"{}")
            .await?;
        loop {
            let event = self
                .watcher
                .event(PATIENCE)
                .await
                .context("the paid subscriber")?;
            // Events of a device that floods may lie between.
            if sent.ends_with(event.signature().as_bytes()) {
                return Ok(started.elapsed());
            }
        }
    }

    /// The slowest of so many deliveries, and the one in the middle.
    pub(crate) async fn deliveries(&mut self, count: usize) -> Result<(Duration, Duration)> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            times.push(self.deliver().await?);
        }
        times.sort_unstable();
        Ok((times[count / 2], times[count - 1]))
    }

    /// Where websockets and requests go.
    pub(crate) fn http(&self) -> SocketAddr {
        self.world.gateway.addresses().http
    }

    /// Resident memory of the gateway in kB.
    pub(crate) fn memory_kb(&mut self) -> Result<u64> {
        resident_kb(self.world.gateway.process().id())
    }

    /// A session token of a new wallet.
    pub(crate) async fn token(&self) -> Result<String> {
        let account = self.world.account().await?;
        Ok(self.world.sign_in(&account).await?.token)
    }

    /// The gateway is healthy, who has paid gets events, and a newcomer can sign in and pay.
    async fn is_well(&mut self) -> Result<()> {
        self.world.gateway.process().check_running()?;
        for path in ["/v1/health/live", "/v1/health/ready"] {
            let answer = self.world.api().get(path).await?;
            ensure!(answer.status.is_success(), "{path}: {answer:?}");
        }
        self.deliver().await?;
        let newcomer = self.world.account().await?;
        let mut watcher = self.world.watcher(&newcomer).await?;
        watcher.watch_unpaid(self.feed.id).await?;
        self.world.subscribe(&newcomer, self.feed, 600).await?;
        watcher.begins(self.feed.id).await?;
        self.deliver().await?;
        watcher.event(PATIENCE).await.context("the newcomer")?;
        Ok(())
    }
}
