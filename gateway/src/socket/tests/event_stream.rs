//! Event streams, over real connections where it matters what hyper and the kernel hold.

use std::time::Duration;

use ashya_protocol::ws::ServerMessage;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;

use super::world::{ALICE, FEED, PATIENCE, START, World};
use crate::auth::session_id::SessionId;
use crate::socket::limits::WRITE_TIMEOUT;
use crate::sse;

/// Numbers of the events that came whole.
fn numbers(text: &str) -> Vec<u64> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|json| match serde_json::from_str(json) {
        Ok(ServerMessage::Event(event)) => Some(event.seq.get()),
        _ => None,
    })
    .collect()
}

/// The body of an answer, read to its end; whether that came in order.
async fn read_to_end(mut stream: TcpStream) -> (String, bool) {
    let mut bytes = Vec::new();
    // An answer that is cut may end with a reset.
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    drop(read.expect("no end"));
    let text = String::from_utf8(bytes).unwrap();
    let (_, mut chunks) = text.split_once("\r\n\r\n").unwrap_or_default();
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let (chunk, rest) = rest.split_at(length.min(rest.len()));
        body.push_str(chunk);
        chunks = rest.strip_prefix("\r\n").unwrap_or_default();
    }
    (body, false)
}

/// What comes until an event has come.
async fn until_an_event(body: &mut Body) -> String {
    let mut text = String::new();
    while !text.contains("event: event") {
        let frame = timeout(PATIENCE, body.frame()).await.expect("nothing came");
        let data = frame.unwrap().unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&data).unwrap());
    }
    text
}

/// An open stream whose reader stands still, with a write that is blocked.
async fn stalled(world: &World) -> TcpStream {
    let stream = world.event_stream(ALICE, FEED).await;
    world.until_open(1, PATIENCE).await;
    world.publish_flood(150).await;
    stream
}

#[tokio::test]
async fn a_stalled_reader_gets_nothing_after_expiry() {
    let world = World::start().await;
    let until = world.parts.clock.now_seconds() + 4;
    world.subscribe(FEED, ALICE, until);
    let stream = stalled(&world).await;
    assert!(
        world.milliseconds() < (until - START) * 1_000 - 100,
        "too slow a machine for this test"
    );
    assert_eq!(world.parts.metrics.sockets.get(), 1);
    // It is given up at its expiry though the reader has not moved, and its camera may rest.
    let expiry = Duration::from_millis((until - START) * 1_000 - world.milliseconds());
    world
        .until_open(0, expiry + Duration::from_millis(200))
        .await;
    assert_eq!(world.parts.metrics.watches.get(), 0);
    // What the kernel had is all that comes.
    let (text, in_order) = read_to_end(stream).await;
    assert!(!numbers(&text).is_empty() && !text.contains("event: ended"));
    assert!(!in_order);
}

#[tokio::test]
async fn a_stalled_reader_is_given_up() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let stream = stalled(&world).await;
    tokio::time::pause();
    tokio::time::advance(WRITE_TIMEOUT).await;
    tokio::time::resume();
    world.until_open(0, Duration::from_secs(1)).await;
    assert!(!read_to_end(stream).await.1);
}

#[tokio::test]
async fn a_cancel_gives_a_stalled_reader_up_at_once() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let stream = stalled(&world).await;
    world.cancel(FEED, ALICE);
    world.until_open(0, Duration::from_millis(500)).await;
    assert!(!read_to_end(stream).await.1);
}

#[tokio::test]
async fn a_revoked_session_cuts_a_stalled_readers_answer_within_its_event() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let id = SessionId::new([1; 16]);
    let session = world.parts.sessions.open(ALICE, id).await.unwrap();
    let stream = world.event_stream_by(&session.token, FEED).await;
    world.until_open(1, PATIENCE).await;
    world.publish_flood(150).await;
    assert!(world.parts.sessions.end_listed(ALICE, id).await.unwrap());
    world.until_open(0, Duration::from_millis(500)).await;
    let (text, in_order) = read_to_end(stream).await;
    assert!(!in_order && !text.contains("event: ended"));
}

