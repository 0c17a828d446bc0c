use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use super::ServerError;
use crate::config::Config;
use crate::defaults::LISTEN_BACKLOG;

/// The gateway's bound listeners.
#[derive(Debug)]
pub struct Listeners {
    /// REST, websocket and page.
    pub http: TcpListener,
    /// The broker.
    pub mqtt: TcpListener,
    /// The broker, for TLS alone.
    pub mqtt_tls: Option<TcpListener>,
    /// Metrics.
    pub metrics: TcpListener,
}

impl Listeners {
    /// Binds what the configuration names.
    ///
    /// # Errors
    /// When an address is taken or not this machine's.
    pub fn bind(config: &Config) -> Result<Self, ServerError> {
        Ok(Self {
            http: bind(config.http.listen)?,
            mqtt: bind(config.mqtt.listen)?,
            mqtt_tls: config.mqtt.tls_listen.map(bind).transpose()?,
            metrics: bind(config.metrics_listen)?,
        })
    }
}

/// A listener with room for a crowd: with the usual backlog thousands of clients that come at once wait for seconds.
fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    let listen = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(LISTEN_BACKLOG)
    };
    listen().map_err(|source| ServerError::Listen { address, source })
}
