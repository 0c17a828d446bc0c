use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::picture::Picture;
use crate::source::{Frame, FrameSource, Playback, SourceError};

/// How long a video may yield nothing. ffmpeg itself waits 20 s and more on a source that died.
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
    #[error("yielded nothing for {} s", STALL.as_secs())]
    Stalled,
    /// ffmpeg wrote what we did not ask for.
    #[error("ffmpeg wrote something that is no PPM picture")]
    Format,
}

impl VideoSource {
    /// Starts ffmpeg on a video file.
    ///
    /// # Errors
    /// When the file or ffmpeg is not there.
    pub fn open(path: &Path, playback: Playback) -> Result<Self, SourceError> {
        let shown = path.display().to_string();
        Self::start(path, playback).map_err(|source| SourceError::Video {
            path: shown,
            source,
        })
    }

    fn start(path: &Path, playback: Playback) -> Result<Self, VideoError> {
        if !path.is_file() {
            return Err(VideoError::Missing);
        }
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]);
        if let Playback::Live(_) = playback {
            command.args(["-re", "-stream_loop", "-1"]);
        }
        command.arg("-i").arg(path);
        if let Playback::Live(interval) = playback {
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
        match self.frames.recv_timeout(STALL) {
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
            Err(RecvTimeoutError::Timeout) => Err(failed(VideoError::Stalled)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
        }
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
        let error = VideoSource::open(Path::new("no/such.mp4"), Playback::Once)
            .err()
            .unwrap();
        let text = format!("{:#}", anyhow::Error::from(error));
        assert!(
            text.contains("no/such.mp4") && text.contains("not there"),
            "{text}"
        );
    }
}
