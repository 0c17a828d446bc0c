use ashya_protocol::{Address, DetectedObject, Envelope, Hash, ModelInfo};

use super::*;
use crate::detect::{Candidate, PixelBox};
use crate::fractions::detected;
use crate::picture::Picture;

const DOMAIN: Domain = Domain {
    chain_id: 31337,
    ledger: Address::new([7; 20]),
};

fn voice() -> Voice {
    let key = DeviceKey::from_bytes([5; 32]).unwrap();
    Voice::new(key, DOMAIN, Boot::try_from(3).unwrap())
}

fn time() -> TimeUs {
    TimeUs::try_from(1_790_000_000_000_000).unwrap()
}

/// What a model of this name saw in a picture of 4 by 2 pixels.
fn seen(name: String, frame: &Draft, objects: Vec<DetectedObject>) -> Detections {
    Detections {
        model: ModelInfo {
            name,
            sha256: Hash::ZERO,
        },
        picture: ashya_protocol::Picture {
            width: 4,
            height: 2,
            seq: Some(frame.seq()),
        },
        objects,
    }
}

#[test]
fn events_are_numbered_by_stream_and_a_failure_leaves_no_gap() {
    let voice = voice();
    let mut seqs = Vec::new();
    for stream in ["detections", "frames", "detections"] {
        seqs.push(
            voice
                .sign(stream, "text/plain", time(), *b"x")
                .unwrap()
                .seq
                .get(),
        );
    }
    let oversized = vec![0; ashya_protocol::limits::MAX_PAYLOAD_BYTES + 1];
    assert!(
        voice
            .sign("detections", "text/plain", time(), oversized)
            .is_err()
    );
    assert!(voice.sign("No such", "text/plain", time(), *b"x").is_err());
    seqs.push(
        voice
            .sign("detections", "text/plain", time(), *b"x")
            .unwrap()
            .seq
            .get(),
    );
    assert_eq!(seqs, [0, 0, 1, 2]);
}

#[test]
fn threads_that_share_a_stream_leave_no_gap_and_use_no_number_twice() {
    let voice = voice();
    let mut seqs: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let voice = voice.clone();
                scope.spawn(move || {
                    let mut seqs = Vec::new();
                    for event in 0..50 {
                        let draft = voice.draft("objects", "text/plain", time(), *b"x");
                        // One in five is not published after all.
                        if (event + thread) % 5 > 0 {
                            seqs.push(voice.commit(draft.unwrap()).seq.get());
                        }
                    }
                    seqs
                })
            })
            .collect();
        let seqs = threads.into_iter().map(|thread| thread.join().unwrap());
        seqs.flatten().collect()
    });
    seqs.sort_unstable();
    assert!(seqs.iter().copied().eq(0..160), "{seqs:?}");
    let last = voice.last();
    assert_eq!(
        last.values().map(|seq| seq.get()).collect::<Vec<_>>(),
        [159]
    );
}

#[test]
fn a_stream_whose_draft_is_kept_says_so() {
    let voice = voice();
    let draft = voice.draft("frames", "text/plain", time(), *b"x").unwrap();
    let error = voice.sign("frames", "text/plain", time(), *b"y");
    assert!(matches!(error, Err(VoiceError::Drafted(_))));
    assert_eq!(voice.commit(draft).seq.get(), 0);
    let next = voice.sign("frames", "text/plain", time(), *b"y").unwrap();
    assert_eq!(next.seq.get(), 1);
}

#[test]
fn a_frame_whose_detections_cannot_be_signed_leaves_no_gap() {
    let voice = voice();
    let endless = "m".repeat(ashya_protocol::limits::MAX_PAYLOAD_BYTES);
    let mut published = Vec::new();
    for name in ["m".into(), endless, "m".into()] {
        let frame = voice.frame(time(), vec![1]).unwrap();
        let seen = seen(name, &frame, Vec::new());
        if let Ok(seen) = voice.detections("people", time(), &seen) {
            published.push((voice.commit(frame).seq.get(), seen.seq.get()));
        }
    }
    assert_eq!(published, [(0, 0), (1, 1)]);
}

#[test]
fn what_was_seen_is_signed_by_the_device_and_names_its_frame() {
    let voice = voice();
    let picture = Picture::from_rgb(4, 2, vec![9; 24]).unwrap();
    let frame = voice.frame(time(), picture.to_jpeg(80).unwrap()).unwrap();
    let bounds = PixelBox {
        x1: 1.0,
        y1: 0.0,
        x2: 3.0,
        y2: 1.0,
    };
    let object = detected(
        &Candidate {
            bounds,
            score: 0.123_456_7,
            class: 3,
        },
        "dog",
        &picture,
    );
    let seen = seen("m".into(), &frame, vec![object]);
    let signed = voice.detections("detections", time(), &seen).unwrap();
    let verified = Envelope::decode(&signed.envelope)
        .unwrap()
        .verify(&DOMAIN)
        .unwrap();
    let event = verified.event();
    assert_eq!(
        (event.device, event.position.boot.get()),
        (voice.device(), 3)
    );
    let text = std::str::from_utf8(&event.payload).unwrap();
    assert!(
        text.ends_with(
            r#""picture":{"width":4,"height":2,"seq":0},"objects":[{"label":"dog","class":3,"score":0.12346,"box":[0.25,0.0,0.5,0.5]}]}"#
        ),
        "{text}"
    );
}
