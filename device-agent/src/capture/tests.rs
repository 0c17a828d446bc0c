use super::*;
use crate::source::{Frame, SourceOptions};

/// A folder of one picture, which plays for ever.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let picture = Picture::from_rgb(8, 8, vec![90; 192]).unwrap();
    let path = folder.path().join("a.jpg");
    std::fs::write(path, picture.to_jpeg(90).unwrap()).unwrap();
    folder
}

fn config(folder: &tempfile::TempDir) -> SourceConfig {
    SourceConfig {
        spec: folder.path().display().to_string().parse().unwrap(),
        interval: Duration::from_millis(5),
        options: SourceOptions::default(),
    }
}

fn await_figures(counters: &SourceCounters, reached: impl Fn(u64, u64, u64) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let figures = counters.read();
        if reached(figures.frames, figures.dropped, figures.decode_errors) {
            return;
        }
        assert!(Instant::now() < deadline, "{figures:?}");
        thread::yield_now();
    }
}

#[test]
fn frames_that_nobody_takes_are_counted_as_dropped() {
    let folder = folder();
    let stop = CancellationToken::new();
    let capture = Capture::start(config(&folder), stop.clone()).unwrap();
    let counters = capture.counters();
    await_figures(&counters, |frames, dropped, _| frames >= 3 && dropped >= 2);
    assert_eq!(capture.latest().take().unwrap().picture.width(), 8);
    stop.cancel();
    capture.join();
    let figures = counters.read();
    assert!(figures.frames - figures.dropped <= 2, "{figures:?}");
}

#[test]
fn a_damaged_picture_is_counted_and_the_rest_still_comes() {
    let folder = folder();
    std::fs::write(folder.path().join("b.jpg"), b"no picture").unwrap();
    let stop = CancellationToken::new();
    let capture = Capture::start(config(&folder), stop.clone()).unwrap();
    let counters = capture.counters();
    await_figures(&counters, |frames, _, errors| frames >= 2 && errors >= 2);
    stop.cancel();
    capture.join();
    assert_eq!(counters.read().reconnects, 0);
}

#[test]
fn more_damage_than_the_watchdog_bears_does_not_hide_what_is_behind_it() {
    let folder = folder();
    for n in 0..40 {
        let path = folder.path().join(format!("{n}.jpg"));
        std::fs::write(path, b"no picture").unwrap();
    }
    let mut config = config(&folder);
    config.options.watchdog = Duration::from_millis(20);
    let stop = CancellationToken::new();
    let capture = Capture::start(config, stop.clone()).unwrap();
    let counters = capture.counters();
    await_figures(&counters, |frames, _, errors| frames >= 1 && errors >= 40);
    stop.cancel();
    capture.join();
    let figures = counters.read();
    assert!(
        figures.stalls >= 1 && figures.reconnects == 0,
        "{figures:?}"
    );
}

/// A camera whose picture is none, for as long as anybody asks.
fn damaged_camera() -> String {
    let camera = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = camera.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = camera.accept() {
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: image/jpeg\r\ncontent-length: 5\r\n\
                          connection: close\r\n\r\nhello";
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    format!("http://{address}/still.jpg")
}

#[test]
fn a_source_of_damaged_pictures_only_is_opened_again_and_again() {
    let mut config = config(&folder());
    config.spec = damaged_camera().parse().unwrap();
    config.options.watchdog = Duration::from_millis(50);
    let stop = CancellationToken::new();
    let capture = Capture::start(config, stop.clone()).unwrap();
    let counters = capture.counters();
    let deadline = Instant::now() + Duration::from_secs(10);
    while counters.read().stalls < 2 {
        assert!(Instant::now() < deadline, "{:?}", counters.read());
        thread::yield_now();
    }
    stop.cancel();
    capture.join();
    let figures = counters.read();
    assert!(
        figures.reconnects >= 1 && figures.decode_errors >= 4,
        "{figures:?}"
    );
}

/// As a decoder with a defect.
struct Panicking;

impl FrameSource for Panicking {
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        panic!("a defect")
    }
}

#[test]
fn whoever_looks_learns_that_capture_panicked() {
    let latest = Latest::new();
    let capturing = Capturing {
        config: config(&folder()),
        latest: latest.clone(),
        counters: SourceCounters::default(),
        stop: CancellationToken::new(),
    };
    let (told, ended) = std::sync::mpsc::channel();
    thread::spawn(move || told.send(latest.take().is_none()));
    let thread = thread::spawn(move || capturing.run(Box::new(Panicking)));
    assert!(thread.join().is_err());
    assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Ok(true));
}

#[test]
fn a_silent_camera_is_opened_again_and_again() {
    // Accepts connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let options = SourceOptions {
        watchdog: Duration::from_millis(100),
        ..SourceOptions::default()
    };
    let config = SourceConfig {
        spec: format!("http://{address}/").parse().unwrap(),
        interval: Duration::from_millis(5),
        options,
    };
    let stop = CancellationToken::new();
    let capture = Capture::start(config, stop.clone()).unwrap();
    let counters = capture.counters();
    let deadline = Instant::now() + Duration::from_secs(10);
    while counters.read().stalls < 3 {
        assert!(Instant::now() < deadline, "{:?}", counters.read());
        thread::yield_now();
    }
    let begun = Instant::now();
    stop.cancel();
    capture.join();
    assert!(begun.elapsed() < Duration::from_secs(2), "it stops at once");
    let figures = counters.read();
    assert_eq!(figures.frames, 0);
    assert!(figures.reconnects >= 2, "{figures:?}");
}

#[test]
fn a_source_that_is_not_there_is_an_error_at_once() {
    let config = SourceConfig {
        spec: "no/such.mp4".parse().unwrap(),
        interval: Duration::from_millis(5),
        options: SourceOptions::default(),
    };
    let stop = CancellationToken::new();
    assert!(matches!(
        Capture::start(config, stop).err(),
        Some(CaptureError::Source(_))
    ));
}
