//! The bridge with a real mosquitto between a device and the hub.

#[path = "../../tests/support/mosquitto.rs"]
mod mosquitto;

use ashya_protocol::limits::MAX_ENVELOPE_BYTES;
use ashya_protocol::rest::{Registration, SignedRegistration};
use ashya_protocol::{Address, DeviceId, DeviceKey, Event, Topic};
use rumqttc::{Packet, QoS};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::chain_clock::{ChainClock, ClockSource, Freshness};
use crate::hub::tests::{DOMAIN, position};
use crate::hub::{Following, Outbox, Queued};
use crate::ingest::{IngestParts, Promise, Verdict};
use crate::ledger_index::LedgerIndex;
use crate::outage::Heard;
use crate::positions::Positions;
use crate::previews::Previews;
use crate::store::Store;
use crate::stream::StreamKey;

use mosquitto::Mosquitto;

/// Longest wait for anything that has to come.
const PATIENCE: Duration = Duration::from_secs(20);
const BOOT: u64 = 1_700_000_000;

/// A gateway's inside with one registered device, bridged to a broker.
struct World {
    parts: BridgeParts,
    key: DeviceKey,
    shutdown: CancellationToken,
    bridge: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let registry = Registry::load(store.clone(), DOMAIN, 10).unwrap();
        let key = DeviceKey::from_bytes([1; 32]).unwrap();
        let registration = Registration {
            device: key.device_id(),
            owner: Address::ZERO,
            revision: 1,
            title: "Gate".into(),
            description: String::new(),
            streams: ["detections", "frames"]
                .map(|name| name.parse().unwrap())
                .into(),
        };
        let signature = key.sign(&DOMAIN.device_registration(&registration));
        let signed = SignedRegistration {
            registration,
            signature,
        };
        registry.register(signed).await.unwrap();
        let metrics = Metrics::new();
        let hub = Hub::new(metrics.clone());
        let freshness = Freshness {
            max_silence: Duration::from_secs(30),
            max_head_age: None,
        };
        let ingest = Ingest::start(IngestParts {
            domain: DOMAIN,
            registry: registry.clone(),
            previews: Previews::load(store.clone()).unwrap(),
            positions: Positions::load(store).unwrap(),
            index: LedgerIndex::new(DOMAIN),
            clock: ChainClock::new(ClockSource::Wall, freshness),
            hub: hub.clone(),
            heard: Heard::default(),
            metrics: metrics.clone(),
        })
        .unwrap();
        Self {
            parts: BridgeParts {
                ingest,
                hub,
                registry,
                presence: Presence::new(),
                metrics,
            },
            key,
            shutdown: CancellationToken::new(),
            bridge: None,
            _folder: folder,
        }
    }

    fn device(&self) -> DeviceId {
        self.key.device_id()
    }

    fn bridge(&mut self, url: &str) {
        let (address, parts) = (url.parse().unwrap(), self.parts.clone());
        let bridge = run(address, client_id(b"secret"), parts, self.shutdown.clone());
        self.bridge = Some(tokio::spawn(bridge));
    }

    async fn bridged(broker: &Mosquitto) -> Self {
        let mut world = Self::new().await;
        world.bridge(&format!("mqtt://127.0.0.1:{}", broker.port));
        world.until_connected(true).await;
        world
    }

    async fn until_connected(&self, connected: bool) {
        self.until("the bridge's state", |world| {
            world.parts.metrics.bridge_connected.get() == i64::from(connected)
        })
        .await;
    }

    async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn accepted(&self) -> u64 {
        self.parts.metrics.events_accepted.get()
    }

    fn rejected(&self, reason: &str) -> u64 {
        let text = self.parts.metrics.render();
        let name = format!("ashya_events_rejected_total{{reason=\"{reason}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().parse().unwrap()
    }

    /// Watches a stream, as a socket does for somebody who has paid.
    fn watch(&self, stream: &str) -> (Outbox, Following) {
        let outbox = Outbox::default();
        let key = StreamKey {
            device: self.device(),
            stream: stream.parse().unwrap(),
        };
        let (following, _) = self.parts.hub.follow(key, &outbox, None);
        (outbox, following)
    }

    fn up(&self, stream: &str) -> String {
        Topic::Up(self.device(), stream.parse().unwrap()).to_string()
    }

    fn event(&self, seq: u64) -> Event {
        Event {
            device: self.device(),
            stream: "detections".parse().unwrap(),
            position: position(BOOT, seq),
            time_us: 0.try_into().unwrap(),
            content_type: "application/json".parse().unwrap(),
            payload: b"{}".as_slice().into(),
        }
    }

    fn envelope(&self, seq: u64) -> Vec<u8> {
        let signed = self.event(seq).sign(&self.key, &DOMAIN);
        signed.encode().unwrap()
    }

    fn forged(&self, seq: u64) -> Vec<u8> {
        let stranger = DeviceKey::from_bytes([2; 32]).unwrap();
        self.event(seq).sign(&stranger, &DOMAIN).encode().unwrap()
    }

    /// Ends the bridge as a shutdown does.
    async fn end(mut self) {
        self.shutdown.cancel();
        let bridge = self.bridge.take().unwrap();
        timeout(PATIENCE, bridge).await.unwrap().unwrap();
        assert_eq!(self.parts.metrics.bridge_connected.get(), 0);
    }
}

