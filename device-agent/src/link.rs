//! The connection to the gateway's broker, again and again for as long as the device runs.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::limits::MAX_ENVELOPE_BYTES;
use ashya_protocol::rest::{Credentials, SignedRegistration};
use ashya_protocol::{Boot, DeviceId, DeviceKey, Domain, Notice, Seq, Topic, TopicFilter};
use rumqttc::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, Incoming, LastWill, MqttOptions,
    NetworkOptions, Outgoing, Publish, QoS,
};
use thiserror::Error;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::backoff::Backoff;
use crate::causes::causes;
use crate::data::unix_seconds;
use crate::demand::Demand;
use crate::gateway::{Gateway, GatewayError};
use crate::outbox::Outbox;
use crate::pictures::Pictures;
use crate::uplink::Parcel;
use crate::voice::Signed;

/// Detections kept while the gateway is away: three minutes at five a second.
const OUTBOX_CAPACITY: usize = 1_000;
/// Detections under way to the broker at a time.
const OUTBOX_WINDOW: usize = 32;
/// Requests between us and the MQTT client. Where it is full, what is due stays with us until there is room.
const REQUESTS: usize = OUTBOX_WINDOW * 2;
/// Bytes that the system may hold for the broker: enough for the detections of seconds, and for one picture rather than
/// for a minute of them on a slow uplink, where it would else keep megabytes.
const SEND_BUFFER: u32 = 256 * 1024;
/// How long a packet may take to be written, so that a large picture on a slow uplink is no reason to leave. Shorter
/// than the keep-alive, whose answer is not read meanwhile.
const WRITE_TIMEOUT: Duration = Duration::from_secs(12);
/// Silence after which the broker is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the broker may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long before their end credentials are replaced.
const RENEW_BEFORE: Duration = Duration::from_secs(30);
/// Wait before a gateway is asked again that has refused our registration for good. Only people can change its mind.
const UNWELCOME_WAIT: Duration = Duration::from_secs(600);
/// How long a stopping device waits for its last acknowledgements.
const FAREWELL: Duration = Duration::from_secs(2);
/// Room for the topic and header of a packet beside the envelope.
const PACKET_OVERHEAD: usize = 1_024;

/// Everything that one device needs to reach its gateway.
pub(crate) struct Link {
    gateway: Gateway,
    key: DeviceKey,
    domain: Domain,
    registration: SignedRegistration,
    demand: Demand,
    parcels: Receiver<Parcel>,
    outbox: Outbox<Arc<Signed>>,
    pictures: Pictures<Signed>,
    /// Whether an event of this start was acknowledged.
    published: bool,
    /// Whether the log says already that the gateway refuses us for good.
    unwelcome: bool,
}

/// What the MQTT client tells of its connection.
type Heard = Result<Event, Box<ConnectionError>>;

/// How a connection came to its end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The device stops, or nobody speaks any more.
    Stopped,
    /// The credentials end; new ones are to be had.
    Renew,
}

