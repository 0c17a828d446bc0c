//! How long a socket waits for its client.

use std::time::Duration;

use ashya_protocol::ws::CloseCode;
use tokio::time::{advance, pause, resume, sleep};

use super::world::{ALICE, FEED, PATIENCE, START, World};
use crate::socket::limits::{AUTH_TIMEOUT, PING_INTERVAL, STALE_AFTER};

/// Lets so much time pass at once, after what is under way has settled.
async fn skip(time: Duration) {
    sleep(Duration::from_millis(20)).await;
    pause();
    advance(time).await;
    resume();
    sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn who_does_not_sign_in_is_closed() {
    let world = World::start().await;
    let mut silent = world.connect(None).await.unwrap();
    skip(AUTH_TIMEOUT - Duration::from_millis(200)).await;
    assert_eq!(world.parts.metrics.sockets.get(), 1);
    skip(Duration::from_millis(200)).await;
    assert_eq!(silent.close_code().await, CloseCode::Unauthorized.code());
}

#[tokio::test]
async fn who_answers_no_ping_is_stale() {
    let world = World::start().await;
    let mut dead = world.sign_in(ALICE).await;
    skip(STALE_AFTER).await;
    assert_eq!(dead.close_code().await, CloseCode::Stale.code());
}

#[tokio::test]
async fn who_answers_pings_stays() {
    let world = World::start().await;
    let mut alive = world.sign_in(ALICE).await;
    for _ in 0..6 {
        skip(PING_INTERVAL).await;
        // Reading is what answers the gateway's ping.
        alive.is_silent().await;
    }
    assert_eq!(world.parts.metrics.sockets.get(), 1);
}

#[tokio::test]
async fn who_reads_too_slowly_is_told_so() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut slow = world.watching(ALICE, FEED).await;
    for seq in 0..4_000 {
        world.publish_sized("detections", seq, 12_000);
        tokio::task::yield_now().await;
    }
    assert_eq!(world.parts.metrics.sockets.get(), 1);
    assert_eq!(slow.close_code().await, CloseCode::TooSlow.code());
    world.until_open(0, PATIENCE).await;
}
