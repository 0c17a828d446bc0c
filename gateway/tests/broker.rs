//! The broker from outside: rumqttc and raw sockets against a real one on a free port.

use std::net::SocketAddr;
use std::time::Duration;

use ashya_gateway::{
    ChainClock, ClockSource, DevicePasswords, Freshness, Hub, Ingest, IngestParts, LedgerIndex,
    Metrics, MqttParts, Positions, Presence, Registry, Store, serve_mqtt,
};
use ashya_protocol::limits::MAX_ENVELOPE_BYTES;
use ashya_protocol::rest::{Registration, SignedRegistration};
use ashya_protocol::{Address, DeviceId, DeviceKey, Domain, Event, Position, Topic};
use rumqttc::{AsyncClient, ConnectReturnCode, EventLoop, LastWill, MqttOptions, Packet, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const DOMAIN: Domain = Domain {
    chain_id: 31_337,
    ledger: Address::new([9; 20]),
};
/// Longest wait for anything that has to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A broker with one registered device.
struct Broker {
    address: SocketAddr,
    device: Device,
    passwords: DevicePasswords,
    presence: Presence,
    metrics: Metrics,
    shutdown: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

struct Device(DeviceKey);

impl Device {
    fn new(byte: u8) -> Self {
        Self(DeviceKey::from_bytes([byte; 32]).unwrap())
    }

    fn id(&self) -> DeviceId {
        self.0.device_id()
    }

    fn up(&self, stream: &str) -> String {
        Topic::Up(self.id(), stream.parse().unwrap()).to_string()
    }

    fn event(&self, stream: &str, seq: u64) -> Event {
        Event {
            device: self.id(),
            stream: stream.parse().unwrap(),
            position: Position {
                boot: 1_700_000_000.try_into().unwrap(),
                seq: seq.try_into().unwrap(),
            },
            time_us: 0.try_into().unwrap(),
            content_type: "application/json".parse().unwrap(),
            payload: b"{}".as_slice().into(),
        }
    }

    /// An event of a device whose clock is wrong.
    fn envelope_of_next_year(&self) -> Vec<u8> {
        let mut event = self.event("detections", 1);
        event.position.boot = 4_000_000_000.try_into().unwrap();
        event.sign(&self.0, &DOMAIN).encode().unwrap()
    }

    fn envelope(&self, stream: &str, seq: u64) -> Vec<u8> {
        self.event(stream, seq)
            .sign(&self.0, &DOMAIN)
            .encode()
            .unwrap()
    }
}

impl Broker {
    async fn start() -> Self {
        Self::with_passwords_of(Duration::from_secs(3600)).await
    }

    async fn with_passwords_of(lifetime: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let registry = Registry::load(store.clone(), DOMAIN).unwrap();
        let device = Device::new(1);
        let registration = Registration {
            device: device.id(),
            owner: Address::ZERO,
            revision: 1,
            title: "Gate".into(),
            description: String::new(),
            streams: ["detections", "frames"]
                .map(|name| name.parse().unwrap())
                .into(),
        };
        let signature = device.0.sign(&DOMAIN.device_registration(&registration));
        let signed = SignedRegistration {
            registration,
            signature,
        };
        registry.register(signed).await.unwrap();
        let metrics = Metrics::new();
        let (hub, presence) = (Hub::new(metrics.clone()), Presence::new());
        let freshness = Freshness {
            max_silence: Duration::from_secs(30),
            max_head_age: None,
        };
        let ingest = Ingest::start(IngestParts {
            domain: DOMAIN,
            registry,
            positions: Positions::load(store).unwrap(),
            index: LedgerIndex::new(DOMAIN),
            clock: ChainClock::new(ClockSource::Wall, freshness),
            hub: hub.clone(),
            metrics: metrics.clone(),
        })
        .unwrap();
        let passwords = DevicePasswords::new(b"secret", lifetime);
        let parts = MqttParts {
            passwords: passwords.clone(),
            ingest,
            hub,
            presence: presence.clone(),
            metrics: metrics.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        Self {
            server: tokio::spawn(serve_mqtt(listener, parts, shutdown.clone())),
            address,
            device,
            passwords,
            presence,
            metrics,
            shutdown,
            _folder: folder,
        }
    }

    fn options(&self, device: DeviceId) -> MqttOptions {
        let mut options = MqttOptions::new(device.to_string(), "127.0.0.1", self.address.port());
        let (password, _) = self.passwords.issue(device);
        options.set_credentials(device.to_string(), password);
        options.set_max_packet_size(8 << 20, 8 << 20);
        options.set_keep_alive(Duration::from_secs(5));
        options
    }

    async fn connect(&self) -> Client {
        Client::connect(self.options(self.device.id()))
            .await
            .unwrap()
    }

    /// The value of one line of the metrics.
    fn count(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }

    fn rejected(&self, reason: &str) -> u64 {
        self.count(&format!(
            "ashya_events_rejected_total{{reason=\"{reason}\"}}"
        ))
    }

    async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A client whose packets are read one by one.
struct Client {
    client: AsyncClient,
    packets: EventLoop,
}

impl Client {
    async fn connect(options: MqttOptions) -> Result<Self, String> {
        let (client, packets) = AsyncClient::new(options, 64);
        let mut client = Self { client, packets };
        match client.next().await? {
            Packet::ConnAck(ack) if ack.code == ConnectReturnCode::Success => Ok(client),
            other => Err(format!("{other:?}")),
        }
    }

    /// The next packet from the broker.
    async fn next(&mut self) -> Result<Packet, String> {
        loop {
            let event = timeout(PATIENCE, self.packets.poll())
                .await
                .expect("nothing came");
            match event.map_err(|error| error.to_string())? {
                rumqttc::Event::Incoming(Packet::PingResp) | rumqttc::Event::Outgoing(_) => {}
                rumqttc::Event::Incoming(packet) => return Ok(packet),
            }
        }
    }

    /// The next message, as topic and text.
    async fn message(&mut self) -> (String, String, bool) {
        match self.next().await.unwrap() {
            Packet::Publish(publish) => {
                let text = String::from_utf8(publish.payload.to_vec()).unwrap();
                (publish.topic, text, publish.retain)
            }
            other => panic!("not a message: {other:?}"),
        }
    }

    async fn publish(&self, topic: &str, payload: Vec<u8>) {
        self.client
            .publish(topic, QoS::AtLeastOnce, false, payload)
            .await
            .unwrap();
    }

    async fn acknowledged(&mut self) {
        let packet = self.next().await.unwrap();
        assert!(matches!(packet, Packet::PubAck(_)), "{packet:?}");
    }

    async fn subscribe(&mut self, filter: &str) -> bool {
        self.client
            .subscribe(filter, QoS::AtLeastOnce)
            .await
            .unwrap();
        match self.next().await.unwrap() {
            Packet::SubAck(ack) => ack
                .return_codes
                .iter()
                .all(|code| matches!(code, rumqttc::SubscribeReasonCode::Success(_))),
            other => panic!("not an answer: {other:?}"),
        }
    }

    /// Waits for the end of the connection.
    async fn closed(&mut self) {
        while let Ok(packet) = self.next().await {
            assert!(
                !matches!(packet, Packet::ConnAck(_)),
                "came back instead of staying closed"
            );
        }
    }
}

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
}

/// A CONNECT of MQTT 3.1.1 with keep-alive 60.
fn connect_packet(device: DeviceId, password: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [length.as_slice(), text.as_bytes()].concat()
    };
    let mut body = b"\x00\x04MQTT\x04\xc2\x00\x3c".to_vec();
    body.extend(text("raw"));
    body.extend(text(&device.to_string()));
    body.extend(text(password));
    let mut packet = vec![0x10];
    let mut length = body.len();
    while length > 127 {
        packet.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend(body);
    packet
}
