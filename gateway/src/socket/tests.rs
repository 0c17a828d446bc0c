//! Sockets and event streams over real connections; the ledger's words are put into the index by hand.

mod client;
mod cutoff;
mod cuts;
mod dice;
mod event_stream;
mod history;
mod lane;
mod patience;
mod presence;
mod random;
mod resumed;
mod revoked;
mod tls;
mod viewer;
mod world;

use std::time::Duration;

use ashya_protocol::Address;
use ashya_protocol::ws::{CloseCode, EndReason, ErrorCode, GapReason, NoticeState, ServerMessage};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::hub::tests::{device_key, position};
use crate::presence::{Door, Word};
use client::Heard;
use world::{ALICE, FEED, OWNER, PATIENCE, SECOND_FEED, START, World};

fn streams(message: &ServerMessage) -> Vec<&str> {
    match message {
        ServerMessage::Watching { streams, .. } => {
            streams.iter().map(|name| name.as_str()).collect()
        }
        other => panic!("not watching: {other:?}"),
    }
}

fn seq(heard: &Heard) -> u64 {
    match heard {
        Heard::Message(ServerMessage::Event(event)) => event.seq.get(),
        other => panic!("not an event: {other:?}"),
    }
}

#[tokio::test]
async fn who_has_not_paid_gets_the_offer_and_no_event_until_they_pay() {
    let world = World::start().await;
    let mut alice = world.sign_in(ALICE).await;
    alice.watch(FEED).await;
    let ServerMessage::PaymentRequired(offer) = alice.message().await else {
        panic!("no offer")
    };
    assert_eq!(
        (offer.feed, offer.price.get(), offer.chain_id),
        (FEED, 5, 31_337)
    );
    for seq in 0..10 {
        world.publish("detections", seq);
    }
    alice.is_silent().await;
    world.jump(10);
    world.subscribe_from(FEED, ALICE, START + 10, START + 600);
    assert_eq!(streams(&alice.message().await), ["detections", "frames"]);
    world.publish("detections", 10);
    assert_eq!(seq(&alice.hear().await), 10);
}

