use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ashya_contracts::Deployment;
use ashya_protocol::{Address, DeviceId};
use http::HeaderValue;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::outage::OutageSettings;
use super::{
    AuthConfig, ChainConfig, Config, ConfigError, HttpConfig, LedgerSource, MqttConfig, RunArgs,
    check_demo,
};
use crate::auth::client::Proxies;
use crate::auth::rates::RateConfig;
use crate::bridge::{BridgeAddress, ParseBridgeAddressError};
use crate::defaults::{
    BLOCKS_PER_REQUEST, CREDENTIALS_PER_MINUTE, DEVICE_PASSWORD_LIFETIME, EXPORT_MINUTES,
    HTTP_PORT, JOURNAL_BLOCKS, MAX_DEVICES, METRICS_PORT, MQTT_PORT, NONCES_PER_MINUTE,
    PER_ADDRESS_PER_MINUTE, REGISTRATIONS_PER_MINUTE, REQUEST_TIMEOUT, SESSION_LIFETIME,
    SESSIONS_PER_MINUTE, SOCKETS_PER_WALLET,
};
use crate::registry::RegistrationPolicy;
use crate::socket::SocketPolicy;

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
    metrics: MetricsSettings,
    chain: ChainSettings,
    auth: AuthSettings,
    outage: OutageSettings,
    log: LogSettings,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// A JSON object a line.
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DataSettings {
    folder: PathBuf,
    /// 0 exports never.
    export_minutes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeviceSettings {
    max: usize,
    registration: String,
    owners: BTreeSet<Address>,
    devices: BTreeSet<DeviceId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpSettings {
    listen: SocketAddr,
    domains: Vec<String>,
    cors_origins: Vec<String>,
    trusted_proxies: Vec<String>,
    forwarded_header: String,
    request_timeout_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SocketSettings {
    /// Origins whose pages may open websockets beside the gateway's own; none allows all.
    origins: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MqttSettings {
    listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bridge: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MetricsSettings {
    listen: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ChainSettings {
    #[serde(deserialize_with = "one_or_many")]
    rpc: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_rpc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment_block: Option<u64>,
    clock: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll_milliseconds: Option<u64>,
    blocks_per_request: u64,
    journal_blocks: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_head_age_seconds: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AuthSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    session_seconds: u64,
    device_password_seconds: u64,
    sockets_per_wallet: usize,
    /// A limit of 0 is none.
    nonces_per_minute: u32,
    sessions_per_minute: u32,
    registrations_per_minute: u32,
    credentials_per_minute: u32,
    per_address_per_minute: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogSettings {
    format: String,
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
        let ledger = self.chain.ledger_source()?;
        if let LedgerSource::Deployment(deployment) = ledger {
            check_demo(self.demo, deployment.chain_id)?;
        }
        let chain = self.chain;
        Ok(Config {
            http: HttpConfig {
                listen: self.http.listen,
                domains: check_domains(self.http.domains)?,
                cors_origins: check_origins("http.cors_origins", &self.http.cors_origins)?,
                request_timeout: seconds(
                    "http.request_timeout_seconds",
                    self.http.request_timeout_seconds,
                )?,
                proxies: Proxies {
                    trusted: check_networks(&self.http.trusted_proxies)?,
                    header: choose(
                        "http.forwarded_header",
                        &self.http.forwarded_header,
                        ["x-forwarded-for", "forwarded"],
                    )?,
                },
            },
            sockets: SocketPolicy {
                origins: check_origins("socket.origins", &self.socket.origins)?,
            },
            mqtt: MqttConfig {
                listen: self.mqtt.listen,
                public_host: self.mqtt.public_host,
                public_port: self.mqtt.public_port,
                bridge: self
                    .mqtt
                    .bridge
                    .map(|url| check_bridge("mqtt.bridge", &url))
                    .transpose()?,
            },
            metrics_listen: self.metrics.listen,
            data: self.data.folder,
            max_devices: self.devices.max,
            export_every: Duration::from_secs(60 * self.data.export_minutes),
            registration: self.devices.policy()?,
            chain: ChainConfig {
                rpc: check_nodes("chain.rpc", &chain.rpc)?,
                public_rpc: chain
                    .public_rpc
                    .map(|url| check_http("chain.public_rpc", &url))
                    .transpose()?,
                name: chain.name,
                ledger,
                clock: choose("chain.clock", &chain.clock, ["wall", "head"])?,
                poll: chain
                    .poll_milliseconds
                    .map(|poll| milliseconds("chain.poll_milliseconds", poll))
                    .transpose()?,
                blocks_per_request: positive("chain.blocks_per_request", chain.blocks_per_request)?,
                journal_blocks: positive("chain.journal_blocks", chain.journal_blocks)?,
                max_head_age: chain.max_head_age_seconds.map(Duration::from_secs),
            },
            auth: self.auth.check()?,
            outage: self.outage.check()?,
            log: choose("log.format", &self.log.format, ["human", "json"])?,
            demo: self.demo,
        })
    }
}

impl DeviceSettings {
    fn policy(self) -> Result<RegistrationPolicy, ConfigError> {
        match self.registration.as_str() {
            "open" => Ok(RegistrationPolicy::Open),
            "listed" => Ok(RegistrationPolicy::Listed {
                owners: self.owners,
                devices: self.devices,
            }),
            _ => Err(refuse("devices.registration", "must be open or listed")),
        }
    }
}

impl AuthSettings {
    fn check(self) -> Result<AuthConfig, ConfigError> {
        Ok(AuthConfig {
            session_lifetime: seconds("auth.session_seconds", self.session_seconds)?,
            device_password_lifetime: seconds(
                "auth.device_password_seconds",
                self.device_password_seconds,
            )?,
            key_file: self.key_file,
            sockets_per_wallet: self.sockets_per_wallet,
            rates: RateConfig {
                nonces: self.nonces_per_minute,
                sessions: self.sessions_per_minute,
                registrations: self.registrations_per_minute,
                credentials: self.credentials_per_minute,
                per_address: self.per_address_per_minute,
            },
        })
    }
}

impl ChainSettings {
    fn ledger_source(&self) -> Result<LedgerSource, ConfigError> {
        if let Some(path) = &self.deployment {
            let deployment: Deployment =
                serde_json::from_str(&read_file(path)?).map_err(|source| {
                    ConfigError::Deployment {
                        path: path.clone(),
                        source,
                    }
                })?;
            return Ok(LedgerSource::Deployment(deployment));
        }
        match (self.ledger, self.deployment_block) {
            (Some(ledger), Some(block)) => Ok(LedgerSource::Address { ledger, block }),
            _ => Err(ConfigError::NoLedger),
        }
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

pub(super) fn read_file(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn refuse(name: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        name,
        reason: reason.into(),
    }
}

pub(super) fn positive<T: Default + PartialEq>(
    name: &'static str,
    value: T,
) -> Result<T, ConfigError> {
    if value == T::default() {
        return Err(refuse(name, "must be at least 1"));
    }
    Ok(value)
}

fn seconds(name: &'static str, value: u64) -> Result<Duration, ConfigError> {
    positive(name, value).map(Duration::from_secs)
}

fn milliseconds(name: &'static str, value: u64) -> Result<Duration, ConfigError> {
    positive(name, value).map(Duration::from_millis)
}

/// Reads one of two words as the enum that serde knows them for.
fn choose<T: serde::de::DeserializeOwned>(
    name: &'static str,
    word: &str,
    words: [&str; 2],
) -> Result<T, ConfigError> {
    let value = serde_json::Value::String(word.to_owned());
    serde_json::from_value(value)
        .map_err(|_| refuse(name, format!("must be {} or {}", words[0], words[1])))
}

/// Takes a single address for a list of one.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

fn check_nodes(name: &'static str, texts: &[String]) -> Result<Vec<Url>, ConfigError> {
    if texts.is_empty() {
        return Err(refuse(name, "must name a node"));
    }
    let checked = texts.iter().map(|text| {
        let url = Url::parse(text).ok();
        url.filter(|url| matches!(url.scheme(), "http" | "https" | "ws" | "wss") && url.has_host())
            .ok_or_else(|| refuse(name, "must be an http, https, ws or wss address"))
    });
    checked.collect()
}

fn check_http(name: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| refuse(name, "must be an http or https address"))
}

fn check_bridge(name: &'static str, text: &str) -> Result<BridgeAddress, ConfigError> {
    text.parse()
        .map_err(|error: ParseBridgeAddressError| refuse(name, error.to_string()))
}

fn check_domains(domains: Vec<String>) -> Result<Vec<String>, ConfigError> {
    for domain in &domains {
        let parsed = Url::parse(&format!("http://{domain}"));
        let plain = parsed.is_ok_and(|url| url.path() == "/" && url.username().is_empty());
        if !plain || domain.contains('/') {
            let reason = format!("{domain:?} is not HOST or HOST:PORT");
            return Err(refuse("http.domains", reason));
        }
    }
    Ok(domains)
}

fn check_origins(name: &'static str, origins: &[String]) -> Result<Vec<HeaderValue>, ConfigError> {
    let checked = origins.iter().map(|origin| {
        let url = Url::parse(origin).ok();
        let exact = url.is_some_and(|url| url.origin().ascii_serialization() == *origin);
        let header = HeaderValue::from_str(origin).ok().filter(|_| exact);
        header.ok_or_else(|| {
            let reason = format!("{origin:?} is not an origin such as https://shop.example");
            refuse(name, reason)
        })
    });
    checked.collect()
}

/// Reads networks; an address alone is a network of one.
fn check_networks(networks: &[String]) -> Result<Vec<IpNet>, ConfigError> {
    let checked = networks.iter().map(|text| {
        let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(alone).ok_or_else(|| {
            let reason = format!("{text:?} is not an address or a network such as 10.0.0.0/8");
            refuse("http.trusted_proxies", reason)
        })
    });
    checked.collect()
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            folder: "data".into(),
            export_minutes: EXPORT_MINUTES,
        }
    }
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            max: MAX_DEVICES,
            registration: "open".into(),
            owners: BTreeSet::new(),
            devices: BTreeSet::new(),
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: local(HTTP_PORT),
            domains: Vec::new(),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded_header: "x-forwarded-for".into(),
            request_timeout_seconds: REQUEST_TIMEOUT.as_secs(),
        }
    }
}

impl Default for MqttSettings {
    fn default() -> Self {
        Self {
            listen: local(MQTT_PORT),
            public_host: None,
            public_port: None,
            bridge: None,
        }
    }
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            listen: local(METRICS_PORT),
        }
    }
}

impl Default for ChainSettings {
    fn default() -> Self {
        Self {
            rpc: vec!["http://127.0.0.1:8545".into()],
            public_rpc: None,
            name: None,
            deployment: None,
            ledger: None,
            deployment_block: None,
            clock: "wall".into(),
            poll_milliseconds: None,
            blocks_per_request: BLOCKS_PER_REQUEST,
            journal_blocks: JOURNAL_BLOCKS,
            max_head_age_seconds: None,
        }
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            session_seconds: SESSION_LIFETIME.as_secs(),
            device_password_seconds: DEVICE_PASSWORD_LIFETIME.as_secs(),
            key_file: None,
            sockets_per_wallet: SOCKETS_PER_WALLET,
            nonces_per_minute: NONCES_PER_MINUTE,
            sessions_per_minute: SESSIONS_PER_MINUTE,
            registrations_per_minute: REGISTRATIONS_PER_MINUTE,
            credentials_per_minute: CREDENTIALS_PER_MINUTE,
            per_address_per_minute: PER_ADDRESS_PER_MINUTE,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: "human".into(),
        }
    }
}
