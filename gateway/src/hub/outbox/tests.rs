use std::ops::Range;
use std::time::Duration;

use ashya_protocol::FeedId;
use futures_util::task::noop_waker;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::*;
use crate::chain_clock::{ChainClock, ClockSource, Freshness};
use crate::hub::Moment;
use crate::hub::tests::{drain, message};
use crate::ledger_index::LedgerVersion;

const FEED: FeedId = FeedId::new([1; 32]);

/// An outbox whose task waits, and what its client reads.
async fn waiting() -> (Outbox, TcpStream) {
    waiting_in(&[CancellationToken::new()]).await
}

/// The same in a session that was renewed; each has its token.
async fn waiting_in(sessions: &[CancellationToken]) -> (Outbox, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    let outbox = Outbox::default();
    let tcp = Tcp::new(accepted.unwrap().0);
    for revoked in sessions {
        outbox.open_lane(tcp.clone(), Encoding::Binary, revoked.clone());
    }
    assert!(wait(&outbox).is_pending());
    (outbox, client.unwrap())
}

fn wait(outbox: &Outbox) -> Poll<()> {
    let pass = Pass {
        feed: FEED,
        paid: None,
        until: None,
        session_ends: Instant::now() + Duration::from_secs(60),
        ledger: LedgerVersion::default(),
    };
    outbox.poll_filled(&mut Context::from_waker(&noop_waker()), Some(pass))
}

fn parcel(stream: &str, seqs: Range<u64>) -> Arc<Parcel> {
    parcel_of(stream, seqs, 10)
}

fn parcel_of(stream: &str, seqs: Range<u64>, bytes: usize) -> Arc<Parcel> {
    let moment = Moment {
        at: 0,
        feed_times: vec![(FEED, 1)],
        paused: Vec::new(),
    };
    let event = |seq| Arc::new(message(stream, 1, seq, bytes, moment.clone()));
    Arc::new(Parcel::new(&seqs.map(event).collect::<Vec<_>>()))
}

fn now() -> Now {
    let freshness = Freshness {
        max_silence: Duration::ZERO,
        max_head_age: None,
    };
    Now {
        clock: ChainClock::new(ClockSource::Wall, freshness).read(),
        ledger: LedgerVersion::default(),
    }
}

#[tokio::test]
async fn what_comes_while_the_task_waits_is_written_at_once() {
    let (outbox, mut client) = waiting().await;
    for seqs in [0..1, 1..4, 4..20] {
        let parcel = parcel("detections", seqs);
        let (lost, waiting) = outbox.push(&parcel);
        assert_eq!(lost, 0);
        let delivered = waiting.unwrap().deliver(&parcel, now());
        assert!(matches!(delivered, Delivered::Written), "{delivered:?}");
        let mut read = vec![0; parcel.frames(Encoding::Binary).len()];
        timeout(Duration::from_secs(10), client.read_exact(&mut read))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read, parcel.frames(Encoding::Binary));
        assert!(drain(&outbox).is_empty());
    }
}

/// What somebody does between the taking of a parcel and its delivery.
type Meanwhile<'a> = &'a dyn Fn(&Outbox);

#[tokio::test]
async fn nothing_comes_twice_or_out_of_order_when_others_are_quicker() {
    const BOTH: &[&str] = &["detections 0", "detections 1"];
    let (own, other) = (parcel("detections", 0..2), parcel("objects", 0..1));
    let cases: [(&str, Meanwhile<'_>, &[&str]); 6] = [
        ("the task takes over", &Outbox::take_over, BOTH),
        (
            "the task looks",
            &|outbox| assert_eq!(drain(outbox), BOTH),
            &[],
        ),
        (
            "the task waits again",
            &|outbox| assert!(wait(outbox).is_ready()),
            BOTH,
        ),
        (
            "the stream is forgotten",
            &|outbox| outbox.forget(own.events()[0].key()),
            &[],
        ),
        (
            "another stream is forgotten",
            &|outbox| outbox.forget(other.events()[0].key()),
            BOTH,
        ),
        (
            "more comes",
            &|outbox| assert!(outbox.push(&other).1.is_none()),
            &["detections 0", "detections 1", "objects 0"],
        ),
    ];
    for (what, meanwhile, left) in cases {
        let (outbox, _client) = waiting().await;
        let (_, waiting) = outbox.push(&own);
        meanwhile(&outbox);
        let delivered = waiting.unwrap().deliver(&own, now());
        assert!(
            matches!(delivered, Delivered::Left(_)),
            "{what}: {delivered:?}"
        );
        assert_eq!(drain(&outbox), left, "{what}");
    }
}

#[tokio::test]
async fn nothing_is_written_once_the_last_session_is_revoked() {
    let [before, last] = [CancellationToken::new(), CancellationToken::new()];
    let (outbox, _client) = waiting_in(&[before.clone(), last.clone()]).await;
    let parcels = [parcel("detections", 0..1), parcel("detections", 1..2)];
    for (revoked, parcel, is_written) in [(before, &parcels[0], true), (last, &parcels[1], false)] {
        revoked.cancel();
        let (_, waiting) = outbox.push(parcel);
        let delivered = waiting.unwrap().deliver(parcel, now());
        let written = matches!(delivered, Delivered::Written);
        assert_eq!(written, is_written, "{delivered:?}");
    }
    assert_eq!(drain(&outbox), ["detections 1"]);
}

#[tokio::test]
async fn a_late_delivery_takes_nothing_that_was_lent_since() {
    let (outbox, _client) = waiting().await;
    let (first, second) = (parcel("detections", 0..2), parcel("detections", 2..3));
    let (_, late) = outbox.push(&first);
    assert_eq!(drain(&outbox), ["detections 0", "detections 1"]);
    assert!(wait(&outbox).is_pending());
    let (_, next) = outbox.push(&second);
    let late = late.unwrap().deliver(&first, now());
    assert!(matches!(late, Delivered::Left(_)), "{late:?}");
    let next = next.unwrap().deliver(&second, now());
    assert!(matches!(next, Delivered::Written), "{next:?}");
    assert!(drain(&outbox).is_empty());
}

#[tokio::test]
async fn what_the_kernel_takes_in_part_is_left_to_the_task_to_end() {
    let (outbox, mut client) = waiting().await;
    let mut before = Vec::new();
    let (last, begun) = loop {
        let parcel = parcel_of("detections", 0..16, 10_000);
        let (_, waiting) = outbox.push(&parcel);
        match waiting.unwrap().deliver(&parcel, now()) {
            Delivered::Written => before.extend_from_slice(parcel.frames(Encoding::Binary)),
            Delivered::Left(_) => break (parcel, outbox.take_begun()),
            Delivered::Late => panic!("late"),
        }
        assert!(
            before.len() < 1 << 30,
            "a client that reads nothing takes all"
        );
    };
    let Begun {
        events, written, ..
    } = begun.expect("the kernel took whole parcels only");
    assert_eq!(events.len(), 16);
    assert!(drain(&outbox).is_empty());
    let mut read = vec![0; before.len() + written];
    let reading = client.read_exact(&mut read);
    timeout(Duration::from_secs(10), reading)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        read,
        [&before, &last.frames(Encoding::Binary)[..written]].concat()
    );
}

#[tokio::test]
async fn more_pictures_than_a_queue_takes_are_left_to_the_task() {
    let (outbox, _client) = waiting().await;
    let parcel = parcel("frames", 0..10);
    let (lost, waiting) = outbox.push(&parcel);
    assert_eq!(lost, 2);
    assert!(matches!(
        waiting.unwrap().deliver(&parcel, now()),
        Delivered::Left(_)
    ));
}
