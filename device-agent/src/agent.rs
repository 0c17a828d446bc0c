//! A device at work: everything that `run` starts, and how it stops.

use ashya_protocol::rest::{Registration, RegistrationError, SignedRegistration};
use ashya_protocol::{Domain, NameError, StreamName, ZoneName};
use thiserror::Error;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::causes::causes;
use crate::config::{Config, DerivedStream, ModelConfig, TrackingConfig};
use crate::data::{DataDir, DataError};
use crate::demand::Demand;
use crate::detect::{Detector, Filter, FilterError, ModelError};
use crate::eye::{Eye, EyeError, Gaze};
use crate::gateway::{Gateway, GatewayError};
use crate::link::Link;
use crate::runtime::{Runtime, RuntimeError};
use crate::uplink::Uplink;
use crate::voice::Voice;

/// Why a device cannot start.
#[derive(Debug, Error)]
pub enum AgentError {
    /// ONNX Runtime is not there.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A filter names what the model does not know.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The source yields nothing.
    #[error(transparent)]
    Eye(#[from] EyeError),
    /// The gateway's address is none.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The title, the description or the streams break a rule.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The name of a stream is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A derived stream asks for what the model does not know.
    #[error("the stream `{}` asks for `{label}`, but the model knows: {known}", .stream.as_str())]
    Label {
        /// The stream.
        stream: StreamName,
        /// What it asks for.
        label: String,
        /// What the model knows.
        known: String,
    },
    /// A zone is for what the model does not know.
    #[error("the zone `{zone}` is for `{label}`, but the model knows: {known}")]
    ZoneLabel {
        /// The zone.
        zone: ZoneName,
        /// Whom it is for.
        label: String,
        /// What the model knows.
        known: String,
    },
    /// The eye closed though nobody asked it to.
    #[error("looking has stopped by itself")]
    Blind,
    /// A blocking task panicked.
    #[error("a task failed")]
    Task(#[from] JoinError),
}

/// Runs a device until `stop`.
///
/// # Errors
/// When it cannot start. Once it runs, failures are logged and tried again.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), AgentError> {
    let data = DataDir::open(&config.data)?;
    let _lock = data.lock()?;
    let key = data.device_key()?;
    let document = Registration {
        device: key.device_id(),
        owner: config.device.owner,
        revision: 0,
        title: config.device.title.clone(),
        description: config.device.description.clone(),
        streams: streams(&config)?,
    };
    document.check()?;
    let detector = load(&config.model).await?;
    info!(
        device.id = %key.device_id(),
        model = detector.info().name,
        source = %config.source.spec,
        "looking",
    );
    let filter = Filter::new(&config.model.rules, detector.labels())?;
    check_labels(&config.derived, detector.labels())?;
    check_zones(config.tracking.as_ref(), detector.labels())?;
    let gateway = Gateway::new(&config.gateway.url)?;
    let Some(domain) = domain_of(&gateway, &stop).await else {
        return Ok(());
    };
    data.pin_ledger(domain)?;
    let registration = data.revise(document)?;
    let signature = key.sign(&domain.device_registration(&registration));
    let registration = SignedRegistration {
        registration,
        signature,
    };
    let voice = Voice::new(key.clone(), domain, data.next_boot()?);
    let demand = Demand::default();
    let (uplink, parcels) = Uplink::new();
    let gaze = Gaze {
        source: config.source,
        masks: config.masks,
        motion: config.motion,
        regions: config.regions,
        tracking: config.tracking,
        frames: config.frames,
        filter,
        derived: config.derived,
    };
    let eye = Eye::open(gaze, detector, voice, demand.clone(), uplink, stop.clone())?;
    let source = eye.source_counters();
    // The link owns the receiving end: when it is gone, the eye closes.
    Link::new(gateway, key, domain, registration, demand, parcels)
        .run(stop.clone())
        .await;
    let asked_to = stop.is_cancelled();
    stop.cancel();
    tokio::task::spawn_blocking(move || eye.join()).await?;
    let figures = source.read();
    info!(
        source.frames = figures.frames,
        source.dropped = figures.dropped,
        source.stalls = figures.stalls,
        source.reconnects = figures.reconnects,
        source.decode_errors = figures.decode_errors,
        "the eye has closed"
    );
    if asked_to {
        Ok(())
    } else {
        Err(AgentError::Blind)
    }
}

/// The streams that the device publishes.
fn streams(config: &Config) -> Result<Vec<StreamName>, NameError> {
    let mut own = vec![StreamName::DETECTIONS, StreamName::FRAMES];
    if config.tracking.is_some() {
        own.extend([StreamName::OBJECTS, StreamName::SNAPSHOTS]);
    }
    let own = own.into_iter().map(str::parse);
    own.chain(config.derived.iter().map(|stream| Ok(stream.name.clone())))
        .collect()
}

/// A stream of what the model cannot see would stay empty for ever.
fn check_labels(derived: &[DerivedStream], known: &[String]) -> Result<(), AgentError> {
    let wanted = derived
        .iter()
        .flat_map(|stream| stream.labels.iter().map(move |label| (stream, label)));
    match wanted.into_iter().find(|(_, label)| !known.contains(label)) {
        None => Ok(()),
        Some((stream, label)) => Err(AgentError::Label {
            stream: stream.name.clone(),
            label: label.clone(),
            known: known.join(", "),
        }),
    }
}

/// A zone for what the model cannot see would stay empty for ever.
fn check_zones(tracking: Option<&TrackingConfig>, known: &[String]) -> Result<(), AgentError> {
    let zones = tracking.iter().flat_map(|config| &config.zones);
    let mut wanted = zones.flat_map(|zone| zone.labels.iter().map(move |label| (zone, label)));
    match wanted.find(|(_, label)| !known.contains(label)) {
        None => Ok(()),
        Some((zone, label)) => Err(AgentError::ZoneLabel {
            zone: zone.name.clone(),
            label: label.clone(),
            known: known.join(", "),
        }),
    }
}

/// Loads library and model, which takes a moment, off the async threads.
async fn load(config: &ModelConfig) -> Result<Detector, AgentError> {
    let (runtime, options) = (config.runtime.clone(), config.options.clone());
    tokio::task::spawn_blocking(move || {
        let runtime = Runtime::load(&runtime)?;
        Ok(Detector::load(&runtime, &options)?)
    })
    .await?
}

/// Asks the gateway for chain and ledger until it answers; `None` when told to stop before that.
async fn domain_of(gateway: &Gateway, stop: &CancellationToken) -> Option<Domain> {
    let mut backoff = Backoff::default();
    loop {
        let wait = tokio::select! {
            () = stop.cancelled() => return None,
            answer = gateway.domain() => match answer {
                Ok(domain) => return Some(domain),
                Err(error) => {
                    let wait = backoff.next_wait();
                    warn!(error = %causes(&error), "next attempt in {} ms", wait.as_millis());
                    wait
                }
            },
        };
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
