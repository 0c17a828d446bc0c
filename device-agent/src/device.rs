//! A device, whatever it measures: its key, its ledger, its voice, and its link to the gateway.

mod leftovers;

use std::pin::pin;
use std::time::Duration;

use ashya_protocol::rest::{Registration, RegistrationError, SignedRegistration};
use ashya_protocol::{Boot, DeviceId, DeviceKey, Domain, StreamName};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::backoff::Backoff;
use crate::causes::causes;
use crate::config::Config;
use crate::data::{DataDir, DataError, DataLock, unix_seconds};
use crate::demand::Demand;
use crate::gateway::{Gateway, GatewayError};
use crate::link::{Link, LinkFigures, LinkParts, SpoolPlace};
use crate::spool::SpoolLimits;
use crate::status::{self, EyeParts, StatusParts};
use crate::uplink::Uplink;
use crate::voice::Voice;
use leftovers::Leftovers;

/// How far a clock may be behind the last start without a word: a gateway takes starts from a day ahead.
const LATE_CLOCK: Duration = Duration::from_secs(24 * 3600);

/// A data folder that is ours while this lives, and what the device in it says of itself.
#[derive(Debug)]
pub(crate) struct Claim {
    data: DataDir,
    lock: DataLock,
    key: DeviceKey,
    document: Registration,
}

/// A device that can speak. Nothing leaves it before [`Device::run`].
pub(crate) struct Device {
    pub(crate) voice: Voice,
    pub(crate) uplink: Uplink,
    pub(crate) demand: Demand,
    pub(crate) figures: LinkFigures,
    link: Link,
    _lock: DataLock,
}

/// Why a device cannot start.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The gateway's address is none.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The title, the description or the streams break a rule.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
}

impl Claim {
    /// Takes the data folder for a device with these streams.
    ///
    /// # Errors
    /// When another process has it, the key cannot be used, or the device's words break a rule.
    pub(crate) fn new(config: &Config, streams: Vec<StreamName>) -> Result<Self, DeviceError> {
        let data = DataDir::open(&config.data)?;
        let lock = data.lock()?;
        Self::of(config, data, lock, streams)
    }

    /// [`Self::new`] for a device that keeps the streams that it had before: what waits on the disk is of those.
    ///
    /// # Errors
    /// As [`Self::new`], and when there are too many streams then.
    pub(crate) fn with_earlier_streams(
        config: &Config,
        mut streams: Vec<StreamName>,
    ) -> Result<Self, DeviceError> {
        let data = DataDir::open(&config.data)?;
        let lock = data.lock()?;
        for stream in data.registered_streams()? {
            if !streams.contains(&stream) {
                streams.push(stream);
            }
        }
        // In one order whatever is published first: another order would be another document.
        streams.sort();
        Self::of(config, data, lock, streams)
    }

    fn of(
        config: &Config,
        data: DataDir,
        lock: DataLock,
        streams: Vec<StreamName>,
    ) -> Result<Self, DeviceError> {
        let key = data.device_key()?;
        let document = Registration {
            device: key.device_id(),
            owner: config.device.owner,
            revision: 0,
            title: config.device.title.clone(),
            description: config.device.description.clone(),
            streams,
        };
        document.check()?;
        Ok(Self {
            data,
            lock,
            key,
            document,
        })
    }

    /// The device.
    pub(crate) const fn device(&self) -> DeviceId {
        self.key.device_id()
    }

    /// Finds out the ledger to sign for and begins a boot; nothing when told to stop before it is known.
    ///
    /// # Errors
    /// When the gateway follows another ledger than before, or the data folder cannot be written.
    pub(crate) async fn begin(
        self,
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<Option<Device>, DeviceError> {
        let Self {
            data,
            lock,
            key,
            mut document,
        } = self;
        let gateway = Gateway::with_trust(&config.gateway.url, &config.gateway.trust)?;
        let Some(domain) = domain_of(&gateway, &data, stop).await? else {
            return Ok(None);
        };
        let place = SpoolPlace {
            folder: data.spool_folder(),
            device: key.device_id(),
            limits: SpoolLimits {
                bytes: config.spool.max_bytes,
                age: config.spool.max_age,
            },
        };
        let leftovers = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            leftovers = Leftovers::find(&data, &place, &document.streams) => leftovers?,
        };
        document.streams.extend(leftovers.streams);
        let registration = data.revise(document)?;
        let signature = key.sign(&domain.device_registration(&registration));
        let boot = data.next_boot()?;
        tell_late_clock(boot, unix_seconds());
        let voice = Voice::new(key.clone(), domain, boot);
        let (uplink, parcels) = Uplink::new();
        let (demand, figures) = (Demand::default(), LinkFigures::default());
        let link = Link::new(LinkParts {
            gateway,
            spool: place,
            opened: leftovers.spool,
            key,
            domain,
            registration: SignedRegistration {
                registration,
                signature,
            },
            demand: demand.clone(),
            parcels,
            settings: config.spool,
            trust: config.gateway.trust.clone(),
            clear_mqtt: config.gateway.clear_mqtt,
            figures: figures.clone(),
        });
        Ok(Some(Device {
            voice,
            uplink,
            demand,
            figures,
            link,
            _lock: lock,
        }))
    }
}

impl Device {
    /// Publishes what comes in by the uplink, and a status each time that `every` has passed, until `stop`.
    pub(crate) async fn run(self, every: Duration, eye: Option<EyeParts>, stop: CancellationToken) {
        let telling = status::tell(
            StatusParts {
                voice: self.voice,
                uplink: self.uplink,
                link: self.figures,
                every,
                eye,
            },
            stop.clone(),
        );
        // Who tells of the device ends with the link.
        let mut telling = pin!(telling);
        let mut linking = pin!(self.link.run(stop));
        tokio::select! {
            () = &mut linking => {}
            () = &mut telling => linking.await,
        }
    }
}

/// A boot far ahead of the clock means that the clock is wrong now, or was at an earlier start.
fn tell_late_clock(boot: Boot, now: u64) {
    let behind = Duration::from_secs(boot.get().saturating_sub(now));
    if behind > LATE_CLOCK {
        warn!(
            days = behind.as_secs() / 86_400,
            "this device's clock is behind its last start: events tell a wrong time until it is set. Where the clock was \
             fast then, the gateway refuses what comes, and says so"
        );
    }
}

/// The ledger to sign for: asks the gateway until it answers. A device that knows its ledger begins without an answer;
/// the link compares later. `None` when told to stop before there is one.
async fn domain_of(
    gateway: &Gateway,
    data: &DataDir,
    stop: &CancellationToken,
) -> Result<Option<Domain>, DataError> {
    let pinned = data.pinned_ledger()?;
    let mut backoff = Backoff::default();
    loop {
        let answer = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            answer = gateway.domain() => answer,
        };
        let wait = match (answer, pinned) {
            (Ok(domain), _) => {
                data.pin_ledger(domain)?;
                return Ok(Some(domain));
            }
            (Err(error), Some(pinned)) => {
                warn!(error = %causes(&error), "beginning without the gateway");
                return Ok(Some(pinned));
            }
            (Err(error), None) => {
                let wait = backoff.next_wait();
                warn!(error = %causes(&error), "next attempt in {} ms", wait.as_millis());
                wait
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests;
