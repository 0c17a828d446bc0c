use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use ashya_protocol::rest::{Credentials, Registration};
use ashya_protocol::{Address, Boot, TimeUs, Topic};
use rumqttc::{Event, EventLoop, MqttOptions, Outgoing, Publish, Request};

use super::broker::renewal_after;
use super::*;
use crate::gateway::GatewayError;
use crate::spool::SpoolLimits;
use crate::voice::Voice;

const DOMAIN: Domain = Domain {
    chain_id: 31337,
    ledger: Address::new([7; 20]),
};

fn key() -> DeviceKey {
    DeviceKey::from_bytes([5; 32]).unwrap()
}

const SETTINGS: SpoolConfig = SpoolConfig {
    max_bytes: 1024 * 1024,
    max_age: Duration::from_secs(3600),
    pictures: false,
    catch_up: 500,
};

/// A link that has read its empty spool and is connected; its folder goes with the answer's second part.
fn link() -> (Link, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let key = key();
    let registration = Registration {
        device: key.device_id(),
        owner: Address::new([2; 20]),
        revision: 1,
        title: "Gate".into(),
        description: String::new(),
        streams: vec!["detections".parse().unwrap(), "frames".parse().unwrap()],
    };
    let signature = key.sign(&DOMAIN.device_registration(&registration));
    let signed = SignedRegistration {
        registration,
        signature,
    };
    let gateway = Gateway::new(&"http://127.0.0.1:9".parse().unwrap()).unwrap();
    let (_, parcels) = channel(1);
    let mut link = Link::new(LinkParts {
        gateway,
        spool: SpoolPlace {
            folder: folder.path().join("spool"),
            device: key.device_id(),
            limits: SpoolLimits {
                bytes: SETTINGS.max_bytes,
                age: SETTINGS.max_age,
            },
        },
        opened: None,
        key,
        domain: DOMAIN,
        registration: signed,
        demand: Demand::default(),
        parcels,
        settings: SETTINGS,
        figures: LinkFigures::default(),
        trust: Trust::default(),
        clear_mqtt: false,
    });
    link.outbox.expect([]);
    link.state.is_connected = true;
    (link, folder)
}

fn parcels(count: usize) -> impl Iterator<Item = Parcel> {
    let voice = Voice::new(key(), DOMAIN, Boot::try_from(1).unwrap());
    let sign = move |stream| {
        let time_us = TimeUs::try_from(1_790_000_000_000_000).unwrap();
        voice.sign(stream, "text/plain", time_us, *b"x").unwrap()
    };
    (0..count).map(move |_| Parcel {
        picture: Some(sign("frames")),
        events: vec![sign("detections")],
        receipt: None,
    })
}

