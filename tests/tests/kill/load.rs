//! What keeps the gateway busy, and what it has acknowledged.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ashya_protocol::rest::Registration;
use ashya_protocol::{DeviceId, Envelope, Position, Wei};
use ashya_tests::{Account, Api, Delivery, Device, FeedPlan, OpenFeed, World};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

/// Devices that publish at the same time: their events go to the disk together.
const DEVICES: usize = 4;
/// Seconds for which everything is paid.
const PAID: u64 = 24 * 3600;
/// New prices between two kills: each makes a block, a second later than the one before, and the chain's clock must not
/// run away from the wall's.
const PRICES_A_LIFE: usize = 2;
/// Time for the gateway to tell a block.
const TELL_LIMIT: Duration = Duration::from_secs(15);
/// Time between looks at what it tells.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Bytes of an event.
const PAYLOAD: usize = 300;

/// Who works.
pub(crate) struct Load {
    pub(crate) owner: Arc<Account>,
    pub(crate) buyer: Account,
    pub(crate) publishers: Vec<Arc<Mutex<Publisher>>>,
    pub(crate) feeds: Vec<OpenFeed>,
}

/// A device that sends again what was not acknowledged, as a real one does.
pub(crate) struct Publisher {
    pub(crate) device: Device,
    pending: Option<(Position, Vec<u8>)>,
}

/// What the gateway has acknowledged so far.
#[derive(Default)]
pub(crate) struct Told {
    /// By device, and in the order of the publishers: the positions.
    pub(crate) events: BTreeMap<usize, Vec<Position>>,
    /// Up to which of them history was looked at.
    pub(crate) seen: BTreeMap<usize, usize>,
    /// The highest revision of each device.
    pub(crate) registrations: BTreeMap<DeviceId, u64>,
    pub(crate) revisions: u64,
    /// The newest price of whose block the gateway has told.
    pub(crate) price: Wei,
    /// Events that a kill has kept from being acknowledged, and that were sent again.
    pub(crate) again: u64,
}

#[derive(Clone, Copy)]
enum Ack {
    Event(usize, Position),
    SentAgain,
    Registration(DeviceId, u64),
    Price(Wei),
}

impl Load {
    pub(crate) async fn prepare(world: &World) -> Result<Self> {
        let (owner, buyer) = (world.account().await?, world.account().await?);
        let (mut publishers, mut feeds) = (Vec::new(), Vec::new());
        for number in 0..DEVICES {
            let device = world.device(&owner, &["detections"]).await?;
            let name = format!("gate-{number}");
            let plan = FeedPlan::detections(&name, 1);
            let feed = world.open_device_feed(&device, &owner, &name, plan).await?;
            world.subscribe(&buyer, feed, PAID).await?;
            feeds.push(feed);
            let pending = None;
            publishers.push(Arc::new(Mutex::new(Publisher { device, pending })));
        }
        // What was accepted before the gateway knows of the payment is not in history for the buyer.
        let mut watcher = world.watcher(&buyer).await?;
        for feed in &feeds {
            watcher.watch_once_paid(feed.id).await?;
        }
        let owner = Arc::new(owner);
        Ok(Self {
            owner,
            buyer,
            publishers,
            feeds,
        })
    }