/// Why a connection failed.
#[derive(Debug, Error)]
enum LinkError {
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("the broker at {0} did not answer")]
    Silent(String),
    #[error("the connection to the broker broke")]
    Connection(#[from] Box<ConnectionError>),
    #[error("the MQTT client takes no more")]
    Client(#[from] ClientError),
    #[error("the MQTT client has ended")]
    Ended,
}

impl Link {
    pub(crate) fn new(
        gateway: Gateway,
        key: DeviceKey,
        domain: Domain,
        registration: SignedRegistration,
        demand: Demand,
        parcels: Receiver<Parcel>,
    ) -> Self {
        Self {
            gateway,
            key,
            domain,
            registration,
            demand,
            parcels,
            outbox: Outbox::new(OUTBOX_CAPACITY, OUTBOX_WINDOW),
            pictures: Pictures::new(),
            published: false,
            unwelcome: false,
        }
    }

    /// Publishes until told to stop or nobody has anything to publish any more, over as many connections as it takes.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let end = self.connection(&stop, &mut backoff).await;
            self.demand.clear();
            match end {
                Ok(End::Stopped) => break,
                Ok(End::Renew) => debug!("credentials are about to end; connecting anew"),
                Err(error) => {
                    let wait = self.after_failure(&error, &mut backoff);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.collect_while(sleep(wait)) => {}
                    }
                }
            }
        }
        let (unsent, lost) = (self.outbox.len(), self.outbox.lost());
        info!(
            unsent,
            lost,
            dropped_frames = self.pictures.dropped(),
            "stopped publishing"
        );
    }

    /// Tells why there is no connection, and how long to wait for the next.
    fn after_failure(&mut self, error: &LinkError, backoff: &mut Backoff) -> Duration {
        if let LinkError::Gateway(error) = error
            && error.is_final()
        {
            // Once: nothing changes until somebody does as it says.
            if !std::mem::replace(&mut self.unwelcome, true) {
                error!(device.id = %self.device(), "{error}");
            }
            return UNWELCOME_WAIT;
        }
        let wait = backoff.next_wait();
        let (error, waiting) = (causes(error), self.outbox.len());
        warn!(%error, waiting, "not connected; next attempt in {} ms", wait.as_millis());
        wait
    }

    /// One connection, from registration to its end.
    async fn connection(
        &mut self,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Result<End, LinkError> {
        let (gateway, key, domain) = (self.gateway.clone(), self.key.clone(), self.domain);
        let registration = self.registration.clone();
        let entering = async move {
            gateway.register(&registration).await?;
            gateway.credentials(&key, &domain).await
        };
        let credentials = tokio::select! {
            () = stop.cancelled() => return Ok(End::Stopped),
            credentials = self.collect_while(entering) => credentials?,
        };
        self.unwelcome = false;
        let renewal = renewal(&credentials);
        let options = options(&self.gateway, self.device(), &credentials);
        let (host, port) = options.broker_address();
        let (client, mut event_loop) = AsyncClient::new(options, REQUESTS);
        event_loop.set_network_options(network_options());
        let (sender, mut events) = channel(REQUESTS);
        // The set ends its task when it is dropped, so no connection outlives this function.
        let mut driver = JoinSet::new();
        driver.spawn(drive(event_loop, sender));
        self.outbox.rewind();
        self.pictures.clear();
        let accepted = timeout(CONNECT_TIMEOUT, self.collect_while(accepted(&mut events)));
        tokio::select! {
            () = stop.cancelled() => return Ok(End::Stopped),
            answer = accepted => answer.map_err(|_| LinkError::Silent(format!("{host}:{port}")))??,
        }
        backoff.reset();
        info!(device.id = %self.device(), "connected to the broker at {host}:{port}");
        let down = TopicFilter::AllDown(self.device()).to_string();
        client.try_subscribe(down, QoS::AtLeastOnce)?;
        self.announce(&client, "online")?;
        let end = self.converse(&client, &mut events, renewal, stop).await?;
        self.part(&client, &mut events, &end).await;
        Ok(end)
    }

    /// Publishes and listens until it is time to end.
    async fn converse(
        &mut self,
        client: &AsyncClient,
        events: &mut Receiver<Heard>,
        renewal: Instant,
        stop: &CancellationToken,
    ) -> Result<End, LinkError> {
        let mut renewal = pin!(sleep_until(renewal));
        loop {
            self.flush(client);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(End::Stopped),
                () = &mut renewal => return Ok(End::Renew),
                event = events.recv() => self.heard(event.ok_or(LinkError::Ended)??),
                parcel = self.parcels.recv() => match parcel {
                    Some(parcel) => self.publish(parcel),
                    None => return Ok(End::Stopped),
                },
            }
        }
    }

    /// Hands over what is due, as much as may be under way.
    ///
    /// A client that takes no more gets it later: one that is full tells of each packet that it writes, and then we
    /// come again; one that has ended tells that.
    fn flush(&mut self, client: &AsyncClient) {
        let device = self.device();
        // The picture first: who gets the detections can then draw at once.
        while let Some(due) = self.pictures.due() {
            let topic = Topic::Up(device, due.stream.clone()).to_string();
            if client
                .try_publish(topic, QoS::AtMostOnce, false, due.envelope.clone())
                .is_err()
            {
                return;
            }
            self.pictures.handed();
        }
        while let Some(due) = self.outbox.due() {
            let topic = Topic::Up(device, due.stream.clone()).to_string();
            if client
                .try_publish(topic, QoS::AtLeastOnce, false, due.envelope.clone())
                .is_err()
            {
                return;
            }
            self.outbox.handed();
        }
    }

    fn publish(&mut self, parcel: Parcel) {
        if let Some(picture) = parcel.picture {
            self.pictures.push(picture);
        }
        self.keep(parcel.events);
    }

    fn keep(&mut self, events: Vec<Signed>) {
        for event in events {
            self.outbox.push(Arc::new(event));
        }
    }

    fn heard(&mut self, event: Event) {
        match event {
            // Packet 0 is one that nobody acknowledges. At worst it is our presence, and a picture goes a moment early.
            Event::Outgoing(Outgoing::Publish(0)) => self.pictures.written(),
            Event::Outgoing(Outgoing::Publish(packet)) => self.outbox.written(packet),
            Event::Incoming(Incoming::PubAck(ack)) => self.delivered(ack.pkid),
            Event::Incoming(Incoming::Publish(message)) => self.commanded(&message),
            _ => {}
        }
    }

    fn delivered(&mut self, packet: u16) {
        if self.outbox.acknowledged(packet) && !self.published {
            self.published = true;
            info!(device.id = %self.device(), "publishing: the first event is acknowledged");
        }
    }

    fn commanded(&self, message: &Publish) {
        match message.topic.parse() {
            Ok(Topic::Demand(device)) if device == self.device() => {
                if let Err(error) = self.demand.update(&message.payload) {
                    warn!(%error, "the gateway's demand makes no sense");
                }
                debug!(demand = ?self.demand, "somebody else watches");
            }
            Ok(Topic::Notice(device)) if device == self.device() => {
                match serde_json::from_slice::<Notice>(&message.payload) {
                    Ok(notice) => {
                        let Notice { stream, reason, .. } = &notice;
                        let (boot, seq) = (notice.boot.map(Boot::get), notice.seq.map(Seq::get));
                        warn!(%stream, boot, seq, reason, "the gateway refused an event: {reason}");
                    }
                    Err(error) => warn!(%error, "the gateway's notice makes no sense"),
                }
            }
            _ => warn!(topic = message.topic, "message on a topic that is not ours"),
        }
    }

    /// Says good-bye, waiting a little for what is under way.
    async fn part(&mut self, client: &AsyncClient, events: &mut Receiver<Heard>, end: &End) {
        let farewell = async {
            while !self.outbox.is_empty() {
                self.flush(client);
                self.heard(events.recv().await.ok_or(LinkError::Ended)??);
            }
            Ok::<(), LinkError>(())
        };
        if !matches!(timeout(FAREWELL, farewell).await, Ok(Ok(()))) {
            debug!(unsent = self.outbox.len(), "left with events under way");
        }
        // After a renewal the device is back in a moment, so it says nothing of leaving.
        let announced = match end {
            End::Stopped => self.announce(client, "offline"),
            End::Renew => Ok(()),
        };
        if announced
            .and_then(|()| Ok(client.try_disconnect()?))
            .is_ok()
        {
            // The client ends by itself once the good-bye is written.
            let gone = async { while let Some(Ok(_)) = events.recv().await {} };
            if timeout(FAREWELL, gone).await.is_err() {
                debug!("the broker did not close the connection");
            }
        }
    }

    fn announce(&self, client: &AsyncClient, presence: &str) -> Result<(), LinkError> {
        let topic = Topic::Presence(self.device()).to_string();
        // At most once: a lost one means a lost connection, and then the last will speaks.
        Ok(client.try_publish(topic, QoS::AtMostOnce, true, presence)?)
    }

    /// Waits for something without a connection: detections are kept, pictures are not.
    async fn collect_while<T>(&mut self, until: impl Future<Output = T>) -> T {
        let mut until = pin!(until);
        loop {
            tokio::select! {
                biased;
                done = &mut until => return done,
                Some(parcel) = self.parcels.recv() => self.keep(parcel.events),
            }
        }
    }

    const fn device(&self) -> DeviceId {
        self.key.device_id()
    }
}

