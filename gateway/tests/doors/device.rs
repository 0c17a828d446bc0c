//! A device that registers by REST and publishes by MQTT.

use std::net::SocketAddr;

use ashya_protocol::rest::{
    CredentialRequest, Credentials, Nonce, Registration, SignedRegistration,
};
use ashya_protocol::{Address, DeviceKey, Domain, Event, Position, Topic};
use reqwest::Client;
use rumqttc::{AsyncClient, EventLoop, MqttOptions, Packet, QoS};
use tokio::time::timeout;

use crate::rig::{LEDGER, PATIENCE};

pub(crate) struct Device {
    key: DeviceKey,
    domain: Domain,
}

impl Device {
    pub(crate) fn new(byte: u8) -> Self {
        Self {
            key: DeviceKey::from_bytes([byte; 32]).unwrap(),
            domain: Domain {
                chain_id: 31_337,
                ledger: LEDGER.parse().unwrap(),
            },
        }
    }

    /// Registers at `base`, and gets what it takes to log in.
    pub(crate) async fn register(&self, client: &Client, base: &str) -> Credentials {
        let device = self.key.device_id();
        let registration = Registration {
            device,
            owner: Address::ZERO,
            revision: 1,
            title: "Gate".into(),
            description: String::new(),
            streams: ["detections"].map(|name| name.parse().unwrap()).into(),
        };
        let signature = self
            .key
            .sign(&self.domain.device_registration(&registration));
        let signed = SignedRegistration {
            registration,
            signature,
        };
        let url = format!("{base}/v1/devices");
        let answer = client.post(url).json(&signed).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        let url = format!("{base}/v1/auth/nonce");
        let answer = client.post(url).send().await.unwrap();
        let Nonce { nonce } = answer.json().await.unwrap();
        let digest = self.domain.credential_request(device, &nonce);
        let request = CredentialRequest {
            signature: self.key.sign(&digest),
            nonce,
        };
        let url = format!("{base}/v1/devices/{device}/credentials");
        let answer = client.post(url).json(&request).send().await.unwrap();
        answer.json().await.unwrap()
    }

    pub(crate) fn up(&self) -> String {
        let stream = "detections".parse().unwrap();
        Topic::Up(self.key.device_id(), stream).to_string()
    }

    pub(crate) fn notices(&self) -> String {
        Topic::Notice(self.key.device_id()).to_string()
    }

    pub(crate) fn envelope(&self, seq: u64, bytes: usize) -> Vec<u8> {
        let event = Event {
            device: self.key.device_id(),
            stream: "detections".parse().unwrap(),
            position: Position {
                boot: 1_700_000_000.try_into().unwrap(),
                seq: seq.try_into().unwrap(),
            },
            time_us: 0.try_into().unwrap(),
            content_type: "application/json".parse().unwrap(),
            payload: vec![b' '; bytes].into(),
        };
        event.sign(&self.key, &self.domain).encode().unwrap()
    }

    /// Logs in, publishes an event, and waits until it is acknowledged.
    pub(crate) async fn publish(&self, broker: SocketAddr, credentials: &Credentials, seq: u64) {
        let mut options = MqttOptions::new("camera", broker.ip().to_string(), broker.port());
        options.set_credentials(&credentials.username, &credentials.password);
        let (client, mut packets) = AsyncClient::new(options, 8);
        expect(&mut packets, |packet| matches!(packet, Packet::ConnAck(_))).await;
        let envelope = self.envelope(seq, 2);
        let qos = QoS::AtLeastOnce;
        client
            .publish(self.up(), qos, false, envelope)
            .await
            .unwrap();
        expect(&mut packets, |packet| matches!(packet, Packet::PubAck(_))).await;
    }
}

async fn expect(packets: &mut EventLoop, wanted: impl Fn(&Packet) -> bool) {
    loop {
        let event = timeout(PATIENCE, packets.poll()).await.expect("nothing");
        if let rumqttc::Event::Incoming(packet) = event.unwrap() {
            assert!(wanted(&packet), "{packet:?}");
            return;
        }
    }
}