    /// Works until the gateway is killed, a while after everybody has begun.
    pub(crate) async fn run_until_killed(
        &self,
        world: &mut World,
        moment: Duration,
        told: &mut Told,
    ) -> Result<()> {
        let mut work = JoinSet::new();
        let (acks, mut acknowledged) = tokio::sync::mpsc::channel(100_000);
        for (number, publisher) in self.publishers.iter().enumerate() {
            let (publisher, acks) = (publisher.clone(), acks.clone());
            work.spawn(async move {
                let mut publisher = publisher.lock().await;
                // It ends with the gateway: what matters is what was acknowledged before.
                let _ = publisher.publish(number, &acks).await;
            });
        }
        let (api, domain) = (world.api().clone(), world.domain());
        let (owner, registering) = (self.owner.clone(), acks.clone());
        work.spawn(async move {
            let _ = register(&api, domain, &owner, &registering).await;
        });
        let (ledger, owner, feed) = (world.ledger().clone(), self.owner.clone(), self.feeds[0]);
        let (api, first) = (world.api().clone(), told.price.get().max(1));
        let pricing = work.spawn(async move {
            for price in (first + 1..).take(PRICES_A_LIFE) {
                let price = Wei::new(price);
                let Ok(set) = ledger.set_price(owner.wallet(), feed.id, price).await else {
                    return;
                };
                let told = timeout(TELL_LIMIT, until_told(&api, set.block)).await;
                if !matches!(told, Ok(Ok(()))) || acks.send(Ack::Price(price)).await.is_err() {
                    return;
                }
            }
        });
        let first = acknowledged.recv().await.context("nobody works")?;
        told.note(first);
        tokio::time::sleep(moment).await;
        world.gateway.process().kill();
        // The others end with the gateway.
        pricing.abort();
        while let Some(ended) = work.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                return Err(error.into());
            }
        }
        while let Ok(ack) = acknowledged.try_recv() {
            told.note(ack);
        }
        Ok(())
    }
}

impl Publisher {
    async fn publish(
        &mut self,
        number: usize,
        acks: &tokio::sync::mpsc::Sender<Ack>,
    ) -> Result<()> {
        let topic = self.device.topic("detections")?;
        let mut mqtt = self.device.connect().await?;
        loop {
            let (position, envelope) = match self.pending.clone() {
                Some(pending) => {
                    acks.send(Ack::SentAgain).await?;
                    pending
                }
                None => {
                    let envelope = self.device.envelope("detections", &[b' '; PAYLOAD])?;
                    (Envelope::decode(&envelope)?.event.position, envelope)
                }
            };
            self.pending = Some((position, envelope.clone()));
            if mqtt.publish(&topic, &envelope).await? == Delivery::Closed {
                return Ok(());
            }
            self.pending = None;
            acks.send(Ack::Event(number, position)).await?;
        }
    }
}

/// The gateway tells a head once everything up to it is applied and kept.
async fn until_told(api: &Api, block: u64) -> Result<()> {
    let mut looks = interval(LOOK_INTERVAL);
    loop {
        looks.tick().await;
        let head = api.chain().await?.head;
        if head.is_some_and(|head| head.number >= block) {
            return Ok(());
        }
    }
}

/// Registers devices, some of them again and again.
async fn register(
    api: &Api,
    domain: ashya_protocol::Domain,
    owner: &Account,
    acks: &tokio::sync::mpsc::Sender<Ack>,
) -> Result<()> {
    loop {
        let device = Device::unregistered(api, domain)?;
        for revision in 1..=4 {
            let signed = device.sign_registration(Registration {
                device: device.id(),
                owner: owner.address(),
                revision,
                title: format!("Revision {revision}"),
                description: String::new(),
                streams: vec!["detections".parse()?],
            });
            if !api.register(&signed).await?.status.is_success() {
                return Ok(());
            }
            acks.send(Ack::Registration(device.id(), revision)).await?;
        }
    }
}

impl Told {
    fn note(&mut self, ack: Ack) {
        match ack {
            Ack::Event(number, position) => self.events.entry(number).or_default().push(position),
            Ack::SentAgain => self.again += 1,
            Ack::Registration(device, revision) => {
                self.registrations.insert(device, revision);
                self.revisions += 1;
            }
            Ack::Price(price) => self.price = self.price.max(price),
        }
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.values().map(|events| events.len() as u64).sum()
    }

    pub(crate) fn registrations(&self) -> u64 {
        self.revisions
    }

    pub(crate) fn rows(&self) -> String {
        format!(
            "| acknowledged events, all in history | {} |\n| of them sent again after a kill | {} |\n| acknowledged registrations, all kept | {} |\n| blocks with a new price that the gateway had told, all kept | {} |\n",
            self.events(),
            self.again,
            self.revisions,
            self.price.get().saturating_sub(1)
        )
    }
}

impl Display for Told {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} events, {} sent again, {} registrations, price {}",
            self.events(),
            self.again,
            self.revisions,
            self.price
        )
    }
}
