use std::collections::BTreeSet;

use ashya_protocol::StreamName;
use ashya_protocol::limits::MAX_STREAMS;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{check_reported, parse, refuse};
use crate::detect::Confidence;
use crate::zones::Zone;

/// Streams that the agent has of its own, or keeps for itself.
const RESERVED: [&str; 5] = [
    StreamName::DETECTIONS,
    StreamName::FRAMES,
    StreamName::OBJECTS,
    StreamName::SNAPSHOTS,
    StreamName::STATUS,
];
/// Most derived streams, so that those of the agent's own still fit a registration.
const MAX_DERIVED: usize = MAX_STREAMS - RESERVED.len();

/// A stream of what is seen that holds only some of the objects, to be sold apart.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedStream {
    /// Its name.
    pub name: StreamName,
    /// The classes that it holds; all when there is none.
    pub labels: BTreeSet<String>,
    /// Least score of what it holds.
    pub min_score: Confidence,
    /// Where what it holds stands; anywhere when there is none.
    pub zones: Vec<Zone>,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamSettings {
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: Vec<String>,
    #[serde(default)]
    pub(super) min_score: f64,
    #[serde(default)]
    pub(super) zones: Vec<String>,
}

/// Checks all of them; `reported` are the labels that the model reports, all where none is named.
pub(super) fn check(
    streams: Vec<StreamSettings>,
    zones: &[Zone],
    reported: &[String],
) -> Result<Vec<DerivedStream>, ConfigError> {
    if streams.len() > MAX_DERIVED {
        let reason = format!("{} streams, expected at most {MAX_DERIVED}", streams.len());
        return Err(refuse("streams", reason));
    }
    let mut names = BTreeSet::new();
    streams
        .into_iter()
        .map(|stream| {
            let name: StreamName = parse("streams.name", &stream.name)?;
            if RESERVED.contains(&name.as_str()) {
                let reason = format!("`{}` is one of the agent's own streams", name.as_str());
                return Err(refuse("streams.name", reason));
            }
            if !names.insert(name.clone()) {
                let reason = format!("two streams are called `{}`", name.as_str());
                return Err(refuse("streams.name", reason));
            }
            let zone = |wanted: &String| {
                let zone = zones.iter().find(|zone| zone.name.as_str() == wanted);
                let missing = || refuse("streams.zones", format!("there is no zone `{wanted}`"));
                zone.cloned().ok_or_else(missing)
            };
            for label in &stream.labels {
                check_reported(label, reported)
                    .map_err(|reason| refuse("streams.labels", reason))?;
            }
            let min_score = (stream.min_score as f32).try_into();
            Ok(DerivedStream {
                name,
                labels: stream.labels.into_iter().collect(),
                min_score: min_score.map_err(|error| refuse("streams.min_score", error))?,
                zones: stream.zones.iter().map(zone).collect::<Result<_, _>>()?,
            })
        })
        .collect()
}
