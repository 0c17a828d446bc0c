use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::picture::Picture;
use crate::source::{Frame, FrameSource, Playback, SourceError};

/// Longest wait without a look at whether it is time to stop.
const NAP: Duration = Duration::from_millis(50);
/// How long a video may be late. ffmpeg itself waits 20 s and more on a source that died.
const STALL: Duration = Duration::from_secs(10);
/// Frames read ahead; more would only be old by the time they are used.
const READ_AHEAD: usize = 2;
/// Longest side of a frame in pixels.
const MAX_SIDE: u32 = 16_384;

/// A video file, decoded by a child process `ffmpeg`.
pub struct VideoSource {
    path: String,
    child: Child,
    frames: Receiver<Result<Picture, VideoError>>,
    /// How long the next frame may take.
    patience: Duration,
    stop: CancellationToken,
    count: u64,
}

/// Why a video yields no frame.
#[derive(Debug, Error)]
pub enum VideoError {
    /// The file is not there.
    #[error("is not there, and is no folder, picture or scene:SEED either")]
    Missing,
    /// ffmpeg is not installed.
    #[error("needs ffmpeg, which is not installed: `apt install ffmpeg` or `brew install ffmpeg`")]
    NoFfmpeg,
    /// ffmpeg cannot be started.
    #[error("ffmpeg cannot be started")]
    Start(#[source] io::Error),
    /// ffmpeg gave up.
    #[error("ffmpeg gave up: {0}")]
    Failed(String),
    /// Nothing came for a while.
    #[error("yielded nothing for {} s", .0.as_secs())]
    Stalled(Duration),
    /// ffmpeg wrote what we did not ask for.
    #[error("ffmpeg wrote something that is no PPM picture")]
    Format,
}

impl VideoSource {
    /// Starts ffmpeg on a video file. The video ends when `stop` is cancelled, also while it yields nothing.
    ///
    /// # Errors
    /// When the file or ffmpeg is not there.
    pub fn open(
        path: &Path,
        playback: Playback,
        stop: CancellationToken,
    ) -> Result<Self, SourceError> {
        let shown = path.display().to_string();
        Self::start(path, playback, stop).map_err(|source| SourceError::Video {
            path: shown,
            source,
        })
    }

    fn start(path: &Path, playback: Playback, stop: CancellationToken) -> Result<Self, VideoError> {
        if !path.is_file() {
            return Err(VideoError::Missing);
        }
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]);
        if let Playback::Live(_) = playback {
            command.args(["-re", "-stream_loop", "-1"]);
        }
        command.arg("-i").arg(path);
        let mut patience = STALL;
        if let Playback::Live(interval) = playback {
            patience += interval;
            command
                .arg("-vf")
                .arg(format!("fps={}", interval.as_secs_f64().recip()));
        }
        // PPM pictures carry their size, so nobody has to ask for it beforehand.
        command.args(["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => VideoError::NoFfmpeg,
            _ => VideoError::Start(error),
        })?;
        let (sender, frames) = sync_channel(READ_AHEAD);
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let path = path.display().to_string();
        let source = Self {
            path,
            child,
            frames,
            patience,
            stop,
            count: 0,
        };
        // Both threads end when the child closes its ends, which dropping the source makes it do.
        let complaint = thread::spawn(move || last_line(errors));
        thread::spawn(move || {
            if let Some(output) = output {
                forward(output, &sender);
            }
            if let Ok(Some(line)) = complaint.join() {
                // A receiver that is gone needs no reason.
                let _ = sender.send(Err(VideoError::Failed(line)));
            }
        });
        Ok(source)
    }
}

impl FrameSource for VideoSource {
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let failed = |source| SourceError::Video {
            path: self.path.clone(),
            source,
        };
        match self.wait() {
            Ok(Ok(picture)) => {
                self.count += 1;
                let stem = Path::new(&self.path)
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy();
                Ok(Some(Frame {
                    name: format!("{stem}-{:06}.jpg", self.count),
                    picture,
                }))
            }
            Ok(Err(error)) => Err(failed(error)),
            Err(RecvTimeoutError::Timeout) => Err(failed(VideoError::Stalled(self.patience))),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
        }
    }
}

impl VideoSource {
    /// Waits for the next frame; told to stop, there is none.
    fn wait(&self) -> Result<Result<Picture, VideoError>, RecvTimeoutError> {
        let due = Instant::now() + self.patience;
        while !self.stop.is_cancelled() {
            let rest = due.saturating_duration_since(Instant::now());
            match self.frames.recv_timeout(rest.min(NAP)) {
                Err(RecvTimeoutError::Timeout) if !rest.is_zero() => {}
                answer => return answer,
            }
        }
        Err(RecvTimeoutError::Disconnected)
    }
}

