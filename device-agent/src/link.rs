//! The connection to the gateway's broker, again and again for as long as the device runs.

mod broker;
mod disk;
mod error;
mod farewell;
mod figures;
mod heard;
mod keeper;
mod notices;
mod pace;
mod sending;
mod tunnel;

use std::pin::pin;
use std::time::Duration;

use ashya_protocol::rest::SignedRegistration;
use ashya_protocol::{DeviceId, DeviceKey, Domain, TopicFilter};
use rumqttc::{AsyncClient, QoS, Transport};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::backoff::Backoff;
use crate::causes::causes;
use crate::config::SpoolConfig;
use crate::demand::Demand;
use crate::gateway::Gateway;
use crate::outbox::{Outbox, WINDOW};
use crate::pictures::Pictures;
use crate::spool::Spool;
use crate::trust::Trust;
use crate::uplink::Parcel;
use crate::voice::Signed;
pub(crate) use broker::{Door, door};
use broker::{Heard, accepted, drive, network_options, options, renewal};
use error::LinkError;
pub(crate) use figures::{LinkFigures, LinkState};
use keeper::Keeper;
pub(crate) use keeper::SpoolPlace;
use notices::Notices;
use pace::Pace;
pub(crate) use tunnel::Tunnel;

/// Requests between us and the MQTT client. Where it is full, what is due stays with us until there is room.
const REQUESTS: usize = WINDOW * 2;
/// How long an event may wait for its acknowledgement before it goes to the disk, and how often that is looked at: while
/// the gateway answers, nothing is written, and a kill or a power cut loses at most what is younger than twice this.
const COMMIT: Duration = Duration::from_millis(500);
/// How long the broker may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an event that was written may wait for its acknowledgement: longer than the last packet of a slow uplink takes
/// to arrive. A broker that answers pings but takes no event is left.
const ACK_LIMIT: Duration = Duration::from_secs(60);
/// Wait before a gateway is asked again that has refused our registration for good. Only people can change its mind.
const UNWELCOME_WAIT: Duration = Duration::from_secs(600);
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
    /// The spool, where it is open already.
    pub(crate) opened: Option<Box<Spool>>,
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
            keeper: Keeper::new(parts.spool, parts.opened),
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
        if error.is_final() {
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
        let broker = format!("{host}:{port}");
        let conversing = self.converse(&client, &mut events, renewal, &broker, stop);
        let end = conversing.await?;
        self.part(&client, &mut events, &end).await;
        Ok(end)
    }

    /// Publishes and listens until it is time to end.
    async fn converse(
        &mut self,
        client: &AsyncClient,
        events: &mut Receiver<Heard>,
        renewal: Instant,
        broker: &str,
        stop: &CancellationToken,
    ) -> Result<End, LinkError> {
        let mut renewal = pin!(sleep_until(renewal));
        loop {
            let paced = self.flush(client);
            self.read_on();
            let silent = self.outbox.waits_since().map(|since| since + ACK_LIMIT);
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
                () = sleep_until(silent.unwrap_or_else(Instant::now)), if silent.is_some() => {
                    return Err(LinkError::Silent(broker.to_owned()));
                }
            }
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
