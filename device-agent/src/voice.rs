//! From what was seen to signed envelopes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ashya_protocol::{
    Boot, BoundingBox, ContentType, DetectedObject, Detections, DeviceId, DeviceKey, Domain,
    EnvelopeError, Event, NameError, NumberError, Position, Seq, StreamName, TimeUs,
};
use thiserror::Error;

use crate::detect::{Candidate, PixelBox};
use crate::picture::Picture;

/// How long an event waits for a draft of its stream: far longer than a picture takes to encode and sign.
const DRAFT_LIMIT: Duration = Duration::from_secs(1);

/// Signs the events of one start of a device, each stream numbered from 0 without gaps. Cheap to clone; all clones
/// count together, so any thread may speak. The order of a stream is the order of these calls, so one stream is best
/// spoken, and handed on, by one thread.
#[derive(Debug, Clone)]
pub struct Voice(Arc<Speaker>);

#[derive(Debug)]
struct Speaker {
    key: DeviceKey,
    domain: Domain,
    boot: Boot,
    numbers: Mutex<HashMap<StreamName, Number>>,
    /// Told when a draft is done with.
    freed: Condvar,
}

/// Where a stream stands.
#[derive(Debug)]
struct Number {
    /// The number of its next event.
    next: Seq,
    /// Whether a draft has that number.
    drafted: bool,
}

/// What an event is worth when not all can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Small, and part of a record: kept for as long as there is room.
    Event,
    /// A picture: large, and first to go.
    Picture,
}

/// An event, signed and encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its stream.
    pub stream: StreamName,
    /// The start that it belongs to.
    pub boot: Boot,
    /// Its number.
    pub seq: Seq,
    /// What it is worth.
    pub kind: Kind,
    /// The envelope as it travels.
    pub envelope: Vec<u8>,
}

impl Kind {
    fn of(content_type: &ContentType) -> Self {
        let is_picture = content_type.as_str().starts_with("image/");
        if is_picture {
            Self::Picture
        } else {
            Self::Event
        }
    }
}

impl Signed {
    /// Where it stands in its stream.
    pub const fn position(&self) -> Position {
        Position {
            boot: self.boot,
            seq: self.seq,
        }
    }
}

/// An event that is signed, but not published yet. It holds its number, and with it its stream, until it is
/// [committed](Voice::commit) or dropped.
#[derive(Debug)]
pub struct Draft {
    signed: Signed,
    /// The number that follows it.
    after: Seq,
    _hold: Hold,
}

/// Frees the stream of a draft when it is dropped.
#[derive(Debug)]
struct Hold {
    voice: Voice,
    stream: StreamName,
}

