use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{local, positive, refuse};
use crate::bridge::{BridgeAddress, ParseBridgeAddressError};
use crate::defaults::{
    CONNECTIONS_PER_ADDRESS, MAX_MQTT_CONNECTIONS, MQTT_BYTES_PER_SECOND, MQTT_MESSAGES_PER_SECOND,
    MQTT_PORT,
};
use crate::entrance::TlsConfig;
use crate::mqtt::MqttRates;

/// The embedded broker.
#[derive(Debug, Clone)]
pub struct MqttConfig {
    /// Where to listen: in the clear, unless there is a certificate and no address for TLS alone.
    pub listen: SocketAddr,
    /// Where to listen for TLS alone.
    pub tls_listen: Option<SocketAddr>,
    /// Most connections.
    pub max_connections: usize,
    /// Most of them from one address; 0 is no limit.
    pub connections_per_address: usize,
    /// How fast one device may publish.
    pub rates: MqttRates,
    /// What devices are told instead of the host that they reached by REST.
    pub public_host: Option<String>,
    /// What devices are told instead of the listener's port.
    pub public_port: Option<u16>,
    /// What devices are told instead of the port that speaks TLS here.
    pub public_tls_port: Option<u16>,
    /// A broker of the owner's own, from which events are taken too.
    pub bridge: Option<BridgeAddress>,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MqttSettings {
    pub(super) listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls_listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_tls_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bridge: Option<String>,
    max_connections: usize,
    /// A limit of 0 is none.
    connections_per_address: usize,
    messages_per_second: u32,
    bytes_per_second: u32,
}

impl MqttSettings {
    pub(super) fn check(self, tls: Option<&TlsConfig>) -> Result<MqttConfig, ConfigError> {
        if self.tls_listen.is_some() && tls.is_none() {
            return Err(refuse("mqtt.tls_listen", "needs tls.certificate"));
        }
        let bridge = self.bridge.map(|url| check_bridge("mqtt.bridge", &url));
        Ok(MqttConfig {
            listen: self.listen,
            tls_listen: self.tls_listen,
            public_host: self.public_host,
            public_port: self.public_port,
            public_tls_port: self.public_tls_port,
            bridge: bridge.transpose()?,
            max_connections: positive("mqtt.max_connections", self.max_connections)?,
            connections_per_address: self.connections_per_address,
            rates: MqttRates {
                messages: self.messages_per_second,
                bytes: self.bytes_per_second,
            },
        })
    }
}

fn check_bridge(name: &'static str, text: &str) -> Result<BridgeAddress, ConfigError> {
    text.parse()
        .map_err(|error: ParseBridgeAddressError| refuse(name, error.to_string()))
}

impl Default for MqttSettings {
    fn default() -> Self {
        Self {
            listen: local(MQTT_PORT),
            tls_listen: None,
            public_host: None,
            public_port: None,
            public_tls_port: None,
            bridge: None,
            max_connections: MAX_MQTT_CONNECTIONS,
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            messages_per_second: MQTT_MESSAGES_PER_SECOND,
            bytes_per_second: MQTT_BYTES_PER_SECOND,
        }
    }
}
