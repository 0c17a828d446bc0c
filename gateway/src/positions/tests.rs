use std::time::Duration;

use super::*;

const DEVICE: DeviceId = DeviceId::new([1; 20]);

fn at(boot: u64, seq: u64) -> Position {
    Position {
        boot: boot.try_into().unwrap(),
        seq: seq.try_into().unwrap(),
    }
}

fn open(folder: &tempfile::TempDir) -> Positions {
    Positions::load(Store::reopen(&folder.path().join("store"))).unwrap()
}

#[test]
fn positions_only_rise_and_gaps_are_seen() {
    let gap = |from: u64, to: u64| {
        Ok(Some(Gap {
            from: from.try_into().unwrap(),
            to: to.try_into().unwrap(),
        }))
    };
    let replayed = |last| Err(Replayed { last });
    for (last, next, expected) in [
        (None, at(1, 0), Ok(None)),
        (None, at(1, 9), Ok(None)),
        (Some(at(1, 4)), at(1, 5), Ok(None)),
        (Some(at(1, 4)), at(1, 6), gap(5, 5)),
        (Some(at(1, 4)), at(1, 9), gap(5, 8)),
        (Some(at(1, 4)), at(1, 4), replayed(at(1, 4))),
        (Some(at(1, 4)), at(1, 3), replayed(at(1, 4))),
        (Some(at(2, 0)), at(1, 9), replayed(at(2, 0))),
        (Some(at(1, 4)), at(2, 0), Ok(None)),
        (Some(at(1, 4)), at(2, 3), gap(0, 2)),
        (Some(at(1, 4)), at(9, 0), Ok(None)),
    ] {
        assert_eq!(step(last, next), expected, "{last:?} then {next:?}");
    }
}

fn gap(taken: Result<Taken, NotTaken>) -> Option<Gap> {
    taken.unwrap().gap
}

/// Positions whose writer calls `write`, and the writer's thread.
fn written_by(
    folder: &tempfile::TempDir,
    write: impl FnMut(&Dirty) -> Result<(), StoreError> + Send + 'static,
) -> (Positions, std::thread::JoinHandle<()>) {
    let positions = open(folder);
    let writer = positions.clone();
    let thread = std::thread::spawn(move || writer.keep_writing_by(write));
    (positions, thread)
}

fn disk_failure() -> StoreError {
    StoreError::Flush(std::io::Error::other("the disk is full"))
}

#[test]
fn streams_are_apart_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let detections: StreamName = "detections".parse().unwrap();
    let frames: StreamName = "frames".parse().unwrap();
    {
        let positions = open(&folder);
        positions
            .accept(DEVICE, &detections, at(1, 5), None)
            .unwrap();
        positions.accept(DEVICE, &frames, at(1, 0), None).unwrap();
        let other = DeviceId::new([2; 20]);
        positions
            .accept(other, &detections, at(1, 0), None)
            .unwrap();
        positions.close();
        positions.keep_writing();
    }
    let positions = open(&folder);
    assert!(matches!(
        positions.accept(DEVICE, &detections, at(1, 5), None),
        Err(NotTaken::Replayed { .. })
    ));
    assert_eq!(gap(positions.accept(DEVICE, &frames, at(1, 1), None)), None);
    assert_eq!(positions.last(DEVICE, &detections), Some(at(1, 5)));
}

#[test]
fn a_device_is_forgotten_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let detections: StreamName = "detections".parse().unwrap();
    let other = DeviceId::new([2; 20]);
    let write = |positions: Positions| {
        positions.close();
        positions.keep_writing();
    };
    {
        let positions = open(&folder);
        for device in [DEVICE, other] {
            let accepted = positions.accept(device, &detections, at(1, 5), None);
            accepted.unwrap();
        }
        write(positions);
    }
    {
        let positions = open(&folder);
        positions.forget(DEVICE);
        positions.forget(DEVICE);
        assert_eq!(positions.last(DEVICE, &detections), None);
        write(positions);
    }
    let positions = open(&folder);
    assert_eq!(positions.all(), [((other, detections.clone()), at(1, 5))]);
    let first = positions.accept(DEVICE, &detections, at(1, 5), None);
    assert_eq!(gap(first), None);
}

