use proptest::prelude::*;

use super::*;

fn domain() -> Domain {
    Domain {
        chain_id: 31_337,
        ledger: Address::new([0x5a; 20]),
    }
}

fn key() -> DeviceKey {
    DeviceKey::from_bytes([7; 32]).unwrap()
}

fn event(payload: &[u8]) -> Event {
    Event {
        device: key().device_id(),
        stream: "detections".parse().unwrap(),
        position: Position {
            boot: 3.try_into().unwrap(),
            seq: 42.try_into().unwrap(),
        },
        time_us: 1_790_000_000_000_000.try_into().unwrap(),
        content_type: "application/json".parse().unwrap(),
        payload: payload.into(),
    }
}

#[test]
fn an_envelope_survives_the_wire_and_names_its_device() {
    let envelope = event(b"{}").sign(&key(), &domain());
    let decoded = Envelope::decode(&envelope.encode().unwrap()).unwrap();
    assert_eq!(decoded, envelope);
    assert_eq!(decoded.verify(&domain()).unwrap().event(), &envelope.event);
}

#[test]
fn a_signature_holds_for_one_chain_ledger_and_content() {
    let envelope = event(b"{}").sign(&key(), &domain());
    let elsewhere = [
        Domain {
            chain_id: 1,
            ..domain()
        },
        Domain {
            ledger: Address::ZERO,
            ..domain()
        },
    ];
    for other in elsewhere {
        assert!(matches!(
            envelope.clone().verify(&other),
            Err(VerifyError::Signer { .. })
        ));
    }
    let changes: [fn(&mut Event); 6] = [
        |e| e.payload = Arc::from(*b"[]"),
        |e| e.stream = "frames".parse().unwrap(),
        |e| e.position.boot = 4.try_into().unwrap(),
        |e| e.position.seq = 43.try_into().unwrap(),
        |e| e.time_us = 1.try_into().unwrap(),
        |e| e.content_type = "text/plain".parse().unwrap(),
    ];
    for change in changes {
        let mut tampered = envelope.clone();
        change(&mut tampered.event);
        assert!(tampered.verify(&domain()).is_err());
    }
}

#[test]
fn the_largest_payload_fits_and_one_byte_more_does_not() {
    let largest = event(&vec![0; MAX_PAYLOAD_BYTES])
        .sign(&key(), &domain())
        .encode()
        .unwrap();
    assert!(largest.len() <= MAX_ENVELOPE_BYTES);
    assert!(Envelope::decode(&largest).is_ok());
    let found = MAX_PAYLOAD_BYTES + 1;
    assert_eq!(
        event(&vec![0; found]).sign(&key(), &domain()).encode(),
        Err(EnvelopeError::PayloadTooLarge { found })
    );
    assert_eq!(
        Envelope::decode(&vec![0; MAX_ENVELOPE_BYTES + 1]),
        Err(EnvelopeError::TooLarge {
            found: MAX_ENVELOPE_BYTES + 1
        })
    );
}

#[test]
fn lengths_that_lie_are_refused_without_being_believed() {
    // An array of nine whose byte string claims 2^63 bytes.
    let liar = [
        0x89, 0x01, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
    ];
    assert_eq!(
        Envelope::decode(&liar),
        Err(EnvelopeError::Malformed { field: "device" })
    );
}

#[test]
fn other_encodings_of_the_same_envelope_are_refused() {
    let bytes = event(b"{}").sign(&key(), &domain()).encode().unwrap();
    let mut trailing = bytes.clone();
    trailing.push(0);
    let mut long_array = vec![0x98, 9];
    long_array.extend_from_slice(&bytes[1..]);
    let mut long_version = vec![bytes[0], 0x18, 1];
    long_version.extend_from_slice(&bytes[2..]);
    for other in [trailing, long_array, long_version] {
        assert_eq!(
            Envelope::decode(&other),
            Err(EnvelopeError::NotDeterministic)
        );
    }
    let mut version = bytes;
    version[1] = 2;
    assert_eq!(
        Envelope::decode(&version),
        Err(EnvelopeError::Version { found: 2 })
    );
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(envelope) = Envelope::decode(&bytes) {
            prop_assert_eq!(envelope.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn a_damaged_envelope_is_never_taken_for_the_device(index in 0usize..200, bit in 0u8..8, cut in 0usize..200) {
        let original = event(b"{\"objects\":[]}").sign(&key(), &domain());
        let bytes = original.encode().unwrap();
        let mut flipped = bytes.clone();
        let place = index % flipped.len();
        flipped[place] ^= 1 << bit;
        if let Ok(envelope) = Envelope::decode(&flipped) {
            prop_assert!(envelope.verify(&domain()).is_err());
        }
        prop_assert!(Envelope::decode(&bytes[..cut % bytes.len()]).is_err());
    }

    #[test]
    fn every_event_survives_the_wire(
        stream in "[a-z0-9-]{1,32}",
        boot in 0u64..1 << 53,
        seq in 0u64..1 << 53,
        time in 0u64..1 << 53,
        payload in proptest::collection::vec(any::<u8>(), 0..2048),
    ) {
        let mut event = event(&payload);
        event.stream = stream.parse().unwrap();
        event.position = Position { boot: boot.try_into().unwrap(), seq: seq.try_into().unwrap() };
        event.time_us = time.try_into().unwrap();
        let envelope = event.sign(&key(), &domain());
        let decoded = Envelope::decode(&envelope.encode().unwrap()).unwrap();
        prop_assert_eq!(&decoded, &envelope);
        prop_assert!(decoded.verify(&domain()).is_ok());
    }
}
