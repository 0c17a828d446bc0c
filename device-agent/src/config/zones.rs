use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{check_reported, parse, refuse, seconds};
use crate::polygon::Polygon;
use crate::zones::Zone;

/// Frames in a row that make somebody enter or leave: what a detector's box shakes by on a border is over in two.
const INERTIA: u32 = 3;
/// Most zones; each event names those that an object is in.
const MAX_ZONES: usize = 32;

/// A named part of the picture, before it is checked: a table of `[zones]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ZoneSettings {
    /// Corners `[x, y]` in fractions (0 to 1) of the picture.
    polygon: Vec<[f64; 2]>,
    /// Whom it is for; all when empty.
    #[serde(default)]
    labels: BTreeSet<String>,
    #[serde(default = "inertia")]
    inertia: u32,
    /// How long somebody may stay; for ever where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    loitering_seconds: Option<f64>,
}

/// Checks all of them; `reported` are the labels that the model reports, all where none is named.
pub(super) fn check(
    zones: BTreeMap<String, ZoneSettings>,
    reported: &[String],
) -> Result<Vec<Zone>, ConfigError> {
    if zones.len() > MAX_ZONES {
        let reason = format!("{} zones, expected at most {MAX_ZONES}", zones.len());
        return Err(refuse("zones", reason));
    }
    let zone = |(name, zone): (String, ZoneSettings)| {
        let wrong = |error| refuse("zones", format!("{name}.polygon: {error}"));
        let polygon = Polygon::try_from(zone.polygon).map_err(wrong)?;
        if zone.inertia == 0 {
            return Err(refuse(
                "zones",
                format!("{name}.inertia: expected 1 or more"),
            ));
        }
        for label in &zone.labels {
            let wrong = |reason| refuse("zones", format!("{name}.labels: {reason}"));
            check_reported(label, reported).map_err(wrong)?;
        }
        let loitering = zone
            .loitering_seconds
            .map(|value| seconds("zones: loitering_seconds", value));
        Ok(Zone {
            name: parse("zones", &name)?,
            polygon,
            labels: zone.labels,
            inertia: zone.inertia,
            loitering: loitering.transpose()?,
        })
    };
    zones.into_iter().map(zone).collect()
}

const fn inertia() -> u32 {
    INERTIA
}
