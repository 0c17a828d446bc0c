use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::auth::AuthSettings;
use super::chain::{ChainSettings, LedgerSource};
use super::checks::read_file;
use super::data::DataSettings;
use super::devices::DeviceSettings;
use super::history::HistorySettings;
use super::http::HttpSettings;
use super::log::LogSettings;
use super::metrics::MetricsSettings;
use super::mqtt::MqttSettings;
use super::outage::OutageSettings;
use super::socket::SocketSettings;
use super::tls::TlsSettings;
use super::{Config, ConfigError, RunArgs, check_demo};

/// The configuration file, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether the page offers wallets with play money.
    pub demo: bool,
    data: DataSettings,
    devices: DeviceSettings,
    http: HttpSettings,
    socket: SocketSettings,
    mqtt: MqttSettings,
    tls: TlsSettings,
    metrics: MetricsSettings,
    chain: ChainSettings,
    auth: AuthSettings,
    history: HistorySettings,
    outage: OutageSettings,
    log: LogSettings,
}

impl Settings {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, or holds what no setting is called.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_file(path)?;
        toml::from_str(&text).map_err(|error| ConfigError::Toml {
            path: path.to_owned(),
            reason: error.message().replace('\n', " "),
        })
    }

    /// The configuration as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("settings are plain tables")
    }

    pub(super) fn overlay(&mut self, args: RunArgs) {
        set(&mut self.http.listen, args.listen);
        set(&mut self.mqtt.listen, args.mqtt_listen);
        set_some(&mut self.mqtt.tls_listen, args.mqtt_tls_listen);
        set_some(&mut self.tls.certificate, args.tls_certificate);
        set_some(&mut self.tls.key, args.tls_key);
        set(&mut self.metrics.listen, args.metrics_listen);
        set(&mut self.data.folder, args.data);
        if !args.rpc.is_empty() {
            self.chain.rpc = args.rpc;
        }
        set(&mut self.chain.clock, args.chain_clock);
        set(&mut self.log.format, args.log_format);
        set_some(&mut self.auth.key_file, args.key_file);
        set_some(&mut self.outage.key_file, args.outage_key_file);
        set_some(&mut self.chain.public_rpc, args.public_rpc);
        set_some(&mut self.mqtt.public_host, args.mqtt_public_host);
        set_some(&mut self.mqtt.public_port, args.mqtt_public_port);
        set_some(&mut self.mqtt.bridge, args.mqtt_bridge);
        set_some(&mut self.chain.deployment_block, args.deployment_block);
        if args.deployment.is_some() || args.ledger.is_some() {
            self.chain.deployment = args.deployment;
            self.chain.ledger = args.ledger;
        }
        if !args.domain.is_empty() {
            self.http.domains = args.domain;
        }
        if !args.cors_origin.is_empty() {
            self.http.cors_origins = args.cors_origin;
        }
        if !args.trusted_proxy.is_empty() {
            self.http.trusted_proxies = args.trusted_proxy;
        }
        self.demo |= args.demo;
    }

    pub(super) fn check(self) -> Result<Config, ConfigError> {
        let chain = self.chain.check()?;
        if let LedgerSource::Deployment(deployment) = chain.ledger {
            check_demo(self.demo, deployment.chain_id)?;
        }
        let tls = self.tls.check()?;
        Ok(Config {
            http: self.http.check()?,
            sockets: self.socket.check()?,
            mqtt: self.mqtt.check(tls.as_ref())?,
            tls,
            metrics_listen: self.metrics.listen,
            data: self.data.folder,
            max_devices: self.devices.max,
            export_every: Duration::from_secs(60 * self.data.export_minutes),
            registration: self.devices.policy()?,
            chain,
            auth: self.auth.check()?,
            history: self.history.check()?,
            outage: self.outage.check()?,
            log: self.log.check()?,
            demo: self.demo,
        })
    }
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

fn set_some<T>(setting: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *setting = value;
    }
}
