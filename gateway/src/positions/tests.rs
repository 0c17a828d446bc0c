use super::*;

const DEVICE: DeviceId = DeviceId::new([1; 20]);

fn at(boot: u64, seq: u64) -> Position {
    Position {
        boot: boot.try_into().unwrap(),
        seq: seq.try_into().unwrap(),
    }
}

fn open(folder: &tempfile::TempDir) -> Positions {
    Positions::load(Store::open(&folder.path().join("store")).unwrap()).unwrap()
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

#[tokio::test]
async fn streams_are_apart_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let detections: StreamName = "detections".parse().unwrap();
    let frames: StreamName = "frames".parse().unwrap();
    {
        let positions = open(&folder);
        positions.accept(DEVICE, &detections, at(1, 5)).unwrap();
        positions.accept(DEVICE, &frames, at(1, 0)).unwrap();
        let other = DeviceId::new([2; 20]);
        positions.accept(other, &detections, at(1, 0)).unwrap();
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        positions.write_behind(shutdown).await;
    }
    let positions = open(&folder);
    let last = Replayed { last: at(1, 5) };
    assert_eq!(positions.accept(DEVICE, &detections, at(1, 5)), Err(last));
    assert_eq!(positions.accept(DEVICE, &frames, at(1, 1)), Ok(None));
    assert_eq!(positions.last(DEVICE, &detections), Some(at(1, 5)));
}

#[test]
fn one_of_two_callers_is_told_yes() {
    let folder = tempfile::tempdir().unwrap();
    let positions = open(&folder);
    let stream: StreamName = "detections".parse().unwrap();
    for seq in 0..100 {
        let accepted: usize = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| positions.accept(DEVICE, &stream, at(1, seq)).is_ok()))
                .collect();
            callers
                .into_iter()
                .map(|caller| usize::from(caller.join().unwrap()))
                .sum()
        });
        assert_eq!(accepted, 1, "seq {seq}");
    }
}
