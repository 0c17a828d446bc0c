//! A disk that is full for a moment.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_tests::{FeedPlan, GatewayOptions, Process, World, eventually};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::in_world;

const LIMIT: Duration = Duration::from_secs(180);
/// Runs a program whose writes fail, instead of ending it, where its limit of file sizes is passed. What it prints goes
/// through a pipe, which has no such limit.
const WITHOUT_SIGNAL: &str = r#"trap "" XFSZ; exec "$0" "$@" > >(cat) 2>&1"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_disk_was_full_ends_and_goes_on_when_it_is_started_again() {
    in_world(async |world| {
        let owner = world.account().await?;
        let before = world.device(&owner, &["detections"]).await?.id();
        let mut gateway = on_a_disk_that_can_be_full(world).await?;
        limit_file_sizes(&gateway, Some(0))?;
        let refused = world.device(&owner, &["detections"]).await;
        ensure!(refused.is_err(), "a registration that is nowhere was taken");
        limit_file_sizes(&gateway, None)?;
        ends_to_open_its_store_anew(&mut gateway).await?;

        world.gateway.reopen().await?;
        world.gateway.until_ready().await?;
        let after = world.device(&owner, &["detections"]).await?.id();
        let devices = world.api().devices().await?.devices.into_iter();
        let mut found: Vec<_> = devices.map(|device| device.registration.device).collect();
        let mut expected = [before, after];
        found.sort_unstable();
        expected.sort_unstable();
        ensure!(found == expected, "{found:?}");
        Ok(())
    })
    .await;
}

/// A failed write of what is large makes every flush of the store wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_whose_disk_was_full_for_a_large_event() {
    in_world(async |world| {
        let owner = world.account().await?;
        let mut device = world.device(&owner, &["detections"]).await?;
        let plan = FeedPlan::detections("Gate", 1_000);
        world
            .open_device_feed(&device, &owner, "gate", plan)
            .await?;
        let mut gateway = on_a_disk_that_can_be_full(world).await?;
        let mut mqtt = device.connect().await?;
        device.emit(&mut mqtt, "detections", b"{}").await?;
        limit_file_sizes(&gateway, Some(0))?;
        let large = format!("\"{}\"", "x".repeat(200_000));
        let taken = device.emit(&mut mqtt, "detections", large.as_bytes()).await;
        ensure!(taken.is_err(), "an event that is nowhere was acknowledged");
        limit_file_sizes(&gateway, None)?;
        ends_to_open_its_store_anew(&mut gateway).await?;

        world.gateway.reopen().await?;
        world.gateway.until_ready().await?;
        let mut mqtt = device.connect().await?;
        device
            .emit(&mut mqtt, "detections", large.as_bytes())
            .await?;
        Ok(())
    })
    .await;
}

/// Starts the world's gateway again, so that the sizes of its files can be limited.
async fn on_a_disk_that_can_be_full(world: &mut World) -> Result<Process> {
    world.gateway.process().kill();
    let options = GatewayOptions {
        listen: world.gateway.addresses(),
        ..world.gateway.options().clone()
    };
    let program = options.command()?;
    let mut command = Command::new("bash");
    command
        .args(["-c", WITHOUT_SIGNAL])
        .arg(program.get_program())
        .args(program.get_args());
    let mut gateway = Process::spawn("gateway-on-a-full-disk", command, &options.logs)?;
    eventually("a ready gateway", LIMIT, async || {
        gateway.check_running()?;
        let answer = world.api().get("/v1/health/ready").await;
        Ok(answer.ok().filter(|answer| answer.status == 200).map(drop))
    })
    .await?;
    Ok(gateway)
}

async fn ends_to_open_its_store_anew(gateway: &mut Process) -> Result<()> {
    let status = gateway.wait(LIMIT).await?;
    ensure!(!status.success(), "whoever looks after it starts it again");
    let log = gateway.log();
    ensure!(log.contains("to open it anew"), "{}", gateway.tail());
    Ok(())
}

/// Lets no file of a process grow beyond so many bytes, or all again.
fn limit_file_sizes(process: &Process, bytes: Option<u64>) -> Result<()> {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(pid.context("no process id")?), Resource::Fsize, limit)?;
    Ok(())
}
