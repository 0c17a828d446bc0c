//! Who is told that a device comes and goes.

use ashya_protocol::DeviceId;
use ashya_protocol::ws::{NoticeState, ServerMessage};

use futures_util::FutureExt;

use super::viewer::{drain, watch};
use super::world::{ALICE, BOB, FEED, START, World};
use crate::hub::tests::device_key;
use crate::presence::{Door, Word};
use crate::socket::Viewer;

fn told(message: &ServerMessage) -> NoticeState {
    match message {
        ServerMessage::Notice {
            feed: FEED, state, ..
        } => *state,
        other => panic!("not a notice of the feed: {other:?}"),
    }
}

#[tokio::test]
async fn a_watch_follows_the_device_that_is_sold_now() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = world.watching(ALICE, FEED).await;
    let presence = &world.parts.presence;
    let (before, after) = (device_key().device_id(), DeviceId::new([7; 20]));
    world.replace_device();
    let watching = alice.message().await;
    assert!(
        matches!(watching, ServerMessage::Watching { device, .. } if device == after),
        "{watching:?}"
    );
    assert_eq!(told(&alice.message().await), NoticeState::Offline);
    presence.set(Door::Broker, before, Word::Offline);
    alice.is_silent().await;
    for (word, state) in [
        (Word::Online, NoticeState::Online),
        (Word::Offline, NoticeState::Offline),
    ] {
        presence.set(Door::Bridge, after, word);
        assert_eq!(told(&alice.message().await), state);
    }
}

#[tokio::test]
async fn who_has_not_paid_is_told_once_the_watch_begins() {
    let world = World::start().await;
    let mut bob = world.sign_in(BOB).await;
    bob.watch(FEED).await;
    let offer = bob.message().await;
    assert!(
        matches!(offer, ServerMessage::PaymentRequired(_)),
        "{offer:?}"
    );
    let device = device_key().device_id();
    world
        .parts
        .presence
        .set(Door::Broker, device, Word::Offline);
    bob.is_silent().await;
    world.subscribe(FEED, BOB, START + 600);
    let watching = bob.message().await;
    assert!(
        matches!(watching, ServerMessage::Watching { .. }),
        "{watching:?}"
    );
    assert_eq!(told(&bob.message().await), NoticeState::Offline);
    bob.is_silent().await;
}

#[tokio::test]
async fn only_whom_a_device_concerns_is_woken() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let presence = &world.parts.presence;
    let (device, other) = (device_key().device_id(), DeviceId::new([7; 20]));
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    assert_eq!(drain(&mut alice), ["watching"]);
    presence.set(Door::Broker, other, Word::Online);
    assert!(alice.turn().now_or_never().is_none());
    presence.set(Door::Broker, device, Word::Offline);
    assert!(alice.turn().now_or_never().is_some());
    assert_eq!(drain(&mut alice), ["offline"]);
    // The new device is there, so nothing is told behind.
    world.replace_device();
    assert!(alice.turn().now_or_never().is_some());
    assert_eq!(drain(&mut alice), ["watching"]);
    presence.set(Door::Broker, device, Word::Online);
    assert!(alice.turn().now_or_never().is_none());
    world.pause(START + 1);
    assert_eq!(drain(&mut alice), ["paused"]);
    presence.set(Door::Broker, other, Word::Offline);
    assert!(alice.turn().now_or_never().is_some());
    assert_eq!(drain(&mut alice), ["offline"]);
}
