use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::store::Store;

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
