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
/// What to do about damaged pictures.
const ON_DAMAGE: &str = "look at the files, or at the cable or the network of the camera, and ask it for smaller pictures";

/// Takes pictures for some seconds; also gives the last.
pub(super) fn check(config: &SourceConfig) -> (Finding, Option<Picture>) {
    check_for(config, FIRST)
}

/// The same with a camera that gets so long for its first picture.
fn check_for(config: &SourceConfig, first: Duration) -> (Finding, Option<Picture>) {
    let stop = CancellationToken::new();
    let (watchdog, enough) = std::sync::mpsc::channel::<()>();
    // A source that gives nothing is told to end; dropping `watchdog` ends the wait.
    let guard = std::thread::Builder::new().name("watchdog".into()).spawn({
        let stop = stop.clone();
        move || {
            let told = enough.recv_timeout(first + WATCH);
            if told == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                stop.cancel();
            }
        }
    });
    let seen = open(config, &SourceCounters::default(), &stop)
        .and_then(|mut source| watch(source.as_mut(), config, &stop));
    drop(watchdog);
    if let Ok(guard) = guard {
        // It has nothing to say.
        let _ = guard.join();
    }
    match seen {
        Ok(Watched::Pictures(seen)) => (seen.finding(config), Some(seen.picture)),
        Ok(Watched::Damage { damaged, last }) => {
            let words = format!(
                "{} gave {damaged} damaged pictures and no other: {last}",
                config.spec
            );
            (Finding::failed(words, ON_DAMAGE), None)
        }
        Ok(Watched::Nothing) => {
            let seconds = (first + WATCH).as_secs();
            let words = format!("{} gave no picture within {seconds} s", config.spec);
            (Finding::failed(words, advice(&config.spec)), None)
        }
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
            return Finding::Warning(words, ON_DAMAGE.into());
        }
        Finding::Ok(words)
    }
}

/// What came of the watch.
enum Watched {
    /// At least one whole picture.
    Pictures(Seen),
    /// Damaged ones only, and what is wrong with the last.
    Damage { damaged: u32, last: String },
    /// Nothing at all.
    Nothing,
}

/// Watches until it has seen enough or `stop` is cancelled.
fn watch(
    source: &mut dyn FrameSource,
    config: &SourceConfig,
    stop: &CancellationToken,
) -> Result<Watched, SourceError> {
    let asked = Instant::now();
    // A folder gives its next picture as soon as it is asked for.
    let nap = config.interval.min(WATCH);
    let mut damaged = 0;
    let mut last = None;
    let first = loop {
        match source.next_frame() {
            Ok(Some(frame)) => break Some(frame.picture),
            Ok(None) => break None,
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                damaged += 1;
                last = Some(causes(&error));
                std::thread::sleep(nap);
            }
        }
        if stop.is_cancelled() {
            break None;
        }
    };
    let Some(first) = first else {
        return Ok(last.map_or(Watched::Nothing, |last| Watched::Damage { damaged, last }));
    };
    let begun = Instant::now();
    let mut seen = Seen {
        picture: first,
        frames: 1,
        damaged,
        time: Duration::ZERO,
        first_after: begun - asked,
    };
    while (seen.frames < LEAST_FRAMES || begun.elapsed() < WATCH) && !stop.is_cancelled() {
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
            Err(_) => {
                seen.damaged += 1;
                std::thread::sleep(nap);
            }
        }
        if begun.elapsed() < WATCH {
            std::thread::sleep(due.saturating_duration_since(Instant::now()).min(WATCH));
        }
    }
    Ok(Watched::Pictures(seen))
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
    fn damaged_pictures_come_to_an_end_and_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("a.jpg", b"no picture");
        let config = config(&folder.path().display().to_string());
        let (finding, picture) = check_for(&config, Duration::ZERO);
        assert!(picture.is_none());
        let text = finding.to_string();
        assert!(
            text.starts_with("FAILED:") && text.contains("damaged pictures and no other"),
            "{text}"
        );
        assert!(text.contains("a.jpg"), "the last is named: {text}");
        let whole = Picture::from_rgb(8, 8, vec![90; 192]).unwrap();
        write("b.jpg", &whole.to_jpeg(90).unwrap());
        let text = check_for(&config, FIRST).0.to_string();
        assert!(
            text.starts_with("WARNING:") && text.contains("were damaged"),
            "{text}"
        );
    }

    #[test]
    fn a_picture_that_is_not_there_gets_advice() {
        let (finding, _) = check(&config("no/such.jpg"));
        assert!(
            matches!(&finding, Finding::Failed(_, todo) if todo.contains("path right")),
            "{finding}"
        );
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
