use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ashya_protocol::rest::{Registration, SignedRegistration};
use ashya_protocol::{
    Address, Boot, ContentType, DeviceId, DeviceKey, Domain, Envelope, Event, Position, Seq,
    StreamName, TimeUs, Topic,
};
use rumqttc::{
    AsyncClient, ConnectionError, EventLoop, Incoming, LastWill, MqttOptions, Publish, QoS,
    SubscribeReasonCode,
};

use crate::account::random_key;
use crate::api::Api;
use crate::wait::{now, now_us};

/// Time that a broker may take to answer, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Largest MQTT packet of the tests: more than any that the gateway takes.
const MAX_PACKET_BYTES: usize = 8 * 1024 * 1024;

/// A device without an eye: it signs what it is told to, and misbehaves on demand.
#[derive(Debug)]
pub struct Device {
    key: DeviceKey,
    domain: Domain,
    api: Api,
    boot: Boot,
    next: HashMap<StreamName, Seq>,
}

/// A device's MQTT session.
pub struct Mqtt {
    client: AsyncClient,
    events: EventLoop,
    received: Vec<Publish>,
}

/// What became of a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The broker acknowledged it.
    Acknowledged,
    /// The broker closed the session.
    Closed,
}

/// What became of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// The broker granted it.
    Granted,
    /// The broker refused it.
    Refused,
    /// The broker closed the session.
    Closed,
}

impl Device {
    /// A device with a new key that registers with the gateway.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn register(
        api: &Api,
        domain: Domain,
        owner: Address,
        streams: &[&str],
    ) -> Result<Self> {
        let device = Self::unregistered(api, domain)?;
        let registration = Registration {
            device: device.id(),
            owner,
            revision: 1,
            title: "Test device".into(),
            description: "Publishes what a test tells it to".into(),
            streams: streams
                .iter()
                .map(|name| name.parse())
                .collect::<Result<_, _>>()?,
        };
        let answer = api
            .register(&device.sign_registration(registration))
            .await?;
        if !answer.status.is_success() {
            bail!("registration: {} {}", answer.status, answer.body);
        }
        Ok(device)
    }

    /// A device with a new key that the gateway has never heard of.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn unregistered(api: &Api, domain: Domain) -> Result<Self> {
        Ok(Self {
            key: random_key()?,
            domain,
            api: api.clone(),
            boot: now().try_into()?,
            next: HashMap::new(),
        })
    }

    /// The device id.
    pub fn id(&self) -> DeviceId {
        self.key.device_id()
    }

    /// The secret key.
    pub fn key(&self) -> &DeviceKey {
        &self.key
    }

    /// Signs a registration document.
    pub fn sign_registration(&self, registration: Registration) -> SignedRegistration {
        let signature = self
            .key
            .sign(&self.domain.device_registration(&registration));
        SignedRegistration {
            registration,
            signature,
        }
    }

    /// The next event of a stream, captured now.
    ///
    /// # Errors
    /// When the stream's name is none.
    pub fn event(&mut self, stream: &str, payload: &[u8]) -> Result<Event> {
        let stream: StreamName = stream.parse()?;
        let next = self.next.entry(stream.clone()).or_insert(Seq::FIRST);
        let seq = *next;
        *next = seq.next()?;
        Ok(Event {
            device: self.key.device_id(),
            stream,
            position: Position {
                boot: self.boot,
                seq,
            },
            time_us: TimeUs::try_from(now_us())?,
            content_type: ContentType::JSON.parse()?,
            payload: payload.into(),
        })
    }

    /// The next event of a stream, signed and encoded.
    ///
    /// # Errors
    /// When the stream's name is none, or the payload too large.
    pub fn envelope(&mut self, stream: &str, payload: &[u8]) -> Result<Vec<u8>> {
        let event = self.event(stream, payload)?;
        Ok(self.sign(event).encode()?)
    }

    /// Signs an event.
    pub fn sign(&self, event: Event) -> Envelope {
        event.sign(&self.key, &self.domain)
    }

    /// The topic of a stream of this device.
    ///
    /// # Errors
    /// When the stream's name is none.
    pub fn topic(&self, stream: &str) -> Result<String> {
        Ok(Topic::Up(self.id(), stream.parse()?).to_string())
    }

    /// Opens an MQTT session with fresh credentials.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn connect(&self) -> Result<Mqtt> {
        self.connect_with_will(None).await
    }

    /// Opens an MQTT session with fresh credentials and a last will.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn connect_with_will(&self, will: Option<LastWill>) -> Result<Mqtt> {
        let credentials = self.api.credentials(&self.key, &self.domain).await?;
        Mqtt::open(
            self.id().to_string(),
            credentials.mqtt_port,
            (credentials.username, credentials.password),
            will,
        )
        .await
    }

    /// Publishes the next event of a stream and waits for the acknowledgement.
    ///
    /// # Errors
    /// When the broker closes the session.
    pub async fn emit(&mut self, mqtt: &mut Mqtt, stream: &str, payload: &[u8]) -> Result<Vec<u8>> {
        let envelope = self.envelope(stream, payload)?;
        match mqtt.publish(&self.topic(stream)?, &envelope).await? {
            Delivery::Acknowledged => Ok(envelope),
            Delivery::Closed => bail!("the broker closed the session of {}", self.id()),
        }
    }
}

