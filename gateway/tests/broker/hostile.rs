//! Clients that mean no good.

use std::time::Duration;

use rumqttc::{Packet, QoS, SubscribeFilter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::rig::{Broker, PATIENCE, connect_packet};

#[tokio::test]
async fn garbage_and_silence_end_alone() {
    let broker = Broker::start().await;
    // A CONNECT that claims 256 MB, other protocols, an endless length, a publish before the login.
    for garbage in [
        b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04".as_slice(),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff\xff\xff",
        b"\x10\x0c\x00\x04MQTT\x03\x00\x00\x00\x00\x00",
        b"\x30\x05\x00\x01ahi",
        b"\x00",
    ] {
        let mut stream = TcpStream::connect(broker.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        // A reset says the same as an orderly end.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .expect("stays open");
        assert!(answer.is_empty(), "{garbage:?} got {answer:?}");
    }
    let silent = Instant::now();
    let mut stream = TcpStream::connect(broker.address).await.unwrap();
    stream.write_all(b"\x10").await.unwrap();
    let read = timeout(Duration::from_secs(15), stream.read(&mut [0; 8]))
        .await
        .expect("stays open");
    assert_eq!(read.unwrap_or(0), 0);
    assert!(silent.elapsed() >= Duration::from_secs(9));
    // The broker is as well as before.
    let mut client = broker.connect().await;
    client
        .publish(
            &broker.device.up("detections"),
            broker.device.envelope("detections", 0),
        )
        .await;
    client.acknowledged().await;
}

#[tokio::test]
async fn a_logged_in_device_cannot_lie_about_sizes() {
    let broker = Broker::start().await;
    let me = broker.device.id();
    let topic = broker.device.up("detections");
    let too_large = [&[0x32, 0xff, 0xff, 0xff, 0x7f], topic.as_bytes()].concat();
    // A length that ends inside the topic: what is left for the payload is less than nothing.
    let name = u16::try_from(topic.len()).unwrap().to_be_bytes();
    let inside = [
        &[0x32, 0x03],
        name.as_slice(),
        topic.as_bytes(),
        &[0, 1],
        &[0; 64],
    ]
    .concat();
    for lie in [too_large, inside] {
        let mut stream = TcpStream::connect(broker.address).await.unwrap();
        stream
            .write_all(&connect_packet(me, &broker.passwords.issue(me).0))
            .await
            .unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0x20, 2, 0, 0]);
        stream.write_all(&lie).await.unwrap();
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
            .await
            .expect("stays open");
        assert!(rest.is_empty(), "{rest:?}");
    }
    assert_eq!(broker.rejected("too-large"), 1);
    assert_eq!(broker.rejected("malformed"), 1);
}

#[tokio::test]
async fn many_filters_in_one_packet_end_the_session() {
    let broker = Broker::start().await;
    let mine = format!("ashya/v1/{}/down/notice", broker.device.id());
    let many = |count: usize| {
        let filters = vec![mine.clone(); count].into_iter();
        filters.map(|path| SubscribeFilter::new(path, QoS::AtMostOnce))
    };
    let mut client = broker.connect().await;
    client.client.subscribe_many(many(16)).await.unwrap();
    let answer = client.next().await.unwrap();
    assert!(matches!(answer, Packet::SubAck(ack) if ack.return_codes.len() == 16));
    client.client.subscribe_many(many(17)).await.unwrap();
    client.closed().await;
    let mut client = broker.connect().await;
    client.client.subscribe_many(many(100_000)).await.unwrap();
    client.closed().await;
}
