use std::path::Path;

use futures_util::FutureExt;

use super::*;
use crate::defaults::MAX_SESSIONS_PER_WALLET;

const KEY: &[u8] = &[7; 32];
const HOUR: Duration = Duration::from_secs(3600);
const ALICE: Address = Address::new([1; 20]);
const BOB: Address = Address::new([2; 20]);

fn load(path: &Path) -> Sessions {
    Sessions::load(Store::open(path).unwrap(), KEY, HOUR, 2).unwrap()
}

fn id(byte: u8) -> SessionId {
    SessionId::new([byte; 16])
}

#[tokio::test]
async fn a_revoked_session_stays_revoked_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let tokens = {
        let sessions = load(&path);
        let mut tokens = Vec::new();
        for byte in 1..=3 {
            tokens.push(sessions.open(ALICE, id(byte)).await.unwrap().token);
        }
        let claims = sessions.verify(&tokens[0]).unwrap();
        assert_eq!((claims.wallet, claims.id), (ALICE, id(1)));
        sessions.end(claims).await.unwrap();
        assert!(!sessions.end_listed(BOB, id(2)).await.unwrap(), "foreign");
        assert!(!sessions.end_listed(ALICE, id(9)).await.unwrap(), "unknown");
        assert!(sessions.end_listed(ALICE, id(2)).await.unwrap());
        assert!(!sessions.end_listed(ALICE, id(2)).await.unwrap(), "again");
        tokens
    };
    let sessions = load(&path);
    assert_eq!(sessions.verify(&tokens[0]), Err(AuthError::Revoked));
    assert_eq!(sessions.verify(&tokens[1]), Err(AuthError::Revoked));
    assert_eq!(sessions.verify(&tokens[2]).unwrap().id, id(3));
    let listed: Vec<String> = sessions.list(ALICE).into_iter().map(|one| one.id).collect();
    assert_eq!(listed, [id(3).to_string()]);
    assert_eq!(sessions.end_all(ALICE).await.unwrap(), 1);
    assert_eq!(sessions.verify(&tokens[2]), Err(AuthError::Revoked));
}

#[tokio::test]
async fn any_gateway_of_the_fleet_takes_a_token_and_can_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| load(&folder.path().join(name)));
    let token = one.open(ALICE, id(1)).await.unwrap().token;
    let claims = two.verify(&token).unwrap();
    assert_eq!(claims.wallet, ALICE);
    two.end(claims).await.unwrap();
    assert_eq!(two.verify(&token), Err(AuthError::Revoked));
    let stranger = Sessions::for_tests(&[8; 32], HOUR);
    assert_eq!(stranger.verify(&token), Err(AuthError::Invalid));
}

#[tokio::test]
async fn revoking_reaches_the_sockets_of_that_session_alone() {
    let sessions = Sessions::for_tests(KEY, HOUR);
    let mut claims = Vec::new();
    for byte in 1..=2 {
        let token = sessions.open(ALICE, id(byte)).await.unwrap().token;
        claims.push(sessions.verify(&token).unwrap());
    }
    let (first, second) = (
        sessions.sit(claims[0]).unwrap(),
        sessions.sit(claims[1]).unwrap(),
    );
    assert_eq!(sessions.list(ALICE).len(), 2);
    sessions.end(claims[0]).await.unwrap();
    first.revoked().await;
    assert!(second.revoked().now_or_never().is_none());
    assert_eq!(sessions.sit(claims[0]).unwrap_err(), AuthError::Revoked);
}

#[tokio::test]
async fn a_wallet_has_so_many_places_and_gets_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = load(&folder.path().join("store"));
    let claims = |session: Session| sessions.verify(&session.token).unwrap();
    let alice = claims(sessions.open(ALICE, id(1)).await.unwrap());
    let bob = claims(sessions.open(BOB, id(2)).await.unwrap());
    let renewed = claims(sessions.open(ALICE, id(3)).await.unwrap());
    let mut first = sessions.sit(alice).unwrap();
    let second = sessions.sit(alice).unwrap();
    assert_eq!(sessions.sit(alice).unwrap_err(), AuthError::TooManySockets);
    sessions.sit(bob).unwrap();
    assert_eq!(first.renew(bob), Err(AuthError::Invalid));
    first.renew(renewed).unwrap();
    assert_eq!(sessions.sit(alice).unwrap_err(), AuthError::TooManySockets);
    sessions.end(alice).await.unwrap();
    second.revoked().await;
    assert!(first.revoked().now_or_never().is_none());
    drop((first, second));
    let _again = [
        sessions.sit(renewed).unwrap(),
        sessions.sit(renewed).unwrap(),
    ];
}

#[test]
fn the_book_is_bounded_and_forgets_what_has_run_out() {
    let mut book = Book::default();
    for number in 0..MAX_SESSIONS_PER_WALLET as u64 {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let record = Record::open(ALICE, 100 + number, 1_000 + number);
        book.insert(SessionId::new(bytes), record);
    }
    assert!(book.make_room_for(BOB).is_empty());
    let oldest = SessionId::new([0; 16]);
    assert_eq!(book.make_room_for(ALICE), [oldest]);
    assert!(book.is_revoked(oldest));
    assert_eq!(book.live_of(ALICE).count(), MAX_SESSIONS_PER_WALLET - 1);
    assert_eq!(book.forget_before(999), []);
    assert_eq!(book.forget_before(1_001).len(), 2);
    assert!(!book.is_revoked(oldest) && book.record(oldest).is_none());
    assert_eq!(book.live_of(ALICE).count(), MAX_SESSIONS_PER_WALLET - 2);
}
