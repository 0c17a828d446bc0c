use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;

use ashya_protocol::{Demand, DeviceId, Notice, StreamName, Topic};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered, unfold};
use futures_util::{Stream, StreamExt};
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Publish, SubAck, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ClientError, ConnectionError, Event, EventLoop, Incoming};
use thiserror::Error;
use tokio::sync::watch;

use super::tunnel::TunnelError;
use super::{BridgeAddress, BridgeParts, MAX_IN_FLIGHT, MAX_REQUESTS};
use crate::demand;
use crate::ingest::Promise;
use crate::metrics::Rejection;
use crate::mqtt::MAX_PACKET_BYTES;
use crate::presence::{self, Door, Word};

/// All events and all presence. Nothing that we publish ourselves, so nothing comes back.
const FILTERS: [&str; 2] = ["ashya/v1/+/up/+", "ashya/v1/+/presence"];
/// Most bytes of events that may wait for their verdict.
const MAX_IN_FLIGHT_BYTES: usize = 2 * MAX_PACKET_BYTES as usize;
/// Most devices that are told what is wanted of them, as many as the embedded broker takes.
const MAX_DEVICES: usize = 10_000;

/// One connection to the owner's broker.
pub(super) struct Session<'a> {
    address: &'a BridgeAddress,
    parts: &'a BridgeParts,
    client: AsyncClient,
    packets: Pin<Box<dyn Stream<Item = Result<Event, ConnectionError>> + Send>>,
    /// Requests that the client has not sent yet.
    waiting: usize,
    verdicts: FuturesOrdered<BoxFuture<'static, Option<Decided>>>,
    in_flight_bytes: usize,
    /// Devices that were seen here.
    devices: HashSet<DeviceId>,
    demands: FuturesUnordered<BoxFuture<'static, (DeviceId, watch::Receiver<Demand>)>>,
    /// Devices that say here that they are online.
    online: HashSet<DeviceId>,
}

/// A publish that is dealt with for good.
struct Decided {
    publish: Publish,
    bytes: usize,
    device: DeviceId,
    notice: Option<Notice>,
}

