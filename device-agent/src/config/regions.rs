use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{refuse, seconds};

/// Most regions of a picture; each costs a run of the model.
const LIMIT: usize = 4;
/// No machine that needs a limit runs a model so often.
const MAX_LIMIT: usize = 64;
/// Time between two looks at the whole of a large picture while something moves, in seconds.
const WHOLE: f64 = 5.0;

/// How large pictures are looked at.
#[derive(Debug, Clone)]
pub struct RegionsConfig {
    /// Most regions of a picture.
    pub limit: NonZeroUsize,
    /// Time between two looks at the whole picture while something moves.
    pub whole: Duration,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RegionsSettings {
    pub(super) enabled: bool,
    pub(super) limit: usize,
    pub(super) whole_seconds: f64,
}

impl RegionsSettings {
    /// None when every picture is to be looked at as a whole.
    pub(super) fn check(&self) -> Result<Option<RegionsConfig>, ConfigError> {
        let limit = NonZeroUsize::new(self.limit).filter(|limit| limit.get() <= MAX_LIMIT);
        let Some(limit) = limit else {
            return Err(refuse(
                "regions.limit",
                format!("expected 1 to {MAX_LIMIT}"),
            ));
        };
        let config = RegionsConfig {
            limit,
            whole: seconds("regions.whole_seconds", self.whole_seconds)?,
        };
        Ok(self.enabled.then_some(config))
    }
}

impl Default for RegionsSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            limit: LIMIT,
            whole_seconds: WHOLE,
        }
    }
}
