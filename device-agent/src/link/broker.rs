//! One connection of the MQTT client: how it is set up, and what drives it.

use std::time::Duration;

use ashya_protocol::limits::MAX_ENVELOPE_BYTES;
use ashya_protocol::rest::Credentials;
use ashya_protocol::{DeviceId, Topic};
use rumqttc::{
    ConnectionError, Event, EventLoop, Incoming, LastWill, MqttOptions, NetworkOptions, QoS,
};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::Instant;

use super::error::LinkError;
use super::tunnel::SEND_BUFFER;
use crate::data::unix_seconds;

/// How long a packet may take to be written, so that a large picture on a slow uplink is no reason to leave. Shorter
/// than the keep-alive, whose answer is not read meanwhile.
const WRITE_TIMEOUT: Duration = Duration::from_secs(12);
/// Silence after which the broker is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long before their end credentials are replaced.
const RENEW_BEFORE: Duration = Duration::from_secs(30);
/// Least time between two renewals. By a clock that is fast, fresh credentials may be over already; the broker ends a
/// session by its own clock.
const RENEW_FLOOR: Duration = Duration::from_secs(60);
/// Room for the topic and header of a packet beside the envelope.
const PACKET_OVERHEAD: usize = 1_024;

/// What the MQTT client tells of its connection.
pub(super) type Heard = Result<Event, Box<ConnectionError>>;

/// Runs the MQTT client and hands on what happens, until it fails or nobody listens.
pub(super) async fn drive(mut event_loop: EventLoop, events: Sender<Heard>) {
    loop {
        let event = event_loop.poll().await.map_err(Box::new);
        let failed = event.is_err();
        if events.send(event).await.is_err() || failed {
            return;
        }
    }
}

/// Waits until the broker lets us in.
pub(super) async fn accepted(events: &mut Receiver<Heard>) -> Result<(), LinkError> {
    loop {
        let event = events.recv().await.ok_or(LinkError::Ended)??;
        if let Event::Incoming(Incoming::ConnAck(_)) = event {
            return Ok(());
        }
    }
}

/// Where the broker is, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    /// In the clear.
    Clear(u16),
    /// By TLS.
    Secure(u16),
}

/// By which door the broker is entered: by TLS wherever it has it. Nothing where the password would have to go in the
/// clear to the broker of a gateway that itself is spoken to by TLS, unless the owner allows it.
pub(crate) fn door(
    credentials: &Credentials,
    is_gateway_secure: bool,
    is_clear_allowed: bool,
) -> Option<Door> {
    match credentials.mqtt_tls_port {
        Some(port) => Some(Door::Secure(port)),
        None if is_gateway_secure && !is_clear_allowed => None,
        None => Some(Door::Clear(credentials.mqtt_port)),
    }
}

pub(super) fn options(
    (host, port): (&str, u16),
    device: DeviceId,
    credentials: &Credentials,
) -> MqttOptions {
    let mut options = MqttOptions::new(device.to_string(), host, port);
    let presence = Topic::Presence(device).to_string();
    options
        .set_credentials(&credentials.username, &credentials.password)
        .set_keep_alive(KEEP_ALIVE)
        .set_last_will(LastWill::new(presence, "offline", QoS::AtLeastOnce, true))
        .set_max_packet_size(PACKET_OVERHEAD * 64, MAX_ENVELOPE_BYTES + PACKET_OVERHEAD);
    options
}

pub(super) fn network_options() -> NetworkOptions {
    let mut options = NetworkOptions::new();
    options.set_tcp_send_buffer_size(SEND_BUFFER);
    options.set_connection_timeout(WRITE_TIMEOUT.as_secs());
    options
}

/// When to connect anew: a little before the credentials end.
pub(super) fn renewal(credentials: &Credentials) -> Instant {
    Instant::now() + renewal_after(credentials.expires_at, unix_seconds())
}

pub(super) fn renewal_after(expires_at: u64, now: u64) -> Duration {
    let life = Duration::from_secs(expires_at.saturating_sub(now));
    life.saturating_sub(RENEW_BEFORE).max(RENEW_FLOOR)
}