#[tokio::test]
async fn a_position_counts_as_written_only_when_it_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let stream: StreamName = "detections".parse().unwrap();
    let (let_go, gate) = std::sync::mpsc::channel();
    let (positions, thread) = written_by(&folder, move |_| {
        gate.recv().map_err(|_| disk_failure())?;
        Ok(())
    });
    let taken = positions.accept(DEVICE, &stream, at(1, 0), None).unwrap();
    let written = positions.written(taken.batch);
    tokio::pin!(written);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut written).await;
    assert!(early.is_err(), "told before it was written");
    // A replay of what is only on its way to the disk waits with it.
    let Err(NotTaken::Replayed { batch }) = positions.accept(DEVICE, &stream, at(1, 0), None)
    else {
        panic!("a replay was taken")
    };
    assert_eq!(batch, taken.batch);
    let_go.send(()).unwrap();
    assert!(written.await);
    drop(let_go);
    positions.close();
    thread.join().unwrap();
}

#[tokio::test]
async fn a_failed_write_is_tried_again_and_nobody_is_told_before() {
    let folder = tempfile::tempdir().unwrap();
    let stream: StreamName = "detections".parse().unwrap();
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let seen = attempts.clone();
    let (let_go, gate) = std::sync::mpsc::channel::<()>();
    let (positions, thread) = written_by(&folder, move |dirty| {
        seen.lock().push(dirty.positions.clone());
        if seen.lock().len() > 1 {
            return Ok(());
        }
        let _ = gate.recv();
        Err(disk_failure())
    });
    let first = positions.accept(DEVICE, &stream, at(1, 0), None).unwrap();
    while attempts.lock().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let other: StreamName = "frames".parse().unwrap();
    let second = positions.accept(DEVICE, &other, at(1, 7), None).unwrap();
    assert!(second.batch > first.batch);
    let_go.send(()).unwrap();
    assert!(positions.written(first.batch).await);
    let attempts = attempts.lock().clone();
    assert_eq!(
        attempts.len(),
        2,
        "the first was told of before it was written"
    );
    let both = [(stream, at(1, 0)), (other, at(1, 7))];
    let both = both.map(|(stream, position)| ((DEVICE, stream), Some(position)));
    assert_eq!(attempts[1], BTreeMap::from(both));
    positions.close();
    thread.join().unwrap();
}

#[test]
fn a_device_cannot_make_the_gateway_remember_ever_more_streams() {
    let folder = tempfile::tempdir().unwrap();
    let positions = open(&folder);
    let accept = |number: usize| {
        let stream = format!("s{number}").parse().unwrap();
        positions.accept(DEVICE, &stream, at(1, 0), None)
    };
    assert!((0..MAX_STREAMS_REMEMBERED).all(|number| accept(number).is_ok()));
    assert_eq!(accept(MAX_STREAMS_REMEMBERED), Err(NotTaken::Streams));
    let known = "s0".parse().unwrap();
    assert!(positions.accept(DEVICE, &known, at(1, 1), None).is_ok());
}

#[test]
fn one_of_two_callers_is_told_yes() {
    let folder = tempfile::tempdir().unwrap();
    let positions = open(&folder);
    let stream: StreamName = "detections".parse().unwrap();
    for seq in 0..100 {
        let accepted: usize = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| positions.accept(DEVICE, &stream, at(1, seq), None).is_ok())
                })
                .collect();
            callers
                .into_iter()
                .map(|caller| usize::from(caller.join().unwrap()))
                .sum()
        });
        assert_eq!(accepted, 1, "seq {seq}");
    }
}
