use std::process::Command;
use std::sync::OnceLock;

use super::*;

const LIVE: Playback = Playback::Live(Duration::from_millis(100));

fn open(input: VideoInput, playback: Playback, stop: &CancellationToken) -> VideoSource {
    VideoSource::open(
        input,
        playback,
        &SourceOptions::default(),
        &SourceCounters::default(),
        stop.clone(),
    )
    .unwrap()
}

/// Whether ffmpeg is there; a test without it says so once.
fn has_ffmpeg() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found = Version::installed();
        if let Err(error) = &found {
            eprintln!("SKIPPED: a video that is read by ffmpeg: {error}");
        }
        found.is_ok()
    })
}

/// Makes a file with ffmpeg.
fn make(path: &Path, arguments: &[&str]) {
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-y"])
        .args(arguments)
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

#[test]
fn a_missing_file_is_named() {
    let input = VideoInput::File("no/such.mp4".into());
    let error = VideoSource::open(
        input,
        Playback::Once,
        &SourceOptions::default(),
        &SourceCounters::default(),
        CancellationToken::new(),
    );
    let text = format!("{:#}", anyhow::Error::from(error.err().unwrap()));
    assert!(
        text.contains("no/such.mp4") && text.contains("not there"),
        "{text}"
    );
    let device = VideoInput::Device("/dev/no-such-video".into());
    let text = device.check().unwrap_err().to_string();
    assert!(text.contains("plugged in"), "{text}");
}

#[test]
fn what_ffmpeg_says_comes_with_what_to_do() {
    for (complaint, told) in [
        (
            "method DESCRIBE failed: 401 Unauthorized",
            "rtsp://user:password@host/…",
        ),
        (
            "rtsp://cam/…: Server returned 404 Not Found",
            "is the path right?",
        ),
        (
            "rtsp://cam/…: Connection refused",
            "RTSP switched on in the camera?",
        ),
        (
            "/dev/video0: Device or resource busy",
            "another program uses the camera",
        ),
        (
            "file:a.mp4: Invalid data found when processing input",
            "is it a video?",
        ),
        ("something new", "something new"),
    ] {
        let error = VideoError::Failed {
            complaint: complaint.into(),
        };
        let error = error.to_string();
        assert!(
            error.contains(complaint) && error.ends_with(told),
            "{error}"
        );
    }
}

#[test]
fn each_frame_comes_once_and_in_its_own_size() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sizes.h264");
    let mut stream = Vec::new();
    for size in ["320x240", "640x360", "160x120"] {
        let part = folder.path().join("part.h264");
        let source = format!("testsrc=size={size}:rate=10:duration=1");
        make(
            &part,
            &["-f", "lavfi", "-i", &source, "-c:v", "libx264", "-bf", "0"],
        );
        stream.extend(std::fs::read(part).unwrap());
    }
    std::fs::write(&path, stream).unwrap();
    let stop = CancellationToken::new();
    let mut source = open(VideoInput::File(path), Playback::Once, &stop);
    let mut sizes = Vec::new();
    while let Some(frame) = source.next_frame().unwrap() {
        sizes.push((frame.picture.width(), frame.picture.height()));
    }
    let expected = [(320, 240), (640, 360), (160, 120)];
    assert_eq!(sizes, expected.map(|size| [size; 10]).concat());
}

#[test]
fn damage_that_ffmpeg_conceals_is_no_failure() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.mp4");
    let clip = "testsrc=size=320x240:rate=10:duration=5";
    make(&path, &["-f", "lavfi", "-i", clip, "-c:v", "mpeg4"]);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 400].fill(0x55);
    std::fs::write(&path, bytes).unwrap();
    let complaint = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&path)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    assert!(complaint.status.success() && !complaint.stderr.is_empty());
    let stop = CancellationToken::new();
    let mut source = open(VideoInput::File(path), Playback::Once, &stop);
    let mut frames = 0;
    while source.next_frame().unwrap().is_some() {
        frames += 1;
    }
    assert!(frames >= 45, "{frames} of 50");
}

