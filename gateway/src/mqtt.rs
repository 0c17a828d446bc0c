//! The embedded MQTT broker: a small one, for devices alone.
//!
//! A device's session can do four things: publish its own events and presence, and hear what is wanted of it
//! and what was refused. Nothing is routed from client to client, so a stranger's filter, a foreign last will or a
//! share group has no code path at all.
//!
//! ```text
//!  TCP ─► Connection ─► connect::admit ─► Session ──events──► Ingest
//!          (wire: MQTT 3.1.1 and 5)         ├──presence──► Presence
//!                                           └◄──demand─── Hub
//! ```
//!
//! The packets are those of `ntex-mqtt`'s codecs. Its server is not used: it runs the handlers of one connection side
//! by side, and the events of a stream must stay in order.

mod connect;
mod connection;
mod pace;
mod session;
mod sessions;
pub mod wire;

use std::io;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use ashya_protocol::limits::MAX_ENVELOPE_BYTES;

use crate::auth::device_passwords::DevicePasswords;
use crate::defaults::{MAX_MQTT_CONNECTIONS, MQTT_BYTES_PER_SECOND, MQTT_MESSAGES_PER_SECOND};
use crate::entrance::{Entrance, Guest, PlaceLimits, Places, Visitor};
use crate::hub::Hub;
use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::presence::Presence;

use connect::{Admission, admit};
use connection::Connection;
pub use pace::MqttRates;
use pace::Paces;
use session::Session;
use sessions::Sessions;
use wire::{Incoming, Outgoing};

/// Time from the first byte of silence to a good CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest CONNECT, password and last will included.
const MAX_CONNECT_BYTES: u32 = 16 * 1024;
/// Largest packet of a session: an envelope, its topic and MQTT 5 properties. What is a little too large for an
/// envelope still arrives, so that its refusal can be told.
pub(crate) const MAX_PACKET_BYTES: u32 = MAX_ENVELOPE_BYTES as u32 + 16 * 1024;
/// Events of one session that may wait for their verdict; beyond, the session is not read from. As many share one
/// flush of the disk.
const MAX_IN_FLIGHT: NonZeroU16 = NonZeroU16::new(256).expect("not zero");
/// Time between two looks for devices whose pace need not be remembered.
const PACE_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Time for sessions to end at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What the broker needs.
#[derive(Debug, Clone)]
pub struct MqttParts {
    /// Checks CONNECT.
    pub passwords: DevicePasswords,
    /// Takes events.
    pub ingest: Ingest,
    /// Knows what is wanted of each device.
    pub hub: Hub,
    /// Is told who is online.
    pub presence: Presence,
    /// Where publishes on foreign topics are counted.
    pub metrics: Metrics,
}

#[derive(Debug)]
struct Broker {
    parts: MqttParts,
    sessions: Sessions,
    paces: Paces,
    shutdown: CancellationToken,
}

/// Serves devices on `listener` in the clear until `shutdown`, then ends their sessions.
///
/// # Errors
/// When the listener's own address cannot be told; single connections never end the broker.
pub async fn serve(
    listener: TcpListener,
    parts: MqttParts,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let places = PlaceLimits {
        in_all: MAX_MQTT_CONNECTIONS,
        ..PlaceLimits::default()
    };
    let places = Places::new(places, parts.metrics.connections_refused.clone());
    let entrances = vec![Entrance::plain(listener, places)];
    let rates = MqttRates {
        messages: MQTT_MESSAGES_PER_SECOND,
        bytes: MQTT_BYTES_PER_SECOND,
    };
    serve_at(entrances, rates, parts, shutdown).await
}

/// Serves devices at several entrances until `shutdown`, then ends their sessions.
///
/// # Errors
/// As [`serve`].
pub(crate) async fn serve_at(
    entrances: Vec<Entrance>,
    rates: MqttRates,
    parts: MqttParts,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let broker = Arc::new(Broker {
        parts,
        sessions: Sessions::default(),
        paces: Paces::new(rates),
        shutdown,
    });
    let tasks = TaskTracker::new();
    for entrance in entrances {
        let address = entrance.local_addr()?;
        tracing::debug!(%address, "taking MQTT connections");
        tasks.spawn(broker.clone().receive(entrance, tasks.clone()));
    }
    while timeout(PACE_SWEEP_INTERVAL, broker.shutdown.cancelled())
        .await
        .is_err()
    {
        broker.paces.forget_rested();
    }
    tasks.close();
    if timeout(DRAIN_TIMEOUT, tasks.wait()).await.is_err() {
        tracing::warn!(sessions = tasks.len(), "MQTT sessions did not end in time");
    }
    Ok(())
}

impl Broker {
    /// Takes whoever comes, until the shutdown.
    async fn receive(self: Arc<Self>, entrance: Entrance, tasks: TaskTracker) {
        loop {
            let guest = tokio::select! {
                () = self.shutdown.cancelled() => break,
                guest = entrance.next() => guest,
            };
            let span = tracing::debug_span!("mqtt", peer = %guest.peer());
            tasks.spawn(self.clone().converse(guest).instrument(span));
        }
    }

    /// One connection from its first byte to its last.
    async fn converse(self: Arc<Self>, guest: Guest) {
        let greeted = tokio::select! {
            () = self.shutdown.cancelled() => return,
            greeted = guest.greet() => greeted,
        };
        // Its place is the client's to the end.
        let Visitor {
            stream,
            place: _place,
            ..
        } = match greeted {
            Ok(visitor) => visitor,
            Err(error) => {
                tracing::debug!(%error, "no TLS connection");
                return;
            }
        };
        let mut connection = Connection::new(stream, MAX_CONNECT_BYTES);
        let admission = tokio::select! {
            () = self.shutdown.cancelled() => return,
            admission = timeout(CONNECT_TIMEOUT, self.greet(&mut connection)) => admission,
        };
        match admission {
            Ok(Some(admission)) => {
                connection.raise_limit(MAX_PACKET_BYTES);
                // Boxed: whoever is not let in has no room for it.
                Box::pin(Session::new(&self, connection, admission).run()).await;
            }
            Ok(None) => {}
            Err(_) => tracing::debug!("no CONNECT in time"),
        }
    }

    /// Reads CONNECT and answers a bad one.
    async fn greet<S>(&self, connection: &mut Connection<S>) -> Option<Admission>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let refusal = match connection.read().await {
            Ok(Some(Incoming::Connect(connect))) => match admit(&connect, &self.parts.passwords) {
                Ok(admission) => return Some(admission),
                Err(refusal) => {
                    tracing::info!(?connect, ?refusal, "MQTT login refused");
                    refusal
                }
            },
            Ok(_) => return None,
            Err(error) => {
                tracing::debug!(%error, "not an MQTT client");
                return None;
            }
        };
        let _ = connection.write(Outgoing::Refused(refusal)).await;
        connection.close().await;
        None
    }
}
