use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::detections::BoundingBox;
use crate::names::ZoneName;
use crate::numbers::{Seq, TimeUs};

/// The JSON payload of an `objects` event: what has become of one object that the device follows.
///
/// An object has one `new`, any number of `update`s and one `end`, all of one boot; a device that starts anew knows none of
/// the objects of its boot before. The schema stands in `objects.cddl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectEvent {
    /// What has happened.
    #[serde(rename = "type")]
    pub change: ObjectChange,
    /// The object's number within the boot, which `detections` call its `track`.
    pub id: u64,
    /// Name of its class.
    pub label: String,
    /// Index of its class in the model.
    pub class: u32,
    /// Confidence when it was last seen, 0 to 1.
    pub score: f32,
    /// The best confidence so far.
    pub top_score: f32,
    /// Where it was last seen.
    #[serde(rename = "box")]
    pub bounds: BoundingBox,
    /// When it was seen first.
    pub first_seen_us: TimeUs,
    /// When it was seen last; at the end that is a while ago.
    pub last_seen_us: TimeUs,
    /// Whether it has not moved for a while.
    pub stationary: bool,
    /// The zones that it has to do with.
    pub zones: ObjectZones,
    /// How many objects of each label are in each zone now; empty zones are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<ZoneName, BTreeMap<String, u32>>,
    /// Number of the `snapshots` event (of the same boot) that shows it best; absent when none was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Seq>,
}

/// What has happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectChange {
    /// It was seen often enough to be no mistake.
    New,
    /// It has moved, stopped, started, or entered or left a zone.
    Update,
    /// It has not been seen for a while and is gone for good.
    End,
}

/// The zones that an object has to do with, each list in the order of names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectZones {
    /// Those that it has ever been in.
    pub entered: Vec<ZoneName>,
    /// Those that it is in.
    pub current: Vec<ZoneName>,
    /// Those that it is in for longer than it should be.
    pub loitering: Vec<ZoneName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_on_the_wire_is_as_documented() {
        let gate: ZoneName = "gate".parse().unwrap();
        let time = |us: u64| TimeUs::try_from(1_790_000_000_000_000 + us).unwrap();
        let event = ObjectEvent {
            change: ObjectChange::End,
            id: 17,
            label: "person".into(),
            class: 0,
            score: 0.5,
            top_score: 0.75,
            bounds: BoundingBox([0.25, 0.5, 0.125, 0.25]),
            first_seen_us: time(0),
            last_seen_us: time(5),
            stationary: false,
            zones: ObjectZones {
                entered: vec![gate.clone()],
                ..ObjectZones::default()
            },
            counts: [(gate, [("person".to_owned(), 2)].into())].into(),
            snapshot: Some(Seq::FIRST),
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(
            text,
            r#"{"type":"end","id":17,"label":"person","class":0,"score":0.5,"topScore":0.75,"box":[0.25,0.5,0.125,0.25],"firstSeenUs":1790000000000000,"lastSeenUs":1790000000000005,"stationary":false,"zones":{"entered":["gate"],"current":[],"loitering":[]},"counts":{"gate":{"person":2}},"snapshot":0}"#
        );
        assert_eq!(serde_json::from_str::<ObjectEvent>(&text).unwrap(), event);
        let plain = ObjectEvent {
            counts: BTreeMap::new(),
            snapshot: None,
            ..event
        };
        let text = serde_json::to_string(&plain).unwrap();
        assert!(text.ends_with(r#""loitering":[]}}"#), "{text}");
        assert_eq!(serde_json::from_str::<ObjectEvent>(&text).unwrap(), plain);
    }
}
