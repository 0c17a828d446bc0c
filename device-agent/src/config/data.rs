use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Beside the working directory, so that a first try needs no rights elsewhere.
const FOLDER: &str = "agent-data";

/// The data folder, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DataSettings {
    pub(super) folder: PathBuf,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            folder: default_folder(),
        }
    }
}

/// Where the data folder is by default.
pub(crate) fn default_folder() -> PathBuf {
    FOLDER.into()
}