/// Runs the MQTT client and hands on what happens, until it fails or nobody listens.
async fn drive(mut event_loop: EventLoop, events: Sender<Heard>) {
    loop {
        let event = event_loop.poll().await.map_err(Box::new);
        let failed = event.is_err();
        if events.send(event).await.is_err() || failed {
            return;
        }
    }
}

/// Waits until the broker lets us in.
async fn accepted(events: &mut Receiver<Heard>) -> Result<(), LinkError> {
    loop {
        let event = events.recv().await.ok_or(LinkError::Ended)??;
        if let Event::Incoming(Incoming::ConnAck(_)) = event {
            return Ok(());
        }
    }
}

fn options(gateway: &Gateway, device: DeviceId, credentials: &Credentials) -> MqttOptions {
    let host = credentials
        .mqtt_host
        .as_deref()
        .unwrap_or_else(|| gateway.host());
    let mut options = MqttOptions::new(device.to_string(), host, credentials.mqtt_port);
    let presence = Topic::Presence(device).to_string();
    options
        .set_credentials(&credentials.username, &credentials.password)
        .set_keep_alive(KEEP_ALIVE)
        .set_last_will(LastWill::new(presence, "offline", QoS::AtLeastOnce, true))
        .set_max_packet_size(PACKET_OVERHEAD * 64, MAX_ENVELOPE_BYTES + PACKET_OVERHEAD);
    options
}

fn network_options() -> NetworkOptions {
    let mut options = NetworkOptions::new();
    options.set_tcp_send_buffer_size(SEND_BUFFER);
    options.set_connection_timeout(WRITE_TIMEOUT.as_secs());
    options
}

/// When to connect anew: a little before the credentials end, or half-way through short ones.
fn renewal(credentials: &Credentials) -> Instant {
    Instant::now() + renewal_after(credentials.expires_at, unix_seconds())
}

fn renewal_after(expires_at: u64, now: u64) -> Duration {
    let life = Duration::from_secs(expires_at.saturating_sub(now));
    life.saturating_sub(RENEW_BEFORE)
        .max(life / 2)
        .max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests;
