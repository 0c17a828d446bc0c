use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

/// Frames a second of the camera.
const RATE: u64 = 25;
/// Levels of brightness from one picture to the next, so that JPEG does not blur which one it is.
const STEP: u64 = 4;

/// A camera on a free port; `serve` gets the head of each request and answers it.
fn camera(
    serve: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (serve, mut connection) = (Arc::clone(&serve), connection.unwrap());
            thread::spawn(move || {
                let mut reader = BufReader::new(connection.try_clone().unwrap());
                loop {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if reader.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    if serve(&head, &mut connection).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A grey picture; its brightness is its number.
fn jpeg(number: u64) -> Vec<u8> {
    let grey = u8::try_from(number * STEP % 256).unwrap();
    let picture = Picture::from_rgb(32, 16, vec![grey; 32 * 16 * 3]).unwrap();
    picture.to_jpeg(95).unwrap()
}

fn answer(
    connection: &mut TcpStream,
    status: &str,
    headers: &str,
    body: &[u8],
) -> std::io::Result<()> {
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n"
    )?;
    connection.write_all(body)
}

fn open(address: &str, path: &str, counters: &SourceCounters) -> HttpSource {
    let url = format!("http://{address}/{path}").parse().unwrap();
    let each = Playback::Live(Duration::from_secs_f64((RATE as f64).recip()));
    let stop = CancellationToken::new();
    HttpSource::open(url, each, &SourceOptions::default(), counters, stop).unwrap()
}

fn number(source: &mut HttpSource) -> f64 {
    let frame = source.next_frame().unwrap().unwrap();
    assert_eq!(frame.picture.width(), 32);
    f64::from(frame.picture.rgb()[0]) / STEP as f64
}

#[test]
fn a_picture_is_asked_for_again_and_again() {
    let asked = AtomicUsize::new(0);
    let address = camera(move |_, connection| {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        // One that names its type, one that does not.
        let kind = ["Content-Type: image/jpeg\r\n", ""][number % 2];
        answer(connection, "200 OK", kind, &jpeg(number as u64))
    });
    for path in ["snap.jpg", "again"] {
        let mut source = open(&address, path, &SourceCounters::default());
        let first = number(&mut source);
        assert!(number(&mut source) > first);
        assert!(source.is_live());
    }
}

#[test]
fn a_stream_gives_its_newest_picture_to_a_slow_consumer() {
    /// Pictures that may pass between the camera and the consumer.
    const ALLOWED: f64 = 4.0;
    let address = camera(|_, connection| {
        let kind = "Content-Type: multipart/x-mixed-replace; boundary=cam";
        write!(connection, "HTTP/1.1 200 OK\r\n{kind}\r\n\r\n")?;
        let begun = Instant::now();
        for count in 0.. {
            let due = begun + Duration::from_millis(1000 / RATE) * count;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let jpeg = jpeg(count.into());
            write!(
                connection,
                "--cam\r\nContent-Length: {}\r\n\r\n",
                jpeg.len()
            )?;
            connection.write_all(&jpeg)?;
            write!(connection, "\r\n")?;
        }
        Ok(())
    });
    let counters = SourceCounters::default();
    let mut source = open(&address, "mjpeg", &counters);
    let first = number(&mut source);
    let begun = Instant::now();
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(400));
        let due = first + begun.elapsed().as_secs_f64() * RATE as f64;
        let got = number(&mut source);
        assert!(
            due - got <= ALLOWED,
            "picture {got:.0} when {due:.1} was due"
        );
    }
    assert!(counters.read().dropped > 30, "{:?}", counters.read());
}

#[test]
fn a_password_is_given_as_the_camera_asks() {
    let digest = "Digest realm=\"cam\", nonce=\"4f2a\", qop=\"auth\", algorithm=MD5";
    for (challenge, expected) in [
        (
            "Basic realm=\"cam\"",
            "authorization: Basic YWRtaW46cEBzcw==",
        ),
        (
            digest,
            "authorization: Digest username=\"admin\", realm=\"cam\"",
        ),
    ] {
        let address = camera(move |head, connection| {
            let head = head.replace("Authorization", "authorization");
            if head.contains(expected) && head.starts_with("GET /snap?ch=1 HTTP/1.1") {
                return answer(
                    connection,
                    "200 OK",
                    "Content-Type: image/jpeg\r\n",
                    &jpeg(9),
                );
            }
            let wants = format!("WWW-Authenticate: {challenge}\r\n");
            answer(connection, "401 Unauthorized", &wants, b"")
        });
        let with = format!("admin:p%40ss@{address}");
        let counters = SourceCounters::default();
        assert!(number(&mut open(&with, "snap?ch=1", &counters)) > 8.0);
        for (user, told) in [("", "wants a password"), ("admin:wrong@", "refuses")] {
            let asked = format!("{user}{address}");
            if challenge == digest && !user.is_empty() {
                // This camera does not check the answer to its riddle.
                continue;
            }
            let error = open(&asked, "snap?ch=1", &counters).next_frame();
            let text = format!("{:#}", anyhow::Error::from(error.unwrap_err()));
            assert!(text.contains(told), "{text}");
            assert!(!text.contains("wrong@") && !text.contains("ch=1"), "{text}");
        }
    }
}

#[test]
fn cameras_that_do_not_answer_as_they_should() {
    let address = camera(|head, connection| {
        let path = head.split_whitespace().nth(1).unwrap();
        match path {
            "/page" => answer(
                connection,
                "200 OK",
                "Content-Type: text/html\r\n",
                b"<html>",
            ),
            "/broken" => answer(
                connection,
                "200 OK",
                "Content-Type: image/jpeg\r\n",
                b"no picture",
            ),
            "/cut" => {
                let kind = "Content-Type: multipart/x-mixed-replace; boundary=cam\r\n";
                answer(connection, "200 OK", kind, b"--cam\r\n")
            }
            _ => answer(connection, "404 Not Found", "", b""),
        }
    });
    for (path, told, fatal) in [
        ("page", "web page", true),
        ("broken", "not a JPEG or PNG", false),
        ("cut", "ended its stream", true),
        ("none", "404", true),
    ] {
        let error = open(&address, path, &SourceCounters::default()).next_frame();
        let error = error.unwrap_err();
        assert_eq!(error.is_fatal(), fatal, "{path}");
        let text = format!("{:#}", anyhow::Error::from(error));
        assert!(text.contains(told), "{path}: {text}");
    }
    // Nothing listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = open(
        &format!("admin:s3cret@{gone}"),
        "a",
        &SourceCounters::default(),
    )
    .next_frame();
    let text = format!("{:#}", anyhow::Error::from(error.unwrap_err()));
    assert!(
        text.contains("cannot be read") && !text.contains("s3cret"),
        "{text}"
    );
}

#[test]
fn a_video_by_http_is_read_by_ffmpeg() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.ts");
    let made = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i"])
        .args(["testsrc=size=96x64:rate=25:duration=2", "-c:v", "libx264"])
        .arg(&path)
        .status();
    if let Err(error) = made {
        eprintln!("SKIPPED: a video that is read by ffmpeg: {error}");
        return;
    }
    let video = std::fs::read(&path).unwrap();
    let address = camera(move |_, connection| {
        answer(connection, "200 OK", "Content-Type: video/mp2t\r\n", &video)
    });
    let mut source = open(&address, "clip.ts", &SourceCounters::default());
    for _ in 0..3 {
        let frame = source.next_frame().unwrap().unwrap();
        assert_eq!((frame.picture.width(), frame.picture.height()), (96, 64));
    }
}
