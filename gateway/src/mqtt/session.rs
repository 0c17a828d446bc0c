use std::num::NonZeroU16;
use std::time::Duration;

use ashya_protocol::{Demand, DeviceId, Notice, StreamName, Topic, TopicFilter};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connect::Admission;
use super::connection::{Connection, ConnectionError};
use super::pace::{Debt, Paces};
use super::sessions::Place;
use super::wire::{DisconnectReason, Incoming, Outgoing, Publish, Shortened};
use super::{Broker, MAX_IN_FLIGHT, MAX_PACKET_BYTES, MqttParts};
use crate::chain_clock::wall_instant_of;
use crate::demand;
use crate::ingest::Promise;
use crate::metrics::Rejection;
use crate::presence::{self, Word};
use crate::registry::Leash;

/// Most bytes of events of one session that may wait for their verdict.
const MAX_IN_FLIGHT_BYTES: usize = 2 * MAX_PACKET_BYTES as usize;
/// Time between two words to a device that publishes too fast.
const SLOW_DOWN_INTERVAL: Duration = Duration::from_secs(60);
/// Most filters that a session may hold, or name in one packet; a device needs two.
const MAX_FILTERS: usize = 16;

/// One device's MQTT session.
pub(super) struct Session<S> {
    parts: MqttParts,
    connection: Connection<S>,
    device: DeviceId,
    place: Place,
    leash: Option<Leash>,
    keep_alive_seconds: u16,
    idle_timeout: std::time::Duration,
    ends: Instant,
    shutdown: CancellationToken,
    demand: watch::Receiver<Demand>,
    filters: Vec<TopicFilter>,
    verdicts: FuturesOrdered<BoxFuture<'static, Option<Decided>>>,
    in_flight_bytes: usize,
    paces: Paces,
    debt: Debt,
    /// When the device was last told that it publishes too fast.
    told_to_slow_down: Option<Instant>,
}

/// A publish that is dealt with for good.
struct Decided {
    packet_id: Option<NonZeroU16>,
    bytes: usize,
    notice: Option<Notice>,
}

/// Why a session is over.
enum End {
    /// The client said goodbye or is gone.
    Left,
    /// We end it.
    Ended(DisconnectReason),
}

impl From<ConnectionError> for End {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Io(_) => Self::Left,
            ConnectionError::Wire(error) => Self::Ended((&error).into()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) fn new(broker: &Broker, connection: Connection<S>, admission: Admission) -> Self {
        let parts = broker.parts.clone();
        Self {
            place: broker
                .sessions
                .take(admission.device, &parts.presence, &parts.metrics),
            leash: parts.passwords.leash(admission.device),
            demand: parts.hub.demand(admission.device),
            device: admission.device,
            keep_alive_seconds: admission.keep_alive_seconds,
            idle_timeout: admission.idle_timeout(),
            ends: wall_instant_of(admission.expires_at),
            shutdown: broker.shutdown.clone(),
            filters: Vec::new(),
            verdicts: FuturesOrdered::new(),
            in_flight_bytes: 0,
            paces: broker.paces.clone(),
            debt: Debt::default(),
            told_to_slow_down: None,
            connection,
            parts,
        }
    }

    /// Serves the session to its end. The device is offline afterwards, unless it has a newer session.
    pub(super) async fn run(mut self) {
        tracing::info!(device.id = %self.device, "device connected");
        let reason = match self.serve().await {
            Ok(()) | Err(End::Left) => None,
            Err(End::Ended(reason)) => {
                if let Some(rejection) = reason.rejection() {
                    self.parts.metrics.rejected(rejection);
                }
                // The client may be gone already.
                let _ = self.connection.write(Outgoing::Disconnect(reason)).await;
                Some(reason)
            }
        };
        tracing::info!(device.id = %self.device, ?reason, "device disconnected");
        self.connection.close().await;
        let (device, hub) = (self.device, self.parts.hub.clone());
        drop(self);
        hub.release(device);
    }

