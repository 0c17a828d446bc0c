use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_contracts::{FeedTerms, Ledger, Rpc, SubscribeTerms};
use ashya_protocol::rest::{Session, SignedListing};
use ashya_protocol::{
    Address, DeviceKey, Domain, FeedAuthorization, FeedId, FeedName, Hash, Listing, ListingStream,
    Wei,
};
use tempfile::TempDir;

use crate::account::Account;
use crate::agent::AgentOptions;
use crate::anvil::{Anvil, AnvilOptions};
use crate::api::Api;
use crate::device::Device;
use crate::gateway::{Addresses, Gateway, GatewayOptions};
use crate::wait::{eventually, now};
use crate::watcher::{Subprotocol, Watcher};

/// Time that a gateway may take to follow the chain to a block, on a busy machine.
const FOLLOW_LIMIT: Duration = Duration::from_secs(15);
/// What a new account has.
const POCKET_MONEY: Wei = Wei::new(100 * Wei::ETH.get());
/// Secret key of account 0 of anvil's public test mnemonic, which deploys the ledger.
const DEPLOYER: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// How a world is started.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// The chain.
    pub anvil: AnvilOptions,
    /// Where the gateway listens.
    pub listen: Addresses,
    /// Flags of the gateway, such as `--demo`.
    pub gateway_flags: Vec<String>,
}

/// A chain with the ledger on it and a gateway before it, in a folder of their own; all end with this value.
#[derive(Debug)]
pub struct World {
    /// The gateway.
    pub gateway: Gateway,
    /// The chain.
    pub anvil: Anvil,
    ledger: Ledger,
    folder: TempDir,
}

/// A feed to be opened.
#[derive(Debug, Clone)]
pub struct FeedPlan {
    /// Title of the listing.
    pub title: String,
    /// Price in wei per second.
    pub price: Wei,
    /// Names of the streams sold.
    pub streams: Vec<String>,
    /// Who stops the clock when the device is silent, and after how long.
    pub outage: Option<Outage>,
}

/// A promise that nobody pays for a silent device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// The gateway's wallet.
    pub pauser: Address,
    /// Seconds of silence.
    pub seconds: u32,
}

/// A feed on sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFeed {
    /// The feed.
    pub id: FeedId,
    /// Price in wei per second.
    pub price: Wei,
    /// Hash of its listing.
    pub listing: Hash,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            anvil: AnvilOptions::default(),
            listen: Addresses::local(0, 0, 0),
            gateway_flags: Vec::new(),
        }
    }
}

