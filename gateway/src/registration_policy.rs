use std::collections::BTreeSet;

use ashya_protocol::{Address, DeviceId};

/// Whose devices a gateway takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RegistrationPolicy {
    /// Everybody's.
    #[default]
    Open,
    /// Those that are named, and those of these owners. Anybody's device may name an owner who knows nothing of it: it may
    /// register then, but only listings of feeds that the owner owns on the ledger are taken and shown.
    Listed {
        /// The owners.
        owners: BTreeSet<Address>,
        /// The devices.
        devices: BTreeSet<DeviceId>,
    },
}

impl RegistrationPolicy {
    /// Whether a device may register that names this owner, or be sold by them.
    pub(crate) fn admits(&self, owner: Address, device: DeviceId) -> bool {
        match self {
            Self::Open => true,
            Self::Listed { owners, devices } => {
                owners.contains(&owner) || devices.contains(&device)
            }
        }
    }
}
