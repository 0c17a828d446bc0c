//! Names of places in what devices publish.

use ashya_protocol::{DeviceId, Seq, StreamName};

/// One stream of one device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamKey {
    pub(crate) device: DeviceId,
    pub(crate) stream: StreamName,
}

/// Numbers of one boot that never came, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// First missing number.
    pub(crate) from: Seq,
    /// Last missing number.
    pub(crate) to: Seq,
}