/// A client of the owner's broker.
struct Client {
    client: rumqttc::AsyncClient,
    packets: rumqttc::EventLoop,
}

impl Client {
    async fn connect(broker: &Mosquitto, name: &str) -> Self {
        let mut options = rumqttc::MqttOptions::new(name, "127.0.0.1", broker.port);
        options.set_max_packet_size(8 << 20, 8 << 20);
        let (client, packets) = rumqttc::AsyncClient::new(options, 64);
        let mut client = Self { client, packets };
        assert!(matches!(client.next().await, Packet::ConnAck(_)));
        client
    }

    async fn next(&mut self) -> Packet {
        loop {
            let event = timeout(PATIENCE, self.packets.poll()).await;
            match event.expect("nothing came").unwrap() {
                rumqttc::Event::Incoming(Packet::PingResp) | rumqttc::Event::Outgoing(_) => {}
                rumqttc::Event::Incoming(packet) => return packet,
            }
        }
    }

    /// Publishes and waits until the broker has it.
    async fn publish(&mut self, topic: &str, retain: bool, payload: impl Into<Vec<u8>>) {
        let qos = QoS::AtLeastOnce;
        let published = self.client.publish(topic, qos, retain, payload).await;
        published.unwrap();
        assert!(matches!(self.next().await, Packet::PubAck(_)));
    }

    async fn subscribe(&mut self, filter: &str) {
        let qos = QoS::AtLeastOnce;
        self.client.subscribe(filter, qos).await.unwrap();
        assert!(matches!(self.next().await, Packet::SubAck(_)));
    }

