use std::fs;

use ashya_protocol::{Boot, Seq};
use tempfile::TempDir;

use super::*;

const DEVICE: DeviceId = DeviceId::new([5; 20]);

const LIMITS: SpoolLimits = SpoolLimits {
    bytes: 1024 * 1024,
    age: Duration::from_secs(3600),
};

fn event(stream: &str, boot: u64, seq: u64) -> Arc<Signed> {
    Arc::new(Signed {
        stream: stream.parse().unwrap(),
        boot: Boot::try_from(boot).unwrap(),
        seq: Seq::try_from(seq).unwrap(),
        kind: Kind::Event,
        envelope: format!("{stream} {boot} {seq}").into_bytes(),
    })
}

fn picture(seq: u64, bytes: usize) -> Arc<Signed> {
    Arc::new(Signed {
        kind: Kind::Picture,
        envelope: vec![7; bytes],
        ..(*event("snapshots", 1, seq)).clone()
    })
}

fn keep(events: impl IntoIterator<Item = Arc<Signed>>) -> Errand {
    Errand {
        keep: events.into_iter().collect(),
        ..Errand::default()
    }
}

/// Opens a spool that was just closed: sled's threads may hold its lock for a moment longer.
fn open(folder: &TempDir) -> Spool {
    open_with(folder, LIMITS)
}

fn open_with(folder: &TempDir, limits: SpoolLimits) -> Spool {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        match Spool::open(&folder.path().join("spool"), DEVICE, limits) {
            Err(SpoolError::Open { .. }) if std::time::Instant::now() < deadline => {
                std::thread::yield_now();
            }
            other => return other.unwrap(),
        }
    }
}

/// Everything of a stream, a few at a time.
fn read(spool: &mut Spool, stream: &str) -> Vec<Signed> {
    let (mut all, mut after) = (Vec::<Signed>::new(), None);
    loop {
        let errand = Errand {
            fetch: vec![Fetch {
                stream: stream.parse().unwrap(),
                after,
                most: 7,
            }],
            ..Errand::default()
        };
        let mut turned = spool.turn(&errand).unwrap();
        let fetched = turned.fetched.remove(0);
        all.extend(fetched.events);
        after = all.last().map(Signed::position);
        if !fetched.more {
            return all;
        }
    }
}

fn set_aside(folder: &TempDir) -> usize {
    let names = fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
    let aside = names.filter(|entry| entry.file_name().to_string_lossy().contains("damaged-"));
    aside.count()
}

#[test]
fn events_come_back_in_order_after_a_new_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    // A stream whose name begins with that of another, and numbers that a text would sort wrongly.
    for (boot, seqs) in [(2, 0..300), (1, 0..20)] {
        for stream in ["a", "a-b", "b"] {
            let events = seqs.clone().map(|seq| event(stream, boot, seq));
            spool.turn(&keep(events)).unwrap();
        }
    }
    drop(spool);
    let mut spool = open(&folder);
    assert_eq!(spool.held().events, 960);
    assert_eq!(spool.streams().len(), 3);
    for stream in ["a", "a-b", "b"] {
        let boot = |boot, seqs: std::ops::Range<u64>| seqs.map(move |seq| event(stream, boot, seq));
        let expected: Vec<_> = boot(1, 0..20).chain(boot(2, 0..300)).collect();
        let found = read(&mut spool, stream);
        assert!(found.iter().eq(expected.iter().map(|event| &**event)));
    }
    let forget = (0..300).map(|seq| Place::of(&event("a", 2, seq)));
    let errand = Errand {
        forget: forget.collect(),
        ..Errand::default()
    };
    // Twice does no harm.
    spool.turn(&errand).unwrap();
    spool.turn(&errand).unwrap();
    assert_eq!(spool.held().events, 660);
    assert_eq!(read(&mut spool, "a").len(), 20);
    let kept = spool.held();
    spool.turn(&keep([event("a", 1, 0)])).unwrap();
    assert_eq!(spool.held(), kept, "what is there already is kept once");
}

