//! A broker with one device, and its clients.

use std::net::SocketAddr;
use std::time::Duration;

use ashya_gateway::{
    ChainClock, ClockSource, DevicePasswords, Freshness, Heard, Hub, Ingest, IngestParts,
    LedgerIndex, Metrics, MqttParts, Positions, Presence, Previews, Registry, Store, serve_mqtt,
};
use ashya_protocol::rest::{Registration, SignedRegistration};
use ashya_protocol::{Address, DeviceId, DeviceKey, Domain, Event, Position, Topic};
use rumqttc::{AsyncClient, ConnectReturnCode, EventLoop, MqttOptions, Packet, QoS};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const DOMAIN: Domain = Domain {
    chain_id: 31_337,
    ledger: Address::new([9; 20]),
};
/// Longest wait for anything that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A broker with one registered device.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    pub(crate) device: Device,
    pub(crate) passwords: DevicePasswords,
    pub(crate) presence: Presence,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

pub(crate) struct Device(pub(crate) DeviceKey);

impl Device {
    pub(crate) fn new(byte: u8) -> Self {
        Self(DeviceKey::from_bytes([byte; 32]).unwrap())
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.0.device_id()
    }

    pub(crate) fn up(&self, stream: &str) -> String {
        Topic::Up(self.id(), stream.parse().unwrap()).to_string()
    }

    pub(crate) fn event(&self, stream: &str, seq: u64) -> Event {
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
    pub(crate) fn envelope_of_next_year(&self) -> Vec<u8> {
        let mut event = self.event("detections", 1);
        event.position.boot = 4_000_000_000.try_into().unwrap();
        event.sign(&self.0, &DOMAIN).encode().unwrap()
    }

    pub(crate) fn envelope(&self, stream: &str, seq: u64) -> Vec<u8> {
        self.event(stream, seq)
            .sign(&self.0, &DOMAIN)
            .encode()
            .unwrap()
    }
}

impl Broker {
    pub(crate) async fn start() -> Self {
        Self::with_passwords_of(Duration::from_secs(3600)).await
    }

    pub(crate) async fn with_passwords_of(lifetime: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let registry = Registry::load(store.clone(), DOMAIN, 10).unwrap();
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
            previews: Previews::load(store.clone()).unwrap(),
            positions: Positions::load(store).unwrap(),
            index: LedgerIndex::new(DOMAIN),
            clock: ChainClock::new(ClockSource::Wall, freshness),
            hub: hub.clone(),
            heard: Heard::default(),
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

    pub(crate) fn options(&self, device: DeviceId) -> MqttOptions {
        let mut options = MqttOptions::new(device.to_string(), "127.0.0.1", self.address.port());
        let (password, _) = self.passwords.issue(device);
        options.set_credentials(device.to_string(), password);
        options.set_max_packet_size(8 << 20, 8 << 20);
        options.set_keep_alive(Duration::from_secs(5));
        options
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.options(self.device.id()))
            .await
            .unwrap()
    }

    /// The value of one line of the metrics.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }

    pub(crate) fn rejected(&self, reason: &str) -> u64 {
        self.count(&format!(
            "ashya_events_rejected_total{{reason=\"{reason}\"}}"
        ))
    }

    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A client whose packets are read one by one.
pub(crate) struct Client {
    pub(crate) client: AsyncClient,
    pub(crate) packets: EventLoop,
}

impl Client {
    pub(crate) async fn connect(options: MqttOptions) -> Result<Self, String> {
        let (client, packets) = AsyncClient::new(options, 64);
        let mut client = Self { client, packets };
        match client.next().await? {
            Packet::ConnAck(ack) if ack.code == ConnectReturnCode::Success => Ok(client),
            other => Err(format!("{other:?}")),
        }
    }

    /// The next packet from the broker.
    pub(crate) async fn next(&mut self) -> Result<Packet, String> {
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
    pub(crate) async fn message(&mut self) -> (String, String, bool) {
        match self.next().await.unwrap() {
            Packet::Publish(publish) => {
                let text = String::from_utf8(publish.payload.to_vec()).unwrap();
                (publish.topic, text, publish.retain)
            }
            other => panic!("not a message: {other:?}"),
        }
    }

    pub(crate) async fn publish(&self, topic: &str, payload: Vec<u8>) {
        self.client
            .publish(topic, QoS::AtLeastOnce, false, payload)
            .await
            .unwrap();
    }

    pub(crate) async fn acknowledged(&mut self) {
        let packet = self.next().await.unwrap();
        assert!(matches!(packet, Packet::PubAck(_)), "{packet:?}");
    }

    pub(crate) async fn subscribe(&mut self, filter: &str) -> bool {
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
    pub(crate) async fn closed(&mut self) {
        while let Ok(packet) = self.next().await {
            assert!(
                !matches!(packet, Packet::ConnAck(_)),
                "came back instead of staying closed"
            );
        }
    }
}

/// A CONNECT of MQTT 3.1.1 with keep-alive 60.
pub(crate) fn connect_packet(device: DeviceId, password: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [length.as_slice(), text.as_bytes()].concat()
    };
    let mut body = b"\x00\x04MQTT\x04\xc2\x00\x3c".to_vec();
    body.extend(text("raw"));
    body.extend(text(&device.to_string()));
    body.extend(text(password));
    packet(0x10, &body)
}

/// A PUBLISH of QoS 1.
pub(crate) fn publish_packet(topic: &str, payload: &[u8], identifier: u16) -> Vec<u8> {
    let length = u16::try_from(topic.len()).unwrap().to_be_bytes();
    let identifier = identifier.to_be_bytes();
    packet(
        0x32,
        &[&length, topic.as_bytes(), &identifier, payload].concat(),
    )
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    while length > 127 {
        packet.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend(body);
    packet
}