#[test]
fn a_slow_consumer_gets_frames_that_are_new() {
    if !has_ffmpeg() {
        return;
    }
    /// Frames a second of the video.
    const RATE: f64 = 25.0;
    /// Levels of brightness from one frame to the next, so that coding does not blur which one it is.
    const STEP: f64 = 2.0;
    /// Frames that may pass between the decoder and the consumer.
    const ALLOWED: f64 = 4.0;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clock.avi");
    let clock =
        format!("color=black:size=64x48:rate={RATE}:duration=4,format=gray,geq=lum='N*{STEP}'");
    make(
        &path,
        &[
            "-f", "lavfi", "-i", &clock, "-c:v", "ffv1", "-pix_fmt", "gray",
        ],
    );
    let stop = CancellationToken::new();
    let each = Playback::Live(Duration::from_secs_f64(RATE.recip()));
    let counters = SourceCounters::default();
    let options = SourceOptions::default();
    let input = VideoInput::File(path);
    let mut source = VideoSource::open(input, each, &options, &counters, stop).unwrap();
    let mut number = || {
        let frame = source.next_frame().unwrap().unwrap();
        f64::from(frame.picture.rgb()[0]) / STEP
    };
    let first = number();
    let begun = Instant::now();
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(400));
        let due = first + begun.elapsed().as_secs_f64() * RATE;
        let got = number();
        eprintln!("frame {got:.0}, {:.1} old", due - got);
        assert!(due - got <= ALLOWED, "frame {got:.0} when {due:.1} was due");
    }
    let figures = counters.read();
    assert!(figures.dropped > 40, "the others are counted: {figures:?}");
}

#[test]
fn a_playlist_cannot_make_ffmpeg_read_another_file() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.ts");
    make(
        &secret,
        &["-f", "lavfi", "-i", "testsrc=size=96x64:rate=10:duration=1"],
    );
    let secret = secret.display();
    for (name, text) in [
        (
            "list.m3u8",
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n"),
        ),
        (
            "list.mp4",
            format!("ffconcat version 1.0\nfile '{secret}'\n"),
        ),
        (
            "list.sdp",
            "v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n".to_owned(),
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let stop = CancellationToken::new();
        let mut source = open(VideoInput::File(path), Playback::Once, &stop);
        let error = source.next_frame().map(|frame| frame.is_some());
        assert!(
            matches!(error, Err(SourceError::Video { .. })),
            "{name}: {error:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_stalled_video_stops_at_once_and_leaves_no_process() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.avi");
    let clip = "testsrc=size=96x64:rate=10:duration=2";
    make(&path, &["-f", "lavfi", "-i", clip, "-c:v", "mjpeg"]);
    let stop = CancellationToken::new();
    // A frame in ten minutes: after the first ffmpeg has nothing to say.
    let rare = Playback::Live(Duration::from_secs(600));
    let mut source = open(VideoInput::File(path), rare, &stop);
    let processes = source.ffmpeg.as_ref().unwrap().processes();
    let alive = || {
        let there = |id: &&u32| Path::new("/proc").join(id.to_string()).exists();
        processes.iter().filter(there).count()
    };
    assert_eq!(alive(), 2, "ffmpeg and its guard");
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
    assert_eq!(alive(), 0, "neither a process nor a zombie is left");
}

#[test]
fn a_silent_source_is_a_stall() {
    if !has_ffmpeg() {
        return;
    }
    // Accepts connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let options = SourceOptions {
        watchdog: Duration::from_millis(300),
        ..SourceOptions::default()
    };
    let url = format!("rtsp://admin:s3cret@{address}/live");
    let input = VideoInput::Rtsp(url.parse().unwrap());
    let stop = CancellationToken::new();
    let counters = SourceCounters::default();
    let mut source = VideoSource::open(input, LIVE, &options, &counters, stop).unwrap();
    let error = source.next_frame().unwrap_err();
    assert!(error.is_stall() && error.is_fatal(), "{error:?}");
}

#[test]
fn what_ffmpeg_complains_of_is_told_without_secrets() {
    if !has_ffmpeg() {
        return;
    }
    // Nothing listens there any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("rtsp://admin:s3cret@{address}/live");
    let stop = CancellationToken::new();
    let mut source = open(VideoInput::Rtsp(url.parse().unwrap()), LIVE, &stop);
    let error = anyhow::Error::from(source.next_frame().unwrap_err());
    let text = format!("{error:#}");
    assert!(text.contains("refused"), "{text}");
    assert!(
        !text.contains("s3cret") && !text.contains("admin"),
        "{text}"
    );
}
