//! Tells, signed and at least every ten seconds, that the device is alive, how it is, and what it has said so far.

use std::time::{Duration, SystemTime};

use ashya_protocol::{
    ContentType, Drops, ModelInfo, STATUS_SECONDS, SourceStatus, Status, StreamName, WaitingEvents,
};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::causes::causes;
use crate::link::LinkFigures;
use crate::looked::{Looked, LookedFigures};
use crate::source::SourceCounters;
use crate::uplink::Uplink;
use crate::voice::{Voice, VoiceError, now_us};

/// What a clock may gain or lose between two looks; more is a jump.
const JUMP: Duration = Duration::from_secs(2);

/// What is told of.
pub(crate) struct StatusParts {
    pub(crate) voice: Voice,
    pub(crate) uplink: Uplink,
    pub(crate) link: LinkFigures,
    /// Time between two tellings.
    pub(crate) every: Duration,
    /// The eye, where there is one.
    pub(crate) eye: Option<EyeParts>,
}

/// What is told of an eye.
pub(crate) struct EyeParts {
    pub(crate) model: ModelInfo,
    pub(crate) looked: Looked,
    pub(crate) source: SourceCounters,
}

/// One telling after the other.
struct Teller {
    parts: StatusParts,
    began: Instant,
    clocks: Clocks,
    looked: LookedFigures,
    clock_jumps: u64,
}

/// The two clocks at one moment.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    steady: Instant,
    wall: SystemTime,
}

/// Tells until `stop`, or until nothing is published any more.
pub(crate) async fn tell(parts: StatusParts, stop: CancellationToken) {
    let mut ticks = interval(parts.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let uplink = parts.uplink.clone();
    let mut teller = Teller {
        began: Instant::now(),
        clocks: Clocks::now(),
        looked: LookedFigures::default(),
        clock_jumps: 0,
        parts,
    };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match teller.next() {
            Ok(signed) => {
                if uplink.send(signed).await.is_err() {
                    return;
                }
            }
            Err(error) => warn!(error = %causes(&error), "no status"),
        }
    }
}

impl Teller {
    fn next(&mut self) -> Result<crate::voice::Signed, VoiceError> {
        let now = Clocks::now();
        if let Some(jump) = now.jump_since(self.clocks) {
            self.clock_jumps += 1;
            warn!(
                seconds = jump,
                "the clock was set, or the machine slept; events keep their order and tell the new time"
            );
        }
        let since = now.steady.duration_since(self.clocks.steady);
        self.clocks = now;
        let link = self.parts.link.read();
        let (mut fps, mut inference_ms, mut inference_failures) = (None, None, None);
        if let Some(eye) = &self.parts.eye {
            let looked = eye.looked.read();
            let (frames, each) = looked.rates_since(self.looked, since);
            self.looked = looked;
            (fps, inference_ms) = (Some(frames), each);
            inference_failures = Some(looked.failures);
        }
        let mut last = self.parts.voice.last();
        last.retain(|stream, _| stream.as_str() != StreamName::STATUS);
        let status = Status {
            uptime_seconds: now.steady.duration_since(self.began).as_secs(),
            next_seconds: STATUS_SECONDS,
            last,
            model: self.parts.eye.as_ref().map(|eye| eye.model.clone()),
            fps,
            inference_ms,
            inference_failures,
            drops: Drops {
                frames: link.dropped_frames,
                events: link.tally.dropped_events,
                pictures: link.tally.dropped_pictures,
                refused: link.tally.refused,
            },
            waiting: WaitingEvents {
                spooled: link.held.events,
                spooled_bytes: link.held.bytes,
                memory: link.in_memory,
                disk_failed: link.is_disk_away,
            },
            connections: link.connections,
            clock_jumps: self.clock_jumps,
            source: self
                .parts
                .eye
                .as_ref()
                .map(|eye| source_status(&eye.source)),
        };
        let payload = serde_json::to_vec(&status)?;
        let voice = &self.parts.voice;
        voice.sign(StreamName::STATUS, ContentType::JSON, now_us()?, payload)
    }
}

fn source_status(counters: &SourceCounters) -> SourceStatus {
    let figures = counters.read();
    SourceStatus {
        frames: figures.frames,
        dropped: figures.dropped,
        stalls: figures.stalls,
        reconnects: figures.reconnects,
        decode_errors: figures.decode_errors,
    }
}