#[tokio::test]
async fn the_end_of_the_gateway_does_not_wait_for_a_stalled_reader() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let stream = stalled(&world).await;
    world.parts.shutdown.cancel();
    world.until_open(0, Duration::from_millis(500)).await;
    assert!(!read_to_end(stream).await.1);
}

#[tokio::test]
async fn a_reader_who_comes_back_in_time_misses_only_pictures() {
    let world = World::start().await;
    let until = world.parts.clock.now_seconds() + 4;
    world.subscribe(FEED, ALICE, until);
    let stream = stalled(&world).await;
    let (text, in_order) = read_to_end(stream).await;
    assert!(text.contains("\"reason\":\"slow\""));
    assert!(in_order && text.contains("event: ended"));
    assert_eq!(numbers(&text).last(), Some(&149));
}

#[tokio::test]
async fn a_stalled_reader_who_is_extended_survives_the_old_expiry() {
    let world = World::start().await;
    let until = world.parts.clock.now_seconds() + 4;
    world.subscribe(FEED, ALICE, until);
    let stream = stalled(&world).await;
    assert!(
        world.milliseconds() < (until - START) * 1_000 - 100,
        "too slow a machine for this test"
    );
    world.subscribe(FEED, ALICE, until + 2);
    let past = (until - START) * 1_000 + 200;
    sleep(Duration::from_millis(past - world.milliseconds())).await;
    assert_eq!(world.parts.metrics.sockets.get(), 1);
    let (text, in_order) = read_to_end(stream).await;
    assert!(in_order && text.contains("event: ended"));
    assert_eq!(numbers(&text).last(), Some(&149));
}

#[tokio::test]
async fn a_reader_who_leaves_is_noticed() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let stream = world.event_stream(ALICE, FEED).await;
    world.until_open(1, PATIENCE).await;
    drop(stream);
    world.until_open(0, Duration::from_secs(1)).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.parts.metrics.watches.get(), 0);
}

#[tokio::test]
async fn an_event_stream_holds_the_streams_that_are_asked_for() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let token = world.parts.sessions.issue(ALICE).token;
    let request = |streams: &str| {
        let request = Request::get(format!("/v1/feeds/{FEED}/events?streams={streams}"));
        let request = request.header("authorization", format!("Bearer {token}"));
        sse::routes(world.parts.clone()).oneshot(request.body(Body::empty()).unwrap())
    };
    for unknown in ["", "nothing", "detections,nothing", "Not-A-Name"] {
        let answer = request(unknown).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{unknown}");
    }
    let mut body = request("detections").await.unwrap().into_body();
    world.publish("frames", 1);
    world.publish("detections", 2);
    let text = until_an_event(&mut body).await;
    assert_eq!(numbers(&text), [2]);
    assert!(text.contains(r#""streams":["detections"]"#), "{text}");
}

#[tokio::test]
async fn who_was_away_gets_also_the_first_event_of_a_stream() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    world.publish("detections", 1);
    let token = world.parts.sessions.issue(ALICE).token;
    let open = |last: Option<String>| {
        let request = Request::get(format!("/v1/feeds/{FEED}/events"))
            .header("authorization", format!("Bearer {token}"));
        let request = match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        sse::routes(world.parts.clone()).oneshot(request.body(Body::empty()).unwrap())
    };
    let mut body = open(None).await.unwrap().into_body();
    let first = timeout(PATIENCE, body.frame()).await.unwrap();
    let first = first.unwrap().unwrap().into_data().unwrap();
    // Taken over whole: the write lasts for as long as anybody holds its bytes.
    let first = String::from_utf8(Vec::from(first)).unwrap();
    let id = first
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("id: "));
    let id = id.expect("where each stream begins").to_owned();
    assert!(first.contains("event: watching"), "{first}");
    assert!(
        id.contains("detections:3:1,") && id.contains("frames:0:0"),
        "{id}"
    );
    drop(body);
    world.until_open(0, PATIENCE).await;
    world.publish("frames", 2);
    let mut body = open(Some(id)).await.unwrap().into_body();
    let text = until_an_event(&mut body).await;
    assert_eq!(numbers(&text), [2]);
    drop(body);
    // The camera was replaced while they were away: they have had nothing of this one.
    let of_the_old = "0x0101010101010101010101010101010101010101,detections:9:7";
    let mut body = open(Some(of_the_old.to_owned())).await.unwrap().into_body();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(numbers(&until_an_event(&mut body).await));
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
}

