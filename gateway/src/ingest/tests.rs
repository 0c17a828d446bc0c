use std::time::Duration;

use ashya_contracts::{ClockChange, LedgerEvent};
use ashya_protocol::Address;
use ashya_protocol::rest::{Registration, SignedRegistration};
use tokio::time::timeout;

use super::*;
use crate::chain_clock::{ClockSource, Freshness};
use crate::hub::tests::{DOMAIN, device_key, message};
use crate::retention::Retention;
use crate::store::Store;
use crate::stream::StreamKey;

const SOON: Duration = Duration::from_millis(100);

fn device(byte: u8) -> DeviceId {
    DeviceId::new([byte; 20])
}

/// A door behind which nobody works.
fn idle(folder: &tempfile::TempDir) -> (Ingest, mpsc::Receiver<Job>) {
    let store = Store::open(&folder.path().join("store")).unwrap();
    let (jobs, queue) = mpsc::channel(QUEUE);
    let ingest = Ingest {
        threads: [jobs].into(),
        room: Arc::new(Semaphore::new(MAX_WAITING_BYTES)),
        positions: Positions::load(store).unwrap(),
        ended: CancellationToken::new(),
    };
    (ingest, queue)
}

#[tokio::test]
async fn large_events_wait_for_room_however_few_they_are() {
    const LARGE: usize = 2 * 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let (ingest, mut queue) = idle(&folder);
    let submit = async |bytes: usize| {
        let (device, stream) = (device(1), "frames".parse().unwrap());
        let envelope = vec![0; bytes].into();
        let submitted = ingest.submit(device, stream, envelope, Promise::Fleeting);
        timeout(SOON, submitted).await.is_ok()
    };
    for _ in 0..MAX_WAITING_BYTES / LARGE {
        assert!(submit(LARGE).await);
    }
    assert!(!submit(LARGE).await, "more than the room there is");
    assert!(!submit(1).await);
    drop(queue.recv().await.unwrap());
    assert!(submit(LARGE).await, "room that was freed is given again");
}

#[tokio::test]
async fn a_durable_verdict_waits_for_the_disk_and_a_fleeting_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (ingest, mut queue) = idle(&folder);
    let stream: StreamName = "detections".parse().unwrap();
    let mut verdicts = Vec::new();
    for promise in [Promise::Fleeting, Promise::Durable] {
        let verdict = ingest.submit(device(1), stream.clone(), Bytes::new(), promise);
        verdicts.push(Box::pin(verdict.await.unwrap()));
    }
    let position = Position {
        boot: 1.try_into().unwrap(),
        seq: 0.try_into().unwrap(),
    };
    let taken = ingest.positions.accept(device(1), &stream, position, None);
    let batch = Some(taken.unwrap().batch);
    for _ in 0..2 {
        let decision = Decision {
            verdict: Verdict::Accepted,
            batch,
        };
        queue.recv().await.unwrap().decision.send(decision).unwrap();
    }
    let mut durable = verdicts.pop().unwrap();
    assert_eq!(
        timeout(SOON, &mut verdicts[0]).await,
        Ok(Some(Verdict::Accepted))
    );
    assert!(
        timeout(SOON, &mut durable).await.is_err(),
        "told before the disk"
    );
    let writer = ingest.positions.clone();
    let writer = thread::spawn(move || writer.keep_writing());
    assert_eq!(durable.await, Some(Verdict::Accepted));
    ingest.positions.close();
    writer.join().unwrap();
}

const FEED: FeedId = FeedId::new([5; 32]);

/// What decides about the events of one registered device.
async fn parts(store: &Store, positions: &Positions) -> IngestParts {
    let key = device_key();
    let registration = Registration {
        device: key.device_id(),
        owner: Address::new([1; 20]),
        revision: 1,
        title: "Gate".into(),
        description: String::new(),
        streams: vec!["detections".parse().unwrap()],
    };
    let signature = key.sign(&DOMAIN.device_registration(&registration));
    let registry = Registry::load(store.clone(), DOMAIN, 1).unwrap();
    let signed = SignedRegistration {
        registration,
        signature,
    };
    registry.register(signed).await.unwrap();
    let freshness = Freshness {
        max_silence: SOON,
        max_head_age: None,
    };
    let metrics = Metrics::new();
    IngestParts {
        domain: DOMAIN,
        registry,
        positions: positions.clone(),
        index: LedgerIndex::new(DOMAIN),
        clock: ChainClock::new(ClockSource::Wall, freshness),
        hub: Hub::new(metrics.clone()),
        heard: Heard::default(),
        previews: Previews::load(store.clone()).unwrap(),
        metrics,
    }
}

/// Decides about the event of a number; gives back whether its feed's clock stood still, if it has any.
async fn accepted(parts: &IngestParts, number: u64) -> Option<bool> {
    let moment = Moment::default();
    let envelope = message("detections", 3, number, 10, moment).envelope();
    let expected = Expected {
        device: device_key().device_id(),
        stream: "detections".parse().unwrap(),
    };
    let room = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    let mut accepted = Vec::new();
    let decision = decide(parts, &expected, &envelope, room, &mut accepted);
    assert_eq!(decision.verdict, Verdict::Accepted);
    let moment = accepted[0].moment();
    let runs = moment.feed_times.iter().any(|(feed, _)| *feed == FEED);
    (runs || moment.is_paused(FEED)).then_some(!runs)
}

#[tokio::test]
async fn history_holds_what_a_feed_sells_also_while_its_clock_stands_still() {
    let store = Store::temporary();
    let positions = Positions::load(store.clone()).unwrap().keeping(Retention {
        streams: ["detections".parse().unwrap()].into(),
        age: Duration::from_secs(3_600),
        max_bytes: u64::MAX,
    });
    let writer = positions.clone();
    let writer = thread::spawn(move || writer.keep_writing());
    let parts = parts(&store, &positions).await;
    let device = device_key().device_id();
    assert_eq!(accepted(&parts, 0).await, None, "nobody sells it");
    parts.index.apply(&[LedgerEvent::FeedOpened {
        feed: FEED,
        device,
        name: "gate".parse().unwrap(),
        owner: Address::new([1; 20]),
        base: 1_000,
    }]);
    assert_eq!(accepted(&parts, 1).await, Some(false));
    parts.index.apply(&[LedgerEvent::FeedClock {
        feed: FEED,
        clock: ClockChange {
            paused_at: Some(2_000),
            paused_total: 0,
            paused_by: Some(Address::new([1; 20])),
            retires_at: None,
        },
    }]);
    assert_eq!(accepted(&parts, 2).await, Some(true));
    assert!(positions.settled().await);
    let key = StreamKey {
        device,
        stream: "detections".parse().unwrap(),
    };
    let kept = store.history.after(&key, Position::ORIGIN);
    let kept = kept.map(|item| {
        let (position, record) = item.unwrap();
        let feeds: Vec<_> = record.parts().unwrap().feeds().collect();
        (position.seq.get(), feeds)
    });
    assert_eq!(kept.collect::<Vec<_>>(), [(1, vec![FEED]), (2, vec![FEED])]);
    positions.close();
    writer.join().unwrap();
}
