use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{check_reported, refuse};
use crate::detect::{Confidence, LabelLimits, Limits};

/// What objects of one label must be like to be reported, before it is checked: a table of `[[filters]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterSettings {
    label: String,
    /// In place of `confidence` in `[model]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_score: Option<f64>,
    /// Shares of the picture.
    #[serde(default)]
    min_area: f64,
    #[serde(default = "whole")]
    max_area: f64,
    /// Width over height.
    #[serde(default)]
    min_ratio: f64,
    #[serde(default = "endless")]
    max_ratio: f64,
}

/// Checks all of them; `labels` are those that are reported, all of the model where none is named.
pub(super) fn check(
    filters: &[FilterSettings],
    labels: &[String],
) -> Result<Vec<LabelLimits>, ConfigError> {
    let mut seen = BTreeSet::new();
    for FilterSettings { label, .. } in filters {
        if !seen.insert(label) {
            let reason = format!("two filters are for `{label}`; write both into one");
            return Err(refuse("filters.label", reason));
        }
        check_reported(label, labels).map_err(|reason| refuse("filters.label", reason))?;
    }
    filters.iter().map(FilterSettings::check).collect()
}

impl FilterSettings {
    fn check(&self) -> Result<LabelLimits, ConfigError> {
        let score = self
            .min_score
            .map(|score| Confidence::try_from(score as f32))
            .transpose()
            .map_err(|error| refuse("filters.min_score", error))?;
        if !(0.0 <= self.min_area && self.min_area <= self.max_area && self.max_area <= 1.0) {
            let reason = "expected shares of the picture, 0 to 1, the least first";
            return Err(refuse("filters.min_area, max_area", reason));
        }
        if !(0.0 <= self.min_ratio && self.min_ratio <= self.max_ratio) {
            let reason = "expected width over height from 0, the least first";
            return Err(refuse("filters.min_ratio, max_ratio", reason));
        }
        Ok(LabelLimits {
            label: self.label.clone(),
            limits: Limits {
                score,
                area: (self.min_area as f32, self.max_area as f32),
                ratio: (self.min_ratio as f32, self.max_ratio as f32),
            },
        })
    }
}

const fn whole() -> f64 {
    1.0
}

const fn endless() -> f64 {
    f64::INFINITY
}
