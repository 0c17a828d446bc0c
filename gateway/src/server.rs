//! Puts the parts together and takes them apart again.

pub(crate) mod http;
mod listeners;
mod tcp;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ashya_contracts::{ChainError, Deployment, Rpc, Wallet};
use ashya_protocol::rest::Chain;
use ashya_protocol::{Domain, Listing};
use serde::Serialize;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, ApiState, Chained, HttpPolicy, Site, SiteInfo};
use crate::auth::device_passwords::DevicePasswords;
use crate::auth::fleet_key::{self, FleetKeyError};
use crate::auth::nonces::Nonces;
use crate::auth::rates::Rates;
use crate::auth::sessions::Sessions;
use crate::bridge::{self, BridgeParts};
use crate::chain::{ChainStatus, Follower, FollowerError, FollowerParts};
use crate::chain_clock::ChainClock;
use crate::config::{self, Config, ConfigError, LedgerSource, OutageConfig};
use crate::data_folder::{self, DataFolderError};
use crate::defaults::{
    DRAIN_DEADLINE, HTTP_HEAD_TIMEOUT, MAX_HTTP_CONNECTIONS, MAX_USED_NONCES, NONCE_LIFETIME,
};
use crate::history::History;
use crate::hub::Hub;
use crate::ingest::{Ingest, IngestParts};
use crate::ledger_index::{LedgerIndex, ListingDocument};
use crate::metrics::Metrics;
use crate::mqtt::{self, MqttParts};
use crate::operator::{self, Line};
use crate::outage::{self, Heard, OutageParts};
use crate::positions::Positions;
use crate::presence::Presence;
use crate::previews::Previews;
use crate::registry::Registry;
use crate::socket::{self, SocketParts, SocketPolicy};
use crate::store::{self, EXPORT_FOLDER, Store, StoreError};

