//! The real agent before an RTSP camera that dies, falls silent, changes its resolution, and returns.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ashya_protocol::{Boot, Detections, Wei};
use ashya_tests::{
    AgentOptions, FeedPlan, Process, RtspCamera, Video, Watcher, World, eventually, now_us,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::in_world;

/// What the owner of a feed may expect of a camera that is back, with the default watchdog of 20 s.
const BACK: Duration = Duration::from_secs(25);
/// Time for an agent to start or to notice, on a busy machine.
const NOTICE: Duration = Duration::from_secs(40);
/// Width and height in pixels of the two videos.
const SIDES: [u32; 2] = [320, 480];

/// How long each test is.
struct Form {
    /// Seconds without a frame.
    watchdog: u64,
    /// Times that everything happens.
    rounds: u32,
    /// How long the camera is away; the agent then waits longest before its next attempt.
    away: Duration,
}

impl Form {
    /// `ASHYA_PROVE=long` takes the defaults of the agent and minutes; otherwise seconds.
    fn from_environment() -> Self {
        if std::env::var("ASHYA_PROVE").is_ok_and(|form| form == "long") {
            Self {
                watchdog: 20,
                rounds: 3,
                away: Duration::from_secs(30),
            }
        } else {
            Self {
                watchdog: 2,
                rounds: 1,
                away: Duration::from_secs(2),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_returns_is_seen_again_by_ffmpeg() {
    in_world(async |world| outlive(world, "ffmpeg").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_returns_is_seen_again_by_the_native_decoder() {
    in_world(async |world| outlive(world, "native").await).await;
}

/// Everything that a camera may do happens to one agent.
async fn outlive(world: &World, decoder: &str) -> Result<()> {
    let form = Form::from_environment();
    let folder = world.folder("videos")?;
    let [small, large] = SIDES.map(|side| Video::of_street(1, side, &folder));
    let mut camera = RtspCamera::start(vec![small?, large?]).await?;
    let owner = world.account().await?;
    let options = AgentOptions {
        source: camera.url(),
        ..world.agent("agent", owner.address(), 1)?
    };
    let Some(mut agent) = start(&options, decoder, &form, &folder).await? else {
        return Ok(());
    };
    let authorization = options.authorize(&"street".parse()?).await?;
    let plan = FeedPlan::detections("Street", Wei::new(1_000).get());
    let feed = world.open_feed(&owner, authorization, plan).await?;
    let mut watcher = world.watcher(&owner).await?;
    watcher.watch_paid(feed.id).await?;
    let first = seen(&mut watcher, now_us(), SIDES[0]).await?;

    for round in 0..form.rounds {
        let shown = |number: usize| SIDES[number % SIDES.len()];
        let number = round as usize;
        let told = agent.log().len();
        camera.die().await;
        noticed(&mut agent, told, "no frame", form.away).await?;
        camera.come_back().await?;
        back(decoder, "it died", &mut watcher, shown(number)).await?;

        let told = agent.log().len();
        camera.fall_silent();
        noticed(&mut agent, told, "yielded nothing", form.away).await?;
        camera.speak();
        back(decoder, "it fell silent", &mut watcher, shown(number)).await?;

        let told = agent.log().len();
        camera.fall_silent();
        noticed(&mut agent, told, "yielded nothing", form.away).await?;
        camera.restart();
        back(
            decoder,
            "it restarted without a word",
            &mut watcher,
            shown(number),
        )
        .await?;

        camera.show((number + 1) % SIDES.len());
        back(
            decoder,
            "its resolution changed",
            &mut watcher,
            shown(number + 1),
        )
        .await?;
    }
    let last = seen(&mut watcher, now_us(), SIDES[form.rounds as usize % 2]).await?;
    ensure!(
        first == last,
        "boot {last:?} after {first:?}: the agent restarted"
    );

    camera.fall_silent();
    let id = i32::try_from(agent.id())?;
    let running = children(&camera)?;
    ensure!(
        running.len() == if decoder == "ffmpeg" { 1 } else { 0 },
        "{running:?}"
    );
    kill_process(Pid::from_raw(id).context("an id")?, Signal::KILL)?;
    eventually("ffmpeg to end with its agent", NOTICE, async || {
        Ok(children(&camera)?.is_empty().then_some(()))
    })
    .await?;
    ensure!(
        !agent.log().contains(camera.password()),
        "the password is in the log"
    );
    Ok(())
}

/// Starts an agent that looks at the camera; `None` where it was built without the decoder.
async fn start(
    options: &AgentOptions,
    decoder: &str,
    form: &Form,
    folder: &Path,
) -> Result<Option<Process>> {
    let file = folder.join("agent.toml");
    let watchdog = form.watchdog;
    fs::write(
        &file,
        format!("[source]\ndecoder = '{decoder}'\nwatchdog_seconds = {watchdog}\n"),
    )?;
    let mut command = options.command()?;
    command.env("ASHYA_AGENT_CONFIG", file);
    let mut agent = Process::spawn(&options.name, command, &options.logs)?;
    let missing = "built without the native decoder";
    eventually("the agent to publish", NOTICE, async || {
        if agent.log().contains(missing) || agent.log().contains("publishing") {
            return Ok(Some(()));
        }
        agent.check_running()?;
        Ok(None)
    })
    .await?;
    if agent.log().contains(missing) {
        eprintln!("SKIPPED: the native decoder: build the agent with --features native-rtsp");
        return Ok(None);
    }
    Ok(Some(agent))
}

/// Waits until the agent says what is wrong with its camera, and then as long as the camera is to be away.
async fn noticed(agent: &mut Process, told: usize, what: &str, away: Duration) -> Result<()> {
    let since = Instant::now();
    eventually(what, NOTICE, async || {
        agent.check_running()?;
        let log = agent.log();
        let new = log.get(told..).unwrap_or_default();
        Ok((new.contains(what) && since.elapsed() >= away).then_some(()))
    })
    .await
}

/// Waits for detections in pictures of the camera's size, and reports how long that took.
async fn back(decoder: &str, what: &str, watcher: &mut Watcher, side: u32) -> Result<()> {
    let since = Instant::now();
    seen(watcher, now_us(), side)
        .await
        .with_context(|| format!("{decoder}, after {what}"))?;
    let seconds = since.elapsed().as_secs_f64();
    eprintln!("| {decoder} | {what} | {seconds:.1} s |");
    Ok(())
}

/// The boot of the first detections in a picture that is new and of the right size.
async fn seen(watcher: &mut Watcher, since_us: u64, side: u32) -> Result<Boot> {
    let deadline = Instant::now() + BACK;
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        let event = watcher.event(rest).await?;
        let event = event.event();
        if event.time_us.get() < since_us {
            continue;
        }
        let seen: Detections = serde_json::from_slice(&event.payload)?;
        if (seen.picture.width, seen.picture.height) == (side, side) && !seen.objects.is_empty() {
            return Ok(event.position.boot);
        }
    }
}

/// Processes that read this camera.
fn children(camera: &RtspCamera) -> Result<Vec<String>> {
    let address = camera.address().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // A process may end while it is looked at.
        let Ok(line) = fs::read(entry?.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.starts_with("ffmpeg ") && line.contains(&address) {
            found.push(line);
        }
    }
    Ok(found)
}