/// Streams of the packets that wait in the client, which nothing has written yet.
fn queued(event_loop: &mut EventLoop) -> Vec<String> {
    event_loop.clean();
    let requests = event_loop.pending.drain(..);
    requests
        .map(|request| match request {
            Request::Publish(publish) => {
                publish.topic.rsplit('/').next().unwrap_or_default().into()
            }
            other => format!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn a_slow_uplink_means_later_for_detections_and_only_the_newest_picture() {
    let (mut link, _folder) = link();
    let options = MqttOptions::new("d", "127.0.0.1", 9);
    let (client, mut event_loop) = AsyncClient::new(options, 3);
    for parcel in parcels(6) {
        link.publish(parcel);
        link.flush(&client);
    }
    assert_eq!(
        queued(&mut event_loop),
        ["frames", "detections", "detections"],
        "as much as the client takes"
    );
    assert_eq!(
        (link.outbox.unkept(), link.outbox.tally().dropped_events),
        (6, 0),
        "every detection is still with us"
    );
    assert_eq!(
        link.pictures.dropped(),
        4,
        "of six pictures one is under way and the newest waits"
    );
    // The uplink has taken the three packets: what waited goes on, in its order.
    link.heard(Event::Outgoing(Outgoing::Publish(0)));
    for packet in 1..=2 {
        link.heard(Event::Outgoing(Outgoing::Publish(packet)));
    }
    link.flush(&client);
    assert_eq!(
        queued(&mut event_loop),
        ["frames", "detections", "detections"]
    );
    let due: Vec<u64> = std::iter::from_fn(|| {
        let seq = link.outbox.due()?.seq.get();
        link.outbox.handed();
        Some(seq)
    })
    .collect();
    assert_eq!(due, [4, 5]);
}

/// What is logged, for a test to read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_notice_without_a_position_is_understood() {
    for (payload, told) in [
        (
            r#"{"stream":"detections","boot":3,"seq":7,"reason":"replayed"}"#,
            &[
                "stream=detections",
                "boot=3",
                "seq=7",
                "refused an event: replayed",
            ][..],
        ),
        (
            r#"{"stream":"frames","reason":"too-large"}"#,
            &["stream=frames", "refused an event: too-large"],
        ),
        ("{}", &["makes no sense"]),
    ] {
        let (mut link, _folder) = link();
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let topic = Topic::Notice(link.device()).to_string();
        let message = Publish::new(topic, QoS::AtLeastOnce, payload);
        tracing::subscriber::with_default(subscriber, || link.commanded(&message));
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for part in told {
            assert!(text.contains(part), "{payload}: {text}");
        }
    }
}

#[tokio::test]
async fn a_refusal_for_good_is_told_once_and_waits_long() {
    let (mut link, _folder) = link();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .finish();
    let removed = LinkError::from(GatewayError::Removed("http://gate".into()));
    let mut backoff = Backoff::default();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..3 {
            let wait = link.after_failure(&removed, &mut backoff);
            assert_eq!(wait, UNWELCOME_WAIT);
        }
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("registration.json"), "{text}");
    let wait = link.after_failure(&LinkError::Ended, &mut backoff);
    assert!(wait < Duration::from_secs(1), "{wait:?}");
}

#[tokio::test]
async fn a_broker_that_acknowledges_nothing_is_left() {
    let (mut link, _folder) = link();
    let (_speaker, parcels_in) = channel(1);
    link.parcels = parcels_in;
    let (client, _event_loop) = AsyncClient::new(MqttOptions::new("d", "127.0.0.1", 9), 9);
    let (_broker, mut events) = channel(1);
    for parcel in parcels(1) {
        link.publish(parcel);
    }
    link.flush(&client);
    assert_eq!(link.outbox.waits_since(), None, "not written yet");
    let now = Instant::now();
    let written = now.checked_sub(ACK_LIMIT).unwrap();
    link.outbox.written(1, written);
    let (stop, renewal) = (CancellationToken::new(), now + ACK_LIMIT);
    let conversing = link.converse(&client, &mut events, renewal, "b:1", &stop);
    let end = timeout(ACK_LIMIT / 2, conversing).await.unwrap();
    let Err(LinkError::Silent(broker)) = end else {
        panic!("{end:?}");
    };
    assert_eq!(broker, "b:1");
}

#[test]
fn credentials_are_replaced_before_they_end() {
    for (life, after) in [(3600, 3570), (100, 70), (40, 60), (2, 60), (0, 60)] {
        assert_eq!(
            renewal_after(1_000 + life, 1_000).as_secs(),
            after,
            "{life}"
        );
    }
    assert_eq!(renewal_after(5, 1_000).as_secs(), 60, "a fast clock");
}

#[test]
fn a_password_goes_in_the_clear_only_where_the_owner_means_it() {
    for (tls, is_secure, is_allowed, expected) in [
        (None, false, false, Some(Door::Clear(1883))),
        (None, true, false, None),
        (None, true, true, Some(Door::Clear(1883))),
        (Some(8883), false, false, Some(Door::Secure(8883))),
        (Some(8883), true, true, Some(Door::Secure(8883))),
    ] {
        let credentials = Credentials {
            username: "d".into(),
            password: "p".into(),
            expires_at: 0,
            mqtt_port: 1883,
            mqtt_tls_port: tls,
            mqtt_host: None,
        };
        let found = door(&credentials, is_secure, is_allowed);
        assert_eq!(found, expected, "{tls:?} {is_secure} {is_allowed}");
    }
}