impl World {
    /// Starts everything on free ports.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(WorldOptions::default(), |_| {}).await
    }

    /// Starts everything, telling `progress` before each step.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start_with(options: WorldOptions, progress: impl Fn(&str)) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("ashya-").tempdir()?;
        progress("starting a local chain");
        let anvil = Anvil::start(options.anvil, folder.path()).await?;
        progress("deploying the contract");
        let deployer = Account::new(DeviceKey::from_hex(DEPLOYER)?);
        let rpc = Rpc::new(anvil.url())?;
        let deployment = Ledger::deploy(rpc.clone(), deployer.wallet()).await?;
        let file = folder.path().join("deployment.json");
        std::fs::write(&file, serde_json::to_vec(&deployment)?)?;
        let ledger = Ledger::connect(rpc, deployment.ledger).await?;
        progress("starting the gateway");
        let gateway = Gateway::start(GatewayOptions {
            listen: options.listen,
            data: new_folder(folder.path(), "gateway")?,
            logs: folder.path().to_owned(),
            rpc: anvil.url().clone(),
            deployment: file,
            more: options.gateway_flags,
        })
        .await?;
        Ok(Self {
            gateway,
            anvil,
            ledger,
            folder,
        })
    }

    /// The contract.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The domain of every signature.
    pub fn domain(&self) -> Domain {
        self.ledger.domain()
    }

    /// The gateway's REST interface.
    pub fn api(&self) -> &Api {
        self.gateway.api()
    }

    /// A new folder for a part's data.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        new_folder(self.folder.path(), name)
    }

    /// An account nobody has seen before, with money.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn account(&self) -> Result<Account> {
        let account = Account::random()?;
        self.anvil
            .set_balance(account.address(), POCKET_MONEY)
            .await?;
        Ok(account)
    }

    /// A raw device that registers with the gateway.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn device(&self, owner: &Account, streams: &[&str]) -> Result<Device> {
        Device::register(self.api(), self.domain(), owner.address(), streams).await
    }

    /// How an agent of this world is started, with a data folder of its own.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn agent(&self, name: &str, owner: Address, scene: u64) -> Result<AgentOptions> {
        Ok(AgentOptions {
            name: name.to_owned(),
            gateway: self.api().base().clone(),
            data: self.folder(name)?,
            logs: self.folder.path().to_owned(),
            owner,
            title: name.to_owned(),
            source: format!("scene:{scene}"),
            fps: 5,
            // The default model sees much that is not there below a half.
            confidence: 0.5,
            config: None,
        })
    }

    /// Opens a feed of a raw device and hands its listing to the gateway.
    ///
    /// # Errors
    /// When the ledger or the gateway refuses.
    pub async fn open_device_feed(
        &self,
        device: &Device,
        owner: &Account,
        name: &str,
        plan: FeedPlan,
    ) -> Result<OpenFeed> {
        let name: FeedName = name.parse()?;
        let deadline = now() + 3600;
        let authorization = FeedAuthorization::sign(
            device.key(),
            &self.domain(),
            name,
            owner.address(),
            deadline,
        );
        self.open_feed(owner, authorization, plan).await
    }

    /// Opens a feed that the device has authorized and hands its listing to the gateway.
    ///
    /// # Errors
    /// When the ledger or the gateway refuses.
    pub async fn open_feed(
        &self,
        owner: &Account,
        authorization: FeedAuthorization,
        plan: FeedPlan,
    ) -> Result<OpenFeed> {
        let streams = plan.streams.iter().map(|stream| {
            Ok(ListingStream {
                events_per_minute: 300,
                name: stream.parse()?,
            })
        });
        let document = Listing {
            description: "People and traffic on a generated street".into(),
            device: authorization.device,
            name: authorization.name.clone(),
            outage_seconds: plan.outage.map(|outage| outage.seconds),
            privacy: "Generated scene; nobody is in it".into(),
            streams: streams.collect::<Result<_>>()?,
            title: plan.title,
        }
        .to_canonical_json()?;
        let listing = Listing::hash_of(&document);
        let terms = FeedTerms {
            authorization,
            price: plan.price,
            payout: owner.address(),
            pauser: plan.outage.map_or(Address::ZERO, |outage| outage.pauser),
            listing,
        };
        let (id, _) = self.ledger.open_feed(owner.wallet(), terms).await?;
        let signature = owner.key().sign(&self.domain().feed_listing(id, listing));
        let signed = SignedListing {
            document,
            signature,
        };
        eventually("the gateway to know the feed", FOLLOW_LIMIT, async || {
            Ok(self.api().feed(id).await.ok())
        })
        .await?;
        let answer = self.api().put_listing(id, &signed).await?;
        ensure!(
            answer.status.is_success(),
            "listing: {} {}",
            answer.status,
            answer.body
        );
        Ok(OpenFeed {
            id,
            price: plan.price,
            listing,
        })
    }

    /// Pays for a feed and returns the expiry in feed time.
    ///
    /// # Errors
    /// When the ledger refuses.
    pub async fn subscribe(&self, payer: &Account, feed: OpenFeed, seconds: u64) -> Result<u64> {
        let terms = SubscribeTerms {
            feed: feed.id,
            beneficiary: payer.address(),
            duration: seconds,
            max_price: feed.price,
            listing: feed.listing,
            price: feed.price,
        };
        let outcome = self.ledger.subscribe(payer.wallet(), terms).await?;
        Ok(outcome.expiry)
    }

    /// Signs in.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn sign_in(&self, account: &Account) -> Result<Session> {
        self.api().sign_in(account, self.domain().chain_id).await
    }

    /// Signs in and opens a websocket.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn watcher(&self, account: &Account) -> Result<Watcher> {
        self.watcher_with(account, Subprotocol::Binary).await
    }

    /// Signs in and opens a websocket of the given kind.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn watcher_with(
        &self,
        account: &Account,
        subprotocol: Subprotocol,
    ) -> Result<Watcher> {
        let session = self.sign_in(account).await?;
        let mut watcher = Watcher::open(self.api().base(), self.domain(), subprotocol).await?;
        watcher.authenticate(&session.token).await?;
        Ok(watcher)
    }
}

impl FeedPlan {
    /// A feed of `detections` alone.
    pub fn detections(title: &str, price: u128) -> Self {
        Self {
            title: title.to_owned(),
            price: Wei::new(price),
            streams: vec!["detections".into()],
            outage: None,
        }
    }
}

fn new_folder(parent: &Path, name: &str) -> Result<PathBuf> {
    let folder = parent.join(name);
    // Keys and secrets lie in it, and the parts refuse a folder that others may enter.
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&folder)
        .with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}
