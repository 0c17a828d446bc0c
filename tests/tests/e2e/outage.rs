//! Nobody pays for a device that is down.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ashya_contracts::FeedClock;
use ashya_protocol::FeedId;
use ashya_protocol::ws::{NoticeState, ServerMessage};
use ashya_tests::{
    Account, FeedPlan, Outage, Publisher, Said, Watcher, World, WorldOptions, eventually,
    random_key,
};
use tempfile::TempDir;

const PACE: Duration = Duration::from_millis(200);
const SILENCE: u32 = 10;
/// The gateway looks each second, and the transaction takes its time on a busy machine.
const NOTICE_LIMIT: Duration = Duration::from_secs(30);
const PRICE: u128 = 1_000_000_000;
/// Time between looks at the ledger.
const LOOK: Duration = Duration::from_millis(500);
/// The gateway looks several times in this time.
const SEVERAL_LOOKS: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_device_stops_the_clock_and_its_return_starts_it_again() {
    outage().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_of_pictures_rests_while_its_device_is_silent_also_over_a_restart() {
    pictures().await.unwrap();
}

async fn outage() -> Result<()> {
    let credit = credit().await?;
    let (world, pauser) = (&credit.world, &credit.pauser);
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
    let shown = world.api().feed(feed.id).await?;
    ensure!(
        (shown.paused_at, shown.paused_by) == (clock.paused_at, clock.paused_by),
        "{shown:?}"
    );

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

async fn pictures() -> Result<()> {
    let mut credit = credit().await?;
    let (world, pauser) = (&mut credit.world, &credit.pauser);
    let (owner, buyer) = (world.account().await?, world.account().await?);
    let device = world.device(&owner, &["detections", "frames"]).await?;
    let plan = FeedPlan {
        streams: vec!["frames".into()],
        outage: Some(Outage {
            pauser: pauser.address(),
            seconds: SILENCE,
        }),
        ..FeedPlan::detections("Gate", PRICE)
    };
    let feed = world
        .open_device_feed(&device, &owner, "gate", plan)
        .await?;
    world.subscribe(&buyer, feed, 3600).await?;
    let publisher = Publisher::start(device, "frames", PACE);
    eventually("a picture", NOTICE_LIMIT, async || {
        let metrics = world.gateway.metrics().await?;
        let accepted = metrics.value("ashya_events_accepted_total")?;
        Ok((accepted > 0.0).then_some(()))
    })
    .await?;

    // Nobody watches, so no pictures are sent, and the device is well.
    let device = publisher.stop().await?;
    let publisher = Publisher::start(device, "detections", PACE);
    let allowed = Duration::from_secs(SILENCE.into());
    stays(world, feed.id, allowed + SEVERAL_LOOKS, |clock| {
        clock.paused_at.is_none()
    })
    .await?;

    let device = publisher.stop().await?;
    let is_paused = |clock: &FeedClock| clock.paused_by == Some(pauser.address());
    becomes(world, feed.id, is_paused).await?;
    // That the gateway starts does not bring the device back.
    world.gateway.crash_and_restart().await?;
    stays(world, feed.id, SEVERAL_LOOKS, is_paused).await?;

    let publisher = Publisher::start(device, "detections", PACE);
    becomes(world, feed.id, |clock| clock.paused_at.is_none()).await?;
    publisher.stop().await?;
    Ok(())
}

/// A world whose gateway gives outage credit.
struct Credit {
    world: World,
    /// Who pays for it.
    pauser: Account,
    /// Where its key lies, for each start of the gateway to read.
    _keys: TempDir,
}

async fn credit() -> Result<Credit> {
    let keys = tempfile::tempdir()?;
    let pauser = Account::new(random_key()?);
    let file = keys.path().join("pauser.key");
    std::fs::write(&file, pauser.key().to_secret_hex())?;
    std::fs::set_permissions(&file, Permissions::from_mode(0o600))?;
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
    Ok(Credit {
        world,
        pauser,
        _keys: keys,
    })
}

async fn becomes(world: &World, feed: FeedId, expected: impl Fn(&FeedClock) -> bool) -> Result<()> {
    eventually("the clock to change", NOTICE_LIMIT, async || {
        let clock = world.ledger().clock(feed).await?;
        Ok(expected(&clock).then_some(()))
    })
    .await
}

async fn stays(
    world: &World,
    feed: FeedId,
    time: Duration,
    expected: impl Fn(&FeedClock) -> bool,
) -> Result<()> {
    let end = Instant::now() + time;
    let mut looks = tokio::time::interval(LOOK);
    while Instant::now() < end {
        looks.tick().await;
        let clock = world.ledger().clock(feed).await?;
        ensure!(expected(&clock), "{clock:?}");
    }
    Ok(())
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
