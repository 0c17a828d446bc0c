use std::ffi::OsString;
use std::time::Duration;

use crate::source::options::SourceOptions;
use crate::source::video::VideoInput;
use crate::source::video::version::Version;

/// What an RTSP stream may open; a hostile camera must not make ffmpeg read files of this machine.
const RTSP_PROTOCOLS: &str = "rtp,udp,tcp,tls,http,https,httpproxy";
/// The same for a video that comes by HTTP; `crypto` is encrypted HLS.
const HTTP_PROTOCOLS: &str = "http,https,tcp,tls,httpproxy,crypto";
/// The same for a file.
const FILE_PROTOCOLS: &str = "file";
/// Containers and bare streams that a file may be. No playlist is among them: it would name other files.
const FILE_FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,mjpeg,\
     h264,hevc,ivf,obu,m4v,mxf,nut,yuv4mpegpipe";

/// Arguments of ffmpeg for an input. Live, a frame each `interval` is chosen; otherwise each counts.
///
/// The output is bare RGB, frame after frame, with a line of `showinfo` on standard error for each that tells its size:
/// ffmpeg's picture encoders believe that a size never changes, and its default is to scale to the first one.
pub(super) fn arguments(
    input: &VideoInput,
    live: Option<Duration>,
    options: &SourceOptions,
    version: Version,
) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    let mut add = |arguments: &[&str]| all.extend(arguments.iter().map(OsString::from));
    add(&["-nostdin", "-hide_banner", "-nostats"]);
    add(&["-loglevel", "repeat+level+info"]);
    match input {
        VideoInput::File(_) => {
            add(&["-protocol_whitelist", FILE_PROTOCOLS]);
            add(&["-format_whitelist", FILE_FORMATS]);
            if live.is_some() {
                add(&["-re", "-stream_loop", "-1"]);
            }
        }
        VideoInput::Device(_) => {
            add(&["-thread_type", "slice", "-f", "v4l2"]);
        }
        VideoInput::Rtsp(_) => {
            add(&["-protocol_whitelist", RTSP_PROTOCOLS]);
            // The session description says what comes; without a look at the stream the first frame is there 2 s sooner.
            add(&["-analyzeduration", "0", "-probesize", "32"]);
            // Threads that decode a frame each hold one frame each back.
            add(&["-fflags", "nobuffer", "-thread_type", "slice"]);
            add(&["-rtsp_transport", options.transport.name()]);
            add(&["-f", "rtsp"]);
        }
        VideoInput::Stream(_) => {
            add(&["-protocol_whitelist", HTTP_PROTOCOLS]);
            add(&["-fflags", "nobuffer", "-thread_type", "slice"]);
        }
        VideoInput::Recording(_) => {
            add(&["-protocol_whitelist", HTTP_PROTOCOLS]);
            if live.is_some() {
                add(&["-re"]);
            }
        }
    }
    all.extend(options.ffmpeg_input.iter().map(OsString::from));
    all.push("-i".into());
    all.push(match input {
        VideoInput::File(path) => {
            // So that a colon or a hyphen in its name means nothing.
            let mut name = OsString::from("file:");
            name.push(path);
            name
        }
        VideoInput::Device(path) => path.into(),
        VideoInput::Rtsp(url) | VideoInput::Stream(url) | VideoInput::Recording(url) => {
            url.secret().into()
        }
    });
    let mut add = |arguments: &[&str]| all.extend(arguments.iter().map(OsString::from));
    add(&["-map", "0:v:0", "-vf", &filter(live), "-autoscale", "0"]);
    add(version.each_frame_once());
    add(&["-c:v", "rawvideo", "-f", "rawvideo", "-"]);
    all
}

/// The first frame of each interval at once, as RGB, with its size told.
///
/// The filter `fps` would hold each frame until the next one comes, and repeat old ones after a gap. A clock that jumps
/// back or is missing must not stop the choice.
fn filter(live: Option<Duration>) -> String {
    let choice = live.map_or_else(String::new, |interval| {
        let rate = interval.as_secs_f64().recip();
        format!(
            "select='isnan(t)+isnan(prev_selected_t)+lt(t,prev_selected_t)\
             +gt(floor(t*{rate}),floor(prev_selected_t*{rate}))',"
        )
    });
    format!("{choice}format=rgb24,showinfo=checksum=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(input: &VideoInput, live: Option<Duration>, options: &SourceOptions) -> String {
        let version = Version::parse("ffmpeg version 5.1.9-0+deb12u1 Copyright");
        let arguments = arguments(input, live, options, version);
        let arguments: Vec<_> = arguments.iter().map(|a| a.to_str().unwrap()).collect();
        arguments.join(" ")
    }

    #[test]
    fn each_input_is_confined_and_opened_its_way() {
        let url = "rtsp://admin:pw@cam/1";
        let live = Some(Duration::from_millis(200));
        for (input, live, parts, not) in [
            (
                VideoInput::File("-a:b.mp4".into()),
                live,
                &["-protocol_whitelist file ", "-re ", " -i file:-a:b.mp4 "][..],
                &["http", "hls", "concat"][..],
            ),
            (
                VideoInput::File("a.mp4".into()),
                None,
                &["-vf format=rgb24,"],
                &["-re ", "select"],
            ),
            (
                VideoInput::Rtsp(url.parse().unwrap()),
                live,
                &[
                    "-rtsp_transport tcp",
                    "-probesize 32 ",
                    " -i rtsp://admin:pw@cam/1 ",
                ],
                &["file", "-re "],
            ),
            (
                VideoInput::Device("/dev/video0".into()),
                live,
                &["-f v4l2 ", " -i /dev/video0 ", "floor(t*5)"],
                &["-re "],
            ),
            (
                VideoInput::Stream("http://cam/1".parse().unwrap()),
                live,
                &["-i http://cam/1 "],
                &["file", "-re "],
            ),
            (
                VideoInput::Recording("http://cam/1".parse().unwrap()),
                live,
                &["-re ", "-i http://cam/1 "],
                &["file"],
            ),
        ] {
            let text = of(&input, live, &SourceOptions::default());
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
            assert!(!not.iter().any(|part| text.contains(part)), "{text}");
        }
    }

    #[test]
    fn arguments_of_the_owner_come_last_before_the_input() {
        let options = SourceOptions {
            ffmpeg_input: vec!["-hwaccel".into(), "vaapi".into()],
            ..SourceOptions::default()
        };
        let input = VideoInput::Rtsp("rtsp://cam".parse().unwrap());
        let text = of(&input, None, &options);
        assert!(text.contains(" -hwaccel vaapi -i rtsp://cam"), "{text}");
    }
}
