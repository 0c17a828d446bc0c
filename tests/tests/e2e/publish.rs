//! Whatever has a shell is a device.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ashya_protocol::{Position, Status, Wei};
use ashya_tests::{FeedPlan, OpenFeed, Receipt, Sensor, Watcher, World, repository};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::in_world;

const LIMIT: Duration = Duration::from_secs(30);

/// A thermometer that has published once, and its feed.
async fn thermometer(world: &World) -> Result<(ashya_tests::AgentOptions, OpenFeed)> {
    let owner = world.account().await?;
    let options = world.agent("thermometer", owner.address(), 0)?;
    let mut sensor = Sensor::start(&options, "temperature", &[])?;
    sensor.say("20.9").await?;
    let (receipts, status, said) = sensor.finish(LIMIT).await?;
    ensure!(
        status.success() && fates(&receipts) == ["acknowledged"],
        "{said}"
    );
    let authorization = options.authorize(&"kitchen".parse()?).await?;
    let plan = FeedPlan {
        title: "Kitchen".into(),
        price: Wei::new(1_000),
        streams: vec!["temperature".into(), "status".into()],
        outage: None,
    };
    let feed = world.open_feed(&owner, authorization, plan).await?;
    Ok((options, feed))
}

fn fates(receipts: &[Receipt]) -> Vec<&str> {
    receipts
        .iter()
        .map(|receipt| receipt.fate.as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thermometer_in_a_shell_loop_is_sold_and_bought() {
    in_world(async |world| {
        let (options, feed) = thermometer(world).await?;
        let buyer = world.account().await?;
        world.subscribe(&buyer, feed, 3600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        watcher.watch_once_paid(feed.id).await?;

        // As an owner would write it, with the words of the manual.
        let publish = options.publish("temperature")?;
        let words = std::iter::once(publish.get_program()).chain(publish.get_args());
        let quoted: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
        let script = format!(
            "for n in 1 2 3 4 5 6 7 8 9; do echo 21.$n; sleep 0.05; done | {}",
            quoted.join(" ")
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(repository())
            .stdin(Stdio::null())
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", output.status);
        ensure!(said.contains("9 events published"), "{said}");

        let (mut readings, mut heartbeats) = (Vec::new(), 0);
        while readings.len() < 9 || heartbeats == 0 {
            let event = watcher.event(LIMIT).await?;
            let event = event.event();
            let text = std::str::from_utf8(&event.payload)?.to_owned();
            if event.stream.as_str() == "status" {
                let status: Status = serde_json::from_str(&text)?;
                ensure!(
                    status.model.is_none() && status.next_seconds == 10,
                    "{text}"
                );
                heartbeats += 1;
            } else {
                ensure!(event.content_type.as_str() == "text/plain");
                ensure!(event.position.seq.get() == readings.len() as u64);
                readings.push(text);
            }
        }
        let expected: Vec<_> = (1..=9).map(|n| format!("21.{n}")).collect();
        ensure!(readings == expected, "{readings:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_wait_for_a_gateway_that_is_away_and_one_process_has_a_folder() {
    in_world(async |world| {
        let (options, feed) = thermometer(world).await?;
        let buyer = world.account().await?;
        world.subscribe(&buyer, feed, 3600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        watcher.watch_once_paid(feed.id).await?;

        world.gateway.process().kill();
        let mut sensor = Sensor::start(&options, "temperature", &["--wait", "1s"])?;
        for n in 0..20 {
            sensor.say(&format!("{n}")).await?;
        }
        let first = sensor.receipt(LIMIT).await?.context("no receipt")?;
        ensure!(first.fate == "kept", "{first:?}");
        let second = Sensor::start(&options, "temperature", &[])?;
        let (_, status, said) = second.finish(LIMIT).await?;
        ensure!(!status.success(), "two at once");
        ensure!(said.contains("a data folder of its own"), "{said}");
        let (receipts, status, said) = sensor.finish(LIMIT).await?;
        ensure!(status.code() == Some(75), "{status}: {said}");
        ensure!(fates(&receipts) == ["kept"; 19], "{receipts:?}");

        world.gateway.reopen().await?;
        world.gateway.until_ready().await?;
        let mut watcher = world.watcher(&buyer).await?;
        watcher.watch_paid(feed.id).await?;
        let mut sensor = Sensor::start(&options, "temperature", &[])?;
        sensor.say("now").await?;
        let (_, status, said) = sensor.finish(LIMIT).await?;
        ensure!(status.success(), "{status}: {said}");
        let expected = (0..20).map(|n| n.to_string()).chain(["now".into()]);
        all_arrive(&mut watcher, first.position(), expected).await
    })
    .await;
}

/// Each reading arrives, in order; those of the first start have its numbers.
async fn all_arrive(
    watcher: &mut Watcher,
    first: Position,
    expected: impl Iterator<Item = String>,
) -> Result<()> {
    for (index, expected) in expected.enumerate() {
        let event = loop {
            let event = watcher.event(LIMIT).await?;
            if event.event().stream.as_str() == "temperature" {
                break event;
            }
        };
        let event = event.event();
        ensure!(
            *event.payload == *expected.as_bytes(),
            "{expected}: {event:?}"
        );
        if expected == "now" {
            ensure!(event.position.boot > first.boot, "{event:?}");
        } else {
            ensure!(event.position.boot == first.boot, "{event:?}");
            ensure!(event.position.seq.get() == index as u64, "{event:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_commands_are_published_and_too_much_is_told() {
    in_world(async |world| {
        let (options, feed) = thermometer(world).await?;
        let buyer = world.account().await?;
        world.subscribe(&buyer, feed, 3600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        watcher.watch_once_paid(feed.id).await?;
        let folder = world.folder("readings")?;
        let path = |name: &str| folder.join(name).display().to_string();
        std::fs::write(path("a.json"), r#"{"celsius":21.5}"#)?;
        std::fs::write(path("b.bin"), [0, 159, 146])?;
        std::fs::write(path("c.bin"), vec![0; 3 * 1024 * 1024])?;
        let files = [path("a.json"), path("b.bin"), path("c.bin")];
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        let sensor = Sensor::start(&options, "temperature", &files)?;
        let (receipts, status, said) = sensor.finish(LIMIT).await?;
        ensure!(
            receipts.len() == 2 && status.code() == Some(65),
            "{status}: {said}"
        );
        ensure!(said.contains("3145728 bytes"), "{said}");
        let command = [
            "--content-type",
            "text/csv",
            "--",
            "sh",
            "-c",
            "echo 21.5,40",
        ];
        let sensor = Sensor::start(&options, "temperature", &command)?;
        let (receipts, status, said) = sensor.finish(LIMIT).await?;
        ensure!(receipts.len() == 1 && status.success(), "{status}: {said}");
        for (kind, payload) in [
            ("application/json", &br#"{"celsius":21.5}"#[..]),
            ("application/octet-stream", &[0, 159, 146]),
            ("text/csv", b"21.5,40"),
        ] {
            let event = loop {
                let event = watcher.event(LIMIT).await?;
                if event.event().stream.as_str() == "temperature" {
                    break event;
                }
            };
            let event = event.event();
            ensure!(event.content_type.as_str() == kind, "{event:?}");
            ensure!(*event.payload == *payload, "{event:?}");
        }
        Ok(())
    })
    .await;
}

/// More receipts than a pipe of 64 KiB and the memory of the publisher hold that nobody reads, and more than the pipe holds.
const UNREAD: usize = 2_000;
const FULL: u64 = 1_050;
/// Far shorter than the wait at the end that the test asks for.
const STOP_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_whatever_it_waits_for() {
    in_world(async |world| {
        let owner = world.account().await?;
        // Nobody has told it its ledger yet.
        let nowhere = ashya_tests::AgentOptions {
            gateway: "http://127.0.0.1:1".parse()?,
            ..world.agent("early", owner.address(), 0)?
        };
        let mut early = stuck(&nowhere)?;
        until_said(&mut early, |line| line.contains("next attempt")).await?;
        let status = stopped(early).await?;
        ensure!(status.code() == Some(75), "{status}");

        let (options, _) = thermometer(world).await?;
        world.gateway.process().kill();
        let mut full = stuck(&options)?;
        let mut input = full.stdin.take().context("no input")?;
        let lines = "21.5\n".repeat(UNREAD);
        let writing = tokio::spawn(async move { input.write_all(lines.as_bytes()).await });
        let is_full = |line: &str| {
            let rest = line.split_once("spooled=").map(|(_, rest)| rest);
            let digits = rest.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
            let spooled = digits.and_then(|digits| digits.parse().ok());
            spooled.is_some_and(|spooled: u64| spooled >= FULL)
        };
        until_said(&mut full, is_full).await?;
        let status = stopped(full).await?;
        ensure!(status.code() == Some(75), "{status}");
        writing.abort();
        Ok(())
    })
    .await;
}

/// A publisher whose receipts nobody reads and whose end waits for the gateway.
fn stuck(options: &ashya_tests::AgentOptions) -> Result<Child> {
    let mut command = Command::from(options.publish("temperature")?);
    let command = command
        .args(["--receipts", "--wait", "600s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command.spawn()?)
}

/// Reads the log until it says something.
async fn until_said(child: &mut Child, is_it: impl Fn(&str) -> bool) -> Result<()> {
    let errors = child.stderr.as_mut().context("no log")?;
    let mut lines = BufReader::new(errors).lines();
    let saying = async {
        while let Some(line) = lines.next_line().await? {
            if is_it(&line) {
                return Ok(());
            }
        }
        bail!("it never said it")
    };
    timeout(LIMIT, saying).await.context("silent")?
}

/// Sends SIGTERM and waits for the end.
async fn stopped(mut child: Child) -> Result<std::process::ExitStatus> {
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    kill_process(pid.context("it has ended")?, Signal::TERM)?;
    // Whoever keeps the input open must not keep it alive, so it is not closed here.
    let input = child.stdin.take();
    let status = timeout(STOP_LIMIT, child.wait()).await;
    drop(input);
    Ok(status.context("it does not stop")??)
}
