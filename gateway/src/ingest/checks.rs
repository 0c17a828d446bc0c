use ashya_protocol::limits::MAX_ENVELOPE_BYTES;
use ashya_protocol::{
    DeviceId, Domain, Envelope, EnvelopeError, Position, StreamName, VerifiedEvent,
};

use crate::metrics::Rejection;

/// How far ahead of now a device's start may be, in seconds. `boot` begins with the device's clock, and a start from
/// next year would lock out every honest one until then.
const MAX_BOOT_AHEAD: u64 = 24 * 3600;

/// Who speaks, and on which stream: what the MQTT session and topic say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) device: DeviceId,
    pub(super) stream: StreamName,
}

/// Why an event is refused, and its position where it could be read.
pub(super) type Refusal = (Rejection, Option<Position>);

/// Everything that can be told about an envelope without what came before it.
pub(super) fn check(
    envelope: &[u8],
    expected: &Expected,
    domain: &Domain,
    now: u64,
    is_registered: impl FnOnce(&StreamName) -> bool,
) -> Result<VerifiedEvent, Refusal> {
    if envelope.len() > MAX_ENVELOPE_BYTES {
        return Err((Rejection::TooLarge, None));
    }
    let envelope = Envelope::decode(envelope).map_err(|error| (reason_of(&error), None))?;
    let position = Some(envelope.event.position);
    let verified = envelope
        .verify(domain)
        .map_err(|_| (Rejection::Signature, position))?;
    let event = verified.event();
    if event.device != expected.device {
        return Err((Rejection::Device, position));
    }
    if event.stream != expected.stream || !is_registered(&event.stream) {
        return Err((Rejection::Stream, position));
    }
    if event.position.boot.get() > now.saturating_add(MAX_BOOT_AHEAD) {
        return Err((Rejection::Future, position));
    }
    Ok(verified)
}

fn reason_of(error: &EnvelopeError) -> Rejection {
    match error {
        EnvelopeError::TooLarge { .. } | EnvelopeError::PayloadTooLarge { .. } => {
            Rejection::TooLarge
        }
        EnvelopeError::Malformed { .. }
        | EnvelopeError::Version { .. }
        | EnvelopeError::NotDeterministic => Rejection::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use ashya_protocol::{Address, DeviceKey, Event, Seq};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(byte: u8) -> DeviceKey {
        DeviceKey::from_bytes([byte; 32]).unwrap()
    }

    fn domain() -> Domain {
        Domain {
            chain_id: 31_337,
            ledger: Address::new([9; 20]),
        }
    }

    fn event(device: DeviceId, stream: &str, boot: u64) -> Event {
        Event {
            device,
            stream: stream.parse().unwrap(),
            position: Position {
                boot: boot.try_into().unwrap(),
                seq: Seq::FIRST,
            },
            time_us: 0.try_into().unwrap(),
            content_type: "application/json".parse().unwrap(),
            payload: b"{}".as_slice().into(),
        }
    }

    fn outcome(envelope: &[u8]) -> Result<(), Rejection> {
        let expected = Expected {
            device: key(1).device_id(),
            stream: "detections".parse().unwrap(),
        };
        check(envelope, &expected, &domain(), NOW, |stream| {
            stream.as_str() == "detections"
        })
        .map(drop)
        .map_err(|(reason, _)| reason)
    }

    #[test]
    fn each_reason_has_its_event() {
        let (me, other) = (key(1), key(2));
        let signed = |event: Event, key: &DeviceKey| event.sign(key, &domain()).encode().unwrap();
        let good = event(me.device_id(), "detections", NOW);
        let mut tampered = good.clone().sign(&me, &domain());
        tampered.event.payload = b"[]".as_slice().into();
        let elsewhere = Domain {
            chain_id: 1,
            ..domain()
        };
        for (name, envelope, expected) in [
            ("good", signed(good.clone(), &me), Ok(())),
            (
                "foreign key",
                signed(good.clone(), &other),
                Err(Rejection::Signature),
            ),
            (
                "tampered",
                tampered.encode().unwrap(),
                Err(Rejection::Signature),
            ),
            (
                "other chain",
                good.sign(&me, &elsewhere).encode().unwrap(),
                Err(Rejection::Signature),
            ),
            (
                "another device",
                signed(event(other.device_id(), "detections", NOW), &other),
                Err(Rejection::Device),
            ),
            (
                "another stream",
                signed(event(me.device_id(), "frames", NOW), &me),
                Err(Rejection::Stream),
            ),
            (
                "a day ahead",
                signed(
                    event(me.device_id(), "detections", NOW + MAX_BOOT_AHEAD),
                    &me,
                ),
                Ok(()),
            ),
            (
                "further ahead",
                signed(
                    event(me.device_id(), "detections", NOW + MAX_BOOT_AHEAD + 1),
                    &me,
                ),
                Err(Rejection::Future),
            ),
            ("nothing", Vec::new(), Err(Rejection::Malformed)),
            (
                "garbage",
                b"not an envelope".to_vec(),
                Err(Rejection::Malformed),
            ),
            (
                "endless",
                vec![0x80; MAX_ENVELOPE_BYTES + 1],
                Err(Rejection::TooLarge),
            ),
        ] {
            assert_eq!(outcome(&envelope), expected, "{name}");
        }
    }

    #[test]
    fn a_stream_must_be_registered_too() {
        let expected = Expected {
            device: key(1).device_id(),
            stream: "detections".parse().unwrap(),
        };
        let envelope = event(expected.device, "detections", NOW)
            .sign(&key(1), &domain())
            .encode()
            .unwrap();
        let refused = check(&envelope, &expected, &domain(), NOW, |_| false).unwrap_err();
        assert_eq!(refused.0, Rejection::Stream);
        assert!(refused.1.is_some());
    }
}
