use std::fmt::Write;

use anyhow::Result;
use ashya_protocol::{DeviceKey, Wei};
use url::Url;

use crate::account::{Account, checksum};
use crate::agent::Agent;
use crate::anvil::{AnvilOptions, LOCAL_CHAIN};
use crate::gateway::Addresses;
use crate::paths;
use crate::world::{FeedPlan, OpenFeed, World, WorldOptions};

/// Secret keys of accounts 2 to 4 of the mnemonic that every anvil starts with: known to the whole world. The page's
/// own demo wallet has others of them.
const VISITORS: [&str; 3] = [
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
];
/// Account 1 of the same mnemonic owns the devices: no visitor, since an owner watches free.
const PROVIDER: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

/// Port wanted for the page.
const PAGE_PORT: u16 = 8080;
/// Port wanted for the chain, where wallets look for a local one.
const CHAIN_PORT: u16 = 8545;
/// Port wanted for the broker.
const MQTT_PORT: u16 = 1883;
/// Port wanted for metrics.
const METRICS_PORT: u16 = 9090;

/// The two devices: data folder and feed name, title, price in wei per second, scene.
const DEVICES: [(&str, &str, u128, u64); 2] = [
    // 0.001 ETH an hour.
    ("north", "Main street, north", 277_777_777_777, 1),
    // 0.0036 ETH an hour.
    ("south", "Market square", 1_000_000_000_000, 2),
];

/// Which ports the demo wants; where one is taken it uses another.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct DemoOptions {
    /// Port of the page; another one when it is taken.
    #[arg(long = "port", default_value_t = PAGE_PORT)]
    page: u16,
    /// Port of the chain's JSON-RPC; another one when it is taken.
    #[arg(long = "rpc-port", default_value_t = CHAIN_PORT)]
    chain: u16,
    /// Port of the MQTT broker; another one when it is taken.
    #[arg(long = "mqtt-port", default_value_t = MQTT_PORT)]
    mqtt: u16,
    /// Port of the metrics; another one when it is taken.
    #[arg(long = "metrics-port", default_value_t = METRICS_PORT)]
    metrics: u16,
}

impl DemoOptions {
    /// Any free ports, for several demos at a time.
    pub const fn free_ports() -> Self {
        Self {
            page: 0,
            chain: 0,
            mqtt: 0,
            metrics: 0,
        }
    }
}

/// The whole product on one machine: a chain, the ledger, a gateway, two devices with feeds on sale.
#[derive(Debug)]
pub struct Demo {
    // Fields are dropped in this order: devices first, the chain last.
    agents: Vec<Agent>,
    feeds: Vec<OpenFeed>,
    world: World,
}

impl Demo {
    /// Starts everything, telling `progress` before each step.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(options: DemoOptions, progress: impl Fn(&str)) -> Result<Self> {
        let world = World::start_with(
            WorldOptions {
                anvil: AnvilOptions {
                    port: options.chain,
                    ..AnvilOptions::default()
                },
                listen: Addresses::local(
                    paths::free_port(options.page)?,
                    paths::free_port(options.mqtt)?,
                    paths::free_port(options.metrics)?,
                ),
                gateway_flags: vec!["--demo".into()],
            },
            &progress,
        )
        .await?;
        progress("starting two devices, which look at their scenes with a neural network");
        let provider = Account::new(DeviceKey::from_hex(PROVIDER)?);
        let mut agents = Vec::new();
        for (name, title, _, scene) in DEVICES {
            let mut agent = world.agent(name, provider.address(), scene)?;
            agent.title = title.to_owned();
            // Makes the device's key while nobody else does.
            agent.device().await?;
            agents.push(Agent::spawn(agent)?);
        }
        progress("opening their feeds at different prices");
        let mut feeds = Vec::new();
        for (agent, (name, title, price, _)) in agents.iter().zip(DEVICES) {
            let authorization = agent.options().authorize(&name.parse()?).await?;
            let plan = FeedPlan {
                title: title.to_owned(),
                price: Wei::new(price),
                streams: vec!["detections".into(), "frames".into()],
                outage: None,
            };
            feeds.push(world.open_feed(&provider, authorization, plan).await?);
        }
        progress("waiting for their first events");
        for agent in &mut agents {
            agent.ready().await?;
        }
        Ok(Self {
            agents,
            feeds,
            world,
        })
    }

    /// Address of the page.
    pub fn page(&self) -> &Url {
        self.world.api().base()
    }

    /// The feeds on sale.
    pub fn feeds(&self) -> &[OpenFeed] {
        &self.feeds
    }

    /// The chain and the gateway.
    pub fn world(&mut self) -> &mut World {
        &mut self.world
    }

    /// What a visitor has to know.
    ///
    /// # Errors
    /// Never, with the constants of this module.
    pub fn guide(&self) -> Result<String> {
        let rpc = self.world.anvil.url().as_str().trim_end_matches('/');
        let mut accounts = String::new();
        for key in VISITORS {
            let account = Account::new(DeviceKey::from_hex(key)?);
            writeln!(
                accounts,
                "    {}\n      private key 0x{key}",
                checksum(account.address())
            )?;
        }
        Ok(format!(
            "
  Ashya is running. Open the page:

    {page}

  Two clicks with play money: open a feed, then pay and watch. Boxes are drawn as the devices see them.

  With MetaMask instead: add a network by hand
    network name     Ashya demo
    RPC URL          {rpc}
    chain id         {LOCAL_CHAIN}
    currency symbol  ETH
  and import one of these accounts, which have 10,000 ETH of play money each.
  Their keys are public test keys that everybody knows: never send real money to them.
{accounts}
  Contract {ledger} · broker {mqtt} · metrics http://{metrics}/metrics

  Ctrl-C stops everything.
",
            page = self.page(),
            ledger = self.world.ledger().address(),
            mqtt = self.world.gateway.addresses().mqtt,
            metrics = self.world.gateway.addresses().metrics,
        ))
    }

    /// Runs until a part ends, and says which one.
    ///
    /// # Errors
    /// Always: that a part has ended.
    pub async fn watch_over(&mut self) -> Result<()> {
        loop {
            self.world.anvil.process().check_running()?;
            self.world.gateway.process().check_running()?;
            for agent in &mut self.agents {
                agent.process().check_running()?;
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }
}
