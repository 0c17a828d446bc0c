use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ashya_contracts::Deployment;
use ashya_protocol::rest::Chain;
use serde::Serialize;
use tokio::net::TcpListener;

use super::{Listeners, ServerError};
use crate::api::{Site, SiteInfo};
use crate::config::{self, Config};

/// What `addresses.json` in the data folder says: where the gateway listens, for whoever gave it port 0.
#[derive(Debug, Serialize)]
pub(super) struct Addresses {
    pub(super) http: SocketAddr,
    pub(super) mqtt: SocketAddr,
    #[serde(rename = "mqttTls", skip_serializing_if = "Option::is_none")]
    pub(super) mqtt_tls: Option<SocketAddr>,
    pub(super) metrics: SocketAddr,
}

impl Addresses {
    pub(super) fn of(listeners: &Listeners) -> io::Result<Self> {
        let mqtt_tls = listeners.mqtt_tls.as_ref();
        Ok(Self {
            http: listeners.http.local_addr()?,
            mqtt: listeners.mqtt.local_addr()?,
            mqtt_tls: mqtt_tls.map(TcpListener::local_addr).transpose()?,
            metrics: listeners.metrics.local_addr()?,
        })
    }
}

pub(super) fn site(config: &Config, deployment: Deployment, addresses: &Addresses) -> Site {
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
        mqtt_tls_port: mqtt_tls_port(config, addresses),
        mqtt_host: config.mqtt.public_host.clone(),
        proxies: config.http.proxies.clone(),
    }))
}

/// Where devices find the broker behind TLS: at the listener for TLS alone, or at the only one where there is a
/// certificate, unless the operator names another port, such as that of a proxy which does the TLS.
fn mqtt_tls_port(config: &Config, addresses: &Addresses) -> Option<u16> {
    let alone = addresses.mqtt_tls.map(|address| address.port());
    let only = || config.mqtt.public_port.unwrap_or(addresses.mqtt.port());
    let own = alone.or_else(|| config.tls.as_ref().map(|_| only()));
    config.mqtt.public_tls_port.or(own)
}

/// The domains for which wallets may sign in: the configured ones, else the listener as its own machine calls it.
pub(super) fn domains(configured: &[String], listener: SocketAddr) -> Vec<String> {
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
pub(super) fn announce(config: &Config, addresses: &Addresses) -> Result<(), ServerError> {
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
        mqtt_tls,
        metrics,
    } = addresses;
    let mqtt_tls = mqtt_tls.map_or_else(String::new, |address| format!(" mqtt_tls={address}"));
    tracing::info!("listening http={http} mqtt={mqtt}{mqtt_tls} metrics={metrics}");
    Ok(())
}

#[cfg(test)]
mod tests;
