//! A real gateway with a real ledger, a device on sale and a wallet that has paid.

use std::net::SocketAddr;

use anyhow::Result;
use ashya_protocol::rest::Session;
use ashya_tests::{Account, Device, FeedPlan, OpenFeed, World, WorldOptions};

use crate::dialect::Dialect;
use crate::publishers::Publisher;

/// Seconds that the wallet pays for: longer than any run.
const PAID_SECONDS: u64 = 6 * 3600;

/// A gateway with something to sell.
pub(crate) struct Seller {
    pub(crate) world: World,
    pub(crate) owner: Account,
    subscriber: Account,
}

/// A feed of a device, paid for.
pub(crate) struct Sold {
    pub(crate) device: Device,
    pub(crate) feed: OpenFeed,
    pub(crate) session: Session,
}

impl Seller {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(Vec::new()).await
    }

    /// Starts the gateway with flags.
    pub(crate) async fn start_with(gateway_flags: Vec<String>) -> Result<Self> {
        let options = WorldOptions {
            gateway_flags,
            ..WorldOptions::default()
        };
        let world = World::start_with(options, |_| {}).await?;
        let (owner, subscriber) = (world.account().await?, world.account().await?);
        Ok(Self {
            world,
            owner,
            subscriber,
        })
    }

    /// Where its websocket is.
    pub(crate) fn http(&self) -> SocketAddr {
        self.world.gateway.addresses().http
    }

    /// Puts a new device's stream on sale.
    pub(crate) async fn open(&self, stream: &str) -> Result<(Device, OpenFeed)> {
        let device = self.world.device(&self.owner, &[stream]).await?;
        let plan = FeedPlan {
            streams: vec![stream.to_owned()],
            ..FeedPlan::detections(stream, 1)
        };
        let feed = self
            .world
            .open_device_feed(&device, &self.owner, stream, plan);
        let feed = feed.await?;
        Ok((device, feed))
    }

    /// Puts a new device's stream on sale and buys it.
    pub(crate) async fn sell(&self, stream: &str) -> Result<Sold> {
        let (device, feed) = self.open(stream).await?;
        self.world
            .subscribe(&self.subscriber, feed, PAID_SECONDS)
            .await?;
        let session = self.world.sign_in(&self.subscriber).await?;
        let mut watcher = self.world.watcher(&self.subscriber).await?;
        watcher.watch_once_paid(feed.id).await?;
        Ok(Sold {
            device,
            feed,
            session,
        })
    }

    /// The device of a sold feed as a publisher, and how its watchers speak.
    pub(crate) async fn publisher(
        &self,
        sold: Sold,
        stream: &'static str,
        size: usize,
    ) -> Result<(Publisher, Dialect)> {
        let dialect = sold.dialect();
        let world = &self.world;
        let domain = world.domain();
        let credentials = world.api().credentials(sold.device.key(), &domain);
        let broker = world.gateway.addresses().mqtt;
        let publisher =
            Publisher::of_device(broker, &credentials.await?, sold.device, stream, size)?;
        Ok((publisher, dialect))
    }
}

impl Sold {
    pub(crate) fn dialect(&self) -> Dialect {
        Dialect::Ashya {
            token: self.session.token.clone(),
            feed: self.feed.id,
        }
    }
}
