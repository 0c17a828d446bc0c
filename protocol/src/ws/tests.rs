use super::*;
use crate::{DeviceKey, Domain, Event};

fn check_server(message: &ServerMessage, json: &str) {
    assert_eq!(serde_json::to_string(message).unwrap(), json);
    assert_eq!(
        &serde_json::from_str::<ServerMessage>(json).unwrap(),
        message
    );
}

#[test]
fn server_messages_read_as_documented() {
    let feed = FeedId::new([1; 32]);
    let feed_text = feed.to_string();
    let device = DeviceId::new([2; 20]);
    check_server(
        &ServerMessage::Welcome {
            wallet: Address::ZERO,
        },
        &format!(r#"{{"type":"welcome","wallet":"{}"}}"#, Address::ZERO),
    );
    check_server(
        &ServerMessage::Watching {
            feed,
            device,
            streams: vec!["detections".parse().unwrap()],
            expires_at: None,
        },
        &format!(
            r#"{{"type":"watching","feed":"{feed_text}","device":"{device}","streams":["detections"],"expiresAt":null}}"#
        ),
    );
    check_server(
        &ServerMessage::Ended {
            feed,
            reason: EndReason::Cancelled,
        },
        &format!(r#"{{"type":"ended","feed":"{feed_text}","reason":"cancelled"}}"#),
    );
    check_server(
        &ServerMessage::Error {
            code: ErrorCode::UnknownFeed,
            message: "no".into(),
        },
        r#"{"type":"error","code":"unknown-feed","message":"no"}"#,
    );
    check_server(&ServerMessage::Pong {}, r#"{"type":"pong"}"#);
    let offer = Offer {
        feed,
        price: crate::Wei::new(277_777_777_777),
        listing: crate::Hash::ZERO,
        chain_id: 31_337,
        ledger: Address::ZERO,
        minimum: 60,
    };
    let json = serde_json::to_string(&ServerMessage::PaymentRequired(offer)).unwrap();
    assert!(
        json.starts_with(r#"{"type":"payment-required","feed":"0x01"#)
            && json.contains(r#""price":"277777777777""#)
            && json.contains(r#""chainId":31337"#),
        "{json}"
    );
}

#[test]
fn client_messages_read_as_documented() {
    let feed = FeedId::new([1; 32]);
    let watch = format!(
        r#"{{"type":"watch","feed":"{feed}","streams":["detections"],"since":{{"detections":{{"boot":3,"seq":41}}}}}}"#
    );
    let ClientMessage::Watch { since, .. } = serde_json::from_str(&watch).unwrap() else {
        panic!("not a watch")
    };
    assert_eq!(since.values().next().unwrap().seq.get(), 41);
    for bad in [
        r#"{"type":"watch"}"#,
        r#"{"type":"pay"}"#,
        "[]",
        r#"{"type":"ping","more":1}"#,
        r#"{"type":"watch","feed":"0x01"}"#,
    ] {
        assert!(serde_json::from_str::<ClientMessage>(bad).is_err(), "{bad}");
    }
    assert_eq!(
        serde_json::from_str::<ClientMessage>(r#"{"type":"ping"}"#).unwrap(),
        ClientMessage::Ping {}
    );
}

#[test]
fn a_payload_is_text_or_base64() {
    let key = DeviceKey::from_bytes([7; 32]).unwrap();
    let domain = Domain {
        chain_id: 1,
        ledger: Address::ZERO,
    };
    for (payload, text, encoding) in [
        (&b"{}"[..], "{}", None),
        (&[0xff, 0xd8][..], "/9g=", Some(PayloadEncoding::Base64)),
    ] {
        let event = Event {
            device: key.device_id(),
            stream: "frames".parse().unwrap(),
            position: Position {
                boot: 1.try_into().unwrap(),
                seq: Seq::FIRST,
            },
            time_us: 0.try_into().unwrap(),
            content_type: "image/jpeg".parse().unwrap(),
            payload: payload.into(),
        };
        let json = JsonEvent::from(&event.sign(&key, &domain).verify(&domain).unwrap());
        assert_eq!((json.payload.as_str(), json.encoding), (text, encoding));
    }
}
