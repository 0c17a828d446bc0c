//! From what was seen to signed envelopes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ashya_protocol::{
    Boot, ContentType, Detections, DeviceId, DeviceKey, Domain, EnvelopeError, Event, NameError,
    NumberError, Position, Seq, StreamName, TimeUs,
};
use thiserror::Error;

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

#[cfg(test)]
mod tests;