    /// The next message: its topic's last level, and its text.
    async fn message(&mut self) -> (String, String) {
        match self.next().await {
            Packet::Publish(publish) => {
                let last = publish.topic.rsplit('/').next().unwrap().to_owned();
                (last, String::from_utf8(publish.payload.to_vec()).unwrap())
            }
            other => panic!("not a message: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_event_of_the_owners_broker_reaches_a_watcher_and_a_forged_one_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), "allow_anonymous true");
    let world = World::bridged(&broker).await;
    let (outbox, _subscription) = world.watch("detections");
    let mut device = Client::connect(&broker, "device").await;
    let mut listener = Client::connect(&broker, "listener").await;
    listener
        .subscribe(&format!("ashya/v1/{}/down/#", world.device()))
        .await;
    let up = world.up("detections");
    device.publish(&up, false, world.envelope(0)).await;
    world.until("accepted", |world| world.accepted() == 1).await;
    let Some(Queued::Event(message)) = outbox.pop().unwrap() else {
        panic!("no event")
    };
    assert_eq!(message.envelope(), world.envelope(0), "the same bytes");
    let wanted = (
        "demand".to_owned(),
        r#"{"streams":["detections"]}"#.to_owned(),
    );
    assert_eq!(listener.message().await, wanted);
    // More than the broker sends without an acknowledgement: each forged one is settled, once.
    let forged = u64::from(MAX_IN_FLIGHT) + 8;
    for seq in 1..=forged {
        device.publish(&up, false, world.forged(seq)).await;
        let notice =
            format!(r#"{{"stream":"detections","boot":{BOOT},"seq":{seq},"reason":"signature"}}"#);
        assert_eq!(listener.message().await, ("notice".to_owned(), notice));
    }
    device.publish(&up, false, world.envelope(1)).await;
    world.until("accepted", |world| world.accepted() == 2).await;
    assert_eq!(world.rejected("signature"), forged);
    assert!(matches!(outbox.pop().unwrap(), Some(Queued::Event(_))));
    assert!(outbox.pop().unwrap().is_none());
    world.end().await;
}

#[tokio::test]
async fn strangers_and_foreign_topics_are_refused_and_too_much_stays_outside() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), "allow_anonymous true");
    let world = World::bridged(&broker).await;
    let mut client = Client::connect(&broker, "client").await;
    let stranger = DeviceKey::from_bytes([3; 32]).unwrap();
    let mut event = world.event(0);
    event.device = stranger.device_id();
    let envelope = event.sign(&stranger, &DOMAIN).encode().unwrap();
    let up = |device: DeviceId| Topic::Up(device, "detections".parse().unwrap()).to_string();
    for (topic, payload, reason) in [
        // Nobody registered it.
        (up(stranger.device_id()), envelope.clone(), "stream"),
        (world.up("detections"), envelope, "device"),
        (world.up("unregistered"), world.envelope(0), "stream"),
        (
            "ashya/v1/gate/up/detections".into(),
            world.envelope(0),
            "topic",
        ),
        (
            world.up("detections"),
            vec![0; MAX_ENVELOPE_BYTES + 1],
            "too-large",
        ),
    ] {
        let before = world.rejected(reason);
        client.publish(&topic, false, payload).await;
        world
            .until(reason, |world| world.rejected(reason) == before + 1)
            .await;
    }
    // Larger still: the broker keeps it to itself, and the connection stands.
    let flood = vec![0; 2 * MAX_PACKET_BYTES as usize];
    client.publish(&world.up("detections"), false, flood).await;
    client
        .publish(&world.up("detections"), false, world.envelope(0))
        .await;
    world.until("accepted", |world| world.accepted() == 1).await;
    assert_eq!(world.parts.metrics.bridge_connected.get(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_registered_devices_presence_and_demand_follow_it() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), "allow_anonymous true");
    let mut device = Client::connect(&broker, "device").await;
    let mut world = World::new().await;
    let stranger = DeviceId::new([7; 20]);
    // Both came before the bridge: what they said is retained.
    for device_id in [stranger, world.device()] {
        let topic = Topic::Presence(device_id).to_string();
        device.publish(&topic, true, "online").await;
    }
    world.bridge(&format!("mqtt://127.0.0.1:{}", broker.port));
    world
        .until("online", |world| {
            world.parts.presence.is_online(world.device())
        })
        .await;
    let demand = Topic::Demand(world.device()).to_string();
    device.subscribe(&demand).await;
    let told = async |device: &mut Client| device.message().await.1;
    assert_eq!(told(&mut device).await, r#"{"streams":[]}"#);
    let watcher = world.watch("frames");
    assert_eq!(told(&mut device).await, r#"{"streams":["frames"]}"#);
    drop(watcher);
    assert_eq!(told(&mut device).await, r#"{"streams":[]}"#);
    assert!(!world.parts.presence.is_online(stranger));
    let presence = Topic::Presence(world.device()).to_string();
    device.publish(&presence, true, "offline").await;
    world
        .until("offline", |world| {
            !world.parts.presence.is_online(world.device())
        })
        .await;
    device.publish(&presence, true, "online").await;
    world
        .until("online", |world| {
            world.parts.presence.is_online(world.device())
        })
        .await;
    let shared = world.parts.presence.clone();
    let id = world.device();
    world.end().await;
    assert!(!shared.is_online(id), "nobody knows any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_device_is_told_of_as_gone_and_never_as_back() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), "allow_anonymous true");
    let world = World::bridged(&broker).await;
    let id = world.device();
    let mut listener = Client::connect(&broker, "listener").await;
    listener.subscribe(&format!("ashya/v1/{id}/down/#")).await;
    let mut device = Client::connect(&broker, "device").await;
    let presence = Topic::Presence(id).to_string();
    device.publish(&presence, true, "online").await;
    let is_online = |world: &World| world.parts.presence.is_online(id);
    world.until("online", is_online).await;
    let nothing = ("demand".to_owned(), r#"{"streams":[]}"#.to_owned());
    assert_eq!(listener.message().await, nothing);

    let blocked = world.parts.registry.blocked();
    tokio::task::block_in_place(|| blocked.block(id)).unwrap();
    device.publish(&presence, true, "offline").await;
    world.until("offline", |world| !is_online(world)).await;
    device.publish(&presence, true, "online").await;
    let up = world.up("detections");
    device.publish(&up, false, world.envelope(0)).await;
    // It comes after what was said of the presence.
    let notice = format!(r#"{{"stream":"detections","boot":{BOOT},"seq":0,"reason":"stream"}}"#);
    assert_eq!(listener.message().await, ("notice".to_owned(), notice));
    assert!(!is_online(&world));
    assert_eq!(world.accepted(), 0);
    world.end().await;
}

#[tokio::test]
async fn a_broker_that_comes_back_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Mosquitto::start(folder.path(), "allow_anonymous true");
    let world = World::bridged(&broker).await;
    let up = world.up("detections");
    let mut device = Client::connect(&broker, "device").await;
    device.publish(&up, false, world.envelope(0)).await;
    world.until("accepted", |world| world.accepted() == 1).await;
    broker.stop();
    world.until_connected(false).await;
    broker.restart();
    world.until_connected(true).await;
    let mut device = Client::connect(&broker, "device").await;
    device.publish(&up, false, world.envelope(1)).await;
    world.until("accepted", |world| world.accepted() == 2).await;
    world.end().await;
}

#[tokio::test]
async fn what_comes_while_the_gateway_is_away_is_kept_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), "allow_anonymous true");
    let first = World::bridged(&broker).await;
    let mut device = Client::connect(&broker, "device").await;
    let up = first.up("detections");
    first.end().await;
    let mut second = World::new().await;
    for seq in 0..100 {
        device.publish(&up, false, second.envelope(seq)).await;
    }
    second.bridge(&format!("mqtt://127.0.0.1:{}", broker.port));
    second
        .until("all of them", |world| world.accepted() == 100)
        .await;
    assert_eq!(second.rejected("replayed"), 0);
    second.end().await;
}

#[tokio::test]
async fn a_wrong_password_is_tried_again_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Mosquitto::password_file(folder.path(), "gateway", "right");
    let broker = Mosquitto::start(folder.path(), &settings);
    let mut world = World::new().await;
    world.bridge(&format!("mqtt://gateway:wrong@127.0.0.1:{}", broker.port));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.parts.metrics.bridge_connected.get(), 0);
    assert!(!world.bridge.as_ref().unwrap().is_finished());
    // The rest lives: an event that comes in by another door is taken.
    let (device, stream) = (world.device(), "detections".parse().unwrap());
    let envelope = world.envelope(0).into();
    let ingest = &world.parts.ingest;
    let verdict = ingest
        .submit(device, stream, envelope, Promise::Durable)
        .await;
    assert_eq!(verdict.unwrap().await, Some(Verdict::Accepted));
    assert_eq!(world.accepted(), 1);
    world.end().await;
    let mut world = World::new().await;
    world.bridge(&format!("mqtt://gateway:right@127.0.0.1:{}", broker.port));
    world.until_connected(true).await;
    world.end().await;
}

#[test]
fn a_gateway_has_one_name_that_does_not_tell_its_secret() {
    let id = client_id(b"secret");
    assert_eq!(id, client_id(b"secret"));
    assert_ne!(id, client_id(b"other"));
    assert_eq!(id.len(), "ashya-gateway-".len() + 16);
}
