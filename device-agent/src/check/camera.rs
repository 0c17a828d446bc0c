use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Finding;
use crate::capture::open;
use crate::causes::causes;
use crate::config::SourceConfig;
use crate::picture::Picture;
use crate::source::{FrameSource, SourceCounters, SourceError, SourceSpec};

/// How long the camera is watched once it gives pictures.
const WATCH: Duration = Duration::from_secs(3);
/// Least pictures for a rate.
const LEAST_FRAMES: u32 = 2;
/// How long a camera may take to give its first picture.
const FIRST: Duration = Duration::from_secs(25);

/// Takes pictures for some seconds; also gives the last.
pub(super) fn check(config: &SourceConfig) -> (Finding, Option<Picture>) {
    let stop = CancellationToken::new();
    let (watchdog, enough) = std::sync::mpsc::channel::<()>();
    // A source that gives nothing is told to end; dropping `watchdog` ends the wait.
    let guard = std::thread::Builder::new().name("watchdog".into()).spawn({
        let stop = stop.clone();
        move || {
            if enough.recv_timeout(FIRST + WATCH) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                stop.cancel();
            }
        }
    });
    let seen = open(config, &SourceCounters::default(), &stop)
        .and_then(|mut source| watch(source.as_mut(), config));
    drop(watchdog);
    if let Ok(guard) = guard {
        // It has nothing to say.
        let _ = guard.join();
    }
    match seen {
        Ok(Some(seen)) => (seen.finding(config), Some(seen.picture)),
        Ok(None) => (
            Finding::failed(
                format!(
                    "{} gave no picture within {} s",
                    config.spec,
                    FIRST.as_secs()
                ),
                advice(&config.spec),
            ),
            None,
        ),
        Err(error) => (Finding::failed(causes(&error), advice(&config.spec)), None),
    }
}

struct Seen {
    picture: Picture,
    frames: u32,
    damaged: u32,
    time: Duration,
    first_after: Duration,
}

impl Seen {
    fn finding(&self, config: &SourceConfig) -> Finding {
        let rate = f64::from(self.frames.saturating_sub(1)) / self.time.as_secs_f64().max(1e-3);
        let words = format!(
            "{} gives {}x{} at {rate:.1} pictures/s (looked at: {:.1}), the first after {:.1} s",
            config.spec,
            self.picture.width(),
            self.picture.height(),
            config.interval.as_secs_f64().recip(),
            self.first_after.as_secs_f64(),
        );
        if self.damaged > 0 {
            let words = format!("{words}; {} pictures were damaged", self.damaged);
            return Finding::Warning(
                words,
                "look at the cable or the network of the camera".into(),
            );
        }
        Finding::Ok(words)
    }
}

fn watch(source: &mut dyn FrameSource, config: &SourceConfig) -> Result<Option<Seen>, SourceError> {
    let asked = Instant::now();
    let mut damaged = 0;
    let first = loop {
        match source.next_frame() {
            Ok(Some(frame)) => break frame.picture,
            Ok(None) => return Ok(None),
            Err(error) if error.is_fatal() => return Err(error),
            Err(_) => damaged += 1,
        }
    };
    let begun = Instant::now();
    let mut seen = Seen {
        picture: first,
        frames: 1,
        damaged,
        time: Duration::ZERO,
        first_after: begun - asked,
    };
    while seen.frames < LEAST_FRAMES || begun.elapsed() < WATCH {
        // A generated scene gives as many as it is asked for; nobody asks for more than the agent would.
        let due = begun + config.interval * seen.frames;
        match source.next_frame() {
            Ok(Some(frame)) => {
                seen.picture = frame.picture;
                seen.frames += 1;
                seen.time = begun.elapsed();
            }
            Ok(None) => break,
            Err(error) if error.is_fatal() => return Err(error),
            Err(_) => seen.damaged += 1,
        }
        if begun.elapsed() < WATCH {
            std::thread::sleep(due.saturating_duration_since(Instant::now()).min(WATCH));
        }
    }
    Ok(Some(seen))
}

fn advice(spec: &SourceSpec) -> String {
    let other = "name another by --source";
    match spec {
        SourceSpec::Path(path) if !path.exists() => {
            format!("is the path right? If it is, mount what it lies on; else {other}")
        }
        SourceSpec::Path(_) => {
            format!("try `ffprobe {spec}`; is ffmpeg there (apt install ffmpeg)? Else {other}")
        }
        SourceSpec::Device(_) => format!(
            "is the camera plugged in (`v4l2-ctl --list-devices`), free, and may this user read it (group `video`)? Else \
             {other}"
        ),
        SourceSpec::Rtsp(_) | SourceSpec::Http(_) => format!(
            "is the camera switched on and reached from here (`ping`), its address and password right, and ffmpeg there \
             (apt install ffmpeg)? Else {other}"
        ),
        SourceSpec::Scene(_) | SourceSpec::Still(_) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceOptions;

    fn config(source: &str) -> SourceConfig {
        SourceConfig {
            spec: source.parse().unwrap(),
            interval: Duration::from_millis(200),
            options: SourceOptions::default(),
        }
    }

    #[test]
    fn a_scene_is_measured() {
        let (finding, picture) = check(&config("scene:1"));
        let picture = picture.unwrap();
        let size = format!("{}x{}", picture.width(), picture.height());
        let text = finding.to_string();
        assert!(text.starts_with("ok:") && text.contains(&size), "{text}");
    }

    #[test]
    fn a_camera_that_is_not_there_gets_advice() {
        let (finding, picture) = check(&config("no/such.mp4"));
        assert!(picture.is_none());
        assert!(
            matches!(&finding, Finding::Failed(_, todo) if todo.contains("path right")),
            "{finding}"
        );
    }
}