impl Drop for VideoSource {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it must stay behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hands on frames until the child ends or nobody wants more.
fn forward(output: ChildStdout, frames: &SyncSender<Result<Picture, VideoError>>) {
    let mut output = BufReader::with_capacity(1 << 16, output);
    loop {
        match read_ppm(&mut output) {
            Ok(Some(picture)) => {
                if frames.send(Ok(picture)).is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                // A receiver that is gone needs no error.
                let _ = frames.send(Err(error));
                return;
            }
        }
    }
}

/// Drains what the child complains of, so that it never waits for us, and keeps the last line.
fn last_line(errors: Option<ChildStderr>) -> Option<String> {
    BufReader::new(errors?).lines().map_while(Result::ok).last()
}

/// Reads one binary PPM: `P6`, width, height, 255, then the pixels. `None` at the end.
fn read_ppm(input: &mut impl BufRead) -> Result<Option<Picture>, VideoError> {
    let Some(magic) = read_word(input)? else {
        return Ok(None);
    };
    let mut number = || {
        read_word(input)?
            .and_then(|word| word.parse().ok())
            .ok_or(VideoError::Format)
    };
    let (width, height, depth): (u32, u32, u32) = (number()?, number()?, number()?);
    if magic != "P6" || depth != 255 || width > MAX_SIDE || height > MAX_SIDE {
        return Err(VideoError::Format);
    }
    let mut rgb = vec![0; width as usize * height as usize * 3];
    match input.read_exact(&mut rgb) {
        Ok(()) => Picture::from_rgb(width, height, rgb)
            .map(Some)
            .map_err(|_| VideoError::Format),
        // Cut off in the middle: the child was stopped.
        Err(_) => Ok(None),
    }
}

/// Reads up to the next white space, which it swallows.
fn read_word(input: &mut impl BufRead) -> Result<Option<String>, VideoError> {
    let mut word = String::new();
    for byte in input.bytes() {
        match byte {
            Ok(byte) if byte.is_ascii_whitespace() => return Ok(Some(word)),
            Ok(byte) if word.len() < 8 => word.push(char::from(byte)),
            Ok(_) => return Err(VideoError::Format),
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ppm_pictures() {
        let two = b"P6\n2 1\n255\nabcdefP6\n1 1\n255\nxyz";
        let mut input = &two[..];
        assert_eq!(read_ppm(&mut input).unwrap().unwrap().rgb(), b"abcdef");
        assert_eq!(read_ppm(&mut input).unwrap().unwrap().rgb(), b"xyz");
        assert!(read_ppm(&mut input).unwrap().is_none());
        for (bytes, ends) in [
            (&b"P6\n2 1\n255\nabc"[..], true),
            (b"P6\n2", false),
            (b"P5\n2 1\n255\nabcdef", false),
            (b"P6\n2 1\n65535\nabcdef", false),
            (b"P6\n99999 1\n255\n", false),
            (b"P6\n0 1\n255\n", false),
            (b"<html><head>", false),
        ] {
            assert_eq!(
                read_ppm(&mut &*bytes).is_ok_and(|p| p.is_none()),
                ends,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = VideoSource::open(
            Path::new("no/such.mp4"),
            Playback::Once,
            CancellationToken::new(),
        )
        .err()
        .unwrap();
        let text = format!("{:#}", anyhow::Error::from(error));
        assert!(
            text.contains("no/such.mp4") && text.contains("not there"),
            "{text}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_stalled_video_stops_at_once_and_leaves_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.avi");
        let made = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-f", "lavfi", "-i"])
            .args(["testsrc=size=96x64:rate=10:duration=2", "-c:v", "mjpeg"])
            .arg(&path)
            .status();
        if let Err(error) = made {
            eprintln!("SKIPPED: ffmpeg: {error}");
            return;
        }
        let stop = CancellationToken::new();
        // A frame in ten minutes: after the first ffmpeg has nothing to say.
        let rare = Playback::Live(Duration::from_secs(600));
        let mut source = VideoSource::open(&path, rare, stop.clone()).unwrap();
        let process = Path::new("/proc").join(source.child.id().to_string());
        assert!(process.exists());
        let begun = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| while source.next_frame().unwrap().is_some() {});
            thread::sleep(Duration::from_millis(500));
            stop.cancel();
        });
        let elapsed = begun.elapsed();
        assert!(elapsed >= Duration::from_millis(500), "it was waiting");
        assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
        drop(source);
        assert!(!process.exists(), "neither a process nor a zombie is left");
    }
}
