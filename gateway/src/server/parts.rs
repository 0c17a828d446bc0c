use std::io;
use std::sync::Arc;

use ashya_contracts::{Deployment, Rpc, Wallet};
use ashya_protocol::{Domain, Listing};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ServerError;
use crate::api::{ApiState, Draining, Site};
use crate::auth::device_passwords::DevicePasswords;
use crate::auth::fleet_key;
use crate::auth::nonces::Nonces;
use crate::auth::rates::Rates;
use crate::auth::sessions::Sessions;
use crate::bridge::{self, BridgeParts};
use crate::chain::{ChainStatus, Follower, FollowerParts};
use crate::chain_clock::ChainClock;
use crate::config::{Config, OutageConfig};
use crate::defaults::{MAX_USED_NONCES, NONCE_LIFETIME};
use crate::history::History;
use crate::hub::Hub;
use crate::ingest::{Ingest, IngestParts};
use crate::ledger_index::{LedgerIndex, ListingDocument};
use crate::metrics::Metrics;
use crate::mqtt::MqttParts;
use crate::outage::{self, Heard, KeptAllowance, OutageParts};
use crate::positions::Positions;
use crate::presence::Presence;
use crate::previews::Previews;
use crate::registry::Registry;
use crate::socket::{SocketParts, SocketPolicy};
use crate::store::{Store, StoreError};
use crate::traces::Traces;

/// The parts that share state, each a cheap-clone handle.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) rpc: Rpc,
    pub(super) index: LedgerIndex,
    pub(super) registry: Registry,
    pub(super) clock: ChainClock,
    pub(super) positions: Positions,
    pub(super) history: History,
    pub(super) presence: Presence,
    pub(super) metrics: Metrics,
    pub(super) sessions: Sessions,
    pub(super) passwords: DevicePasswords,
    pub(super) nonces: Nonces,
    pub(super) rates: Rates,
    pub(super) sockets: SocketPolicy,
    pub(super) hub: Hub,
    pub(super) heard: Heard,
    pub(super) allowance: KeptAllowance,
    pub(super) previews: Previews,
    pub(super) chain: ChainStatus,
}

impl Parts {
    pub(super) fn load(
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
        let index = LedgerIndex::new(domain);
        index.set_policy(config.registration.clone());
        let key = fleet_key::load(config.auth.key_file.as_deref(), &config.data)?;
        let metrics = Metrics::new();
        let positions = Positions::load(store.clone())?.keeping(config.history.disk.clone());
        Ok(Self {
            rpc,
            index,
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
            hub: Hub::keeping(metrics.clone(), config.history.memory),
            heard: Heard::default(),
            allowance: outage::load_allowance(&store)?,
            previews: Previews::load(store.clone())?,
            chain: ChainStatus::default(),
            metrics,
            store,
        })
    }

    pub(super) fn follower(
        &self,
        config: &Config,
        deployment: Deployment,
    ) -> Result<Follower, ServerError> {
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
    pub(super) fn load_listings(&self) -> Result<(), StoreError> {
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

    /// Tells the hub which event of each stream earlier runs have had last.
    pub(super) fn remember(&self) {
        self.hub.remember(self.positions.all());
    }

    pub(super) fn outage(&self, config: &OutageConfig) -> OutageParts {
        OutageParts {
            wallet: Wallet::new(config.key.clone()).with_max_fee(config.limits.max_fee),
            rpc: self.rpc.clone(),
            index: self.index.clone(),
            clock: self.clock.clone(),
            heard: self.heard.clone(),
            limits: config.limits,
            store: self.store.clone(),
            metrics: self.metrics.clone(),
        }
    }

    pub(super) fn mqtt(&self) -> io::Result<MqttParts> {
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
    pub(super) fn bridge(&self, ingest: Ingest) -> Result<(String, BridgeParts), StoreError> {
        let parts = BridgeParts {
            ingest,
            hub: self.hub.clone(),
            registry: self.registry.clone(),
            presence: self.presence.clone(),
            metrics: self.metrics.clone(),
        };
        Ok((bridge::client_id(&self.store.secret()?), parts))
    }

    pub(super) fn sockets(&self, shutdown: CancellationToken, tasks: &TaskTracker) -> SocketParts {
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

    fn traces(&self) -> Traces {
        Traces {
            positions: self.positions.clone(),
            hub: self.hub.clone(),
            heard: self.heard.clone(),
        }
    }

    pub(super) fn api(&self, site: Site, shutdown: CancellationToken) -> ApiState {
        ApiState {
            index: self.index.clone(),
            registry: self.registry.clone(),
            sessions: self.sessions.clone(),
            passwords: self.passwords.clone(),
            nonces: self.nonces.clone(),
            rates: self.rates.clone(),
            clock: self.clock.clone(),
            presence: self.presence.clone(),
            traces: self.traces(),
            previews: self.previews.clone(),
            chain: self.chain.clone(),
            rpc: self.rpc.clone(),
            store: self.store.clone(),
            metrics: self.metrics.clone(),
            draining: Draining(shutdown),
            site,
        }
    }
}

/// The nodes one by one: a follower must know whose answer it has.
pub(super) fn endpoints(config: &Config) -> Result<Vec<Rpc>, ServerError> {
    let rpcs = config.chain.rpc.iter().map(Rpc::new);
    rpcs.collect::<Result<_, _>>().map_err(ServerError::ChainId)
}
