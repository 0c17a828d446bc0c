//! The agent's metrics, as a scraper sees them.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use ashya_protocol::Wei;
use ashya_tests::{Agent, AgentOptions, FeedPlan, Metrics, World, eventually, free_port};

use crate::in_world;

/// Until a change is seen, on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// How an agent with metrics is started, and where they are.
fn with_metrics(world: &World, options: AgentOptions) -> Result<(AgentOptions, SocketAddr)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port(0)?));
    let config = world.folder("config")?.join("agent.toml");
    fs::write(&config, format!("[metrics]\nlisten = '{address}'\n"))?;
    let options = AgentOptions {
        config: Some(config),
        ..options
    };
    Ok((options, address))
}

async fn read(address: SocketAddr) -> Result<Metrics> {
    let response = reqwest::get(format!("http://{address}/metrics")).await?;
    Ok(Metrics::new(response.error_for_status()?.text().await?))
}

/// Waits until some samples, named without their prefix, pass a test.
async fn until<const N: usize>(
    address: SocketAddr,
    samples: [&str; N],
    passes: impl Fn([f64; N]) -> bool,
) -> Result<()> {
    eventually(&format!("{samples:?}"), LIMIT, async || {
        let metrics = read(address).await?;
        let mut values = [0.0; N];
        for (value, sample) in values.iter_mut().zip(samples) {
            *value = metrics.value(&format!("ashya_agent_{sample}"))?;
        }
        Ok(passes(values).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scraper_sees_what_becomes_of_an_agent() {
    in_world(async |world: &mut World| {
        let owner = world.account().await?;
        let (options, address) = with_metrics(world, world.agent("agent", owner.address(), 1)?)?;
        let agent = Agent::start(options).await?;
        let seen = [
            "source_frames_total",
            "looked_frames_total",
            "inferences_total",
        ];
        until(address, seen, |values| {
            values.iter().all(|value| *value > 5.0)
        })
        .await?;
        let spoken = [
            "inference_seconds_total",
            "events_signed_total{stream=\"detections\"}",
            "events_acknowledged_total",
            "mqtt_connected",
            "mqtt_connections_total",
        ];
        until(address, spoken, |values| {
            values.iter().all(|value| *value > 0.0) && values[3..] == [1.0, 1.0]
        })
        .await?;
        let pictures = [
            "stream_watched{stream=\"frames\"}",
            "events_signed_total{stream=\"frames\"}",
        ];
        until(address, pictures, |values| values == [0.0, 0.0]).await?;

        // Somebody pays for pictures.
        let authorization = agent.options().authorize(&"street".parse()?).await?;
        let plan = FeedPlan {
            title: "Street".into(),
            price: Wei::new(1_000),
            streams: vec!["frames".into()],
            outage: None,
        };
        let feed = world.open_feed(&owner, authorization, plan).await?;
        let buyer = world.account().await?;
        world.subscribe(&buyer, feed, 3600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        watcher.watch_once_paid(feed.id).await?;
        until(address, pictures, |[watched, sent]| {
            watched == 1.0 && sent > 3.0
        })
        .await?;

        // The gateway is gone for a while.
        world.gateway.process().kill();
        let away = ["mqtt_connected", "stream_watched{stream=\"frames\"}"];
        until(address, away, |values| values == [0.0, 0.0]).await?;
        until(
            address,
            ["spool_events", "spool_bytes"],
            |[events, bytes]| events > 5.0 && bytes > events,
        )
        .await?;
        world.gateway.reopen().await?;
        world.gateway.until_ready().await?;
        let back = ["mqtt_connected", "mqtt_connections_total", "spool_events"];
        until(address, back, |values| values == [1.0, 2.0, 0.0]).await?;
        let lost = [
            "events_dropped_total{kind=\"event\"}",
            "events_refused_total",
        ];
        until(address, lost, |values| values == [0.0, 0.0]).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_cannot_serve_its_metrics_says_where() {
    in_world(async |world: &mut World| {
        let owner = world.account().await?;
        let (options, address) = with_metrics(world, world.agent("agent", owner.address(), 1)?)?;
        let _taken = tokio::net::TcpListener::bind(address).await?;
        let mut agent = Agent::spawn(options)?;
        let status = agent.process().wait(LIMIT).await?;
        let said = agent.process().tail();
        ensure!(status.code() == Some(1), "{status}: {said}");
        ensure!(
            said.contains(&address.to_string()) && said.contains("[metrics] listen"),
            "{said}"
        );
        Ok(())
    })
    .await;
}