pub(crate) use http::Connection;
use http::HttpLimits;
pub use listeners::Listeners;
pub(crate) use tcp::Tcp;

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
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be used with this ledger.
    #[error(transparent)]
    Follower(#[from] FollowerError),
    /// The node had to be asked for its chain id and did not answer.
    #[error("the chain node does not tell its chain id; --deployment FILE would do without it")]
    ChainId(#[source] ChainError),
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

/// What `addresses.json` in the data folder says: where the gateway listens, for whoever gave it port 0.
#[derive(Debug, Serialize)]
struct Addresses {
    http: SocketAddr,
    mqtt: SocketAddr,
    metrics: SocketAddr,
}

/// Runs the gateway on bound listeners until `shutdown`, then drains it.
///
/// # Errors
/// When a part cannot be started. Once it runs, nothing but `shutdown` ends it.
pub async fn run(
    config: Config,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    let addresses = Addresses {
        http: listeners.http.local_addr()?,
        mqtt: listeners.mqtt.local_addr()?,
        metrics: listeners.metrics.local_addr()?,
    };
    data_folder::prepare(&config.data)?;
    let rpc = Rpc::any_of(&config.chain.rpc).map_err(ServerError::ChainId)?;
    let deployment = resolve(&config, &rpc).await?;
    let load = |store| {
        let parts = Parts::load(&config, deployment, store, rpc.clone())?;
        let follower = parts.follower(&config, deployment)?;
        parts.load_listings()?;
        Ok((parts, follower))
    };
    let path = config.data.join("store");
    let (parts, follower) = store::open_and_load(&path, load, ServerError::of_store)?;
    parts.remember();
    let site = site(&config, deployment, &addresses);
    let tasks = TaskTracker::new();
    tasks.spawn(follower.run(shutdown.clone()));
    tasks.spawn(parts.hub.clone().sweep_until(shutdown.clone()));
    let (positions, metrics) = (parts.positions.clone(), parts.metrics.clone());
    tasks.spawn(positions.watch_until(metrics.clone(), shutdown.clone()));
    let (history, clock) = (parts.history.clone(), parts.clock.clone());
    tasks.spawn(history.prune_until(clock, metrics, shutdown.clone()));
    let mqtt = parts.mqtt()?;
    let ingest_ended = mqtt.ingest.ended();
    if let Some(address) = &config.mqtt.bridge {
        let (id, bridge) = parts.bridge(mqtt.ingest.clone())?;
        tasks.spawn(bridge::run(address.clone(), id, bridge, shutdown.clone()));
    }
    if let Some(outage) = &config.outage {
        tasks.spawn(outage::run(parts.outage(outage), shutdown.clone()));
    }
    tasks.spawn(broker(listeners.mqtt, mqtt, shutdown.clone()));
    let policy = HttpPolicy {
        timeout: config.http.request_timeout,
        cors_origins: config.http.cors_origins.clone(),
        public_rpc: config.chain.public_rpc.clone(),
    };
    let sockets = socket::routes(parts.sockets(shutdown.clone(), &tasks));
    let metrics = api::metrics_router(parts.metrics.clone());
    let routes = api::router(parts.api(site), &policy, sockets);
    let limits = HttpLimits {
        head_timeout: HTTP_HEAD_TIMEOUT,
        max_connections: MAX_HTTP_CONNECTIONS,
    };
    for (listener, routes) in [(listeners.http, routes), (listeners.metrics, metrics)] {
        tasks.spawn(http::serve(listener, routes, limits, shutdown.clone()));
    }
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
    tasks.spawn(back_up(
        parts.store.clone(),
        exports,
        config.export_every,
        shutdown.clone(),
    ));
    announce(&config, &addresses)?;
    shutdown.cancelled().await;
    tracing::info!("stopping");
    tasks.close();
    // Positions are written until the last session has ended, and once more after it.
    let drained = async {
        tasks.wait().await;
        ingest_ended.await;
    };
    if tokio::time::timeout(DRAIN_DEADLINE, drained).await.is_err() {
        tracing::warn!(tasks = tasks.len(), "not everything ended in time");
    }
    parts.store.flush().await?;
    Ok(())
}

/// The parts that share state, each a cheap-clone handle.
struct Parts {
    store: Store,
    rpc: Rpc,
    index: LedgerIndex,
    registry: Registry,
    clock: ChainClock,
    positions: Positions,
    history: History,
    presence: Presence,
    metrics: Metrics,
    sessions: Sessions,
    passwords: DevicePasswords,
    nonces: Nonces,
    rates: Rates,
    sockets: SocketPolicy,
    hub: Hub,
    heard: Heard,
    previews: Previews,
    chain: ChainStatus,
}

impl Parts {
    fn load(
        config: &Config,
        deployment: Deployment,
        store: Store,
        rpc: Rpc,
    ) -> Result<Self, ServerError> {
        let domain = Domain {
            chain_id: deployment.chain_id,
            ledger: deployment.ledger,
        };
        let registry = Registry::load(store.clone(), domain, config.max_devices)?;
        let registry = registry.with_policy(config.registration.clone());
        let blocked = registry.blocked().clone();
        let key = fleet_key::load(config.auth.key_file.as_deref(), &config.data)?;
        let metrics = Metrics::new();
        let positions = Positions::load(store.clone())?.keeping(config.history.disk.clone());
        Ok(Self {
            rpc,
            index: LedgerIndex::new(domain),
            registry,
            clock: ChainClock::new(
                config.chain.clock,
                config.chain.freshness_on(deployment.chain_id),
            ),
            history: History::new(store.clone(), positions.clone()),
            positions,
            presence: Presence::new(),
            sessions: Sessions::load(
                store.clone(),
                &key,
                config.auth.session_lifetime,
                config.auth.sockets_per_wallet,
            )?,
            passwords: DevicePasswords::new(&key, config.auth.device_password_lifetime)
                .except(blocked),
            nonces: Nonces::load(store.clone(), &key, NONCE_LIFETIME, MAX_USED_NONCES)?,
            rates: Rates::new(config.auth.rates),
            sockets: config.sockets.clone(),
            hub: Hub::new(metrics.clone()).keeping(config.history.memory),
            heard: Heard::default(),
            previews: Previews::load(store.clone())?,
            chain: ChainStatus::default(),
            metrics,
            store,
        })
    }

    fn follower(&self, config: &Config, deployment: Deployment) -> Result<Follower, ServerError> {
        let follower = Follower::resume(FollowerParts {
            rpcs: endpoints(config)?,
            deployment,
            index: self.index.clone(),
            clock: self.clock.clone(),
            store: self.store.clone(),
            status: self.chain.clone(),
            metrics: self.metrics.clone(),
            pace: config.chain.pace_on(deployment.chain_id),
            blocks_per_request: config.chain.blocks_per_request,
            journal_blocks: config.chain.journal_blocks,
        });
        Ok(follower?)
    }

    /// Brings the listing documents of earlier runs into the index.
    fn load_listings(&self) -> Result<(), StoreError> {
        for (feed, document) in self.store.load_listings()? {
            match Listing::from_canonical_json(&document) {
                Ok(listing) => {
                    let hash = Listing::hash_of(&document);
                    let text = document;
                    let document = ListingDocument {
                        hash,
                        text,
                        listing,
                    };
                    self.index.set_document(feed, Arc::new(document));
                }
                Err(error) => {
                    tracing::warn!(feed.id = %feed, %error, "a stored listing is left out");
                }
            }
        }
        Ok(())
    }

    /// Tells whoever needs it which streams earlier runs have heard.
    fn remember(&self) {
        let last = self.positions.all();
        let streams = last.iter().map(|(stream, _)| stream.clone());
        self.heard.remember(streams, Instant::now());
        self.hub.remember(last);
    }

    fn outage(&self, config: &OutageConfig) -> OutageParts {
        OutageParts {
            wallet: Wallet::new(config.key.clone()).with_max_fee(config.limits.max_fee),
            rpc: self.rpc.clone(),
            index: self.index.clone(),
            clock: self.clock.clone(),
            heard: self.heard.clone(),
            limits: config.limits,
            metrics: self.metrics.clone(),
        }
    }

    fn mqtt(&self) -> io::Result<MqttParts> {
        let ingest = Ingest::start(IngestParts {
            domain: self.index.domain(),
            registry: self.registry.clone(),
            positions: self.positions.clone(),
            index: self.index.clone(),
            clock: self.clock.clone(),
            hub: self.hub.clone(),
            heard: self.heard.clone(),
            previews: self.previews.clone(),
            metrics: self.metrics.clone(),
        })?;
        Ok(MqttParts {
            passwords: self.passwords.clone(),
            ingest,
            hub: self.hub.clone(),
            presence: self.presence.clone(),
            metrics: self.metrics.clone(),
        })
    }

    /// What the bridge needs, and its name at the broker.
    fn bridge(&self, ingest: Ingest) -> Result<(String, BridgeParts), StoreError> {
        let parts = BridgeParts {
            ingest,
            hub: self.hub.clone(),
            registry: self.registry.clone(),
            presence: self.presence.clone(),
            metrics: self.metrics.clone(),
        };
        Ok((bridge::client_id(&self.store.secret()?), parts))
    }

    fn sockets(&self, shutdown: CancellationToken, tasks: &TaskTracker) -> SocketParts {
        SocketParts {
            sessions: self.sessions.clone(),
            index: self.index.clone(),
            clock: self.clock.clone(),
            presence: self.presence.clone(),
            hub: self.hub.clone(),
            history: self.history.clone(),
            metrics: self.metrics.clone(),
            policy: self.sockets.clone(),
            shutdown,
            tasks: tasks.clone(),
        }
    }

    fn api(&self, site: Site) -> ApiState {
        ApiState {
            index: self.index.clone(),
            registry: self.registry.clone(),
            sessions: self.sessions.clone(),
            passwords: self.passwords.clone(),
            nonces: self.nonces.clone(),
            rates: self.rates.clone(),
            clock: self.clock.clone(),
            presence: self.presence.clone(),
            positions: self.positions.clone(),
            previews: self.previews.clone(),
            chain: self.chain.clone(),
            rpc: self.rpc.clone(),
            store: self.store.clone(),
            metrics: self.metrics.clone(),
            site,
        }
    }
}

/// The nodes one by one: a follower must know whose answer it has.
fn endpoints(config: &Config) -> Result<Vec<Rpc>, ServerError> {
    let rpcs = config.chain.rpc.iter().map(Rpc::new);
    rpcs.collect::<Result<_, _>>().map_err(ServerError::ChainId)
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

fn site(config: &Config, deployment: Deployment, addresses: &Addresses) -> Site {
    let keys = config::DEMO_KEYS.iter().filter(|_| config.demo);
    let chain = Chain {
        chain_id: deployment.chain_id,
        name: config.chain.name_of(deployment.chain_id),
        ledger: deployment.ledger,
        deployment_block: deployment.block,
        rpc_url: config.chain.public_rpc.as_ref().map(ToString::to_string),
        head: None,
        finalized: None,
        demo_keys: keys.map(ToString::to_string).collect(),
    };
    Site(Arc::new(SiteInfo {
        domains: domains(&config.http.domains, addresses.http),
        chain,
        mqtt_port: config.mqtt.public_port.unwrap_or(addresses.mqtt.port()),
        mqtt_host: config.mqtt.public_host.clone(),
        proxies: config.http.proxies.clone(),
    }))
}

/// The domains for which wallets may sign in: the configured ones, else the listener as its own machine calls it.
fn domains(configured: &[String], listener: SocketAddr) -> Vec<String> {
    if !configured.is_empty() {
        return configured.to_vec();
    }
    let port = listener.port();
    let own = if listener.ip().is_unspecified() {
        format!("127.0.0.1:{port}")
    } else {
        listener.to_string()
    };
    vec![own, format!("localhost:{port}")]
}

/// Tells people and scripts where the gateway listens.
fn announce(config: &Config, addresses: &Addresses) -> Result<(), ServerError> {
    let path = config.data.join("addresses.json");
    let partial = config.data.join("addresses.json.partial");
    let json = serde_json::to_vec(addresses).map_err(io::Error::from)?;
    // Renamed into place, so that a reader never sees half of it.
    std::fs::write(&partial, json)
        .and_then(|()| std::fs::rename(&partial, &path))
        .map_err(|source| ServerError::Data { path, source })?;
    let Addresses {
        http,
        mqtt,
        metrics,
    } = addresses;
    tracing::info!("listening http={http} mqtt={mqtt} metrics={metrics}");
    Ok(())
}

/// Exports the store from time to time, for the day on which it is damaged.
async fn back_up(store: Store, folder: PathBuf, every: Duration, shutdown: CancellationToken) {
    if every.is_zero() {
        return;
    }
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        let (store, folder) = (store.clone(), folder.clone());
        let written = tokio::task::spawn_blocking(move || store::back_up(&store, &folder));
        match written.await {
            Ok(Ok(records)) => tracing::debug!(records, "the store is exported"),
            Ok(Err(error)) => tracing::warn!(error = %Chained(&error), "the store is not exported"),
            Err(error) => tracing::warn!(%error, "the store is not exported"),
        }
    }
}

async fn broker(listener: TcpListener, parts: MqttParts, shutdown: CancellationToken) {
    if let Err(error) = mqtt::serve(listener, parts, shutdown).await {
        tracing::error!(%error, "the MQTT listener failed");
    }
}

#[cfg(test)]
mod tests;