#[tokio::test]
async fn a_client_may_say_all_at_once_in_whatever_pieces() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let token = world.parts.sessions.issue(ALICE).token;
    let auth = format!(r#"{{"type":"auth","token":"{token}"}}"#);
    let watch = format!(r#"{{"type":"watch","feed":"{FEED}"}}"#);
    let part = |text: &str, data, is_final| {
        let (opcode, bytes) = (OpCode::Data(data), text.to_owned().into_bytes());
        Frame::Frame(frame::Frame::message(bytes, opcode, is_final))
    };
    let (first, second) = auth.split_at(auth.len() / 2);
    let in_pieces = [
        part(first, Data::Text, false),
        Frame::Ping(Vec::new().into()),
        part(second, Data::Continue, true),
    ];
    for said in [vec![Frame::text(auth.clone())], in_pieces.into()] {
        let mut alice = world.connect(None).await.unwrap();
        alice
            .send_together(said.into_iter().chain([Frame::text(watch.clone())]))
            .await;
        assert_eq!(
            alice.message().await,
            ServerMessage::Welcome { wallet: ALICE }
        );
        assert_eq!(streams(&alice.message().await), ["detections", "frames"]);
    }
}

#[tokio::test]
async fn nothing_is_written_at_or_after_any_expiry() {
    const SOCKETS_OF_EACH: usize = 7;
    let world = World::start().await;
    let mut sockets = Vec::new();
    for (number, seconds) in [(10, 1), (11, 2), (12, 3)] {
        let wallet = Address::new([number; 20]);
        let until = world.parts.clock.now_seconds() + seconds;
        world.subscribe(FEED, wallet, until);
        for _ in 0..SOCKETS_OF_EACH {
            let mut socket = world.sign_in(wallet).await;
            socket.watch(FEED).await;
            let message = socket.message().await;
            assert!(
                matches!(message, ServerMessage::Watching { expires_at, .. } if expires_at == Some(until))
            );
            sockets.push((until, socket));
        }
    }
    // Each event's number tells the millisecond of chain time at which it was published.
    let last = sockets.iter().map(|(until, _)| *until).max().unwrap();
    let publisher = world.publish_milliseconds_until(last, Duration::from_millis(500));
    for (until, mut socket) in sockets {
        let end = (until - START) * 1_000;
        let (mut last, mut events) = (0, 0);
        let reason = loop {
            match socket.hear().await {
                Heard::Message(ServerMessage::Event(event)) => {
                    last = event.seq.get();
                    events += 1;
                    assert!(last < end, "{last} ms of {end}");
                }
                Heard::Message(ServerMessage::Ended { reason, .. }) => break reason,
                Heard::Message(ServerMessage::Notice { .. }) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(reason, EndReason::Expired);
        assert!(events > 100, "{events} events");
        assert!(last > end - 100, "cut {} ms early", end - last);
        socket.is_silent().await;
    }
    publisher.await.unwrap();
}

#[tokio::test]
async fn the_clock_cuts_also_when_it_jumps() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = world.watching(ALICE, FEED).await;
    world.jump(600);
    world.publish("detections", 0);
    let ended = alice.message().await;
    assert!(
        matches!(
            ended,
            ServerMessage::Ended {
                reason: EndReason::Expired,
                ..
            }
        ),
        "{ended:?}"
    );
    alice.is_silent().await;
}

#[tokio::test]
async fn extend_pause_resume_and_cancel_act_at_once() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = world.watching(ALICE, FEED).await;
    let notice = |message: ServerMessage| match message {
        ServerMessage::Notice {
            state, expires_at, ..
        } => (state, expires_at),
        other => panic!("not a notice: {other:?}"),
    };
    world.subscribe(FEED, ALICE, START + 900);
    assert_eq!(
        notice(alice.message().await),
        (NoticeState::Expiring, Some(START + 900))
    );
    world.pause(START + 1);
    assert_eq!(notice(alice.message().await), (NoticeState::Paused, None));
    world.jump(1);
    world.publish_held("detections", 0);
    alice.is_silent().await;
    world.resume(10);
    assert_eq!(
        notice(alice.message().await),
        (NoticeState::Resumed, Some(START + 910))
    );
    world.publish("detections", 1);
    assert_eq!(seq(&alice.hear().await), 1);
    let device = device_key().device_id();
    let presence = &world.parts.presence;
    presence.set(Door::Broker, device, Word::Offline);
    assert_eq!(notice(alice.message().await).0, NoticeState::Offline);
    presence.set(Door::Broker, device, Word::Online);
    assert_eq!(notice(alice.message().await).0, NoticeState::Online);
    world.cancel(FEED, ALICE);
    let ended = alice.message().await;
    assert!(
        matches!(
            ended,
            ServerMessage::Ended {
                reason: EndReason::Cancelled,
                ..
            }
        ),
        "{ended:?}"
    );
    world.publish("detections", 2);
    alice.is_silent().await;
}

#[tokio::test]
async fn a_replay_holds_only_what_was_paid() {
    let world = World::start().await;
    for seq in 0..3 {
        world.publish("detections", seq);
    }
    world.jump(100);
    world.subscribe_from(FEED, ALICE, START + 100, START + 600);
    for seq in 3..6 {
        world.publish("detections", seq);
    }
    world.pause(START + 101);
    world.jump(101);
    world.publish_held("detections", 6);
    world.jump(102);
    world.resume(1);
    world.publish("detections", 7);
    let mut alice = world.sign_in(ALICE).await;
    alice.watch_since(FEED, position(3, 0)).await;
    assert!(matches!(
        alice.message().await,
        ServerMessage::Watching { .. }
    ));
    for expected in [3, 4, 5, 7] {
        assert_eq!(seq(&alice.hear().await), expected);
    }
    alice.is_silent().await;
    let mut owner = world.sign_in(OWNER).await;
    owner.watch_since(FEED, position(3, 4)).await;
    assert!(matches!(
        owner.message().await,
        ServerMessage::Watching {
            expires_at: None,
            ..
        }
    ));
    for expected in [5, 6, 7] {
        assert_eq!(seq(&owner.hear().await), expected);
    }
}

#[tokio::test]
async fn what_is_no_longer_kept_is_told() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    for seq in 0..1_100 {
        world.publish("detections", seq);
    }
    let mut alice = world.sign_in(ALICE).await;
    alice.watch_since(FEED, position(3, 41)).await;
    assert!(matches!(
        alice.message().await,
        ServerMessage::Watching { .. }
    ));
    let ServerMessage::Gap {
        from, to, reason, ..
    } = alice.message().await
    else {
        panic!("no gap")
    };
    assert_eq!((from.get(), to.get(), reason), (42, 99, GapReason::Gone));
    for expected in 100..1_100 {
        assert_eq!(seq(&alice.hear().await), expected);
    }
}

