//! What happens to events and filters.

use ashya_protocol::Topic;
use ashya_protocol::limits::MAX_ENVELOPE_BYTES;
use rumqttc::{Packet, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rig::{Broker, DOMAIN, Device, PATIENCE, connect_packet, publish_packet};

#[tokio::test]
async fn an_event_is_acknowledged_when_it_is_accepted_or_refused_for_good() {
    let broker = Broker::start().await;
    let (me, stranger) = (&broker.device, Device::new(2));
    let mut client = broker.connect().await;
    assert!(
        client
            .subscribe(&format!("ashya/v1/{}/down/#", me.id()))
            .await
    );
    let (_, demand, retained) = client.message().await;
    assert_eq!((demand.as_str(), retained), (r#"{"streams":[]}"#, true));
    let up = me.up("detections");
    client.publish(&up, me.envelope("detections", 0)).await;
    client.acknowledged().await;
    assert_eq!(broker.count("ashya_events_accepted_total"), 1);
    let forged = me
        .event("detections", 1)
        .sign(&stranger.0, &DOMAIN)
        .encode()
        .unwrap();
    let mut tampered = me.event("detections", 1).sign(&me.0, &DOMAIN);
    tampered.event.payload = b"[]".as_slice().into();
    for (reason, topic, envelope) in [
        ("replayed", &up, me.envelope("detections", 0)),
        ("signature", &up, forged),
        ("signature", &up, tampered.encode().unwrap()),
        ("device", &up, stranger.envelope("detections", 1)),
        ("stream", &up, me.envelope("frames", 1)),
        (
            "stream",
            &me.up("unregistered"),
            me.envelope("unregistered", 1),
        ),
        ("future", &up, me.envelope_of_next_year()),
        ("malformed", &up, b"not an envelope".to_vec()),
        ("too-large", &up, vec![0; MAX_ENVELOPE_BYTES + 1]),
    ] {
        let before = broker.rejected(reason);
        client.publish(topic, envelope).await;
        let (notice_topic, notice, _) = client.message().await;
        assert_eq!(notice_topic, format!("ashya/v1/{}/down/notice", me.id()));
        assert!(
            notice.contains(&format!(r#""reason":"{reason}""#)),
            "{notice}"
        );
        client.acknowledged().await;
        assert_eq!(broker.rejected(reason), before + 1, "{reason}");
    }
    client.publish(&up, me.envelope("detections", 1)).await;
    client.acknowledged().await;
    assert_eq!(broker.count("ashya_events_accepted_total"), 2);
}

#[tokio::test]
async fn a_burst_keeps_its_order() {
    let broker = Broker::start().await;
    let mut client = broker.connect().await;
    let up = broker.device.up("detections");
    let publisher = client.client.clone();
    let envelopes: Vec<_> = (0..500)
        .map(|seq| broker.device.envelope("detections", seq))
        .collect();
    let sender = tokio::spawn(async move {
        for envelope in envelopes {
            publisher
                .publish(&up, QoS::AtLeastOnce, false, envelope)
                .await
                .unwrap();
        }
    });
    for _ in 0..500 {
        client.acknowledged().await;
    }
    sender.await.unwrap();
    assert_eq!(broker.count("ashya_events_accepted_total"), 500);
    assert_eq!(broker.rejected("replayed"), 0);
}

#[tokio::test]
async fn what_came_with_the_end_of_a_session_and_before_it_counts() {
    let broker = Broker::start().await;
    let me = &broker.device;
    let online = publish_packet(&Topic::Presence(me.id()).to_string(), b"online", 21);
    let foreign = publish_packet("anything", b"{}", 22);
    let ends = [b"\xe0\x00".to_vec(), foreign, b"\x30\x01\x00".to_vec()];
    let mut seqs = 0..;
    for (count, end) in (1..).zip(&ends) {
        let mut events = seqs.by_ref().take(20).map(|seq| {
            let envelope = me.envelope("detections", seq);
            publish_packet(&me.up("detections"), &envelope, 10)
        });
        let mut burst: Vec<u8> = events.by_ref().take(3).flatten().collect();
        burst.extend(&online);
        burst.extend(events.flatten());
        burst.extend(end);
        let mut stream = TcpStream::connect(broker.address).await.unwrap();
        let hello = connect_packet(me.id(), &broker.passwords.issue(me.id()).0);
        stream.write_all(&hello).await.unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0x20, 2, 0, 0]);
        stream.write_all(&burst).await.unwrap();
        let accepted = |broker: &Broker| broker.count("ashya_events_accepted_total") == 20 * count;
        broker.until("all events", accepted).await;
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
            .await
            .expect("stays open");
        assert_eq!(broker.rejected("replayed"), 0);
    }
}

#[tokio::test]
async fn foreign_topics_end_the_connection_and_are_counted() {
    let broker = Broker::start().await;
    let other = Device::new(2);
    for (count, topic) in [
        other.up("detections"),
        Topic::Presence(other.id()).to_string(),
        Topic::Demand(broker.device.id()).to_string(),
        "anything".into(),
    ]
    .iter()
    .enumerate()
    {
        let mut client = broker.connect().await;
        client.publish(topic, other.envelope("detections", 0)).await;
        client.closed().await;
        assert_eq!(broker.rejected("topic"), count as u64 + 1, "{topic}");
    }
    assert_eq!(broker.count("ashya_events_accepted_total"), 0);
}

#[tokio::test]
async fn a_device_hears_only_its_own_commands() {
    let broker = Broker::start().await;
    let (me, other) = (broker.device.id(), Device::new(2).id());
    let mut client = broker.connect().await;
    for (filter, granted) in [
        (format!("ashya/v1/{me}/down/notice"), true),
        (format!("ashya/v1/{other}/down/#"), false),
        (format!("ashya/v1/{other}/up/detections"), false),
        (format!("ashya/v1/{me}/up/detections"), false),
        ("#".into(), false),
        ("ashya/v1/+/up/+".into(), false),
        (format!("$share/g/ashya/v1/{me}/down/#"), false),
    ] {
        assert_eq!(client.subscribe(&filter).await, granted, "{filter}");
    }
    // What was unsubscribed is silent: the refusal of this garbage comes as an acknowledgement alone.
    client
        .client
        .unsubscribe(format!("ashya/v1/{me}/down/notice"))
        .await
        .unwrap();
    assert!(matches!(client.next().await.unwrap(), Packet::UnsubAck(_)));
    client
        .publish(&broker.device.up("detections"), vec![0])
        .await;
    client.acknowledged().await;
}