    async fn serve(&mut self) -> Result<(), End> {
        self.connection
            .write(Outgoing::Accepted {
                keep_alive_seconds: self.keep_alive_seconds,
                max_packet_bytes: MAX_PACKET_BYTES,
                receive_max: MAX_IN_FLIGHT,
            })
            .await?;
        loop {
            let silent = self.connection.heard() + self.idle_timeout;
            let held = self.debt.pay(self.device, &self.paces);
            let resumes = Instant::now() + held.unwrap_or_default();
            let room = held.is_none()
                && self.verdicts.len() < usize::from(MAX_IN_FLIGHT.get())
                && self.in_flight_bytes < MAX_IN_FLIGHT_BYTES;
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(End::Ended(DisconnectReason::ShuttingDown)),
                () = self.place.taken_over.cancelled() => return Err(End::Ended(DisconnectReason::TakenOver)),
                () = cut(self.leash.as_ref()) => return Err(self.tell_blocked().await),
                () = sleep_until(self.ends) => return Err(End::Ended(DisconnectReason::PasswordEnded)),
                Some(decided) = self.verdicts.next() => self.acknowledge(decided).await?,
                Ok(()) = self.demand.changed() => self.tell_demand(false).await?,
                packet = self.connection.read(), if room => match packet? {
                    Some(Incoming::Disconnect) | None => return Ok(()),
                    Some(packet) => {
                        self.debt.add(packet.payload_bytes());
                        self.take(packet).await?;
                    }
                },
                () = sleep_until(resumes), if held.is_some() => {}
                () = sleep_until(silent), if room => {
                    // Part of a large packet may have come meanwhile.
                    if self.connection.heard() + self.idle_timeout <= Instant::now() {
                        return Err(End::Ended(DisconnectReason::KeepAlive));
                    }
                }
            }
            if !room {
                // While we do not read, the silence is ours.
                self.connection.excuse_silence();
            }
        }
    }

    /// Says why nothing goes on: MQTT 3.1.1 has no words for it of its own.
    async fn tell_blocked(&mut self) -> End {
        // The device's own, in which it tells how it is.
        if let Ok(stream) = "status".parse() {
            let notice = Notice {
                stream,
                boot: None,
                seq: None,
                reason: "blocked".into(),
            };
            let json = serde_json::to_vec(&notice).unwrap_or_default();
            if let Err(end) = self.tell(&Topic::Notice(self.device), json.into(), false) {
                return end;
            }
        }
        if let Err(error) = self.connection.flush().await {
            return error.into();
        }
        End::Ended(DisconnectReason::NotAuthorized)
    }

    async fn take(&mut self, packet: Incoming) -> Result<(), End> {
        match packet {
            Incoming::Publish(publish) => self.publish(publish).await,
            Incoming::Subscribe { packet_id, filters } => self.subscribe(packet_id, &filters).await,
            Incoming::Unsubscribe { packet_id, filters } => {
                check_count(&filters)?;
                self.filters.retain(|held| {
                    !filters
                        .iter()
                        .any(|text| text.parse().is_ok_and(|filter| *held == filter))
                });
                let filters = filters.len();
                Ok(self
                    .connection
                    .write(Outgoing::UnsubscribeAck { packet_id, filters })
                    .await?)
            }
            Incoming::Ping => Ok(self.connection.write(Outgoing::Pong).await?),
            Incoming::Stray | Incoming::Disconnect => Ok(()),
            Incoming::Connect(_) => Err(End::Ended(DisconnectReason::Protocol)),
        }
    }

    async fn publish(&mut self, publish: Publish) -> Result<(), End> {
        let topic = publish.topic.parse::<Topic>();
        match topic.ok().filter(|topic| topic.may_publish(self.device)) {
            Some(Topic::Up(_, stream)) => self.submit(stream, publish).await,
            Some(Topic::Presence(_)) if publish.payload.len() <= presence::MAX_BYTES => {
                self.place.announce(Word::of_payload(&publish.payload));
                let done = Decided {
                    packet_id: publish.packet_id,
                    bytes: 0,
                    notice: None,
                };
                // In line with the events before it: acknowledgements keep the order of publishes.
                self.verdicts
                    .push_back(Box::pin(std::future::ready(Some(done))));
                Ok(())
            }
            _ => {
                self.parts.metrics.rejected(Rejection::Topic);
                let topic = Shortened(&publish.topic);
                tracing::warn!(device.id = %self.device, %topic, "publish on a foreign topic");
                Err(End::Ended(DisconnectReason::NotAuthorized))
            }
        }
    }

    async fn submit(&mut self, stream: StreamName, publish: Publish) -> Result<(), End> {
        let bytes = publish.payload.len();
        if self.debt.pay(self.device, &self.paces).is_some() {
            self.tell_to_slow_down(&stream).await?;
        }
        let promise = match publish.packet_id {
            Some(_) => Promise::Durable,
            None => Promise::Fleeting,
        };
        let submitted =
            self.parts
                .ingest
                .submit(self.device, stream.clone(), publish.payload, promise);
        let Ok(verdict) = submitted.await else {
            return Err(End::Ended(DisconnectReason::ShuttingDown));
        };
        self.in_flight_bytes += bytes;
        let packet_id = publish.packet_id;
        self.verdicts.push_back(Box::pin(async move {
            Some(Decided {
                packet_id,
                bytes,
                notice: verdict.await?.notice(stream),
            })
        }));
        Ok(())
    }

    /// Counts a device that is held up, and tells it now and then. Its events are taken all the same, later.
    async fn tell_to_slow_down(&mut self, stream: &StreamName) -> Result<(), End> {
        self.parts.metrics.publishes_held.inc();
        let told = self.told_to_slow_down;
        if told.is_some_and(|told| told.elapsed() < SLOW_DOWN_INTERVAL) {
            return Ok(());
        }
        self.told_to_slow_down = Some(Instant::now());
        tracing::info!(device.id = %self.device, %stream, "device held up: it publishes too fast");
        let notice = Notice {
            stream: stream.clone(),
            boot: None,
            seq: None,
            reason: "too-fast".into(),
        };
        // Names always have a JSON form.
        let json = serde_json::to_vec(&notice).unwrap_or_default();
        self.tell(&Topic::Notice(self.device), json.into(), false)?;
        Ok(self.connection.flush().await?)
    }

    /// Acknowledges what is decided, in one go: it is durably accepted, already known, or refused for good.
    async fn acknowledge(&mut self, first: Option<Decided>) -> Result<(), End> {
        // What was acknowledged before a verdict that ends the session goes out with the goodbye.
        self.answer(first)?;
        while let Some(Some(decided)) = self.verdicts.next().now_or_never() {
            self.answer(decided)?;
        }
        Ok(self.connection.flush().await?)
    }

    fn answer(&mut self, decided: Option<Decided>) -> Result<(), End> {
        // Without a verdict there is no acknowledgement: the device keeps the event and sends it again.
        let Some(decided) = decided else {
            return Err(End::Ended(DisconnectReason::ShuttingDown));
        };
        self.in_flight_bytes -= decided.bytes;
        if let Some(notice) = decided.notice {
            // Names and numbers always have a JSON form.
            let json = serde_json::to_vec(&notice).unwrap_or_default();
            self.tell(&Topic::Notice(self.device), json.into(), false)?;
        }
        if let Some(packet_id) = decided.packet_id {
            self.connection.queue(Outgoing::PublishAck { packet_id })?;
        }
        Ok(())
    }

    async fn subscribe(&mut self, packet_id: NonZeroU16, filters: &[String]) -> Result<(), End> {
        check_count(filters)?;
        let mut granted = Vec::with_capacity(filters.len());
        let mut refused = None;
        let mut wants_demand = false;
        for text in filters {
            let filter = text.parse::<TopicFilter>();
            let allowed = filter.ok().filter(|filter| {
                filter.may_subscribe(self.device)
                    && (self.filters.len() < MAX_FILTERS || self.filters.contains(filter))
            });
            granted.push(allowed.is_some());
            let Some(filter) = allowed else {
                refused = refused.or(Some(text));
                continue;
            };
            wants_demand |= filter.matches(&Topic::Demand(self.device));
            if !self.filters.contains(&filter) {
                self.filters.push(filter);
            }
        }
        if let Some(filter) = refused {
            let filter = Shortened(filter);
            tracing::warn!(device.id = %self.device, %filter, "subscription refused");
        }
        self.connection
            .queue(Outgoing::SubscribeAck { packet_id, granted })?;
        self.connection.flush().await?;
        if wants_demand {
            self.tell_demand(true).await?;
        }
        Ok(())
    }

    /// Tells the demand; `retained` when it is what a new subscription finds (MQTT 3.1.1, 3.3.1.3).
    async fn tell_demand(&mut self, retained: bool) -> Result<(), End> {
        let json = demand::to_json(&self.demand.borrow_and_update());
        self.tell(&Topic::Demand(self.device), json.into(), retained)?;
        Ok(self.connection.flush().await?)
    }

    /// Queues a message to the device if it has subscribed to the topic. QoS 0: while the connection stands
    /// nothing is lost, and after it the demand is told anew.
    fn tell(&mut self, topic: &Topic, payload: Bytes, retain: bool) -> Result<(), End> {
        if self.filters.iter().any(|filter| filter.matches(topic)) {
            let topic = topic.to_string();
            self.connection.queue(Outgoing::Publish {
                topic,
                payload,
                retain,
            })?;
        }
        Ok(())
    }
}

/// Waits until a device's leash is cut, for ever where there is none.
async fn cut(leash: Option<&Leash>) {
    match leash {
        Some(leash) => leash.cut().await,
        None => std::future::pending().await,
    }
}

/// Nobody with good intentions names many filters at once.
fn check_count(filters: &[String]) -> Result<(), End> {
    if filters.len() > MAX_FILTERS {
        return Err(End::Ended(DisconnectReason::QuotaExceeded));
    }
    Ok(())
}
