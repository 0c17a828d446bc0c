use std::process::{Command, Stdio};

use crate::source::video::VideoError;

/// The first version that knows `-autoscale`.
const OLDEST: Version = Version(4, 4);
/// The first version that knows `-fps_mode`; version 9 forgot `-vsync`.
const FPS_MODE: Version = Version(5, 1);

/// Which ffmpeg is installed: major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

impl Version {
    /// Asks the installed ffmpeg.
    ///
    /// # Errors
    /// When there is none, or it is too old.
    pub(super) fn installed() -> Result<Self, VideoError> {
        let output = Command::new("ffmpeg")
            .arg("-version")
            .stdin(Stdio::null())
            .output()
            .map_err(VideoError::from_start)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = Self::parse(text.lines().next().unwrap_or_default());
        if version < OLDEST {
            return Err(VideoError::TooOld {
                found: format!("{}.{}", version.0, version.1),
            });
        }
        Ok(version)
    }

    /// Reads `ffmpeg version 5.1.9-0+deb12u1 …`. One that was built from a repository has no number and counts as new.
    pub(super) fn parse(line: &str) -> Self {
        let word = line.split_whitespace().nth(2).unwrap_or_default();
        let mut numbers = word
            .trim_start_matches('n')
            .split(|c: char| !c.is_ascii_digit())
            .map(|digits| digits.parse().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), minor) => Self(major, minor.unwrap_or(0)),
            (None, _) => Self(u32::MAX, 0),
        }
    }

    /// Arguments for a frame out for each frame in, whatever their times.
    pub(super) fn each_frame_once(self) -> &'static [&'static str] {
        if self >= FPS_MODE {
            &["-fps_mode", "passthrough"]
        } else {
            &["-vsync", "0"]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_they_are_printed() {
        for (line, version, new) in [
            (
                "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000",
                Version(5, 1),
                true,
            ),
            (
                "ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright",
                Version(4, 4),
                false,
            ),
            ("ffmpeg version n7.1 Copyright", Version(7, 1), true),
            ("ffmpeg version 8 Copyright", Version(8, 0), true),
            (
                "ffmpeg version N-109468-gd39b34123d Copyright",
                Version(u32::MAX, 0),
                true,
            ),
            (
                "ffmpeg version git-2026-01-01 Copyright",
                Version(u32::MAX, 0),
                true,
            ),
            ("", Version(u32::MAX, 0), true),
        ] {
            assert_eq!(Version::parse(line), version, "{line}");
            assert_eq!(version.each_frame_once()[0] == "-fps_mode", new, "{line}");
        }
        assert!(Version(4, 3) < OLDEST);
    }
}
