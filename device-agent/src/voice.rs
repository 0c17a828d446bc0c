//! From what was seen to signed envelopes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ashya_protocol::{
    Boot, BoundingBox, ContentType, DetectedObject, Detections, DeviceId, DeviceKey, Domain,
    EnvelopeError, Event, ModelInfo, NameError, NumberError, Position, Seq, StreamName, TimeUs,
};
use thiserror::Error;

use crate::detect::{Candidate, PixelBox};
use crate::picture::Picture;

/// Signs the events of one start of a device, each stream numbered from 0 without gaps.
#[derive(Debug)]
pub struct Voice {
    key: DeviceKey,
    domain: Domain,
    boot: Boot,
    next: HashMap<StreamName, Seq>,
}

/// An event, signed and encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its stream.
    pub stream: StreamName,
    /// Its number.
    pub seq: Seq,
    /// The envelope as it travels.
    pub envelope: Vec<u8>,
}

/// An event that is signed, but not the next of its stream yet: until it is, another may take its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    signed: Signed,
    /// The number that follows it.
    after: Seq,
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
}

impl Voice {
    /// A voice that begins a boot.
    pub fn new(key: DeviceKey, domain: Domain, boot: Boot) -> Self {
        Self {
            key,
            domain,
            boot,
            next: HashMap::new(),
        }
    }

    /// The device that speaks.
    pub const fn device(&self) -> DeviceId {
        self.key.device_id()
    }

    /// Signs a payload as the next event of a stream. A failure uses up no number.
    ///
    /// # Errors
    /// When the payload is too large, a name is not valid, or the numbers are used up.
    pub fn sign(
        &mut self,
        stream: &str,
        content_type: &str,
        time_us: TimeUs,
        payload: impl Into<Arc<[u8]>>,
    ) -> Result<Signed, VoiceError> {
        let draft = self.draft(stream, content_type, time_us, payload)?;
        Ok(self.commit(draft))
    }

    /// Signs a payload as what the next event of a stream may be. Its number is used up by [`Self::commit`].
    fn draft(
        &self,
        stream: &str,
        content_type: &str,
        time_us: TimeUs,
        payload: impl Into<Arc<[u8]>>,
    ) -> Result<Draft, VoiceError> {
        let stream: StreamName = stream.parse()?;
        let content_type: ContentType = content_type.parse()?;
        let seq = self.next.get(&stream).copied().unwrap_or(Seq::FIRST);
        let after = seq.next()?;
        let event = Event {
            device: self.device(),
            stream: stream.clone(),
            position: Position {
                boot: self.boot,
                seq,
            },
            time_us,
            content_type,
            payload: payload.into(),
        };
        let envelope = event.sign(&self.key, &self.domain).encode()?;
        let signed = Signed {
            stream,
            seq,
            envelope,
        };
        Ok(Draft { signed, after })
    }

    /// Makes a draft the next event of its stream.
    pub fn commit(&mut self, draft: Draft) -> Signed {
        let Draft { signed, after } = draft;
        self.next.insert(signed.stream.clone(), after);
        signed
    }

    /// Signs a JPEG picture, to be published if the detections in it are.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn frame(&self, time_us: TimeUs, jpeg: Vec<u8>) -> Result<Draft, VoiceError> {
        self.draft(StreamName::FRAMES, ContentType::JPEG, time_us, jpeg)
    }

    /// Signs what a model saw in a picture; `frame` is the event that shows the picture.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn detections(
        &mut self,
        time_us: TimeUs,
        model: &ModelInfo,
        picture: &Picture,
        frame: Option<&Draft>,
        objects: Vec<DetectedObject>,
    ) -> Result<Signed, VoiceError> {
        let (width, height) = (picture.width(), picture.height());
        let detections = Detections {
            model: model.clone(),
            picture: ashya_protocol::Picture {
                width,
                height,
                seq: frame.map(|frame| frame.signed.seq),
            },
            objects,
        };
        let payload = serde_json::to_vec(&detections)?;
        self.sign(StreamName::DETECTIONS, ContentType::JSON, time_us, payload)
    }
}

/// An object as it is published: its box in fractions of the picture.
pub fn detected(object: &Candidate, label: &str, picture: &Picture) -> DetectedObject {
    let PixelBox { x1, y1, x2, y2 } = object.bounds;
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let bounds = [
        x1 / width,
        y1 / height,
        (x2 - x1) / width,
        (y2 - y1) / height,
    ];
    DetectedObject {
        track: None,
        label: label.to_owned(),
        class: object.class,
        score: rounded(object.score),
        bounds: BoundingBox(bounds.map(rounded)),
    }
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
    use ashya_protocol::{Address, Envelope, Hash};

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

    #[test]
    fn events_are_numbered_by_stream_and_a_failure_leaves_no_gap() {
        let mut voice = voice();
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
    fn a_frame_whose_detections_cannot_be_signed_leaves_no_gap() {
        let mut voice = voice();
        let picture = Picture::from_rgb(1, 1, vec![9; 3]).unwrap();
        let model = |name: String| ModelInfo {
            name,
            sha256: Hash::ZERO,
        };
        let endless = "m".repeat(ashya_protocol::limits::MAX_PAYLOAD_BYTES);
        let mut published = Vec::new();
        for name in ["m".into(), endless, "m".into()] {
            let frame = voice.frame(time(), vec![1]).unwrap();
            let model = model(name);
            if let Ok(seen) = voice.detections(time(), &model, &picture, Some(&frame), Vec::new()) {
                published.push((voice.commit(frame).seq.get(), seen.seq.get()));
            }
        }
        assert_eq!(published, [(0, 0), (1, 1)]);
    }

    #[test]
    fn what_was_seen_is_signed_by_the_device_and_names_its_frame() {
        let mut voice = voice();
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
        let model = ModelInfo {
            name: "m".into(),
            sha256: Hash::ZERO,
        };
        let signed = voice
            .detections(time(), &model, &picture, Some(&frame), vec![object])
            .unwrap();
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
