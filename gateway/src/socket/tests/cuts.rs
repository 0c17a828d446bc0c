//! What the ledger says acts at once, on a busy socket and on one that is blocked.

use std::time::Duration;

use ashya_protocol::Address;
use ashya_protocol::ws::{EndReason, NoticeState, ServerMessage};
use tokio::time::sleep;

use super::client::{Client, Heard};
use super::world::{ALICE, BOB, FEED, OWNER, PATIENCE, START, World};

/// Watches with many sockets while events come without pause, before the cut, through it and after it, and checks
/// that no socket gets an event that was published once the cut was known; gives back what each was told.
async fn cut_while_busy(wallet: Address, cut: impl Fn(&World)) -> Vec<ServerMessage> {
    const SOCKETS: usize = 20;
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(world.watching(wallet, FEED).await);
    }
    let publisher = world.publish_milliseconds_until(START + 1, Duration::ZERO);
    sleep(Duration::from_millis(500)).await;
    cut(&world);
    let last = world.milliseconds();
    publisher.await.unwrap();
    let mut told = Vec::new();
    for mut socket in sockets {
        let mut events = 0;
        let message = loop {
            match socket.hear().await {
                Heard::Message(ServerMessage::Event(event)) => {
                    assert!(event.seq.get() <= last, "{} ms, cut at {last}", event.seq);
                    events += 1;
                }
                Heard::Message(message) => break message,
                other => panic!("{other:?}"),
            }
        };
        assert!(events > 100, "{events} events");
        told.push(message);
        socket.is_silent().await;
    }
    told
}

fn end_of(message: &ServerMessage) -> Option<EndReason> {
    match message {
        ServerMessage::Ended { reason, .. } => Some(*reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_cancel_cuts_a_busy_socket_at_once() {
    for message in cut_while_busy(ALICE, |world| world.cancel(FEED, ALICE)).await {
        assert_eq!(end_of(&message), Some(EndReason::Cancelled));
    }
}

#[tokio::test]
async fn a_transfer_cuts_the_old_owners_busy_socket_at_once() {
    for message in cut_while_busy(OWNER, |world| world.transfer(BOB)).await {
        assert_eq!(end_of(&message), Some(EndReason::Cancelled));
    }
}

#[tokio::test]
async fn a_pause_holds_a_busy_socket_at_once() {
    for message in cut_while_busy(ALICE, |world| world.pause(START + 1)).await {
        assert!(
            matches!(
                message,
                ServerMessage::Notice {
                    state: NoticeState::Paused,
                    ..
                }
            ),
            "{message:?}"
        );
    }
}

#[tokio::test]
async fn a_blocked_socket_is_given_up_when_its_right_ends() {
    type Cut = fn(&World);
    let cancel: Cut = |world| world.cancel(FEED, ALICE);
    let jump: Cut = |world| world.jump(600);
    for (name, cut) in [("cancel", cancel), ("a clock that jumps", jump)] {
        let world = World::start().await;
        world.subscribe(FEED, ALICE, START + 600);
        let mut alice = world.watching(ALICE, FEED).await;
        world.publish_flood(150).await;
        cut(&world);
        world.until_open(0, Duration::from_millis(500)).await;
        let rest = alice.rest().await;
        assert!(
            rest.len() < 150 && rest.iter().all(|one| end_of(one).is_none()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_blocked_socket_is_given_up_at_expiry() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 2);
    let mut alice = world.watching(ALICE, FEED).await;
    world.publish_flood(150).await;
    assert_eq!(world.parts.metrics.sockets.get(), 1);
    let left = 2_000_u64.checked_sub(world.milliseconds());
    let expiry = Duration::from_millis(left.expect("this machine is too slow for the test"));
    world
        .until_open(0, expiry + Duration::from_millis(200))
        .await;
    let rest = alice.rest().await;
    assert!(rest.iter().all(|one| end_of(one).is_none()));
}

#[tokio::test]
async fn a_blocked_socket_that_is_extended_survives_its_old_expiry() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 2);
    let mut alice = world.watching(ALICE, FEED).await;
    world.publish_flood(150).await;
    world.subscribe(FEED, ALICE, START + 600);
    sleep(Duration::from_millis(2_300)).await;
    assert_eq!(world.parts.metrics.sockets.get(), 1);
    world.publish("detections", 0);
    hear_until(&mut alice, "detections").await;
}

#[tokio::test]
async fn a_blocked_socket_survives_a_new_device() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = world.watching(ALICE, FEED).await;
    world.publish_flood(150).await;
    world.replace_device();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(world.parts.metrics.sockets.get(), 1);
    let mut told = alice.message().await;
    while !matches!(told, ServerMessage::Watching { .. }) {
        told = alice.message().await;
    }
}

async fn hear_until(client: &mut Client, stream: &str) {
    loop {
        if let ServerMessage::Event(event) = client.message().await
            && event.stream.as_str() == stream
        {
            return;
        }
    }
}

#[tokio::test]
async fn a_blocked_socket_survives_a_pause() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = world.watching(ALICE, FEED).await;
    world.publish_flood(150).await;
    world.pause(START + 1);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(world.parts.metrics.sockets.get(), 1);
    let mut last = 0;
    let told = loop {
        match alice.hear().await {
            Heard::Message(ServerMessage::Event(event)) => last = event.seq.get(),
            Heard::Message(ServerMessage::Gap { .. }) => {}
            Heard::Message(message) => break message,
            other => panic!("{other:?}"),
        }
    };
    assert!(
        matches!(
            told,
            ServerMessage::Notice {
                state: NoticeState::Paused,
                ..
            }
        ),
        "{told:?}"
    );
    assert!(last < 149, "nothing was held");
    world.resume(10);
    let mut resumed = false;
    while last < 149 {
        match alice.hear().await {
            Heard::Message(ServerMessage::Event(event)) => last = event.seq.get(),
            Heard::Message(ServerMessage::Notice { .. }) => resumed = true,
            Heard::Message(ServerMessage::Gap { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(resumed);
    alice.is_silent().await;
    world.parts.shutdown.cancel();
    world.until_open(0, PATIENCE).await;
}

#[tokio::test]
async fn a_blocked_socket_survives_a_pause_whose_word_comes_late() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = world.watching(ALICE, FEED).await;
    world.jump(5);
    world.publish_flood(150).await;
    // What is being written was accepted after the clock stood still, as nobody knew.
    world.pause(START + 2);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(world.parts.metrics.sockets.get(), 1);
    let mut events = 0;
    let state = loop {
        match alice.hear().await {
            Heard::Message(ServerMessage::Event(_)) => events += 1,
            Heard::Message(ServerMessage::Gap { .. }) => {}
            Heard::Message(ServerMessage::Notice { state, .. }) => break state,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(state, NoticeState::Paused);
    assert!(events < 150, "nothing was blocked");
}
