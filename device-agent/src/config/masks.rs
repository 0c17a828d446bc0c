use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::refuse;
use crate::polygon::Polygon;

/// Most polygons of a kind; a person draws a few.
const MAX_POLYGONS: usize = 32;

/// Corners of polygons, `[x, y]` in fractions (0 to 1) of the picture.
type Corners = Vec<Vec<[f64; 2]>>;

/// Parts of the picture that are treated apart.
#[derive(Debug, Clone)]
pub struct MasksConfig {
    /// Burnt black before anything looks at the picture.
    pub privacy: Vec<Polygon>,
    /// Where motion does not count.
    pub motion: Vec<Polygon>,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MasksSettings {
    pub(super) privacy: Corners,
    pub(super) motion: Corners,
}

impl MasksSettings {
    pub(super) fn check(self) -> Result<MasksConfig, ConfigError> {
        Ok(MasksConfig {
            privacy: polygons("masks.privacy", self.privacy)?,
            motion: polygons("masks.motion", self.motion)?,
        })
    }
}

fn polygons(name: &'static str, corners: Corners) -> Result<Vec<Polygon>, ConfigError> {
    if corners.len() > MAX_POLYGONS {
        let reason = format!(
            "{} polygons, expected at most {MAX_POLYGONS}",
            corners.len()
        );
        return Err(refuse(name, reason));
    }
    let numbered = (1..).zip(corners);
    numbered
        .map(|(number, corners)| {
            let wrong = |error| refuse(name, format!("polygon {number}: {error}"));
            Polygon::try_from(corners).map_err(wrong)
        })
        .collect()
}
