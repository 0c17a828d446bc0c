use std::path::PathBuf;

use ashya_protocol::{DeviceKey, Wei};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{positive, read_file, refuse};
use crate::defaults::{OUTAGE_MAX_FEE_GWEI, OUTAGE_MILLIETHER_PER_DAY, OUTAGE_PAUSES_PER_FEED};
use crate::outage::Limits;
use crate::private::open_mode;

const WEI_PER_GWEI: u128 = 1_000_000_000;
const WEI_PER_MILLIETHER: u128 = 1_000_000_000_000_000;

/// Pauses for silent devices.
#[derive(Debug, Clone)]
pub struct OutageConfig {
    /// The wallet that owners name as pauser, and that pays for the gas.
    pub key: DeviceKey,
    /// What it may cost.
    pub limits: Limits,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OutageSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_file: Option<PathBuf>,
    /// Most for a unit of gas, tip included. The wallet should have what 16 transactions of 60,000 gas cost at this.
    max_fee_gwei: u64,
    /// Most for the pauses of a day and their resumes. What they may cost counts until it is known what they have cost;
    /// for the resume of a paused feed that are 80,000 gas at the highest fee.
    max_milliether_per_day: u64,
    /// Most pauses of one feed; it is charged for as always once they are used up.
    pauses_per_feed_per_day: u32,
}

impl OutageSettings {
    /// Reads the key; nothing where none is given.
    pub(super) fn check(self) -> Result<Option<OutageConfig>, ConfigError> {
        let Some(path) = self.key_file else {
            return Ok(None);
        };
        let io_error = |source| ConfigError::File {
            path: path.clone(),
            source,
        };
        if let Some(mode) = open_mode(&path).map_err(io_error)? {
            let path = path.display();
            let reason = format!(
                "others may read {path} (mode {mode:03o}), whose wallet holds ETH: chmod 600 {path}"
            );
            return Err(refuse("outage.key_file", reason));
        }
        let text = read_file(&path)?;
        let key = DeviceKey::from_hex(text.trim()).map_err(|error| {
            let reason = format!("{}: {error}", path.display());
            refuse("outage.key_file", reason)
        })?;
        let max_fee = positive("outage.max_fee_gwei", self.max_fee_gwei)?;
        let limits = Limits {
            max_fee: Wei::new(u128::from(max_fee) * WEI_PER_GWEI),
            per_day: Wei::new(u128::from(self.max_milliether_per_day) * WEI_PER_MILLIETHER),
            pauses_per_feed: self.pauses_per_feed_per_day,
        };
        Ok(Some(OutageConfig { key, limits }))
    }
}

impl Default for OutageSettings {
    fn default() -> Self {
        Self {
            key_file: None,
            max_fee_gwei: OUTAGE_MAX_FEE_GWEI,
            max_milliether_per_day: OUTAGE_MILLIETHER_PER_DAY,
            pauses_per_feed_per_day: OUTAGE_PAUSES_PER_FEED,
        }
    }
}