#[tokio::test]
async fn two_feeds_of_one_stream_bring_each_event_once() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    world.subscribe(SECOND_FEED, ALICE, START + 600);
    let mut alice = world.watching(ALICE, FEED).await;
    alice.watch(SECOND_FEED).await;
    assert!(matches!(
        alice.message().await,
        ServerMessage::Watching { .. }
    ));
    world.publish("detections", 0);
    assert_eq!(seq(&alice.hear().await), 0);
    alice.is_silent().await;
    // One of the two is enough to go on.
    world.cancel(FEED, ALICE);
    assert!(matches!(alice.message().await, ServerMessage::Ended { feed, .. } if feed == FEED));
    world.publish("detections", 1);
    assert_eq!(seq(&alice.hear().await), 1);
    alice
        .send(r#"{"type":"unwatch","feed":"FEED"}"#.replace("FEED", &SECOND_FEED.to_string()))
        .await;
    alice.is_silent().await;
    world.publish("detections", 2);
    alice.is_silent().await;
    let device = device_key().device_id();
    assert!(world.parts.hub.demand(device).borrow().streams.is_empty());
}

#[tokio::test]
async fn both_subprotocols_and_no_other() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut json = world.watching(ALICE, FEED).await;
    let mut binary = world.sign_in_with(ALICE, Some("ashya.v1")).await;
    binary.watch(FEED).await;
    assert!(matches!(
        binary.message().await,
        ServerMessage::Watching { .. }
    ));
    let envelope = world.publish("detections", 7);
    assert_eq!(seq(&json.hear().await), 7);
    match binary.hear().await {
        Heard::Envelope(bytes) => assert_eq!(bytes, envelope),
        other => panic!("{other:?}"),
    }
    let refused = world.connect(Some("mqtt")).await.err().unwrap();
    assert!(refused.contains("400"), "{refused}");
    assert!(world.connect(Some("ashya.v1.json")).await.is_ok());
}

#[tokio::test]
async fn refusals_name_their_reason() {
    let world = World::start().await;
    let mut alice = world.sign_in(ALICE).await;
    let unknown = format!(r#"{{"type":"watch","feed":"0x{}"}}"#, "77".repeat(32));
    let stream = format!(r#"{{"type":"watch","feed":"{FEED}","streams":["audio"]}}"#);
    for (text, expected) in [
        (unknown, ErrorCode::UnknownFeed),
        (stream, ErrorCode::UnknownStream),
        ("{}".into(), ErrorCode::Malformed),
    ] {
        alice.send(text.clone()).await;
        match alice.message().await {
            ServerMessage::Error { code, .. } => assert_eq!(code, expected, "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn every_close_has_its_code() {
    let world = World::start().await;
    let mut bad_token = world.connect(None).await.unwrap();
    bad_token
        .send(r#"{"type":"auth","token":"made up"}"#.into())
        .await;
    assert_eq!(bad_token.close_code().await, CloseCode::Unauthorized.code());
    let mut impatient = world.connect(None).await.unwrap();
    impatient.watch(FEED).await;
    assert_eq!(impatient.close_code().await, CloseCode::Unauthorized.code());
    let mut binary = world.sign_in(ALICE).await;
    binary.send_frame(Frame::binary(vec![1, 2, 3])).await;
    assert_eq!(binary.close_code().await, CloseCode::Protocol.code());
    let mut babbling = world.sign_in(ALICE).await;
    for _ in 0..=super::limits::MAX_MALFORMED {
        babbling.send("[]".into()).await;
    }
    assert_eq!(babbling.close_code().await, CloseCode::Protocol.code());
    let mut short = world.sign_in_for(ALICE, Duration::from_secs(1)).await;
    assert_eq!(short.close_code().await, CloseCode::Unauthorized.code());
    let mut last = world.sign_in(ALICE).await;
    world.parts.shutdown.cancel();
    assert_eq!(last.close_code().await, CloseCode::GoingAway.code());
    world.parts.tasks.close();
    timeout(PATIENCE, world.parts.tasks.wait()).await.unwrap();
    assert_eq!(world.parts.metrics.sockets.get(), 0);
    assert_eq!(world.parts.metrics.watches.get(), 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_pictures_and_hears_how_many() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = world.watching(ALICE, FEED).await;
    // More than the kernel's buffers take, in pictures; the client reads nothing meanwhile.
    for seq in 0..200 {
        world.publish_sized("frames", seq, 200_000);
        world.publish("detections", seq);
        sleep(Duration::from_millis(2)).await;
    }
    let (mut detections, mut frames, mut lost) = (0, 0, 0);
    while detections < 200 || frames + lost < 200 {
        match alice.hear().await {
            Heard::Message(ServerMessage::Event(event)) => match event.stream.as_str() {
                "detections" => detections += 1,
                _ => frames += 1,
            },
            Heard::Message(ServerMessage::Gap {
                from, to, reason, ..
            }) => {
                assert_eq!(reason, GapReason::Slow);
                lost += to.get() - from.get() + 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((detections, frames + lost), (200, 200));
    assert!(lost > 0, "the kernel took everything");
}