/// Why a connection to the owner's broker is over.
#[derive(Debug, Error)]
pub(super) enum BridgeError {
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    #[error("the connection to the broker failed")]
    Connection(#[from] Box<ConnectionError>),
    #[error("the broker does not let us subscribe to {filter}: {reason:?}")]
    Subscription {
        filter: &'static str,
        reason: SubscribeReasonCode,
    },
    #[error("the MQTT client takes no more")]
    Full,
    #[error("the gateway takes no more events")]
    Closed,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        address: &'a BridgeAddress,
        parts: &'a BridgeParts,
        client: AsyncClient,
        packets: EventLoop,
    ) -> Self {
        // As a stream the client's half-done work survives when another branch of `select!` comes first.
        let packets = unfold(packets, |mut packets| async {
            let event = packets.poll().await;
            Some((event, packets))
        });
        Self {
            address,
            parts,
            client,
            packets: Box::pin(packets),
            waiting: 0,
            verdicts: FuturesOrdered::new(),
            in_flight_bytes: 0,
            devices: HashSet::new(),
            demands: FuturesUnordered::new(),
            online: HashSet::new(),
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self) -> BridgeError {
        let Err(error) = self.serve().await;
        error
    }

    async fn serve(&mut self) -> Result<Infallible, BridgeError> {
        let filters = FILTERS.map(|filter| Filter::new(filter, QoS::AtLeastOnce));
        self.requested(self.client.try_subscribe_many(filters))?;
        loop {
            let room = self.verdicts.len() < usize::from(MAX_IN_FLIGHT)
                && self.in_flight_bytes < MAX_IN_FLIGHT_BYTES;
            tokio::select! {
                biased;
                Some(decided) = self.verdicts.next() => self.acknowledge(decided)?,
                // Half of the requests stay free for acknowledgements and notices.
                Some((device, demand)) = self.demands.next(), if self.waiting < MAX_REQUESTS / 2 => {
                    self.tell_demand(device, demand)?;
                }
                Some(event) = self.packets.next(), if room => match event.map_err(Box::new)? {
                    Event::Incoming(packet) => self.take(packet).await?,
                    Event::Outgoing(Outgoing::PingReq | Outgoing::PubComp(_)) => {}
                    Event::Outgoing(_) => self.waiting = self.waiting.saturating_sub(1),
                },
            }
        }
    }

    async fn take(&mut self, packet: Incoming) -> Result<(), BridgeError> {
        match packet {
            Incoming::SubAck(answer) => self.subscribed(&answer),
            Incoming::Publish(publish) => self.publish(publish).await,
            _ => Ok(()),
        }
    }

    fn subscribed(&self, answer: &SubAck) -> Result<(), BridgeError> {
        for (filter, reason) in FILTERS.into_iter().zip(&answer.return_codes) {
            if !matches!(reason, SubscribeReasonCode::Success(_)) {
                let reason = *reason;
                return Err(BridgeError::Subscription { filter, reason });
            }
        }
        tracing::info!(broker = %self.address, "the bridge is connected");
        self.parts.metrics.bridge_connected.set(1);
        Ok(())
    }

    async fn publish(&mut self, mut publish: Publish) -> Result<(), BridgeError> {
        let payload = std::mem::take(&mut publish.payload);
        let topic = std::str::from_utf8(&publish.topic).ok();
        match topic.and_then(|topic| topic.parse().ok()) {
            Some(Topic::Up(device, stream)) => {
                return self.submit(device, stream, payload, publish).await;
            }
            Some(Topic::Presence(device)) => self.note_presence(device, &payload),
            _ => {
                self.parts.metrics.rejected(Rejection::Topic);
                tracing::debug!(topic, "publish on a foreign topic");
            }
        }
        self.settle(&publish)
    }

    async fn submit(
        &mut self,
        device: DeviceId,
        stream: StreamName,
        payload: Bytes,
        publish: Publish,
    ) -> Result<(), BridgeError> {
        let bytes = payload.len();
        let promise = match publish.qos {
            QoS::AtMostOnce => Promise::Fleeting,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Promise::Durable,
        };
        let submitted = self
            .parts
            .ingest
            .submit(device, stream.clone(), payload, promise);
        let verdict = submitted.await.map_err(|_| BridgeError::Closed)?;
        self.in_flight_bytes += bytes;
        self.verdicts.push_back(Box::pin(async move {
            Some(Decided {
                publish,
                bytes,
                device,
                notice: verdict.await?.notice(stream),
            })
        }));
        Ok(())
    }

    /// Acknowledges an event: it is accepted, or refused for good.
    fn acknowledge(&mut self, decided: Option<Decided>) -> Result<(), BridgeError> {
        // Without a verdict there is no acknowledgement: the broker keeps the event and sends it again.
        let decided = decided.ok_or(BridgeError::Closed)?;
        self.in_flight_bytes -= decided.bytes;
        match decided.notice {
            // Strangers can bring about as many as they like, and acknowledgements must find room.
            Some(_) if self.waiting >= MAX_REQUESTS / 2 => {}
            Some(notice) => {
                // Names and numbers always have a JSON form.
                let json = serde_json::to_vec(&notice).unwrap_or_default();
                self.tell(&Topic::Notice(decided.device), false, json)?;
            }
            None => self.see(decided.device),
        }
        self.settle(&decided.publish)
    }

    /// Tells the broker that a publish needs no second delivery.
    fn settle(&mut self, publish: &Publish) -> Result<(), BridgeError> {
        if publish.qos == QoS::AtMostOnce {
            return Ok(());
        }
        self.requested(self.client.try_ack(publish))
    }

    /// Notes what a registered device says of its presence. Nobody signs that, so strangers get no entry.
    fn note_presence(&mut self, device: DeviceId, payload: &[u8]) {
        if payload.len() > presence::MAX_BYTES {
            return;
        }
        let is_registered = self.parts.registry.device(device).is_some();
        if is_registered {
            self.see(device);
        }
        let word = Word::of_payload(payload);
        let changed = match word {
            Word::Online => {
                is_registered && self.online.len() < MAX_DEVICES && self.online.insert(device)
            }
            // Also of one that was blocked or taken off meanwhile.
            Word::Offline => self.online.remove(&device),
        };
        if changed {
            self.parts.presence.set(Door::Bridge, device, word);
        }
    }

    /// From now on the device is told what is wanted of it.
    fn see(&mut self, device: DeviceId) {
        if self.devices.len() < MAX_DEVICES && self.devices.insert(device) {
            let demand = self.parts.hub.demand(device);
            // At once the first time, as a subscriber of the embedded broker is told.
            self.demands
                .push(Box::pin(std::future::ready((device, demand))));
        }
    }

    fn tell_demand(
        &mut self,
        device: DeviceId,
        mut demand: watch::Receiver<Demand>,
    ) -> Result<(), BridgeError> {
        let json = demand::to_json(&demand.borrow_and_update());
        self.tell(&Topic::Demand(device), true, json.into_bytes())?;
        self.demands.push(Box::pin(async move {
            if demand.changed().await.is_err() {
                // The hub lives as long as the bridge's parts.
                std::future::pending::<()>().await;
            }
            (device, demand)
        }));
        Ok(())
    }

    /// QoS 0: while the connection stands nothing is lost, and after it the demand is told anew.
    fn tell(&mut self, topic: &Topic, retain: bool, payload: Vec<u8>) -> Result<(), BridgeError> {
        let (topic, qos) = (topic.to_string(), QoS::AtMostOnce);
        self.requested(self.client.try_publish(topic, qos, retain, payload))
    }

    fn requested(&mut self, taken: Result<(), ClientError>) -> Result<(), BridgeError> {
        taken.map_err(|_| BridgeError::Full)?;
        self.waiting += 1;
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.parts.metrics.bridge_connected.set(0);
        for device in self.online.drain() {
            self.parts.presence.set(Door::Bridge, device, Word::Offline);
        }
        self.demands.clear();
        for device in self.devices.drain() {
            self.parts.hub.release(device);
        }
    }
}
