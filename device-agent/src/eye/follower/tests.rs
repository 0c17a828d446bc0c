use std::time::Duration;

use ashya_protocol::{Address, Boot, DeviceKey, Domain, Envelope};

use super::*;
use crate::detect::{FilterRules, PixelBox};
use crate::objects::ObjectRules;
use crate::picture::Picture;
use crate::privacy::PrivacyMasks;
use crate::track::TrackerOptions;

const DOMAIN: Domain = Domain {
    chain_id: 31337,
    ledger: Address::new([7; 20]),
};
const START_US: u64 = 1_790_000_000_000_000;

fn follower(when: SnapshotsWhen, first: FirstSnapshot) -> Follower {
    let key = DeviceKey::from_bytes([5; 32]).unwrap();
    let config = TrackingConfig {
        options: TrackerOptions::for_score(0.4),
        rules: ObjectRules {
            update_interval: Duration::from_secs(1),
            stationary: Duration::from_secs(10),
        },
        zones: Vec::new(),
        snapshots: SnapshotsConfig {
            when,
            first,
            quality: 80,
        },
    };
    let rules = FilterRules::above(0.4.try_into().unwrap());
    let filter = Filter::new(&rules, &["person".into()]).unwrap();
    let voice = Voice::new(key, DOMAIN, Boot::try_from(3).unwrap());
    Follower::new(config, &filter, voice, Demand::default(), Looked::default()).unwrap()
}

/// A grey picture of a moment.
fn view(millis: u64, (width, height): (u32, u32)) -> View {
    let rgb = vec![90; (width * height * 3) as usize];
    let time_us = TimeUs::try_from(START_US + millis * 1000).unwrap();
    PrivacyMasks::new(Vec::new()).burn(time_us, Picture::from_rgb(width, height, rgb).unwrap())
}

fn walker(x: f32) -> Candidate {
    Candidate {
        bounds: PixelBox::around(x, 100.0, 40.0, 80.0),
        score: 0.8,
        class: 0,
    }
}

/// Shows somebody who walks by in six frames and is gone, and returns what is told as `stream seq`, with the snapshot that an
/// event names.
fn told(follower: &mut Follower) -> Vec<String> {
    let start = follower.start;
    let mut signed = Vec::new();
    for frame in 0..6_u8 {
        let millis = 200 * u64::from(frame);
        let found = [walker(60.0 + 12.0 * f32::from(frame))];
        let now = start + Duration::from_millis(millis);
        let followed = follower.look(&view(millis, (320, 200)), &found, |_| "person".into(), now);
        let expected = (frame >= 2).then_some(TrackId::new(1));
        assert_eq!(followed.tracks, [expected], "in frame {frame}");
        signed.extend(followed.events);
    }
    // Seen last at 1.0 s, and missed once; then nothing moves.
    let now = start + Duration::from_millis(1200);
    let followed = follower.look(&view(1200, (320, 200)), &[], |_| "person".into(), now);
    signed.extend(followed.events);
    for second in 2..8 {
        let view = view(1000 * second, (320, 200));
        signed.extend(follower.rest(&view, start + Duration::from_secs(second)));
    }
    signed.iter().map(shown).collect()
}

fn shown(signed: &Signed) -> String {
    let verified = Envelope::decode(&signed.envelope)
        .unwrap()
        .verify(&DOMAIN)
        .unwrap();
    let event = verified.event();
    let seq = signed.seq;
    if signed.stream.as_str() == StreamName::SNAPSHOTS {
        let picture = Picture::decode(&event.payload).unwrap();
        assert_eq!((picture.width(), picture.height()), (320, 200));
        return format!(
            "picture {seq} of {} ms",
            (event.time_us.get() - START_US) / 1000
        );
    }
    let object: ObjectEvent = serde_json::from_slice(&event.payload).unwrap();
    let named = object
        .snapshot
        .map_or(String::new(), |seq| format!(" shown by {seq}"));
    format!("{:?} {seq}{named}", object.change)
}

#[test]
fn an_object_ends_with_its_best_picture() {
    // Neither the first box nor a later one is cut or larger: the first that is confirmed is the best.
    for (when, first, expected) in [
        (
            SnapshotsWhen::Always,
            FirstSnapshot::None,
            &["New 0", "picture 0 of 400 ms", "End 1 shown by 0"][..],
        ),
        (
            SnapshotsWhen::Always,
            FirstSnapshot::WhenNew,
            &[
                "picture 0 of 400 ms",
                "New 0 shown by 0",
                "picture 1 of 400 ms",
                "End 1 shown by 1",
            ],
        ),
        (
            SnapshotsWhen::Watched,
            FirstSnapshot::WhenNew,
            &["New 0", "End 1"],
        ),
    ] {
        assert_eq!(
            told(&mut follower(when, first)),
            expected,
            "{when:?} {first:?}"
        );
    }
    let mut watched = follower(SnapshotsWhen::Watched, FirstSnapshot::None);
    watched
        .demand
        .update(br#"{"streams":["snapshots"]}"#)
        .unwrap();
    assert_eq!(
        told(&mut watched),
        ["New 0", "picture 0 of 400 ms", "End 1 shown by 0"]
    );
}

/// A mask over the left half lies over half of somebody: the picture of them shows the other half alone.
#[test]
fn a_snapshot_shows_nothing_that_is_masked() {
    let mut follower = follower(SnapshotsWhen::Always, FirstSnapshot::WhenNew);
    let left = vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]];
    let mut masks = PrivacyMasks::new(vec![left.try_into().unwrap()]);
    let start = follower.start;
    let mut pictures = Vec::new();
    for millis in [0, 200, 400] {
        let time_us = TimeUs::try_from(START_US + millis * 1000).unwrap();
        let bright = Picture::from_rgb(320, 200, vec![200; 320 * 200 * 3]).unwrap();
        let view = masks.burn(time_us, bright);
        let now = start + Duration::from_millis(millis);
        let followed = follower.look(&view, &[walker(160.0)], |_| "person".into(), now);
        let is_snapshot = |signed: &Signed| signed.stream.as_str() == StreamName::SNAPSHOTS;
        pictures.extend(followed.events.into_iter().filter(is_snapshot));
    }
    let [snapshot] = &pictures[..] else {
        panic!("{} snapshots", pictures.len());
    };
    let verified = Envelope::decode(&snapshot.envelope).unwrap();
    let verified = verified.verify(&DOMAIN).unwrap();
    let picture = Picture::decode(&verified.event().payload).unwrap();
    let width = picture.width() as usize;
    for (index, pixel) in picture.rgb().chunks_exact(3).enumerate() {
        match index % width {
            0..160 => assert!(pixel.iter().all(|&value| value < 25), "{index}: {pixel:?}"),
            // Blocks that the mask touches, and what a decoder smears of them, are black too.
            185.. => assert!(pixel.iter().all(|&value| value > 150), "{index}: {pixel:?}"),
            _ => {}
        }
    }
}

#[test]
fn in_a_picture_of_another_size_everything_begins_anew() {
    let mut follower = follower(SnapshotsWhen::Watched, FirstSnapshot::None);
    let start = follower.start;
    let mut told = Vec::new();
    for frame in 0..8 {
        let size = if frame < 4 { (320, 200) } else { (640, 400) };
        let now = start + Duration::from_millis(200 * frame);
        let view = view(200 * frame, size);
        let followed = follower.look(&view, &[walker(100.0)], |_| "person".into(), now);
        told.extend(followed.events.iter().map(shown));
    }
    assert_eq!(told, ["New 0", "End 1", "New 2"]);
}
