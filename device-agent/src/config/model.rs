use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{parse, refuse};
use crate::detect::Confidence;
use crate::runtime::RuntimeOptions;
use crate::threads::Threads;

/// What `make setup` leaves in the workspace.
const FILE: &str = "models/street_tiny_320.onnx";
/// Least score that is published. At the 0.25 that models are compared with, the default model shows ghosts: boxes
/// that come and go where nothing is. Who pays for a feed would rather miss a doubtful object.
const CONFIDENCE: f64 = 0.4;

/// What looks at the frames.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// The model file.
    pub file: PathBuf,
    /// Least score that counts.
    pub confidence: Confidence,
    /// CPU threads for one picture.
    pub threads: Threads,
    /// Where ONNX Runtime is.
    pub runtime: RuntimeOptions,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ModelSettings {
    pub(super) file: PathBuf,
    /// Decimal, so that it prints as it was written.
    pub(super) confidence: f64,
    /// As many as this machine has, where none are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) threads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) onnxruntime: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) onnxruntime_sha256: Option<String>,
}

impl ModelSettings {
    pub(super) fn check(self) -> Result<ModelConfig, ConfigError> {
        let threads = self
            .threads
            .map_or_else(|| Ok(Threads::default()), Threads::try_from)
            .map_err(|error| refuse("model.threads", error))?;
        let sum = self.onnxruntime_sha256;
        let sum = sum.map(|text| parse("model.onnxruntime_sha256", &text));
        Ok(ModelConfig {
            file: self.file,
            confidence: (self.confidence as f32)
                .try_into()
                .map_err(|error| refuse("model.confidence", error))?,
            threads,
            runtime: RuntimeOptions {
                library: self.onnxruntime,
                sha256: sum.transpose()?,
            },
        })
    }
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            file: FILE.into(),
            confidence: CONFIDENCE,
            threads: None,
            onnxruntime: None,
            onnxruntime_sha256: None,
        }
    }
}
