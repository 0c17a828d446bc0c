use std::sync::Arc;

use crate::ids::DeviceId;
use crate::names::{ContentType, StreamName};
use crate::numbers::{Position, TimeUs};

/// What a device saw or measured, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The device that speaks.
    pub device: DeviceId,
    /// The stream that the event belongs to.
    pub stream: StreamName,
    /// Start of the device and number within it.
    pub position: Position,
    /// Time of capture.
    pub time_us: TimeUs,
    /// Media type of the payload.
    pub content_type: ContentType,
    /// The payload itself, at most [`crate::limits::MAX_PAYLOAD_BYTES`]; shared, since many subscribers may receive it.
    pub payload: Arc<[u8]>,
}