#[test]
fn of_too_much_the_oldest_pictures_go_first_and_then_the_oldest_events() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    let mut dropped = Vec::new();
    spool
        .turn(&keep((0..100).map(|seq| event("a", 1, seq))))
        .unwrap();
    for seq in 0..30 {
        let turned = spool.turn(&keep([picture(seq, 100_000)])).unwrap();
        dropped.extend(turned.dropped);
        assert!(spool.held().bytes <= LIMITS.bytes);
    }
    assert!(dropped.iter().all(|(_, kind)| *kind == Kind::Picture));
    let seqs: Vec<_> = dropped
        .iter()
        .map(|(place, _)| place.position.seq.get())
        .collect();
    assert!(seqs.iter().copied().eq(0..seqs.len() as u64), "{seqs:?}");
    assert_eq!(read(&mut spool, "a").len(), 100);
    assert_eq!(read(&mut spool, "snapshots").len() + dropped.len(), 30);

    let events = (100..20_000).map(|seq| event("a", 1, seq));
    let turned = spool.turn(&keep(events)).unwrap();
    let left = read(&mut spool, "a");
    assert!(read(&mut spool, "snapshots").is_empty());
    assert_eq!(left.last().unwrap().seq.get(), 19_999, "the newest is kept");
    let gone = turned.dropped.len() + dropped.len();
    assert_eq!(left.len() + gone, 20_030, "every drop is told");
    assert_eq!(spool.held().events, left.len() as u64);
}

/// What was sent or dropped gives its place on the disk to what comes.
#[test]
fn the_disk_does_not_fill_with_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let limits = SpoolLimits {
        bytes: 4 * 1024 * 1024,
        ..LIMITS
    };
    let mut spool = open_with(&folder, limits);
    for batch in 0..800_u64 {
        let event = |number| Signed {
            envelope: vec![number as u8; 500],
            ..(*event("a", 1, batch * 100 + number)).clone()
        };
        let events = (0..100).map(|number| Arc::new(event(number)));
        spool.turn(&keep(events)).unwrap();
    }
    let size = |name: &str| fs::metadata(folder.path().join("spool").join(name)).map(|m| m.len());
    let on_disk = size("db").unwrap();
    println!("{} held, {on_disk} on the disk", spool.held().bytes);
    // sled gives back places late when the machine is busy; without that the file would hold all 44 MB.
    assert!(on_disk < 6 * limits.bytes, "{on_disk}");
}

#[test]
fn what_is_too_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    let limits = SpoolLimits {
        age: Duration::from_secs(100),
        ..LIMITS
    };
    let mut spool = open_with(&folder, limits);
    spool
        .turn(&keep((0..5).map(|seq| event("a", 1, seq))))
        .unwrap();
    // As if the agent had run for so long since.
    spool.opened_at += 90;
    spool.turn(&keep([event("a", 1, 5)])).unwrap();
    drop(spool);
    let mut spool = open_with(&folder, limits);
    assert!(spool.turn(&Errand::default()).unwrap().dropped.is_empty());
    spool.opened_at += 61;
    let turned = spool.turn(&Errand::default()).unwrap();
    assert_eq!(turned.dropped.len(), 5);
    assert_eq!(read(&mut spool, "a").len(), 1);
}

#[test]
fn the_spool_of_another_key_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    spool.turn(&keep([event("a", 1, 0)])).unwrap();
    drop(spool);
    let path = folder.path().join("spool");
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let spool = loop {
        match Spool::open(&path, DeviceId::new([6; 20]), LIMITS) {
            Err(SpoolError::Open { .. }) if std::time::Instant::now() < deadline => {}
            other => break other.unwrap(),
        }
    };
    assert_eq!((spool.held().events, set_aside(&folder)), (0, 1));
}

/// As a disk leaves it that was full while sled wrote a snapshot, and has room again.
#[test]
fn half_a_snapshot_costs_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    let kept = (0..300).map(|seq| event("a", 1, seq));
    spool.turn(&keep(kept)).unwrap();
    drop(spool);
    let half = folder.path().join("spool/snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&half, []).unwrap();
    let mut spool = open(&folder);
    assert_eq!(read(&mut spool, "a").len(), 300);
    assert_eq!((set_aside(&folder), half.exists()), (0, false));
    drop(spool);
    assert_eq!(read(&mut open(&folder), "a").len(), 300);
}

/// Wherever the file is hit, there is a spool afterwards that takes events.
#[test]
fn a_spool_damaged_anywhere_is_set_aside_or_usable() {
    let mut anew = 0;
    for seed in 0..8_u64 {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(&folder);
        for batch in 0..20 {
            let events = (batch * 100..(batch + 1) * 100).map(|seq| event("a", 1, seq));
            spool.turn(&keep(events)).unwrap();
        }
        drop(spool);
        drop(open(&folder));
        let file = folder.path().join("spool/db");
        let mut bytes = fs::read(&file).unwrap();
        let length = bytes.len() as u64;
        let at = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % length;
        for offset in 0..64 {
            bytes[((at + offset * 17) % length) as usize] ^= 0x5a;
        }
        fs::write(&file, bytes).unwrap();
        let mut spool = open(&folder);
        spool.turn(&keep([event("b", 2, 0)])).unwrap();
        assert_eq!(read(&mut spool, "b").len(), 1, "seed {seed}");
        anew += set_aside(&folder);
    }
    assert!(anew > 0, "the damage never mattered");
}
