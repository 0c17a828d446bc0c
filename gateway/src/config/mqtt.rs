use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{local, refuse};
use crate::bridge::{BridgeAddress, ParseBridgeAddressError};
use crate::defaults::MQTT_PORT;

/// The embedded broker.
#[derive(Debug, Clone)]
pub struct MqttConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What devices are told instead of the host that they reached by REST.
    pub public_host: Option<String>,
    /// What devices are told instead of the listener's port.
    pub public_port: Option<u16>,
    /// A broker of the owner's own, from which events are taken too.
    pub bridge: Option<BridgeAddress>,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MqttSettings {
    pub(super) listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bridge: Option<String>,
}

impl MqttSettings {
    pub(super) fn check(self) -> Result<MqttConfig, ConfigError> {
        let bridge = self.bridge.map(|url| check_bridge("mqtt.bridge", &url));
        Ok(MqttConfig {
            listen: self.listen,
            public_host: self.public_host,
            public_port: self.public_port,
            bridge: bridge.transpose()?,
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
            public_host: None,
            public_port: None,
            bridge: None,
        }
    }
}
