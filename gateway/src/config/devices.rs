use std::collections::BTreeSet;

use ashya_protocol::{Address, DeviceId};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::refuse;
use crate::defaults::MAX_DEVICES;
use crate::registration_policy::RegistrationPolicy;

/// Whose devices are taken, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DeviceSettings {
    pub(super) max: usize,
    registration: String,
    owners: BTreeSet<Address>,
    devices: BTreeSet<DeviceId>,
}

impl DeviceSettings {
    pub(super) fn policy(self) -> Result<RegistrationPolicy, ConfigError> {
        match self.registration.as_str() {
            "open" => Ok(RegistrationPolicy::Open),
            "listed" => Ok(RegistrationPolicy::Listed {
                owners: self.owners,
                devices: self.devices,
            }),
            _ => Err(refuse("devices.registration", "must be open or listed")),
        }
    }
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            max: MAX_DEVICES,
            registration: "open".into(),
            owners: BTreeSet::new(),
            devices: BTreeSet::new(),
        }
    }
}
