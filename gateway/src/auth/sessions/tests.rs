use std::path::Path;

use futures_util::FutureExt;

use super::*;
use crate::defaults::{MAX_SESSIONS, MAX_SESSIONS_PER_WALLET};

const KEY: &[u8] = &[7; 32];
const HOUR: Duration = Duration::from_secs(3600);
const ALICE: Address = Address::new([1; 20]);
const BOB: Address = Address::new([2; 20]);

fn load(path: &Path) -> Sessions {
    Sessions::load(Store::reopen(path), KEY, HOUR, 2).unwrap()
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
    // The text that opened it opens nothing there.
    let again = two.open(ALICE, id(1)).await;
    assert!(matches!(again, Err(OpenError::Auth(AuthError::Revoked))));
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
    let revocations = [first.revocation(), second.revocation()];
    sessions.end(claims[0]).await.unwrap();
    first.revoked().now_or_never().expect("its socket was told");
    assert!(second.revoked().now_or_never().is_none());
    assert_eq!(revocations.map(|token| token.is_cancelled()), [true, false]);
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
    second
        .revoked()
        .now_or_never()
        .expect("its socket was told");
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

#[test]
fn the_oldest_of_too_many_sessions_is_no_longer_listed() {
    let mut book = Book::default();
    let name = |number: u64| SessionId::new(u128::from(number).to_be_bytes());
    let wallet = |number: u64| {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Address::new(bytes)
    };
    let max = MAX_SESSIONS as u64;
    for number in 0..max - 1 {
        let record = Record::open(wallet(number), 100 + number, 1_000 + max - number);
        book.insert(name(number), record);
    }
    assert!(book.make_room_for(ALICE).is_empty());
    book.insert(id(255), Record::open(ALICE, 99, 5_000));
    // The oldest is the one that was opened first, however long it lasts.
    assert_eq!(book.make_room_for(BOB), [id(255)]);
    assert!(book.record(id(255)).is_none() && book.record(name(0)).is_some());
    assert!(!book.is_revoked(id(255)), "it stays good");
}

#[test]
fn a_session_ends_in_the_book_at_its_second() {
    let mut book = Book::default();
    let [first, second] = [1, 2].map(id);
    book.insert(first, Record::open(ALICE, 10, 100));
    book.insert(second, Record::open(ALICE, 20, 101));
    assert_eq!(book.forget_before(99), []);
    assert_eq!(book.forget_before(100), [first]);
    assert_eq!(
        book.live_of(ALICE).map(|(id, _)| id).collect::<Vec<_>>(),
        [second]
    );
    assert_eq!(book.forget_before(u64::MAX), [second]);
    assert!(book.is_empty());
}

#[tokio::test]
async fn the_list_tells_how_many_sit_by_each_session_and_the_newest_first() {
    let sessions = Sessions::for_tests(KEY, HOUR);
    let mut claims = Vec::new();
    for byte in 1..=2 {
        let token = sessions.open(ALICE, id(byte)).await.unwrap().token;
        claims.push(sessions.verify(&token).unwrap());
    }
    let listed = || -> Vec<_> {
        let list = sessions.list(ALICE).into_iter();
        list.map(|one| (one.id, one.sockets)).collect()
    };
    let [old, new] = [1, 2].map(|byte| id(byte).to_string());
    assert_eq!(listed(), [(new.clone(), 0), (old.clone(), 0)]);
    let seats = [0, 1, 1].map(|session: usize| sessions.sit(claims[session]).unwrap());
    assert_eq!(listed(), [(new.clone(), 2), (old.clone(), 1)]);
    let [one, two, three] = seats;
    drop(two);
    assert_eq!(listed(), [(new.clone(), 1), (old, 1)]);
    // Who still sits hears of the end, also after another by the same session has left.
    sessions.end(claims[1]).await.unwrap();
    three.revoked().now_or_never().unwrap();
    assert!(one.revoked().now_or_never().is_none());
    drop((one, three));
    assert_eq!(sessions.end_all(ALICE).await.unwrap(), 1);
    assert!(sessions.list(ALICE).is_empty());
    let mut book = sessions.book.lock();
    assert_eq!(book.forget_before(u64::MAX).len(), 2);
    assert!(book.is_empty(), "somebody still sits: {book:?}");
}

#[tokio::test]
async fn a_session_that_has_run_out_is_neither_good_nor_listed() {
    let sessions = Sessions::for_tests(KEY, Duration::ZERO);
    let session = sessions.open(ALICE, id(1)).await.unwrap();
    assert_eq!(sessions.verify(&session.token), Err(AuthError::Expired));
    assert!(sessions.list(ALICE).is_empty());
}

#[test]
fn a_session_is_named_by_its_hexadecimal_digits() {
    let name = "00112233445566778899aabbccddeeff";
    let id: SessionId = name.parse().unwrap();
    assert_eq!(id.as_bytes()[..3], [0x00, 0x11, 0x22]);
    assert_eq!(format!("{id} {id:?}"), format!("{name} SessionId({name})"));
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{name}\""));
    assert_eq!(
        serde_json::from_str::<SessionId>(&format!("\"{name}\"")).unwrap(),
        id
    );
    for bad in ["", "00", &name[1..], "zz112233445566778899aabbccddeeff"] {
        assert!(bad.parse::<SessionId>().is_err(), "{bad}");
    }
}

#[test]
fn the_secret_stays_out_of_every_log() {
    let sessions = Sessions::for_tests(KEY, HOUR);
    let shown = format!("{:?}", sessions.tokens);
    assert_eq!(shown, "Tokens(ashya-session)");
}
