//! A visitor with a real browser: connects a wallet, pays, watches and cancels.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::Wei;
use ashya_tests::{
    Agent, Anvil, AnvilOptions, FeedPlan, OpenFeed, World, WorldOptions, run_script,
};

const BROWSER_LIMIT: Duration = Duration::from_secs(120);
/// Play money of the wallet's accounts: anvil's public test keys 3 and 4, which the demo wallet does not use.
const KEYS: &str = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6,\
                    0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a";

/// A world with one agent whose feed is on sale, and the page.
struct Stage {
    world: World,
    agent: Agent,
    feed: OpenFeed,
}

impl Stage {
    async fn set() -> Result<Self> {
        let world = World::start_with(
            WorldOptions {
                gateway_flags: vec!["--demo".into()],
                ..WorldOptions::default()
            },
            |_| {},
        )
        .await?;
        let page = world.api().get("/").await?;
        ensure!(page.content_type.starts_with("text/html"), "{page:?}");
        let owner = world.account().await?;
        let agent = Agent::start(world.agent("agent", owner.address(), 1)?).await?;
        let authorization = agent.options().authorize(&"street".parse()?).await?;
        let plan = FeedPlan {
            title: "Main street, north".into(),
            price: Wei::new(277_777_777_777),
            streams: vec!["detections".into(), "frames".into()],
            outage: None,
        };
        let feed = world.open_feed(&owner, authorization, plan).await?;
        Ok(Self { world, agent, feed })
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ASHYA_PAGE", self.world.api().base().to_string()),
            ("ASHYA_FEED", self.feed.id.to_string()),
            ("ASHYA_PRICE", self.feed.price.to_string()),
            ("ASHYA_RPC", self.world.anvil.url().to_string()),
            ("ASHYA_KEYS", KEYS.to_owned()),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_pays_and_watches() -> Result<()> {
    let mut stage = Stage::set().await?;
    let folder = stage.world.folder("browser")?;
    // A second chain, on which the wallet stands at first, as wallets do.
    let elsewhere = AnvilOptions {
        chain_id: 1_337,
        ..AnvilOptions::default()
    };
    let elsewhere = Anvil::start(elsewhere, &folder).await?;
    let mut environment = stage.environment();
    environment.push(("ASHYA_OTHER_RPC", elsewhere.url().to_string()));
    run(&mut stage, "pay_and_watch.mjs", &environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_without_a_wallet_needs_two_clicks() -> Result<()> {
    let mut stage = Stage::set().await?;
    let environment = stage.environment();
    run(&mut stage, "demo_wallet.mjs", &environment).await
}

async fn run(stage: &mut Stage, script: &str, environment: &[(&str, String)]) -> Result<()> {
    let folder = stage.world.folder("browser")?;
    let said = run_script(script, environment, &folder, BROWSER_LIMIT)
        .await
        .with_context(|| stage.world.gateway.process().tail())?;
    println!("{said}");
    stage.agent.process().check_running()?;
    stage.world.gateway.process().check_running()
}
