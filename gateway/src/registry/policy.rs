use std::collections::BTreeSet;

use ashya_protocol::rest::Registration;
use ashya_protocol::{Address, DeviceId};

/// Whose devices a gateway takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RegistrationPolicy {
    /// Everybody's.
    #[default]
    Open,
    /// Those that are named, and those that name one of these owners.
    Listed {
        /// The owners.
        owners: BTreeSet<Address>,
        /// The devices.
        devices: BTreeSet<DeviceId>,
    },
}

impl RegistrationPolicy {
    /// Whether a device may register.
    pub(super) fn admits(&self, registration: &Registration) -> bool {
        match self {
            Self::Open => true,
            Self::Listed { owners, devices } => {
                owners.contains(&registration.owner) || devices.contains(&registration.device)
            }
        }
    }
}