#[tokio::test]
async fn a_feed_that_nobody_can_buy_is_not_offered() {
    type Word = fn(&World);
    let pause: Word = |world| world.pause(START);
    let retire: Word = |world| world.retire();
    let world = World::start().await;
    let token = world.parts.sessions.issue(ALICE).token;
    for (word, code) in [(pause, "feed-paused"), (retire, "feed-retired")] {
        word(&world);
        let request = Request::get(format!("/v1/feeds/{FEED}/events"));
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        let refused = sse::routes(world.parts.clone()).oneshot(request).await;
        let refused = refused.unwrap();
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        let problem = refused.into_body().collect().await.unwrap().to_bytes();
        let problem: ashya_protocol::rest::Problem = serde_json::from_slice(&problem).unwrap();
        assert_eq!((problem.code.as_str(), problem.offer), (code, None));
    }
    world.pause(START);
    world.subscribe(FEED, ALICE, START + 600);
    let request = Request::get(format!("/v1/feeds/{FEED}/events"));
    let request = request.header("authorization", format!("Bearer {token}"));
    let request = request.body(Body::empty()).unwrap();
    let paid = sse::routes(world.parts.clone()).oneshot(request).await;
    let paid = paid.unwrap();
    assert_eq!(paid.status(), StatusCode::OK, "who has paid waits for it");
    drop(paid);
    world.until_open(0, PATIENCE).await;
    assert_eq!(world.parts.metrics.watches.get(), 0);
    assert_eq!(world.parts.metrics.sockets.get(), 0);
}

#[tokio::test]
async fn an_event_stream_has_the_same_rules() {
    let world = World::start().await;
    let uri = format!("/v1/feeds/{FEED}/events");
    let request = |token: Option<String>| {
        let request = Request::get(&uri);
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        sse::routes(world.parts.clone()).oneshot(request.body(Body::empty()).unwrap())
    };
    assert_eq!(
        request(None).await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let token = world.parts.sessions.issue(ALICE).token;
    let unpaid = request(Some(token.clone())).await.unwrap();
    assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
    let problem = unpaid.into_body().collect().await.unwrap().to_bytes();
    let problem: ashya_protocol::rest::Problem = serde_json::from_slice(&problem).unwrap();
    assert_eq!(problem.offer.unwrap().price.get(), 5);
    let until = world.parts.clock.now_seconds() + 2;
    world.subscribe(FEED, ALICE, until);
    let mut paid = request(Some(token)).await.unwrap().into_body();
    assert_eq!(world.parts.metrics.sockets.get(), 1);
    let publisher = world.publish_milliseconds_until(until, Duration::from_millis(100));
    let mut text = String::new();
    let started = Instant::now();
    while let Some(frame) = timeout(PATIENCE, paid.frame()).await.unwrap() {
        text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
    }
    assert!(started.elapsed() < Duration::from_secs(4));
    publisher.await.unwrap();
    assert!(text.contains("\nevent: watching\n"), "{}", &text[..80]);
    assert!(text.contains("event: ended\n"));
    let last = numbers(&text).into_iter().max().unwrap();
    assert!((1_900..2_000).contains(&last), "{last}");
    world.until_open(0, PATIENCE).await;
}