impl Mqtt {
    /// Opens a session with any credentials.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn open(
        client_id: String,
        port: u16,
        (username, password): (String, String),
        will: Option<LastWill>,
    ) -> Result<Self> {
        let mut options = MqttOptions::new(client_id, "127.0.0.1", port);
        options
            .set_credentials(username, password)
            .set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES)
            .set_keep_alive(Duration::from_secs(60));
        if let Some(will) = will {
            options.set_last_will(will);
        }
        let (client, events) = AsyncClient::new(options, 16);
        let mut mqtt = Self {
            client,
            events,
            received: Vec::new(),
        };
        let connected =
            mqtt.wait_for(|packet| matches!(packet, Incoming::ConnAck(_)).then_some(()));
        match connected.await? {
            Some(()) => Ok(mqtt),
            None => bail!("the broker refused the session"),
        }
    }

    /// Publishes a message with QoS 1 and waits for what becomes of it.
    ///
    /// # Errors
    /// When the broker says nothing.
    pub async fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<Delivery> {
        self.client
            .publish(topic, QoS::AtLeastOnce, false, payload)
            .await?;
        let answer = self
            .wait_for(|packet| matches!(packet, Incoming::PubAck(_)).then_some(()))
            .await?;
        Ok(answer.map_or(Delivery::Closed, |()| Delivery::Acknowledged))
    }

    /// Subscribes and waits for what becomes of it.
    ///
    /// # Errors
    /// When the broker says nothing.
    pub async fn subscribe(&mut self, filter: &str) -> Result<Grant> {
        self.client.subscribe(filter, QoS::AtLeastOnce).await?;
        let answer = self
            .wait_for(|packet| match packet {
                Incoming::SubAck(ack) => Some(ack.return_codes.clone()),
                _ => None,
            })
            .await?;
        Ok(match answer.as_deref() {
            Some([SubscribeReasonCode::Success(_)]) => Grant::Granted,
            Some(_) => Grant::Refused,
            None => Grant::Closed,
        })
    }

    /// Listens for `time`, or until the session ends, and returns all messages received so far.
    pub async fn listen(&mut self, time: Duration) -> Vec<Publish> {
        let _ = tokio::time::timeout(time, self.next_answer(|_| None::<()>)).await;
        std::mem::take(&mut self.received)
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// When none comes in time, or the session ends.
    pub async fn message(&mut self) -> Result<Publish> {
        if self.received.is_empty() {
            let arrived =
                self.wait_for(|packet| matches!(packet, Incoming::Publish(_)).then_some(()));
            arrived.await?.context("the broker closed the session")?;
        }
        Ok(self.received.remove(0))
    }

    /// Waits until the broker ends the session.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub async fn closed(&mut self, limit: Duration) -> Result<()> {
        tokio::time::timeout(limit, self.next_answer(|_| None::<()>))
            .await
            .map(drop)
            .context("the session stayed open")
    }

    /// The first packet that `pick` takes; `None` when the session ends first.
    async fn wait_for<T>(&mut self, pick: impl FnMut(&Incoming) -> Option<T>) -> Result<Option<T>> {
        match tokio::time::timeout(ANSWER_LIMIT, self.next_answer(pick)).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(_)) => Ok(None),
            Err(_) => bail!("the broker says nothing"),
        }
    }

    async fn next_answer<T>(
        &mut self,
        mut pick: impl FnMut(&Incoming) -> Option<T>,
    ) -> Result<T, ConnectionError> {
        loop {
            if let rumqttc::Event::Incoming(packet) = self.events.poll().await? {
                if let Incoming::Publish(publish) = &packet {
                    self.received.push(publish.clone());
                }
                if let Some(answer) = pick(&packet) {
                    return Ok(answer);
                }
            }
        }
    }
}
