use ashya_protocol::Domain;
use rumqttc::{ClientError, ConnectionError};
use thiserror::Error;

use super::tunnel::TunnelError;
use crate::gateway::GatewayError;

/// Why a connection failed.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("the broker at {0} did not answer")]
    Silent(String),
    #[error("the connection to the broker broke")]
    Connection(#[from] Box<ConnectionError>),
    #[error("the MQTT client takes no more")]
    Client(#[from] ClientError),
    #[error("the MQTT client has ended")]
    Ended,
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    #[error(
        "the gateway at {0} is spoken to by TLS, but names no port of its broker that is: the password of this device \
         would go in the clear. Give the gateway mqtt.tls_listen, or, where the network between can be trusted, set \
         clear_mqtt = true in [gateway]"
    )]
    Clear(String),
    #[error(
        "the gateway follows ledger {0:?}, but this device signs for {1:?}: start it with the gateway of its ledger"
    )]
    Ledger(Domain, Domain),
}

impl LinkError {
    /// Whether only people can mend it.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Gateway(error) => error.is_final(),
            Self::Ledger(..) | Self::Clear(_) => true,
            _ => false,
        }
    }
}
