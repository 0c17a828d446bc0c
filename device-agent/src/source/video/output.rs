use std::io::{BufRead, Read};
use std::time::Duration;

use crate::picture::{Picture, check_size};
use crate::source::video::VideoError;

/// Longest line of ffmpeg's log that is kept; a hostile stream can make one of any length.
const MAX_LINE: u64 = 4096;

/// What a line of ffmpeg's log is about.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A frame comes.
    Frame(FrameInfo),
    /// Something went wrong.
    Complaint(String),
    /// Nothing that matters here.
    Other,
}

/// A frame before it comes: its size and the time that the stream gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FrameInfo {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) stamp: Option<Duration>,
}

impl Line {
    /// Reads the next line; `None` at the end.
    pub(super) fn read(log: &mut impl BufRead) -> Option<Self> {
        let mut line = Vec::new();
        let read = log.take(MAX_LINE).read_until(b'\n', &mut line).ok()?;
        (read > 0).then(|| Self::parse(String::from_utf8_lossy(&line).trim_end()))
    }

    /// `[Parsed_showinfo_2 @ 0x5581] [info] n: 0 pts: 0 pts_time:0.04 … s:320x240 …`, or a line of another level.
    fn parse(line: &str) -> Self {
        if line.starts_with("[Parsed_showinfo_") {
            return Self::frame(line).map_or(Self::Other, Self::Frame);
        }
        for level in ["[error] ", "[fatal] ", "[panic] "] {
            if let Some((_, text)) = line.split_once(level) {
                return Self::Complaint(text.to_owned());
            }
        }
        Self::Other
    }

    fn frame(line: &str) -> Option<FrameInfo> {
        let (_, fields) = line.split_once("] n:")?;
        let field = |name| fields.split_whitespace().find_map(|f| f.strip_prefix(name));
        let (width, height) = field("s:")?.split_once('x')?;
        let stamp: Option<f64> = field("pts_time:").and_then(|time| time.parse().ok());
        Some(FrameInfo {
            width: width.parse().ok()?,
            height: height.parse().ok()?,
            stamp: stamp.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        })
    }
}

/// Reads the pixels of one frame; `None` when the output ends.
pub(super) fn read_frame(
    output: &mut impl Read,
    info: FrameInfo,
) -> Result<Option<Picture>, VideoError> {
    let FrameInfo { width, height, .. } = info;
    check_size(width, height).map_err(|_| VideoError::Size { width, height })?;
    let mut rgb = vec![0; width as usize * height as usize * 3];
    if output.read_exact(&mut rgb).is_err() {
        // Cut off in the middle: the child was stopped.
        return Ok(None);
    }
    Picture::from_rgb(width, height, rgb)
        .map(Some)
        .map_err(|_| VideoError::Size { width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log() {
        let frame = |width, height, millis: Option<u64>| {
            let stamp = millis.map(Duration::from_millis);
            Line::Frame(FrameInfo {
                width,
                height,
                stamp,
            })
        };
        let info = "[Parsed_showinfo_2 @ 0x55] [info] ";
        for (line, expected) in [
            (
                format!(
                    "{info}n:   1 pts: 120000 pts_time:0.1     pos: 4869 fmt:rgb24 sar:1/1 s:320x240 i:P"
                ),
                frame(320, 240, Some(100)),
            ),
            (
                format!(
                    "{info}n:  19 pts:    NOPTS pts_time:NOPTS   duration:0 fmt:rgb24 cl:left sar:0/1 s:64x48 i:P"
                ),
                frame(64, 48, None),
            ),
            (
                format!("{info}config in time_base: 1/1200000, frame_rate: 10/1"),
                Line::Other,
            ),
            (format!("{info}color_range:pc color_space:gbr"), Line::Other),
            (format!("{info}n: 1 s:0xyz"), Line::Other),
            ("[info] title : ] n: 1 s:9x9".into(), Line::Other),
            (
                "[rtsp @ 0x56] [error] method DESCRIBE failed: 401 Unauthorized".into(),
                Line::Complaint("method DESCRIBE failed: 401 Unauthorized".into()),
            ),
            ("[warning] Guessed Channel Layout".into(), Line::Other),
        ] {
            assert_eq!(Line::parse(&line), expected, "{line}");
        }
    }

    #[test]
    fn a_line_without_end_is_read_in_pieces() {
        let mut log = std::io::repeat(b'x').take(10_000);
        let mut log = std::io::BufReader::new(&mut log);
        let lines = std::iter::from_fn(|| Line::read(&mut log)).count();
        assert_eq!(lines, 3);
    }

    #[test]
    fn frames_of_any_size_follow_each_other() {
        let info = |width, height| FrameInfo {
            width,
            height,
            stamp: None,
        };
        let mut output = &b"abcdefxyz12"[..];
        let mut read = |width, height| read_frame(&mut output, info(width, height));
        assert_eq!(read(2, 1).unwrap().unwrap().rgb(), b"abcdef");
        assert_eq!(read(1, 1).unwrap().unwrap().rgb(), b"xyz");
        assert!(read(1, 1).unwrap().is_none(), "cut off");
        assert!(read(0, 1).is_err());
        assert!(read(20_000, 1).is_err());
        assert!(read(16_384, 16_384).is_err(), "805 MB");
    }
}
