//! What reaches a socket whose task waits, past that task.

use ashya_protocol::ws::{EndReason, GapReason, ServerMessage};

use super::client::{Client, Heard};
use super::seq;
use super::world::{ALICE, FEED, START, World};

/// A socket that waits: it has had one event already.
async fn waiting(world: &World) -> Client {
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = world.sign_in(ALICE).await;
    alice.watch(FEED).await;
    assert!(matches!(
        alice.message().await,
        ServerMessage::Watching { .. }
    ));
    world.publish("detections", 0);
    assert_eq!(seq(&alice.hear().await), 0);
    alice
}

#[tokio::test]
async fn what_never_reached_the_gateway_is_told_to_a_socket_that_waits() {
    let world = World::start().await;
    let mut alice = waiting(&world).await;
    world.publish("detections", 1);
    world.publish_after_loss((2, 4), "detections", 5);
    world.publish("detections", 6);
    assert_eq!(seq(&alice.hear().await), 1);
    let Heard::Message(ServerMessage::Gap {
        from, to, reason, ..
    }) = alice.hear().await
    else {
        panic!("no gap")
    };
    assert_eq!((from.get(), to.get(), reason), (2, 4, GapReason::Lost));
    assert_eq!(seq(&alice.hear().await), 5);
    assert_eq!(seq(&alice.hear().await), 6);
}

#[tokio::test]
async fn the_ledgers_word_acts_before_the_next_event_of_a_socket_that_waits() {
    let world = World::start().await;
    let mut alice = waiting(&world).await;
    // Nothing else runs between the two: the socket's task has heard of nothing.
    world.cancel(FEED, ALICE);
    world.publish("detections", 1);
    let ended = ServerMessage::Ended {
        feed: FEED,
        reason: EndReason::Cancelled,
    };
    assert_eq!(alice.message().await, ended);
    alice.is_silent().await;
}
