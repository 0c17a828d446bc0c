//! The bridge: takes events from an MQTT broker of the owner's own, as the embedded broker takes them from devices.
//!
//! ```text
//!  owner's broker ──up/…──► Session ──events──► Ingest
//!        ▲                   │  └───presence──► Presence
//!        └──down/demand, down/notice──────────── Hub
//! ```
//!
//! Nobody says who speaks there, so the topic names the device and the envelope's signature proves it: what is forged
//! on that broker is refused like everywhere else. Whoever runs it can read what passes.
//!
//! It speaks MQTT 5: a broker of that version holds back what we cannot take (maximum packet size, receive maximum)
//! instead of breaking the connection over it, and keeps the session while we are away.

mod address;
mod session;
mod tunnel;

use std::time::Duration;

use rumqttc::Transport;
use rumqttc::v5::{AsyncClient, EventLoop, MqttOptions};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::chained::Chained;
use crate::defaults::BACKOFF_MAX;
use crate::hub::Hub;
use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::mqtt::MAX_PACKET_BYTES;
use crate::presence::Presence;
use crate::registry::Registry;

pub use address::{BridgeAddress, ParseBridgeAddressError};
use session::{BridgeError, Session};
use tunnel::Tunnel;

/// Events that may wait for their verdict; beyond, the broker holds them.
const MAX_IN_FLIGHT: u16 = 32;
/// Requests that may wait for the MQTT client: an acknowledgement and a notice for each event in flight, and as much
/// again for demand.
const MAX_REQUESTS: usize = 4 * MAX_IN_FLIGHT as usize;
/// Silence after which the broker is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the broker may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the broker is asked to keep events for us while we are away.
const SESSION_EXPIRY: Duration = Duration::from_secs(3600);

/// What the bridge needs.
#[derive(Debug, Clone)]
pub(crate) struct BridgeParts {
    /// Takes events.
    pub(crate) ingest: Ingest,
    /// Knows what is wanted of each device.
    pub(crate) hub: Hub,
    /// Knows whose presence is of interest.
    pub(crate) registry: Registry,
    /// Is told who is online.
    pub(crate) presence: Presence,
    /// Where the connection and foreign topics are counted.
    pub(crate) metrics: Metrics,
}

/// The name under which the broker keeps this gateway's session; two gateways on one broker need two.
pub(crate) fn client_id(secret: &[u8]) -> String {
    let digest = Sha256::new_with_prefix("ashya mqtt bridge")
        .chain_update(secret)
        .finalize();
    format!("ashya-gateway-{}", hex::encode(&digest[..8]))
}

/// Keeps a connection to the broker until `shutdown`. A broker that is gone or refuses us harms nothing else.
pub(crate) async fn run(
    address: BridgeAddress,
    client_id: String,
    parts: BridgeParts,
    shutdown: CancellationToken,
) {
    let mut backoff = Backoff::new();
    loop {
        let began = Instant::now();
        let ended = tokio::select! {
            () = shutdown.cancelled() => return,
            ended = connect(&address, &client_id, &parts) => ended,
        };
        // A broker that lets us in and throws us out at once is not to be asked at full speed.
        if began.elapsed() > BACKOFF_MAX {
            backoff.reset();
        }
        let wait = backoff.next();
        tracing::warn!(
            broker = %address,
            error = %Chained(&ended),
            "the bridge is not connected; next attempt in {} ms",
            wait.as_millis()
        );
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

/// One connection from its first byte to its end.
async fn connect(address: &BridgeAddress, client_id: &str, parts: &BridgeParts) -> BridgeError {
    let tunnel = match Tunnel::open(address).await {
        Ok(tunnel) => tunnel,
        Err(error) => return error.into(),
    };
    let mut options = match &tunnel {
        None => MqttOptions::new(client_id, address.host(), address.port()),
        Some(tunnel) => {
            let mut options = MqttOptions::new(client_id, tunnel.path(), 0);
            options.set_transport(Transport::Unix);
            options
        }
    };
    if let Some((user, password)) = address.credentials() {
        options.set_credentials(user, password);
    }
    options
        .set_clean_start(false)
        .set_session_expiry_interval(Some(SESSION_EXPIRY.as_secs() as u32))
        .set_receive_maximum(Some(MAX_IN_FLIGHT))
        .set_max_packet_size(Some(MAX_PACKET_BYTES))
        .set_manual_acks(true)
        .set_keep_alive(KEEP_ALIVE)
        .set_connection_timeout(CONNECT_TIMEOUT.as_secs())
        // All that we publish is of QoS 0; the client reserves room for each that could wait for its acknowledgement.
        .set_outgoing_inflight_upper_limit(1);
    let (client, packets): (AsyncClient, EventLoop) = AsyncClient::new(options, MAX_REQUESTS);
    Session::new(address, parts, client, packets).run().await
}

#[cfg(test)]
mod tests;
