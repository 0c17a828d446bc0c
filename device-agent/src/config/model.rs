use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{parse, refuse};
use super::filters::{self, FilterSettings};
use crate::detect::{FilterRules, ModelOptions, Provider};
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
    /// The model file, and how it runs.
    pub options: ModelOptions,
    /// Which objects count.
    pub rules: FilterRules,
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
    /// The labels that are reported; all when none is named.
    pub(super) labels: Vec<String>,
    /// As many as this machine has, where none are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) threads: Option<usize>,
    /// What may compute it, the best first.
    pub(super) providers: Vec<String>,
    /// `WIDTHxHEIGHT` of a dynamic input; what the model says, where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) onnxruntime: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) onnxruntime_sha256: Option<String>,
}

impl ModelSettings {
    pub(super) fn check(self, filters: &[FilterSettings]) -> Result<ModelConfig, ConfigError> {
        let threads = self
            .threads
            .map_or_else(|| Ok(Threads::default()), Threads::try_from)
            .map_err(|error| refuse("model.threads", error))?;
        let providers = self.providers.iter();
        let providers = providers.map(|name| parse("model.providers", name));
        let input = self.input.map(|size| parse("model.input", &size));
        let sum = self.onnxruntime_sha256;
        let sum = sum.map(|text| parse("model.onnxruntime_sha256", &text));
        Ok(ModelConfig {
            options: ModelOptions {
                file: self.file,
                threads,
                providers: providers.collect::<Result<_, _>>()?,
                input: input.transpose()?,
            },
            rules: FilterRules {
                limits: filters::check(filters, &self.labels)?,
                confidence: (self.confidence as f32)
                    .try_into()
                    .map_err(|error| refuse("model.confidence", error))?,
                labels: self.labels,
            },
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
            labels: Vec::new(),
            threads: None,
            providers: vec![Provider::Cpu.to_string()],
            input: None,
            onnxruntime: None,
            onnxruntime_sha256: None,
        }
    }
}