impl Clocks {
    fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Seconds by which the wall clock has gained on the steady one since `before`, where that is a jump.
    fn jump_since(self, before: Self) -> Option<i64> {
        let steady = self.steady.duration_since(before.steady);
        let expected = before.wall + steady;
        let (gained, sign) = match self.wall.duration_since(expected) {
            Ok(ahead) => (ahead, 1),
            Err(behind) => (behind.duration(), -1),
        };
        let seconds = i64::try_from(gained.as_secs()).unwrap_or(i64::MAX);
        (gained > JUMP).then_some(sign * seconds)
    }
}

#[cfg(test)]
mod tests {
    use ashya_protocol::{Address, Boot, DeviceKey, Domain, Envelope};

    use super::*;

    /// Time between two tellings of the test.
    const EVERY: Duration = Duration::from_millis(20);

    #[test]
    fn a_jump_of_the_clock_is_told_from_the_time_that_passes() {
        let steady = Instant::now();
        let at = |seconds: i64| {
            let base = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
            match u64::try_from(seconds) {
                Ok(ahead) => base + Duration::from_secs(ahead),
                Err(_) => base - Duration::from_secs(seconds.unsigned_abs()),
            }
        };
        let before = Clocks {
            steady,
            wall: at(0),
        };
        for (passed, wall, jump) in [
            (10, 10, None),
            (10, 12, None),
            (10, 8, None),
            (10, 13, Some(3)),
            (10, 7, Some(-3)),
            (10, -1_700_000_000, Some(-1_700_000_010)),
            (0, 3_600, Some(3_600)),
        ] {
            let after = Clocks {
                steady: steady + Duration::from_secs(passed),
                wall: at(wall),
            };
            assert_eq!(after.jump_since(before), jump, "{passed} {wall}");
        }
    }

    const DOMAIN: Domain = Domain {
        chain_id: 31337,
        ledger: Address::new([7; 20]),
    };

    fn voice() -> Voice {
        let key = DeviceKey::from_bytes([5; 32]).unwrap();
        Voice::new(key, DOMAIN, Boot::try_from(3).unwrap())
    }

    fn opened(signed: &crate::voice::Signed) -> (u64, Status) {
        let envelope = Envelope::decode(&signed.envelope).unwrap();
        let verified = envelope.verify(&DOMAIN).unwrap();
        let event = verified.event();
        let status = serde_json::from_slice(&event.payload).unwrap();
        (event.position.seq.get(), status)
    }

    #[tokio::test]
    async fn a_heartbeat_names_the_last_event_of_each_stream() {
        let voice = voice();
        let (uplink, mut parcels) = Uplink::new();
        let stop = CancellationToken::new();
        let parts = StatusParts {
            voice: voice.clone(),
            uplink,
            link: LinkFigures::default(),
            every: EVERY,
            eye: None,
        };
        let telling = tokio::spawn(tell(parts, stop.clone()));
        let began = Instant::now();
        for round in 0..4_u64 {
            let parcel = parcels.recv().await.unwrap();
            assert!(began.elapsed() >= EVERY * u32::try_from(round).unwrap());
            let (seq, status) = opened(&parcel.events[0]);
            assert_eq!(seq, round);
            let last: Vec<_> = status.last.values().map(|seq| seq.get()).collect();
            let expected = round.checked_sub(1).map(|round| 2 * round + 1);
            assert_eq!(last, Vec::from_iter(expected), "round {round}");
            for _ in 0..2 {
                let time = now_us().unwrap();
                voice.sign("detections", "text/plain", time, *b"x").unwrap();
            }
        }
        stop.cancel();
        telling.await.unwrap();
    }

    #[tokio::test]
    async fn a_model_that_fails_is_told() {
        let (uplink, _parcels) = Uplink::new();
        let looked = Looked::default();
        let model = ModelInfo {
            name: "street".to_owned(),
            sha256: ashya_protocol::Hash::ZERO,
        };
        let mut teller = Teller {
            parts: StatusParts {
                voice: voice(),
                uplink,
                link: LinkFigures::default(),
                every: EVERY,
                eye: Some(EyeParts {
                    model,
                    looked: looked.clone(),
                    source: SourceCounters::default(),
                }),
            },
            began: Instant::now(),
            clocks: Clocks::now(),
            looked: LookedFigures::default(),
            clock_jumps: 0,
        };
        for failures in [0, 1, 1, 3] {
            while looked.read().failures < failures {
                looked.failure();
            }
            let (_, status) = opened(&teller.next().unwrap());
            // A total, so that a status that is lost takes nothing with it.
            assert_eq!(status.inference_failures, Some(failures));
        }
    }
}
