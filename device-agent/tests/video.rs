//! A video file through the real ffmpeg.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ashya_agent::{Playback, SourceSpec};
use tokio_util::sync::CancellationToken;

/// Two seconds of ffmpeg's own test picture; `None`, said loudly, where ffmpeg is not installed.
fn video(folder: &Path) -> Option<SourceSpec> {
    let path = folder.join("clip.avi");
    let made = Command::new("ffmpeg")
        .args([
            "-loglevel",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=96x64:rate=10:duration=2",
        ])
        .args(["-c:v", "mjpeg"])
        .arg(&path)
        .status();
    match made {
        Ok(status) => {
            assert!(status.success(), "ffmpeg cannot make a video");
            Some(SourceSpec::Path(path))
        }
        Err(error) => {
            eprintln!("SKIPPED the video tests: ffmpeg: {error}");
            None
        }
    }
}

#[test]
fn a_video_played_once_gives_every_frame_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let Some(spec) = video(folder.path()) else {
        return;
    };
    let mut source = spec
        .open(Playback::Once, &CancellationToken::new())
        .unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = source.next_frame().unwrap() {
        assert_eq!((frame.picture.width(), frame.picture.height()), (96, 64));
        frames.push(frame);
    }
    assert_eq!(frames.len(), 20);
    assert_eq!(frames[0].name, "clip-000001.jpg");
    assert_ne!(frames[0].picture, frames[15].picture, "the picture moves");
}

#[test]
fn a_live_video_goes_on_at_its_pace_and_leaves_no_process_behind() {
    let folder = tempfile::tempdir().unwrap();
    let Some(spec) = video(folder.path()) else {
        return;
    };
    let begun = Instant::now();
    let mut source = spec
        .open(
            Playback::Live(Duration::from_millis(200)),
            &CancellationToken::new(),
        )
        .unwrap();
    // More than one round of the two seconds.
    for _ in 0..13 {
        source
            .next_frame()
            .unwrap()
            .expect("a live source does not end");
    }
    let elapsed = begun.elapsed();
    assert!(
        elapsed > Duration::from_millis(1500),
        "{elapsed:?} for 13 frames at 5 a second"
    );
    drop(source);
}

#[test]
fn a_file_that_is_no_video_is_told() {
    let folder = tempfile::tempdir().unwrap();
    if video(folder.path()).is_none() {
        return;
    }
    let path = folder.path().join("notes.mp4");
    std::fs::write(&path, "no video").unwrap();
    let mut source = SourceSpec::Path(path)
        .open(Playback::Once, &CancellationToken::new())
        .unwrap();
    let text = format!(
        "{:#}",
        anyhow::Error::from(source.next_frame().unwrap_err())
    );
    assert!(
        text.contains("notes.mp4") && text.contains("ffmpeg gave up"),
        "{text}"
    );
}
