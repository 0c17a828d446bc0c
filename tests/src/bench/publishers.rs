//! Who publishes: a client of a peer, or a device that signs.

use std::net::{SocketAddr, TcpStream};

use anyhow::Result;
use ashya_protocol::rest::Credentials;
use ashya_tests::Device;

use crate::dialect::{Dialect, Turn, mqtt_connect, mqtt_publish};
use crate::load::{converse, stamped, write_all};

/// Publishes messages of one size.
pub(crate) struct Publisher {
    stream: TcpStream,
    size: usize,
    kind: Kind,
}

enum Kind {
    Peer(Dialect),
    Device {
        device: Box<Device>,
        stream: &'static str,
        topic: String,
        /// Bytes of an envelope beside its payload.
        overhead: usize,
        /// Of the last acknowledged publish; `None` for pictures, which are not acknowledged.
        identifier: Option<u16>,
    },
}

impl Publisher {
    /// A client of a peer, with messages of so many bytes.
    pub(crate) fn of_peer(server: SocketAddr, dialect: Dialect, size: usize) -> Result<Self> {
        let stream = converse(server, dialect.publisher(server))?;
        stream.set_nonblocking(true)?;
        let kind = Kind::Peer(dialect);
        Ok(Self { stream, size, kind })
    }

    /// A device, with envelopes of so many bytes: pictures without acknowledgement, anything else with.
    pub(crate) fn of_device(
        broker: SocketAddr,
        credentials: &Credentials,
        mut device: Device,
        stream: &'static str,
        size: usize,
    ) -> Result<Self> {
        let name = device.id().to_string();
        let login = (credentials.username.as_str(), credentials.password.as_str());
        let hello = Turn {
            say: mqtt_connect(&name, Some(login)),
            until: vec![0x20, 2, 0, 0],
        };
        let connection = converse(broker, vec![hello])?;
        connection.set_nonblocking(true)?;
        let sample = vec![b'x'; size];
        let overhead = device.envelope(stream, &sample)?.len() - sample.len();
        Ok(Self {
            stream: connection,
            size,
            kind: Kind::Device {
                topic: device.topic(stream)?,
                device: Box::new(device),
                stream,
                overhead,
                identifier: (stream != "frames").then_some(0),
            },
        })
    }

    /// Publishes so many messages, made now.
    pub(crate) fn send(&mut self, count: u64, scratch: &mut [u8]) -> Result<()> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            bytes.extend(self.kind.message(self.size)?);
        }
        write_all(&mut self.stream, &bytes, scratch)
    }
}

impl Kind {
    fn message(&mut self, size: usize) -> Result<Vec<u8>> {
        match self {
            Self::Peer(dialect) => Ok(dialect.publish(&stamped(size))),
            Self::Device {
                device,
                stream,
                topic,
                overhead,
                identifier,
            } => {
                let payload = stamped(size - *overhead);
                let envelope = device.envelope(stream, &payload)?;
                // Zero is none (MQTT 3.1.1, section 2.3.1).
                *identifier = identifier.map(|last| last.checked_add(1).unwrap_or(1));
                Ok(mqtt_publish(topic, &envelope, *identifier))
            }
        }
    }
}