/// Why an event cannot be published.
#[derive(Debug, Error)]
pub enum VoiceError {
    /// It does not fit an envelope.
    #[error("the event does not fit an envelope")]
    Envelope(#[from] EnvelopeError),
    /// The numbers of this start are used up, or the clock is wrong.
    #[error("a number of the event is out of range")]
    Number(#[from] NumberError),
    /// The name of its stream or content type is not valid.
    #[error("a name of the event is not valid")]
    Name(#[from] NameError),
    /// It cannot be written as JSON.
    #[error("the event cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// A draft holds the next number of the stream.
    #[error("an event of {0} is still a draft")]
    Drafted(StreamName),
}

impl Voice {
    /// A voice that begins a boot.
    pub fn new(key: DeviceKey, domain: Domain, boot: Boot) -> Self {
        Self(Arc::new(Speaker {
            key,
            domain,
            boot,
            numbers: Mutex::default(),
            freed: Condvar::new(),
        }))
    }

    /// The device that speaks.
    pub fn device(&self) -> DeviceId {
        self.0.key.device_id()
    }

    /// This start of the device.
    pub fn boot(&self) -> Boot {
        self.0.boot
    }

    /// The number of the last event of each stream that has one.
    pub fn last(&self) -> BTreeMap<StreamName, Seq> {
        let numbers = self.numbers();
        let last = numbers.iter().filter_map(|(stream, number)| {
            let last = number.next.get().checked_sub(1)?;
            Some((stream.clone(), Seq::try_from(last).ok()?))
        });
        last.collect()
    }

    /// Signs a payload as the next event of a stream, after whoever else signs one there. A failure uses up no number.
    ///
    /// # Errors
    /// When the payload is too large, a name is not valid, the numbers are used up, or a draft holds the stream for a
    /// second.
    pub fn sign(
        &self,
        stream: &str,
        content_type: &str,
        time_us: TimeUs,
        payload: impl Into<Arc<[u8]>>,
    ) -> Result<Signed, VoiceError> {
        let draft = self.draft(stream, content_type, time_us, payload)?;
        Ok(self.commit(draft))
    }

    /// Signs a payload as what the next event of a stream may be. Its number is used up by [`Self::commit`].
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn draft(
        &self,
        stream: &str,
        content_type: &str,
        time_us: TimeUs,
        payload: impl Into<Arc<[u8]>>,
    ) -> Result<Draft, VoiceError> {
        let stream: StreamName = stream.parse()?;
        let content_type: ContentType = content_type.parse()?;
        // Signed without the lock: no other event can have the number while it is held.
        let (seq, hold) = self.hold(&stream)?;
        let after = seq.next()?;
        let kind = Kind::of(&content_type);
        let event = Event {
            device: self.device(),
            stream: stream.clone(),
            position: Position {
                boot: self.0.boot,
                seq,
            },
            time_us,
            content_type,
            payload: payload.into(),
        };
        let envelope = event.sign(&self.0.key, &self.0.domain).encode()?;
        let signed = Signed {
            stream,
            boot: self.0.boot,
            seq,
            kind,
            envelope,
        };
        Ok(Draft {
            signed,
            after,
            _hold: hold,
        })
    }

    /// Makes a draft the next event of its stream.
    pub fn commit(&self, draft: Draft) -> Signed {
        let Draft { signed, after, .. } = draft;
        if let Some(number) = self.numbers().get_mut(&signed.stream) {
            number.next = after;
        }
        signed
    }

    /// Takes the next number of a stream until the answer is dropped.
    fn hold(&self, stream: &StreamName) -> Result<(Seq, Hold), VoiceError> {
        let drafted = |numbers: &mut HashMap<StreamName, Number>| {
            numbers.get(stream).is_some_and(|number| number.drafted)
        };
        let (mut numbers, waited) = self
            .0
            .freed
            .wait_timeout_while(self.numbers(), DRAFT_LIMIT, drafted)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(VoiceError::Drafted(stream.clone()));
        }
        let number = numbers.entry(stream.clone()).or_insert(Number {
            next: Seq::FIRST,
            drafted: false,
        });
        number.drafted = true;
        let hold = Hold {
            voice: self.clone(),
            stream: stream.clone(),
        };
        Ok((number.next, hold))
    }

    /// A panic of somebody who held the lock has left the numbers whole.
    fn numbers(&self) -> MutexGuard<'_, HashMap<StreamName, Number>> {
        self.0
            .numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs a JPEG picture, to be published if the detections in it are.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn frame(&self, time_us: TimeUs, jpeg: Vec<u8>) -> Result<Draft, VoiceError> {
        self.draft(StreamName::FRAMES, ContentType::JPEG, time_us, jpeg)
    }

    /// Signs what a model saw in a picture, for the stream `detections` or one that is derived from it.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn detections(
        &self,
        stream: &str,
        time_us: TimeUs,
        seen: &Detections,
    ) -> Result<Signed, VoiceError> {
        let payload = serde_json::to_vec(seen)?;
        self.sign(stream, ContentType::JSON, time_us, payload)
    }
}

impl Draft {
    /// The number that it will have.
    pub const fn seq(&self) -> Seq {
        self.signed.seq
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(number) = self.voice.numbers().get_mut(&self.stream) {
            number.drafted = false;
        }
        self.voice.0.freed.notify_all();
    }
}

/// An object as it is published: its box in fractions of the picture.
pub fn detected(object: &Candidate, label: &str, picture: &Picture) -> DetectedObject {
    DetectedObject {
        track: None,
        label: label.to_owned(),
        class: object.class,
        score: rounded(object.score),
        bounds: fractions(&object.bounds, picture),
    }
}

/// A box in fractions of the picture.
pub(crate) fn fractions(bounds: &PixelBox, picture: &Picture) -> BoundingBox {
    let PixelBox { x1, y1, x2, y2 } = bounds;
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let bounds = [
        x1 / width,
        y1 / height,
        (x2 - x1) / width,
        (y2 - y1) / height,
    ];
    BoundingBox(bounds.map(rounded))
}

/// Microseconds since the Unix epoch.
///
/// # Errors
/// When the clock is beyond 2^53 µs, in the year 2255.
pub fn now_us() -> Result<TimeUs, NumberError> {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_micros())
        .unwrap_or(u64::MAX)
        .try_into()
}

/// Five digits tell apart the pixels of any picture that fits an envelope; more would only cost bytes.
fn rounded(value: f32) -> f32 {
    (value.clamp(0.0, 1.0) * 1e5).round() / 1e5
}

#[cfg(test)]
mod tests {
    use ashya_protocol::{Address, Envelope, Hash, ModelInfo};

    use super::*;

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
}
