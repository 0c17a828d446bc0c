//! Who gets a session, and how it ends.

use std::time::Duration;

use ashya_protocol::Topic;
use rumqttc::{LastWill, QoS};
use tokio::time::{Instant, timeout};

use crate::rig::{Broker, Client, Device, PATIENCE};

#[tokio::test]
async fn bad_logins_and_foreign_wills_are_refused() {
    let broker = Broker::start().await;
    let (me, other) = (broker.device.id(), Device::new(2).id());
    let will = |topic: String| LastWill::new(topic, "offline", QoS::AtLeastOnce, true);
    let mut foreign_will = broker.options(me);
    foreign_will.set_last_will(will(Topic::Presence(other).to_string()));
    let mut event_will = broker.options(me);
    event_will.set_last_will(will(broker.device.up("detections")));
    let mut other_password = broker.options(me);
    other_password.set_credentials(me.to_string(), broker.passwords.issue(other).0);
    let mut no_password = broker.options(me);
    no_password.set_credentials("", "");
    for (name, options) in [
        ("foreign will", foreign_will),
        ("event as will", event_will),
        ("another device's password", other_password),
        ("no password", no_password),
    ] {
        assert!(Client::connect(options).await.is_err(), "{name}");
        assert!(!broker.presence.is_online(me), "{name}");
    }
    let mut own_will = broker.options(me);
    own_will.set_last_will(will(Topic::Presence(me).to_string()));
    Client::connect(own_will).await.unwrap();
}

#[tokio::test]
async fn a_newer_session_takes_over() {
    let broker = Broker::start().await;
    let me = broker.device.id();
    let mut older = broker.connect().await;
    let mut newer = broker.connect().await;
    older.closed().await;
    assert!(broker.presence.is_online(me));
    newer
        .publish(
            &broker.device.up("detections"),
            broker.device.envelope("detections", 0),
        )
        .await;
    newer.acknowledged().await;
    drop(newer);
    broker
        .until("offline", |broker| !broker.presence.is_online(me))
        .await;
}

#[tokio::test]
async fn presence_is_what_the_device_says_and_offline_at_the_end() {
    let broker = Broker::start().await;
    let me = broker.device.id();
    let presence = Topic::Presence(me).to_string();
    let mut client = broker.connect().await;
    for (word, online) in [("offline", false), ("online", true)] {
        client.publish(&presence, word.into()).await;
        client.acknowledged().await;
        assert_eq!(broker.presence.is_online(me), online, "{word}");
    }
    client.client.disconnect().await.unwrap();
    while client.next().await.is_ok() {}
    broker
        .until("offline", |broker| !broker.presence.is_online(me))
        .await;
}

#[tokio::test]
async fn a_session_ends_with_its_password_and_at_shutdown() {
    let broker = Broker::with_passwords_of(Duration::from_secs(2)).await;
    let started = Instant::now();
    let mut client = broker.connect().await;
    client.closed().await;
    assert!(started.elapsed() < Duration::from_secs(4));
    let mut client = broker.connect().await;
    broker.shutdown.cancel();
    client.closed().await;
    timeout(PATIENCE, broker.server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn mqtt_5_is_told_why() {
    use rumqttc::v5::mqttbytes::v5::{Packet, SubscribeReasonCode};
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};

    let broker = Broker::start().await;
    let me = broker.device.id();
    let options = || {
        let mut options = MqttOptions::new("five", "127.0.0.1", broker.address.port());
        options.set_credentials(me.to_string(), broker.passwords.issue(me).0);
        options
    };
    let (client, mut packets) = AsyncClient::new(options(), 16);
    let mut next = async || loop {
        let event = timeout(PATIENCE, packets.poll()).await;
        match event.expect("nothing came") {
            Ok(Event::Incoming(packet)) => return Ok(packet),
            Ok(Event::Outgoing(_)) => {}
            Err(error) => return Err(error),
        }
    };
    assert!(matches!(next().await, Ok(Packet::ConnAck(ack)) if ack.properties.is_some()));
    client
        .subscribe("#", rumqttc::v5::mqttbytes::QoS::AtMostOnce)
        .await
        .unwrap();
    let Ok(Packet::SubAck(ack)) = next().await else {
        panic!("no answer")
    };
    assert_eq!(ack.return_codes, [SubscribeReasonCode::NotAuthorized]);
    let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
    let (up, envelope) = (
        broker.device.up("detections"),
        broker.device.envelope("detections", 0),
    );
    client.publish(up, qos, false, envelope).await.unwrap();
    assert!(matches!(next().await, Ok(Packet::PubAck(_))));
    assert_eq!(broker.count("ashya_events_accepted_total"), 1);
    let (_newer, mut newer_packets) = AsyncClient::new(options(), 16);
    let login = timeout(PATIENCE, newer_packets.poll())
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(login, Event::Incoming(Packet::ConnAck(_))),
        "{login:?}"
    );
    let goodbye = next().await.unwrap_err().to_string();
    assert!(goodbye.contains("SessionTakenOver"), "{goodbye}");
}
