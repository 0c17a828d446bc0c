//! A card that is dead: its device goes on by a copy of its key, or its feed goes on by another device.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use ashya_protocol::{DeviceId, VerifiedEvent};
use ashya_tests::{Account, Agent, AgentOptions, FeedPlan, OpenFeed, Watcher, World, binary};

use crate::in_world;

const EVENT_LIMIT: Duration = Duration::from_secs(15);
/// Events that may still come from before.
const OLD_EVENTS: usize = 50;
const PRICE: u128 = 1_000;
const FEED: &str = "gate";

/// A device with a feed, and a buyer who has paid for an hour and watches.
async fn watched(world: &World) -> Result<(Agent, Account, OpenFeed, Watcher)> {
    let owner = world.account().await?;
    let agent = Agent::start(world.agent("old-card", owner.address(), 1)?).await?;
    let authorization = agent.options().authorize(&FEED.parse()?).await?;
    let feed = world
        .open_feed(&owner, authorization, FeedPlan::detections("Gate", PRICE))
        .await?;
    let buyer = world.account().await?;
    world.subscribe(&buyer, feed, 3600).await?;
    let mut watcher = world.watcher(&buyer).await?;
    watcher.watch_once_paid(feed.id).await?;
    Ok((agent, owner, feed, watcher))
}

/// The agent and everything on its card are gone.
fn dies(mut agent: Agent) -> Result<()> {
    agent.process().kill();
    Ok(fs::remove_dir_all(&agent.options().data)?)
}

/// Runs a program to its end and returns what it prints.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(binary(program)?).args(arguments).output()?;
    ensure!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn key(verb: &str, copy: &Path, password: &Path, options: &AgentOptions) -> Result<String> {
    let (copy, password) = (copy.display().to_string(), password.display().to_string());
    let data = options.data.display().to_string();
    let arguments = [
        "key",
        verb,
        &copy,
        "--password-file",
        &password,
        "--data",
        &data,
    ];
    run("ashya-agent", &arguments)
}

/// The first event that is of another device or start than `last`.
async fn next_start(watcher: &mut Watcher, last: &VerifiedEvent) -> Result<VerifiedEvent> {
    let of = |event: &VerifiedEvent| (event.event().device, event.event().position.boot);
    for _ in 0..OLD_EVENTS {
        let event = watcher.event(EVENT_LIMIT).await?;
        if of(&event) != of(last) {
            return Ok(event);
        }
    }
    anyhow::bail!("nothing but old events")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_key_makes_a_new_card_the_same_device() {
    in_world(async |world| {
        let (agent, owner, _, mut watcher) = watched(world).await?;
        let last = watcher.event(EVENT_LIMIT).await?;
        let device = last.event().device;
        let folder = world.folder("safe")?;
        let (copy, password) = (folder.join("copy.json"), folder.join("password"));
        fs::write(&password, "correct horse battery staple")?;
        let named = key("backup", &copy, &password, agent.options())?;
        ensure!(named == device.to_string(), "{named}");
        dies(agent)?;

        let options = world.agent("new-card", owner.address(), 1)?;
        let named = key("restore", &copy, &password, &options)?;
        ensure!(named == device.to_string(), "{named}");
        let _agent = Agent::start(options).await?;
        let event = next_start(&mut watcher, &last).await?;
        let (old, new) = (last.event(), event.event());
        ensure!(new.device == device, "{}", new.device);
        ensure!(new.position.boot > old.position.boot, "{new:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_copy_the_feed_moves_to_a_new_device_and_its_buyers_stay() {
    in_world(async |world| {
        let (agent, owner, feed, mut watcher) = watched(world).await?;
        let last = watcher.event(EVENT_LIMIT).await?;
        dies(agent)?;

        let options = world.agent("new-card", owner.address(), 1)?;
        let gateway = options.gateway.to_string();
        let _agent = Agent::start(options.clone()).await?;
        let folder = world.folder("owner")?;
        let (moved, secret) = (folder.join("moved.json"), folder.join("owner.key"));
        let path = |path: &Path| path.display().to_string();
        run(
            "ashya-agent",
            &[
                "authorize",
                "--gateway",
                &gateway,
                "--data",
                &path(&options.data),
                "--owner",
                &owner.address().to_string(),
                "--name",
                FEED,
                "--out",
                &path(&moved),
            ],
        )?;
        fs::write(&secret, owner.key().to_secret_hex())?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        run(
            "ashya-ledger",
            &[
                "--rpc",
                world.anvil.url().as_str(),
                "--key-file",
                &path(&secret),
                "--deployment",
                &path(&world.gateway.options().deployment),
                "set-device",
                &feed.id.to_string(),
                "--authorization",
                &path(&moved),
            ],
        )?;
        let device: DeviceId = options.device().await?;
        let event = next_start(&mut watcher, &last).await?;
        ensure!(event.event().device == device && device != last.event().device);
        Ok(())
    })
    .await;
}
