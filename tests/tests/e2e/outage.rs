//! Nobody pays for a device that is down.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ashya_protocol::ws::{NoticeState, ServerMessage};
use ashya_tests::{
    Account, FeedPlan, Outage, Publisher, Said, Watcher, World, WorldOptions, eventually,
    random_key,
};

const PACE: Duration = Duration::from_millis(200);
const SILENCE: u32 = 10;
/// The gateway looks each second, and the transaction takes its time on a busy machine.
const NOTICE_LIMIT: Duration = Duration::from_secs(30);
const PRICE: u128 = 1_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_device_stops_the_clock_and_its_return_starts_it_again() {
    outage().await.unwrap();
}

async fn outage() -> Result<()> {
    let keys = tempfile::tempdir()?;
    let pauser = Account::new(random_key()?);
    let file = keys.path().join("pauser.key");
    std::fs::write(&file, pauser.key().to_secret_hex())?;
    let flags = [
        "--outage-key-file",
        file.to_str().context("a path in UTF-8")?,
    ];
    let options = WorldOptions {
        gateway_flags: flags.map(str::to_owned).to_vec(),
        ..WorldOptions::default()
    };
    let world = World::start_with(options, |_| {}).await?;
    world
        .anvil
        .set_balance(pauser.address(), ashya_protocol::Wei::ETH)
        .await?;

    let (owner, buyer) = (world.account().await?, world.account().await?);
    let device = world.device(&owner, &["detections"]).await?;
    let plan = FeedPlan {
        outage: Some(Outage {
            pauser: pauser.address(),
            seconds: SILENCE,
        }),
        ..FeedPlan::detections("Gate", PRICE)
    };
    let feed = world
        .open_device_feed(&device, &owner, "gate", plan)
        .await?;
    let publisher = Publisher::start(device, "detections", PACE);
    let expiry = world.subscribe(&buyer, feed, 3600).await?;
    let mut watcher = world.watcher(&buyer).await?;
    watcher.watch_once_paid(feed.id).await?;
    watcher.event(NOTICE_LIMIT).await?;

    let device = publisher.stop().await?;
    let stopped = Instant::now();
    let expires_at = told(&mut watcher, NoticeState::Paused).await?;
    let silent = stopped.elapsed();
    println!("paused {silent:?} after the last event, which {SILENCE} s allow");
    ensure!(
        silent >= Duration::from_secs(u64::from(SILENCE) - 1),
        "paused after {silent:?}"
    );
    ensure!(expires_at.is_none(), "a paused clock names no end");
    let clock = world.ledger().clock(feed.id).await?;
    ensure!(clock.paused_by == Some(pauser.address()), "{clock:?}");

    let publisher = Publisher::start(device, "detections", PACE);
    told(&mut watcher, NoticeState::Resumed).await?;
    watcher.event(NOTICE_LIMIT).await?;
    let clock = world.ledger().clock(feed.id).await?;
    ensure!(
        clock.paused_at.is_none() && clock.paused_total > 0,
        "{clock:?}"
    );
    // The seconds of the outage were given back: the same feed time now ends so much later.
    let end = clock.wall_time(expiry).context("a running clock")?;
    ensure!(end == clock.base + clock.paused_total + expiry, "{clock:?}");

    // An owner's own pause is nobody else's to lift.
    world.ledger().pause(owner.wallet(), feed.id).await?;
    told(&mut watcher, NoticeState::Paused).await?;
    let heard = watcher.listen(Duration::from_secs(5)).await?;
    let clock = world.ledger().clock(feed.id).await?;
    ensure!(
        clock.paused_by == Some(owner.address()),
        "{clock:?} {heard:?}"
    );
    publisher.stop().await?;

    eventually("both steps to be counted", NOTICE_LIMIT, async || {
        let metrics = world.gateway.metrics().await?;
        let pauses = metrics.value("ashya_outage_pauses_total")?;
        let resumes = metrics.value("ashya_outage_resumes_total")?;
        let counted = [pauses, resumes].map(|count| count as u64);
        Ok((counted == [1, 1]).then_some(()))
    })
    .await
}

async fn told(watcher: &mut Watcher, expected: NoticeState) -> Result<Option<u64>> {
    let deadline = Instant::now() + NOTICE_LIMIT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let heard = watcher.next(left).await?;
        let heard = heard.with_context(|| format!("no notice {expected:?}"))?;
        if let Said::Control(ServerMessage::Notice {
            state, expires_at, ..
        }) = heard.said
            && state == expected
        {
            return Ok(expires_at);
        }
    }
}
