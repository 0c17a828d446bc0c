//! Which devices are connected now.

use std::collections::BTreeSet;
use std::sync::Arc;

use ashya_protocol::DeviceId;
use parking_lot::RwLock;
use tokio::sync::broadcast;

/// Changes that a slow reader may fall behind before it must ask [`Presence::is_online`] afresh.
const CHANGES_KEPT: usize = 1024;

/// The devices that hold an MQTT session. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Presence {
    online: Arc<RwLock<BTreeSet<DeviceId>>>,
    changes: broadcast::Sender<(DeviceId, bool)>,
}

impl Presence {
    /// Nobody is online.
    pub fn new() -> Self {
        Self {
            online: Arc::default(),
            changes: broadcast::Sender::new(CHANGES_KEPT),
        }
    }

    /// Notes that a device came or went.
    pub fn set(&self, device: DeviceId, online: bool) {
        let mut set = self.online.write();
        let changed = if online {
            set.insert(device)
        } else {
            set.remove(&device)
        };
        // Sent under the lock, so that changes arrive in the order in which they happened. Nobody listening is fine.
        if changed {
            let _ = self.changes.send((device, online));
        }
    }

    /// Whether the device is connected now.
    pub fn is_online(&self, device: DeviceId) -> bool {
        self.online.read().contains(&device)
    }

    /// Devices that come (`true`) and go (`false`) from now on. After `Lagged`, ask [`Self::is_online`].
    pub fn changes(&self) -> broadcast::Receiver<(DeviceId, bool)> {
        self.changes.subscribe()
    }
}

impl Default for Presence {
    fn default() -> Self {
        Self::new()
    }
}
