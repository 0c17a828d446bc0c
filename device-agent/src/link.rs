//! The connection to the gateway's broker, again and again for as long as the device runs.

mod broker;
mod disk;
mod figures;
mod heard;
mod keeper;
mod notices;
mod pace;
mod tunnel;

use std::pin::pin;
use std::time::Duration;

use ashya_protocol::rest::SignedRegistration;
use ashya_protocol::{DeviceId, DeviceKey, Domain, StreamName, Topic, TopicFilter};
use rumqttc::{AsyncClient, ClientError, ConnectionError, QoS, Transport};
use thiserror::Error;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::backoff::Backoff;
use crate::causes::causes;
use crate::config::SpoolConfig;
use crate::demand::Demand;
use crate::gateway::{Gateway, GatewayError};
use crate::outbox::{Outbox, WINDOW};
use crate::pictures::Pictures;
use crate::trust::Trust;
use crate::uplink::Parcel;
use crate::voice::Signed;
use broker::{Door, Heard, accepted, door, drive, network_options, options, renewal};
pub(crate) use figures::{LinkFigures, LinkState};
use keeper::Keeper;
pub(crate) use keeper::SpoolPlace;
use notices::Notices;
use pace::Pace;
use tunnel::{Tunnel, TunnelError};

/// Requests between us and the MQTT client. Where it is full, what is due stays with us until there is room.
const REQUESTS: usize = WINDOW * 2;
/// How long an event may wait for its acknowledgement before it goes to the disk, and how often that is looked at: while
/// the gateway answers, nothing is written, and a kill or a power cut loses at most what is younger than twice this.
const COMMIT: Duration = Duration::from_millis(500);
/// How long the broker may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Wait before a gateway is asked again that has refused our registration for good. Only people can change its mind.
const UNWELCOME_WAIT: Duration = Duration::from_secs(600);
/// How long a stopping device waits for its last acknowledgements.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a stopping device waits for its disk.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// What one device needs to reach its gateway.
pub(crate) struct LinkParts {
    pub(crate) gateway: Gateway,
    pub(crate) key: DeviceKey,
    pub(crate) domain: Domain,
    pub(crate) registration: SignedRegistration,
    pub(crate) demand: Demand,
    pub(crate) parcels: Receiver<Parcel>,
    pub(crate) spool: SpoolPlace,
    pub(crate) settings: SpoolConfig,
    pub(crate) figures: LinkFigures,
    pub(crate) trust: Trust,
    /// Whether the password may go to the broker of an https gateway without TLS.
    pub(crate) clear_mqtt: bool,
}

/// One device on its way to its gateway.
pub(crate) struct Link {
    gateway: Gateway,
    key: DeviceKey,
    domain: Domain,
    registration: SignedRegistration,
    demand: Demand,
    parcels: Receiver<Parcel>,
    settings: SpoolConfig,
    trust: Trust,
    clear_mqtt: bool,
    figures: LinkFigures,
    state: LinkState,
    outbox: Outbox,
    pictures: Pictures<Signed>,
    keeper: Keeper,
    commits: Interval,
    pace: Pace,
    notices: Notices,
    /// Whether the gateway was found to follow the ledger that we sign for.
    is_ledger_checked: bool,
    /// Whether an event of this start was acknowledged.
    published: bool,
    /// Whether the log says already that the gateway refuses us for good.
    unwelcome: bool,
}

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
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    #[error(
        "the gateway at {0} is spoken to by TLS, but names no port of its broker that is: the password of this device \
         would go in the clear. Give the gateway mqtt.tls_listen, or, where the network between can be trusted, set \
         clear_mqtt = true in [gateway]"
    )]
    Clear(String),
    #[error(
        "the gateway follows ledger {0:?}, but this device signs for {1:?}: start it with the gateway of its ledger"
    )]
    Ledger(Domain, Domain),
}

/// Something that happens with or without a connection.
enum Aside {
    /// Somebody publishes.
    Parcel(Parcel),
    /// Memory and disk were brought closer together.
    Kept,
    /// Nobody has anything to publish any more.
    Closed,
}

