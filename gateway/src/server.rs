//! Puts the parts together and takes them apart again.

mod back_up;
mod chain_check;
mod disk;
mod doors;
mod first_look;
pub(crate) mod http;
mod listeners;
mod parts;
mod reload;
mod site;
mod stop;
mod systemd;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ashya_contracts::{ChainError, Deployment, Rpc};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, HttpPolicy};
use crate::auth::fleet_key::FleetKeyError;
use crate::bridge;
use crate::chain::FollowerError;
use crate::chained::Chained;
use crate::config::{self, Config, ConfigError, LedgerSource};
use crate::data_folder::{self, DataFolderError};
use crate::defaults::{DRAIN_DEADLINE, DRAIN_RESERVE};
use crate::entrance::{Tls, TlsError};
use crate::file_limit;
use crate::operator::{self, Line};
use crate::outage;
use crate::socket;
use crate::sse;
use crate::store::{self, EXPORT_FOLDER, StoreError};

pub(crate) use chain_check::refuse_other_chain;
use doors::Doors;
use first_look::FirstLook;
pub use listeners::Listeners;
use parts::Parts;
use site::Addresses;

/// Why the gateway cannot run.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The configuration does not fit the chain.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder cannot be used.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The fleet's key cannot be used.
    #[error(transparent)]
    FleetKey(#[from] FleetKeyError),
    /// The certificate cannot be shown.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be used with this ledger.
    #[error(transparent)]
    Follower(#[from] FollowerError),
    /// The node had to be asked for its chain id and did not answer.
    #[error("the chain node does not tell its chain id; --deployment FILE would do without it")]
    ChainId(#[source] ChainError),
    /// A node is on another chain than the ledger.
    #[error("node {node} is on chain {found}, the ledger on chain {expected}")]
    OtherChain {
        /// Which of the configured nodes, from 1. Its address may hold a key.
        node: usize,
        /// Its chain.
        found: u64,
        /// The deployment's.
        expected: u64,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The data folder cannot be written.
    #[error("cannot write {path}")]
    Data {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A listener or a thread failed.
    #[error("the system failed")]
    Io(#[from] io::Error),
}

impl ServerError {
    /// What the store said, where it was the store.
    const fn of_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Follower(FollowerError::Store(error)) => Some(error),
            _ => None,
        }
    }
}

/// Runs the gateway until SIGTERM or SIGINT.
///
/// # Errors
/// As [`run`], and when a listener cannot be bound.
pub async fn run_until_signal(config: Config) -> Result<(), ServerError> {
    let shutdown = stop::on_signal()?;
    file_limit::raise(&config);
    let listeners = Listeners::bind(&config)?;
    run(config, listeners, shutdown).await
}

/// Runs the gateway on bound listeners until `shutdown`, then drains it.
///
/// # Errors
/// When a part cannot be started. Once it runs, only `shutdown` ends it, and a store that cannot be written any more.
pub async fn run(
    config: Config,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    let addresses = Addresses::of(&listeners)?;
    data_folder::prepare(&config.data)?;
    let tls = config.tls.as_ref().map(Tls::load).transpose()?;
    let rpc = Rpc::any_of(&config.chain.rpc).map_err(ServerError::ChainId)?;
    let deployment = resolve(&config, &rpc).await?;
    refuse_other_chain(&config, deployment.chain_id).await?;
    let load = |store| {
        let parts = Parts::load(&config, deployment, store, rpc.clone())?;
        let follower = parts.follower(&config, deployment)?;
        parts.load_listings()?;
        Ok((parts, follower))
    };
    let path = config.data.join("store");
    let (parts, follower) = store::open_and_load(&path, load, ServerError::of_store)?;
    parts.remember();
    let site = site::site(&config, deployment, &addresses);
    let tasks = TaskTracker::new();
    tasks.spawn(follower.run(shutdown.clone()));
    tasks.spawn(parts.hub.clone().sweep_until(shutdown.clone()));
    let (positions, metrics) = (parts.positions.clone(), parts.metrics.clone());
    tasks.spawn(positions.watch_until(metrics.clone(), shutdown.clone()));
    let (history, clock) = (parts.history.clone(), parts.clock.clone());
    tasks.spawn(history.prune_until(clock, metrics, shutdown.clone()));
    let mqtt = parts.mqtt()?;
    let ingest_ended = mqtt.ingest.ended();
    let ledger = FirstLook::begin(&parts, &tasks, &shutdown);
    if let Some(address) = config.mqtt.bridge.clone() {
        let (id, bridge) = parts.bridge(mqtt.ingest.clone())?;
        tasks.spawn(ledger.then(bridge::run(address, id, bridge, shutdown.clone())));
    }
    if let Some(outage) = &config.outage {
        let kept = parts.allowance.clone();
        let credit = outage::run(parts.outage(outage), kept, shutdown.clone());
        tasks.spawn(ledger.then(credit));
    }
    let policy = HttpPolicy {
        timeout: config.http.request_timeout,
        cors_origins: config.http.cors_origins.clone(),
        public_rpc: config.chain.public_rpc.clone(),
    };
    let watchers = parts.sockets(shutdown.clone(), &tasks);
    let watching = socket::routes(watchers.clone()).merge(sse::routes(watchers));
    let metrics = api::metrics_router(parts.metrics.clone());
    let routes = api::router(parts.api(site, shutdown.clone()), &policy, watching);
    let doors = Doors::new(&config, tls, &parts.metrics);
    let reload = doors.reload()?;
    tasks.spawn(reload.run(shutdown.clone()));
    // A gateway that cannot write to its folder ends before anybody is in.
    site::announce(&config, &addresses)?;
    let broker = doors.broker(listeners.mqtt, listeners.mqtt_tls, mqtt, shutdown.clone());
    tasks.spawn(ledger.then(broker));
    let (open, close) = (TaskTracker::new(), CancellationToken::new());
    open.spawn(doors.public(listeners.http, routes, shutdown.clone(), close.clone()));
    open.spawn(systemd::watchdog(close.clone()));
    open.spawn(doors.internal(listeners.metrics, metrics, close.clone()));
    match operator::listen(&config.data) {
        Ok(listener) => {
            let line = Line {
                store: parts.store.clone(),
                blocked: parts.registry.blocked().clone(),
            };
            tasks.spawn(operator::serve(listener, line, shutdown.clone()));
        }
        Err(error) => tracing::warn!(%error, "no orders are taken while the gateway runs"),
    }
    let exports = config.data.join(EXPORT_FOLDER);
    tasks.spawn(back_up::back_up(
        parts.store.clone(),
        exports,
        config.export_every,
        shutdown.clone(),
    ));
    systemd::ready();
    let failure = tokio::select! {
        () = shutdown.cancelled() => None,
        error = disk::failure(parts.store.clone()) => Some(error),
    };
    if let Some(error) = &failure {
        tracing::error!(error = %Chained(error), "the store cannot be written: the gateway ends, to open it anew when it is started again");
        shutdown.cancel();
    }
    systemd::stopping();
    tracing::info!("stopping");
    let deadline = Instant::now() + DRAIN_DEADLINE;
    // Sockets, event streams and devices' sessions end first. Until then whoever is connected already can ask how it is.
    tasks.close();
    let _ = timeout_at(deadline - DRAIN_RESERVE, tasks.wait()).await;
    close.cancel();
    open.close();
    // Positions are written until the last session has ended, and once more after it.
    let drained = async {
        open.wait().await;
        tasks.wait().await;
        ingest_ended.await;
    };
    if timeout_at(deadline, drained).await.is_err() {
        let tasks = tasks.len() + open.len();
        tracing::warn!(tasks, "not everything ended in time");
    }
    if let Some(error) = failure {
        return Err(error.into());
    }
    // What was acknowledged is on the disk already.
    let last = Instant::now() + DRAIN_RESERVE;
    match timeout_at(last, parts.store.flush()).await {
        Ok(flushed) => flushed?,
        Err(_) => tracing::warn!("the disk stands still"),
    }
    Ok(())
}

/// The ledger with its chain id, which a bare address leaves to the node.
pub(crate) async fn resolve(config: &Config, rpc: &Rpc) -> Result<Deployment, ServerError> {
    let deployment = match config.chain.ledger {
        LedgerSource::Deployment(deployment) => deployment,
        LedgerSource::Address { ledger, block } => Deployment {
            chain_id: rpc.chain_id().await.map_err(ServerError::ChainId)?,
            ledger,
            block,
        },
    };
    config::check_demo(config.demo, deployment.chain_id)?;
    Ok(deployment)
}
