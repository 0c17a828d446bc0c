use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::defaults::EXPORT_MINUTES;

/// The data folder, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DataSettings {
    pub(super) folder: PathBuf,
    /// 0 exports never.
    pub(super) export_minutes: u64,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            folder: "data".into(),
            export_minutes: EXPORT_MINUTES,
        }
    }
}
