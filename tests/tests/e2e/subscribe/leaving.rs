//! How it ends: nothing that nobody read is taken for read, and what was not used comes back also after a failure.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use ashya_tests::{Publisher, Subscriber, Tampering, eventually, free_port};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::{PAY_LIMIT, address_of, buyer, feed_on_sale, transactions_of};
use crate::in_world;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_its_reader_did_not_take_comes_at_the_next_start() {
    in_world(async |world| {
        let (mut device, _, feed) = feed_on_sale(world).await?;
        let mut mqtt = device.connect().await?;
        let (_, mut options) = buyer(world, feed, &[]).await?;
        options.term = "10m".into();
        let news = options.folder.join("news.log");
        let mut child = Command::from(options.command()?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&news)?)
            .kill_on_drop(true)
            .spawn()?;
        eventually("the word that it watches", PAY_LIMIT, async || {
            let said = std::fs::read_to_string(&news)?;
            Ok(said.contains("\"type\":\"watching\"").then_some(()))
        })
        .await?;
        let mut lines = BufReader::new(child.stdout.take().context("its stdout")?).lines();
        for _ in 0..3 {
            device.emit(&mut mqtt, "detections", b"{}").await?;
            let line = timeout(LIMIT, lines.next_line()).await??;
            ensure!(line.is_some(), "{}", std::fs::read_to_string(&news)?);
        }
        drop(lines);
        // This one nobody reads.
        device.emit(&mut mqtt, "detections", b"{}").await?;
        let status = timeout(LIMIT, child.wait()).await??;
        ensure!(status.success(), "{status}");

        let mut again = Subscriber::start(options)?;
        again.hears("event", 1, LIMIT).await?;
        let first = again.events()?[0].seq.get();
        ensure!(first == 3, "it went on with {first}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_comes_back_also_where_watching_fails() {
    in_world(async |world| {
        let (device, _, feed) = feed_on_sale(world).await?;
        let publisher = Publisher::start(device, "detections", Duration::from_millis(200));
        let (account, mut options) = buyer(world, feed, &["--count", "1"]).await?;
        options.term = "1h".into();
        let mut first = Subscriber::start(options.clone())?;
        ensure!(first.ends(PAY_LIMIT).await?.success());
        ensure!(transactions_of(world, account.address()).await? == 1);

        options.more = ["--streams", "smells", "--cancel"]
            .map(String::from)
            .to_vec();
        let mut second = Subscriber::start(options)?;
        let status = second.ends(PAY_LIMIT).await?;
        let tail = second.process().tail();
        ensure!(status.code() == Some(1), "{status}: {tail}");
        ensure!(tail.contains("--streams"), "{tail}");
        ensure!(second.said("cancelled").len() == 1, "{tail}");
        let (wallet, clock) = (account.address(), world.ledger().clock(feed.id).await?);
        let head = world.ledger().rpc().latest().await?;
        let held = world.ledger().subscription(feed.id, wallet, wallet).await?;
        let live = held.filter(|held| held.expiry > clock.feed_time(head.timestamp));
        ensure!(live.is_none(), "{live:?}");
        drop(publisher);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_comes_back_also_where_it_is_stopped_while_it_starts() {
    in_world(async |world| {
        let (device, _, feed) = feed_on_sale(world).await?;
        let publisher = Publisher::start(device, "detections", Duration::from_millis(200));
        let (account, mut options) = buyer(world, feed, &["--count", "1"]).await?;
        options.term = "1h".into();
        let mut first = Subscriber::start(options.clone())?;
        ensure!(first.ends(PAY_LIMIT).await?.success());

        // A node that is not there yet, so that it does not get on.
        let port = free_port(0)?;
        options.rpc = format!("http://127.0.0.1:{port}").parse()?;
        options.more = vec!["--cancel".into()];
        let mut second = Subscriber::start(options)?;
        second.hears("trouble", 1, LIMIT).await?;
        second.process().interrupt()?;
        let _node = Tampering::start_on(port, address_of(world.anvil.url())?).await?;
        let status = second.ends(PAY_LIMIT).await?;
        let tail = second.process().tail();
        ensure!(status.success(), "{status}: {tail}");
        ensure!(second.said("cancelled").len() == 1, "{tail}");
        ensure!(transactions_of(world, account.address()).await? == 2);
        drop(publisher);
        Ok(())
    })
    .await;
}
