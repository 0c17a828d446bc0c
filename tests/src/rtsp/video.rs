use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use super::FRAME;
use crate::paths;

/// Pictures of a video; it then begins anew.
const PICTURES: usize = 60;
/// Pictures from one key frame to the next, a second.
const KEY_INTERVAL: usize = 10;

/// Types of NAL units (ITU-T H.264, table 7-1).
const PARAMETERS_OF_SEQUENCE: u8 = 7;
const PARAMETERS_OF_PICTURE: u8 = 8;
const DELIMITER: u8 = 9;

/// An H.264 video of a generated street, frame after frame.
#[derive(Debug, Clone)]
pub struct Video {
    frames: Vec<Vec<Vec<u8>>>,
}

impl Video {
    /// Encodes the street `scene`, `side` pixels wide and high; `folder` takes the files.
    ///
    /// # Errors
    /// When the agent, which draws it, or ffmpeg, which encodes it, fails.
    pub fn of_street(scene: u64, side: u32, folder: &Path) -> Result<Self> {
        let pictures = folder.join(format!("street-{scene}"));
        let mut draw = paths::program("ashya-agent")?;
        // At the highest threshold nothing is found, so the pictures are written as they are.
        draw.args(["detect", "--confidence", "1", "--threads", "1", "--model"])
            .arg(paths::repository().join("models/street_tiny_320.onnx"))
            .args(["--source", &format!("scene:{scene}")])
            .args(["--limit", &PICTURES.to_string(), "--annotate"])
            .arg(&pictures)
            .current_dir(paths::repository());
        run(draw)?;
        let path = folder.join(format!("street-{scene}-{side}.h264"));
        let mut encode = Command::new("ffmpeg");
        encode
            .args(["-nostdin", "-loglevel", "error", "-y", "-framerate"])
            .arg(format!("{}", FRAME.as_secs_f64().recip()))
            .arg("-i")
            .arg(pictures.join(format!("scene-{scene}-%06d.jpg")))
            .args(["-vf", &format!("scale={side}:{side},format=yuv420p")])
            .args(["-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g"])
            .arg(KEY_INTERVAL.to_string())
            .args(["-bsf:v", "h264_metadata=aud=insert", "-f", "h264"])
            .arg(&path);
        run(encode)?;
        let video = Self::parse(&std::fs::read(&path)?);
        ensure!(video.frames.len() == PICTURES, "{}", video.frames.len());
        Ok(video)
    }

    /// Cuts a byte stream (H.264, annex B) into frames.
    fn parse(stream: &[u8]) -> Self {
        let mut frames: Vec<Vec<Vec<u8>>> = Vec::new();
        for unit in units(stream) {
            if kind(unit) == DELIMITER {
                frames.push(Vec::new());
            } else if let Some(frame) = frames.last_mut() {
                frame.push(unit.to_vec());
            }
        }
        Self { frames }
    }

    /// The NAL units of a frame; after the last one comes the first.
    pub(super) fn frame(&self, number: usize) -> &[Vec<u8>] {
        &self.frames[number % self.frames.len()]
    }

    /// What a session description tells a decoder (RFC 6184, section 8.1).
    pub(super) fn parameters(&self) -> Result<String> {
        let find = |wanted| {
            let unit = self.frame(0).iter().find(|unit| kind(unit) == wanted);
            unit.context("a video begins with its parameters")
        };
        let sequence = find(PARAMETERS_OF_SEQUENCE)?;
        let picture = find(PARAMETERS_OF_PICTURE)?;
        Ok(format!(
            "packetization-mode=1;profile-level-id={};sprop-parameter-sets={},{}",
            hex::encode(&sequence[1..4]),
            STANDARD.encode(sequence),
            STANDARD.encode(picture),
        ))
    }
}

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |byte| byte & 0x1f)
}

/// What stands between start codes.
fn units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    const START: &[u8] = &[0, 0, 1];
    let starts: Vec<usize> = memmem::find_iter(stream, START).collect();
    let ends: Vec<usize> = starts
        .iter()
        .skip(1)
        .copied()
        .chain([stream.len()])
        .collect();
    starts.into_iter().zip(ends).map(move |(start, end)| {
        let unit = &stream[start + START.len()..end];
        let last = unit.iter().rposition(|&byte| byte != 0);
        &unit[..last.map_or(0, |last| last + 1)]
    })
}

fn run(mut command: Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{:?}: {told}",
        command.get_program()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_falls_into_frames() {
        let stream = [
            &b"\0\0\0\x01\x09\x10\0\0\0\x01\x67\x42\xc0\x1e\0\0\0\x01\x68\xce\0\0\x01\x65\xaa\x01"
                [..],
            b"\0\0\0\x01\x09\x30\0\0\x01\x41\xbb",
        ]
        .concat();
        let video = Video::parse(&stream);
        assert_eq!(video.frames.len(), 2);
        assert_eq!(video.frame(0)[2], [0x65, 0xaa, 0x01]);
        assert_eq!(video.frame(1), [[0x41, 0xbb]]);
        assert_eq!(video.frame(2), video.frame(0), "it begins anew");
        let parameters = video.parameters().unwrap();
        let expected =
            "packetization-mode=1;profile-level-id=42c01e;sprop-parameter-sets=Z0LAHg==,aM4=";
        assert_eq!(parameters, expected);
    }
}
