//! What is known of a device beside its registration.

use ashya_protocol::DeviceId;

use crate::hub::Hub;
use crate::outage::Heard;
use crate::positions::Positions;

/// What devices leave behind that have published. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Traces {
    pub(crate) positions: Positions,
    pub(crate) hub: Hub,
    pub(crate) heard: Heard,
}

impl Traces {
    /// Forgets a device that has made room for another and that no feed sells: otherwise devices that come and go would
    /// fill the memory. Who sends its old events again gives away what nobody has bought.
    pub(crate) fn forget(&self, device: DeviceId) {
        self.positions.forget(device);
        self.hub.forget(device);
        self.heard.forget(device);
    }
}
