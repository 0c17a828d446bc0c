//! The demo, as a visitor starts it: it serves a paying subscriber and leaves nothing behind.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_contracts::{Ledger, Rpc, SubscribeTerms};
use ashya_protocol::DeviceKey;
use ashya_tests::{Account, Api, Process, Subprotocol, Watcher, binary, eventually};
use url::Url;

/// Time that the demo may take to start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Time that it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// The last line that the demo prints when it is ready.
const READY: &str = "Ctrl-C stops everything";

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_serves_a_buyer_and_stops_without_orphans() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut demo, page) = start(folder.path()).await?;
    let api = Api::new(page);
    let chain = api.chain().await?;
    let feeds = api.feeds().await?.feeds;
    ensure!(
        feeds.len() == 2 && feeds[0].price != feeds[1].price,
        "{feeds:?}"
    );
    ensure!(feeds.iter().all(|feed| feed.online), "{feeds:?}");
    let page = api.get("/").await?;
    ensure!(
        page.status == 200 && page.content_type.starts_with("text/html"),
        "{page:?}"
    );

    let rpc: Url = chain
        .rpc_url
        .context("no RPC address for browsers")?
        .parse()?;
    let ledger = Ledger::connect(Rpc::new(&rpc)?, chain.ledger).await?;
    let printed = demo.log();
    let key = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("private key "));
    let buyer = Account::new(DeviceKey::from_hex(key.context("no account is printed")?)?);
    ensure!(chain.demo_keys.len() == 3, "the page offers a demo wallet");
    let session = api.sign_in(&buyer, chain.chain_id).await?;
    let mut watcher = Watcher::open(api.base(), ledger.domain(), Subprotocol::Binary).await?;
    watcher.authenticate(&session.token).await?;
    for feed in &feeds {
        watcher.watch_unpaid(feed.id).await?;
        let terms = SubscribeTerms {
            feed: feed.id,
            beneficiary: buyer.address(),
            duration: 60,
            max_price: feed.price,
            listing: feed.listing,
            price: feed.price,
        };
        ledger.subscribe(buyer.wallet(), terms).await?;
        watcher.begins(feed.id).await?;
        let event = watcher.event(Duration::from_secs(10)).await?;
        ensure!(!event.event().payload.is_empty());
    }

    let family = descendants(demo.id())?;
    ensure!(
        family.len() >= 4,
        "a chain, a gateway and two agents, found {family:?}"
    );
    demo.interrupt()?;
    let status = demo.wait(STOP_LIMIT).await?;
    ensure!(status.success(), "{status}: {}", demo.tail());
    all_gone(&family).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_demo_leaves_no_orphans() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut demo, _) = start(folder.path()).await?;
    let family = descendants(demo.id())?;
    ensure!(family.len() >= 4, "{family:?}");
    demo.kill();
    all_gone(&family).await
}

async fn start(folder: &Path) -> Result<(Process, Url)> {
    let mut command = Command::new(binary("ashya-demo")?);
    command
        .args(["--port", "0", "--rpc-port", "0"])
        .args(["--mqtt-port", "0", "--metrics-port", "0"])
        .env("TMPDIR", folder);
    let mut demo = Process::spawn("demo", command, folder)?;
    demo.wait_for_log(READY, START_LIMIT).await?;
    let log = demo.log();
    let page = log
        .lines()
        .find_map(|line| line.trim().strip_prefix("http://"))
        .context("the demo prints no address")?;
    let page = format!("http://{page}").parse()?;
    Ok((demo, page))
}

/// All processes that descend from one, by id, with their names.
fn descendants(root: u32) -> Result<HashMap<u32, String>> {
    let mut family = HashMap::new();
    let mut parents = vec![root];
    let all = processes()?;
    while let Some(parent) = parents.pop() {
        for (id, (of, name)) in &all {
            if *of == parent && family.insert(*id, name.clone()).is_none() {
                parents.push(*id);
            }
        }
    }
    Ok(family)
}

async fn all_gone(family: &HashMap<u32, String>) -> Result<()> {
    let gone = eventually("the demo's processes to end", STOP_LIMIT, async || {
        let left: Vec<_> = processes()?
            .into_iter()
            .filter(|(id, (_, name))| family.get(id) == Some(name))
            .collect();
        Ok(left.is_empty().then_some(()))
    });
    gone.await
}

/// Parent and name of each process of this machine; those that have ended and wait to be noticed are left out.
fn processes() -> Result<HashMap<u32, (u32, String)>> {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid=,stat=,comm="])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut found = HashMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [id, parent, state, name, ..] = words[..]
            && !state.starts_with('Z')
        {
            found.insert(id.parse()?, (parent.parse()?, name.to_owned()));
        }
    }
    Ok(found)
}