impl Link {
    pub(crate) fn new(parts: LinkParts) -> Self {
        let mut commits = interval(COMMIT);
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            gateway: parts.gateway,
            key: parts.key,
            domain: parts.domain,
            registration: parts.registration,
            demand: parts.demand,
            parcels: parts.parcels,
            pace: Pace::new(parts.settings.catch_up, Instant::now()),
            settings: parts.settings,
            trust: parts.trust,
            clear_mqtt: parts.clear_mqtt,
            figures: parts.figures,
            state: LinkState::default(),
            outbox: Outbox::default(),
            pictures: Pictures::new(),
            keeper: Keeper::new(parts.spool),
            commits,
            notices: Notices::default(),
            is_ledger_checked: false,
            published: false,
            unwelcome: false,
        }
    }

    /// Publishes until told to stop or nobody has anything to publish any more, over as many connections as it takes.
    /// What is not acknowledged then is on the disk.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let end = self.connection(&stop, &mut backoff).await;
            self.parted();
            match end {
                Ok(End::Stopped) => break,
                Ok(End::Renew) => debug!("credentials are about to end; connecting anew"),
                Err(error) => {
                    let wait = self.after_failure(&error, &mut backoff);
                    let waited = tokio::select! {
                        () = stop.cancelled() => None,
                        waited = self.collect_while(sleep(wait)) => waited,
                    };
                    if waited.is_none() {
                        break;
                    }
                }
            }
        }
        if timeout(LAST_COMMIT, self.keep_the_rest()).await.is_err() {
            warn!("the disk is too slow to keep all that was not sent");
        }
        self.tell_figures();
        let LinkState { held, tally, .. } = self.state;
        info!(
            spooled = held.events,
            lost = self.state.in_memory + tally.dropped_events + tally.dropped_pictures,
            dropped_frames = self.pictures.dropped(),
            "stopped publishing"
        );
    }

    /// The connection is gone.
    fn parted(&mut self) {
        self.state.is_connected = false;
        self.tell_figures();
        // Where pictures are kept while the gateway is away, whoever watched them still wants them.
        if !self.settings.pictures {
            self.demand.clear();
        }
    }

    /// Tells why there is no connection, and how long to wait for the next.
    fn after_failure(&mut self, error: &LinkError, backoff: &mut Backoff) -> Duration {
        let is_final = match error {
            LinkError::Gateway(error) => error.is_final(),
            LinkError::Ledger(..) | LinkError::Clear(_) => true,
            _ => false,
        };
        if is_final {
            // Once: nothing changes until somebody does as it says.
            if !std::mem::replace(&mut self.unwelcome, true) {
                error!(device.id = %self.device(), "{error}");
            }
            return UNWELCOME_WAIT;
        }
        let wait = backoff.next_wait();
        let (
            error,
            LinkState {
                in_memory, held, ..
            },
        ) = (causes(error), self.state);
        warn!(%error, in_memory, spooled = held.events, "not connected; next attempt in {} ms", wait.as_millis());
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
        let is_ledger_checked = self.is_ledger_checked;
        let entering = async move {
            if !is_ledger_checked {
                let offered = gateway.domain().await?;
                if offered != domain {
                    return Err(LinkError::Ledger(offered, domain));
                }
            }
            gateway.register(&registration).await?;
            Ok(gateway.credentials(&key, &domain).await?)
        };
        let credentials = tokio::select! {
            () = stop.cancelled() => return Ok(End::Stopped),
            credentials = self.collect_while(entering) => match credentials {
                Some(credentials) => credentials?,
                None => return Ok(End::Stopped),
            },
        };
        (self.unwelcome, self.is_ledger_checked) = (false, true);
        let renewal = renewal(&credentials);
        let host = credentials.mqtt_host.as_deref();
        let host = host.unwrap_or_else(|| self.gateway.host()).to_owned();
        let door = door(&credentials, self.gateway.is_secure(), self.clear_mqtt);
        let door = door.ok_or_else(|| LinkError::Clear(host.clone()))?;
        let (port, tunnel) = match door {
            Door::Clear(port) => (port, None),
            Door::Secure(port) => {
                let trust = self.trust.clone();
                let opening = self.collect_while(Tunnel::open(&host, port, &trust));
                let tunnel = tokio::select! {
                    () = stop.cancelled() => return Ok(End::Stopped),
                    tunnel = opening => tunnel,
                };
                match tunnel {
                    Some(tunnel) => (port, Some(tunnel?)),
                    None => return Ok(End::Stopped),
                }
            }
        };
        let options = match &tunnel {
            None => options((&host, port), self.device(), &credentials),
            Some(tunnel) => {
                let mut options = options((tunnel.path(), 0), self.device(), &credentials);
                options.set_transport(Transport::Unix);
                options
            }
        };
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
            answer = accepted => match answer.map_err(|_| LinkError::Silent(format!("{host}:{port}")))? {
                Some(accepted) => accepted?,
                None => return Ok(End::Stopped),
            },
        }
        backoff.reset();
        self.state.is_connected = true;
        self.state.connections += 1;
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
            let paced = self.flush(client);
            self.read_on();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(End::Stopped),
                () = &mut renewal => return Ok(End::Renew),
                event = events.recv() => self.heard(event.ok_or(LinkError::Ended)??),
                aside = self.aside() => match aside {
                    Aside::Parcel(parcel) => self.publish(parcel),
                    Aside::Kept => {}
                    Aside::Closed => return Ok(End::Stopped),
                },
                () = sleep_until(paced.unwrap_or_else(Instant::now)), if paced.is_some() => {}
            }
        }
    }

    /// Hands over what is due, as much as may be under way. Gives back when to come again, where the pace says so.
    ///
    /// A client that takes no more gets it later: one that is full tells of each packet that it writes, and then we
    /// come again; one that has ended tells that.
    fn flush(&mut self, client: &AsyncClient) -> Option<Instant> {
        let device = self.device();
        // The picture first: who gets the detections can then draw at once.
        while let Some(due) = self.pictures.due() {
            let topic = Topic::Up(device, due.stream.clone()).to_string();
            if client
                .try_publish(topic, QoS::AtMostOnce, false, due.envelope.clone())
                .is_err()
            {
                return None;
            }
            self.pictures.handed();
        }
        while let Some(due) = self.outbox.due() {
            let now = Instant::now();
            if let Err(later) = self.pace.check(now) {
                return Some(later);
            }
            let topic = Topic::Up(device, due.stream.clone()).to_string();
            // Who comes to the device's own broker later finds the last one.
            let retain = due.stream.as_str() == StreamName::STATUS;
            if client
                .try_publish(topic, QoS::AtLeastOnce, retain, due.envelope.clone())
                .is_err()
            {
                return None;
            }
            self.outbox.handed();
            self.pace.note(now);
        }
        None
    }

    fn publish(&mut self, parcel: Parcel) {
        if let Some(picture) = parcel.picture {
            if self.settings.pictures {
                self.outbox.push(picture, None, Instant::now());
            } else {
                self.pictures.push(picture);
                if !self.state.is_connected {
                    self.pictures.clear();
                }
            }
        }
        let mut events = parcel.events;
        let last = events.pop();
        for event in events {
            self.outbox.push(event, None, Instant::now());
        }
        if let Some(event) = last {
            self.outbox.push(event, parcel.receipt, Instant::now());
        }
    }

    /// Waits for the next thing that needs no connection. Safe to drop while it waits.
    async fn aside(&mut self) -> Aside {
        tokio::select! {
            biased;
            report = self.keeper.done() => {
                self.settle(report);
                Aside::Kept
            }
            _ = self.commits.tick() => {
                let patience = if self.state.is_connected { COMMIT } else { Duration::ZERO };
                self.commit(patience);
                Aside::Kept
            }
            parcel = self.parcels.recv() => parcel.map_or(Aside::Closed, Aside::Parcel),
        }
    }

    fn tell_figures(&mut self) {
        self.state.in_memory = self.outbox.unkept() as u64;
        self.state.held = self.keeper.held();
        self.state.is_disk_away = self.keeper.is_away();
        self.state.tally = self.outbox.tally();
        self.state.dropped_frames = self.pictures.dropped();
        self.figures.write(self.state);
    }

    /// Says good-bye, waiting a little for what is under way.
    async fn part(&mut self, client: &AsyncClient, events: &mut Receiver<Heard>, end: &End) {
        let mut farewell = async || -> Result<(), LinkError> {
            loop {
                self.flush(client);
                if !self.outbox.is_under_way() {
                    return Ok(());
                }
                self.heard(events.recv().await.ok_or(LinkError::Ended)??);
            }
        };
        if !matches!(timeout(FAREWELL, farewell()).await, Ok(Ok(()))) {
            debug!("left with events under way");
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

    /// Waits for something without a connection; nothing where nobody has anything to publish any more.
    async fn collect_while<T>(&mut self, until: impl Future<Output = T>) -> Option<T> {
        let mut until = pin!(until);
        loop {
            tokio::select! {
                biased;
                done = &mut until => return Some(done),
                aside = self.aside() => match aside {
                    Aside::Parcel(parcel) => self.publish(parcel),
                    Aside::Kept => self.read_on(),
                    Aside::Closed => return None,
                },
            }
        }
    }

    const fn device(&self) -> DeviceId {
        self.key.device_id()
    }
}

#[cfg(test)]
mod tests;
