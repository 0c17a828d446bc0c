//! A device at work: everything that `run` starts, and how it stops.

use ashya_protocol::{NameError, StreamName, ZoneName};
use thiserror::Error;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{Config, DerivedStream, ModelConfig, TrackingConfig};
use crate::detect::{Detector, Filter, FilterError, ModelError};
use crate::device::{Claim, DeviceError};
use crate::eye::{Eye, EyeError, Gaze};
use crate::looked::Looked;
use crate::metrics::{Figures, Metrics, MetricsError, MetricsServer};
use crate::runtime::{Runtime, RuntimeError};
use crate::status::EyeParts;

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
    /// Its key, its ledger or its words cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The source yields nothing.
    #[error(transparent)]
    Eye(#[from] EyeError),
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
    /// Metrics cannot be served where they are wanted.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
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
    let streams = streams(&config)?;
    let claim = Claim::new(&config, streams.clone())?;
    let metrics_server = match config.metrics_listen {
        Some(address) => Some(MetricsServer::bind(address).await?),
        None => None,
    };
    let detector = load(&config.model).await?;
    info!(
        device.id = %claim.device(),
        model = detector.info().name,
        source = %config.source.spec,
        "looking",
    );
    let filter = Filter::new(&config.model.rules, detector.labels())?;
    check_labels(&config.derived, detector.labels())?;
    check_zones(config.tracking.as_ref(), detector.labels())?;
    let Some(device) = claim.begin(&config, &stop).await? else {
        return Ok(());
    };
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
    let (model, looked) = (detector.info().clone(), Looked::default());
    let eye = Eye::open(
        gaze,
        detector,
        device.voice.clone(),
        device.demand.clone(),
        device.uplink.clone(),
        looked.clone(),
        stop.clone(),
    )?;
    let source = eye.source_counters();
    let figures = Figures {
        source: source.clone(),
        looked: looked.clone(),
        voice: device.voice.clone(),
        streams,
        demand: device.demand.clone(),
        link: device.figures.clone(),
    };
    let parts = EyeParts {
        model,
        looked,
        source: source.clone(),
    };
    let ended = eye.ended();
    // The device ends when it is told to, and it is when the eye closes.
    let watch = async {
        ended.cancelled().await;
        let asked_to = stop.is_cancelled();
        stop.cancel();
        asked_to
    };
    let every = config.status.every;
    let running = device.run(every, Some(parts), stop.clone());
    let serving = async {
        if let Some(server) = metrics_server {
            server.serve(Metrics::new(figures), stop.clone()).await;
        }
    };
    let ((), asked_to, ()) = tokio::join!(running, watch, serving);
    let closed = tokio::task::spawn_blocking(move || eye.join()).await?;
    let figures = source.read();
    info!(
        source.frames = figures.frames,
        source.dropped = figures.dropped,
        source.stalls = figures.stalls,
        source.reconnects = figures.reconnects,
        source.decode_errors = figures.decode_errors,
        "the eye has closed"
    );
    closed?;
    if asked_to {
        Ok(())
    } else {
        Err(AgentError::Blind)
    }
}

/// The streams that the device publishes.
fn streams(config: &Config) -> Result<Vec<StreamName>, NameError> {
    let mut own = vec![
        StreamName::DETECTIONS,
        StreamName::FRAMES,
        StreamName::STATUS,
    ];
    if config.tracking.is_some() {
        own.extend([StreamName::OBJECTS, StreamName::SNAPSHOTS]);
    }
    let own = own.into_iter().map(str::parse);
    own.chain(config.derived.iter().map(|stream| Ok(stream.name.clone())))
        .collect()
}

/// A stream of what the model cannot see would stay empty for ever.
pub(crate) fn check_labels(derived: &[DerivedStream], known: &[String]) -> Result<(), AgentError> {
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
pub(crate) fn check_zones(
    tracking: Option<&TrackingConfig>,
    known: &[String],
) -> Result<(), AgentError> {
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
