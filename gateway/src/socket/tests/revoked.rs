//! A session that is revoked takes its sockets along, and no others.

use ashya_protocol::ws::{CloseCode, EndReason, ServerMessage};

use super::client::{Client, Heard};
use super::world::{ALICE, BOB, FEED, MAX_SOCKETS, START, World};
use crate::auth::session_id::SessionId;

async fn watching_by(world: &World, id: SessionId) -> Client {
    let session = world.parts.sessions.open(ALICE, id).await.unwrap();
    let mut client = world.connect(None).await.unwrap();
    let auth = format!(r#"{{"type":"auth","token":"{}"}}"#, session.token);
    client.send(auth).await;
    let welcome = ServerMessage::Welcome { wallet: ALICE };
    assert_eq!(client.message().await, welcome);
    client.watch(FEED).await;
    assert!(matches!(
        client.message().await,
        ServerMessage::Watching { .. }
    ));
    client
}

#[tokio::test]
async fn a_revoked_session_ends_its_sockets_at_once() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let [first, second] = [1, 2].map(|byte| SessionId::new([byte; 16]));
    let mut gone = watching_by(&world, first).await;
    let mut stays = watching_by(&world, second).await;
    assert!(world.parts.sessions.end_listed(ALICE, first).await.unwrap());
    let ended = ServerMessage::Ended {
        feed: FEED,
        reason: EndReason::Revoked,
    };
    assert_eq!(gone.message().await, ended);
    assert_eq!(gone.close_code().await, CloseCode::Revoked.code());
    world.publish("detections", 1);
    assert!(matches!(stays.message().await, ServerMessage::Event(_)));
}

#[tokio::test]
async fn a_renewed_socket_ends_with_its_new_session_and_not_with_the_old_one() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let [first, second] = [1, 2].map(|byte| SessionId::new([byte; 16]));
    let mut alice = watching_by(&world, first).await;
    let renewed = world.parts.sessions.open(ALICE, second).await.unwrap();
    let auth = format!(r#"{{"type":"auth","token":"{}"}}"#, renewed.token);
    alice.send(auth).await;
    let welcome = ServerMessage::Welcome { wallet: ALICE };
    assert_eq!(alice.message().await, welcome);
    assert!(world.parts.sessions.end_listed(ALICE, first).await.unwrap());
    alice.is_silent().await;
    assert!(
        world
            .parts
            .sessions
            .end_listed(ALICE, second)
            .await
            .unwrap()
    );
    let ended = ServerMessage::Ended {
        feed: FEED,
        reason: EndReason::Revoked,
    };
    assert_eq!(alice.message().await, ended);
    assert_eq!(alice.close_code().await, CloseCode::Revoked.code());
}

#[tokio::test]
async fn a_wallet_has_so_many_sockets() {
    let world = World::start().await;
    let mut open = Vec::new();
    for _ in 0..MAX_SOCKETS {
        open.push(world.sign_in(ALICE).await);
    }
    let mut refused = world.connect(None).await.unwrap();
    let token = world.parts.sessions.issue(ALICE).token;
    let auth = format!(r#"{{"type":"auth","token":"{token}"}}"#);
    refused.send(auth.clone()).await;
    assert_eq!(refused.close_code().await, CloseCode::TooManySockets.code());
    world.sign_in(BOB).await;
    open.clear();
    // The places are free once the gateway has noticed.
    for _ in 0..100 {
        let mut again = world.connect(None).await.unwrap();
        again.send(auth.clone()).await;
        if let Heard::Message(ServerMessage::Welcome { .. }) = again.hear().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the places are not given back");
}
