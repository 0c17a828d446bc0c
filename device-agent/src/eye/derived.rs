use std::time::{Duration, Instant};

use ashya_protocol::DetectedObject;

use crate::config::DerivedStream;
use crate::zones::Zone;

/// Time between two statements that a derived stream has nothing to show.
const EMPTY: Duration = Duration::from_secs(10);

/// A derived stream at work: which objects are in it, and when it is time to say so.
#[derive(Debug)]
pub(super) struct Derived {
    stream: DerivedStream,
    /// When it last spoke, and whether there was anything.
    last: Option<(Instant, Content)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Empty,
    Objects,
}

impl Derived {
    pub(super) const fn new(stream: DerivedStream) -> Self {
        Self { stream, last: None }
    }

    pub(super) fn name(&self) -> &str {
        self.stream.name.as_str()
    }

    /// The objects that belong in the stream.
    pub(super) fn select(&self, objects: &[DetectedObject]) -> Vec<DetectedObject> {
        let DerivedStream {
            labels,
            min_score,
            zones,
            ..
        } = &self.stream;
        let stands =
            |zone: &Zone, object: &DetectedObject| zone.holds(&object.label, object.bounds.0);
        objects
            .iter()
            .filter(|object| labels.is_empty() || labels.contains(&object.label))
            .filter(|object| object.score >= min_score.get())
            .filter(|object| zones.is_empty() || zones.iter().any(|zone| stands(zone, object)))
            .cloned()
            .collect()
    }

    /// Whether these objects are to be told. Who watches is told each time; for whoever reads later, nothing counts
    /// when it begins, and now and then.
    pub(super) fn is_due(
        &mut self,
        objects: &[DetectedObject],
        watched: bool,
        now: Instant,
    ) -> bool {
        let content = if objects.is_empty() {
            Content::Empty
        } else {
            Content::Objects
        };
        let due = watched
            || content == Content::Objects
            || self.last.is_none_or(|(spoke, before)| {
                before != content || now.saturating_duration_since(spoke) >= EMPTY
            });
        if due {
            self.last = Some((now, content));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use ashya_protocol::BoundingBox;

    use super::*;
    use crate::detect::Confidence;
    use crate::polygon::Polygon;

    fn object(label: &str, score: f32) -> DetectedObject {
        DetectedObject {
            track: Some(7),
            label: label.into(),
            class: 0,
            score,
            bounds: BoundingBox([0.1, 0.2, 0.3, 0.4]),
        }
    }

    fn derived(labels: &[&str], min_score: f32) -> Derived {
        Derived::new(DerivedStream {
            name: "people".parse().unwrap(),
            labels: labels.iter().map(|&label| label.into()).collect(),
            min_score: Confidence::try_from(min_score).unwrap(),
            zones: Vec::new(),
        })
    }

    #[test]
    fn a_stream_holds_what_it_is_made_for() {
        let objects = [
            object("person", 0.5),
            object("dog", 0.9),
            object("person", 0.9),
        ];
        for (labels, min_score, expected) in [
            (&["person"][..], 0.0, vec![0, 2]),
            (&["person"], 0.6, vec![2]),
            (&["person", "dog"], 0.9, vec![1, 2]),
            (&[], 0.0, vec![0, 1, 2]),
            (&["bus"], 0.0, vec![]),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|&index: &usize| objects[index].clone())
                .collect();
            let found = derived(labels, min_score).select(&objects);
            assert_eq!(found, expected, "{labels:?} {min_score}");
        }
    }

    #[test]
    fn a_stream_of_a_zone_holds_who_stands_there() {
        // The object stands at 0.25, 0.6.
        let objects = [object("person", 0.9), object("dog", 0.9)];
        let zone = |left: f64, labels: &[&str]| Zone {
            name: "drive".parse().unwrap(),
            polygon: Polygon::try_from(vec![
                [left, 0.5],
                [left + 0.2, 0.5],
                [left + 0.2, 0.7],
                [left, 0.7],
            ])
            .unwrap(),
            labels: labels.iter().map(|&label| label.into()).collect(),
            inertia: 1,
            loitering: None,
        };
        for (zones, expected) in [
            (vec![zone(0.2, &[])], 2),
            (vec![zone(0.6, &[])], 0),
            (vec![zone(0.6, &[]), zone(0.2, &["dog"])], 1),
        ] {
            let mut stream = derived(&[], 0.0);
            stream.stream.zones = zones;
            assert_eq!(stream.select(&objects).len(), expected);
        }
    }

    #[test]
    fn nothing_is_told_when_it_begins_and_now_and_then() {
        let mut stream = derived(&[], 0.0);
        let begin = Instant::now();
        let one = [object("person", 0.9)];
        for (second, objects, watched, due) in [
            (0, &[][..], false, true),
            (1, &[], false, false),
            (2, &one, false, true),
            (3, &one, false, true),
            (4, &[], false, true),
            (5, &[], false, false),
            (6, &[], true, true),
            (7, &[], false, false),
            (15, &[], false, false),
            (16, &[], false, true),
            (17, &[], false, false),
        ] {
            let now = begin + Duration::from_secs(second);
            assert_eq!(stream.is_due(objects, watched, now), due, "second {second}");
        }
    }
}
