use thiserror::Error;

use crate::detect::{Candidate, Confidence, Size};

/// What an object must be like to be reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Score that it must exceed, in place of the one for all labels; 0 to 1.
    pub score: Option<Confidence>,
    /// Least and greatest share of the picture that its box covers, 0 to 1.
    pub area: (f32, f32),
    /// Least and greatest width of its box over the height.
    pub ratio: (f32, f32),
}

/// The limits of one label, as the owner writes them.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelLimits {
    /// A label of the model.
    pub label: String,
    /// Its limits.
    pub limits: Limits,
}

/// Which objects to report, as the owner writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterRules {
    /// Score that an object must exceed where its label has no other.
    pub confidence: Confidence,
    /// The labels that are reported; all of the model when none is named.
    pub labels: Vec<String>,
    /// What they must be like.
    pub limits: Vec<LabelLimits>,
}

/// Which objects to report, by the classes of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    confidence: Confidence,
    /// By class; none for one that is not reported.
    classes: Vec<Option<Limits>>,
}

/// A rule for what the model does not know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the model has no label `{label}`; it has {known}")]
pub struct FilterError {
    label: String,
    known: String,
}

impl Limits {
    /// Limits that everything keeps.
    pub const NONE: Self = Self {
        score: None,
        area: (0.0, 1.0),
        ratio: (0.0, f32::INFINITY),
    };

    fn suit(&self, object: &Candidate, picture: Size) -> bool {
        let bounds = object.bounds;
        let (width, height) = (bounds.x2 - bounds.x1, bounds.y2 - bounds.y1);
        let area = bounds.area() / (picture.width as f32 * picture.height as f32);
        let within = |value: f32, (least, most): (f32, f32)| least <= value && value <= most;
        within(area, self.area) && within(width / height, self.ratio)
    }
}

impl FilterRules {
    /// Everything above a score.
    pub const fn above(confidence: Confidence) -> Self {
        Self {
            confidence,
            labels: Vec::new(),
            limits: Vec::new(),
        }
    }
}

impl Filter {
    /// Finds the labels of the rules among those of a model.
    ///
    /// # Errors
    /// When the model does not have one of them: whoever mistypes a label would wait for it for ever.
    pub fn new(rules: &FilterRules, known: &[String]) -> Result<Self, FilterError> {
        // A model may call several of its classes the same.
        let classes_of = |label: &String| {
            let named = (0..known.len()).filter(|&class| known[class] == *label);
            let named: Vec<usize> = named.collect();
            let unknown = || FilterError {
                label: label.clone(),
                known: known.join(", "),
            };
            (!named.is_empty()).then_some(named).ok_or_else(unknown)
        };
        let all = rules.labels.is_empty();
        let mut classes = vec![all.then_some(Limits::NONE); known.len()];
        for label in &rules.labels {
            for class in classes_of(label)? {
                classes[class] = Some(Limits::NONE);
            }
        }
        for LabelLimits { label, limits } in &rules.limits {
            for class in classes_of(label)? {
                classes[class] = classes[class].and(Some(*limits));
            }
        }
        Ok(Self {
            confidence: rules.confidence,
            classes,
        })
    }

    /// The score that a model must look down to, so that the label with the lowest one is found.
    pub fn floor(&self) -> Confidence {
        let scores = self.classes.iter().flatten();
        let scores = scores.map(|limits| limits.score.unwrap_or(self.confidence));
        scores.fold(
            self.confidence,
            |lowest, score| {
                if score < lowest { score } else { lowest }
            },
        )
    }

    /// Whether an object in a picture of a size is reported. One of a class that has no name is not.
    pub fn admits(&self, object: &Candidate, picture: Size) -> bool {
        let enough = |limits: Limits| limits.score.unwrap_or(self.confidence).get();
        let limits = self.limits(object);
        self.suits(object, picture) && limits.is_some_and(|limits| object.score > enough(limits))
    }

    /// Whether it would be reported if the model were sure of it.
    pub fn suits(&self, object: &Candidate, picture: Size) -> bool {
        let limits = self.limits(object);
        limits.is_some_and(|limits| limits.suit(object, picture))
    }

    /// The classes that have a score of their own, and the score.
    pub fn scores(&self) -> impl Iterator<Item = (u32, f32)> {
        let classes = (0..).zip(&self.classes);
        classes.filter_map(|(class, limits)| Some((class, (*limits)?.score?.get())))
    }

    fn limits(&self, object: &Candidate) -> Option<Limits> {
        *self.classes.get(object.class as usize)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::PixelBox;

    const PICTURE: Size = Size {
        width: 100,
        height: 100,
    };
    const PERSON: Limits = Limits {
        area: (0.01, 0.25),
        ratio: (0.2, 1.0),
        ..Limits::NONE
    };

    fn score(value: f32) -> Confidence {
        value.try_into().unwrap()
    }

    fn filter(labels: &[&str], limits: &[(&str, Limits)]) -> Result<Filter, FilterError> {
        let rules = FilterRules {
            confidence: score(0.5),
            labels: labels.iter().map(ToString::to_string).collect(),
            limits: limits
                .iter()
                .map(|&(label, limits)| LabelLimits {
                    label: label.into(),
                    limits,
                })
                .collect(),
        };
        Filter::new(&rules, &["person", "dog", "car"].map(String::from))
    }

    fn object(class: u32, score: f32, (width, height): (f32, f32)) -> Candidate {
        let bounds = PixelBox {
            x1: 10.0,
            y1: 10.0,
            x2: 10.0 + width,
            y2: 10.0 + height,
        };
        Candidate {
            bounds,
            score,
            class,
        }
    }

    #[test]
    fn what_is_reported() {
        let low = Limits {
            score: Some(score(0.3)),
            ..Limits::NONE
        };
        let all = filter(&[], &[("person", PERSON), ("dog", low)]).unwrap();
        let people = filter(&["person"], &[("dog", low)]).unwrap();
        for (filter, class, score, size, reported) in [
            (&all, 0, 0.6, (20.0, 40.0), true),
            (&all, 0, 0.5, (20.0, 40.0), false), // at the threshold
            (&all, 0, 0.6, (5.0, 10.0), false),  // half a hundredth of the picture
            (&all, 0, 0.6, (10.0, 10.0), true),  // at the least area and the greatest ratio
            (&all, 0, 0.6, (50.0, 60.0), false), // a third of it
            (&all, 0, 0.6, (40.0, 20.0), false), // lies down
            (&all, 0, 0.6, (5.0, 50.0), false),  // a post
            (&all, 0, 0.6, (0.0, 0.0), false),   // nothing
            (&all, 1, 0.4, (40.0, 20.0), true),
            (&all, 1, 0.3, (40.0, 20.0), false),
            (&all, 2, 0.6, (90.0, 9.0), true),
            (&all, 2, 0.4, (90.0, 9.0), false),
            (&people, 0, 0.6, (50.0, 60.0), true),
            (&people, 1, 0.9, (40.0, 20.0), false), // limits do not put a label on the list
            (&people, 2, 0.9, (40.0, 20.0), false),
        ] {
            let object = object(class, score, size);
            assert_eq!(filter.admits(&object, PICTURE), reported, "{object:?}");
        }
    }

    #[test]
    fn a_class_without_a_name_is_on_no_list() {
        for labels in [&[][..], &["person"]] {
            let filter = filter(labels, &[]).unwrap();
            let object = object(7, 0.9, (20.0, 40.0));
            assert!(!filter.suits(&object, PICTURE), "{labels:?}");
            assert!(!filter.admits(&object, PICTURE), "{labels:?}");
        }
    }

    #[test]
    fn a_label_names_every_class_that_is_called_so() {
        let known = ["car", "dog", "car"].map(String::from);
        let high = LabelLimits {
            label: "car".into(),
            limits: Limits {
                score: Some(score(0.8)),
                ..Limits::NONE
            },
        };
        let rules = FilterRules {
            labels: vec!["car".into()],
            limits: vec![high],
            ..FilterRules::above(score(0.5))
        };
        let filter = Filter::new(&rules, &known).unwrap();
        for (class, score, reported) in [
            (0, 0.9, true),
            (1, 0.9, false),
            (2, 0.9, true),
            (2, 0.7, false),
        ] {
            let object = object(class, score, (20.0, 40.0));
            assert_eq!(filter.admits(&object, PICTURE), reported, "{object:?}");
        }
    }

    #[test]
    fn a_model_looks_down_to_the_lowest_score() {
        let of = |value| Limits {
            score: Some(score(value)),
            ..Limits::NONE
        };
        for (labels, limits, floor) in [
            (&[][..], &[][..], 0.5),
            (&[], &[("dog", of(0.3))], 0.3),
            (&[], &[("dog", of(0.8))], 0.5),
            (&["car"], &[("dog", of(0.3))], 0.5),
        ] {
            let filter = filter(labels, limits).unwrap();
            assert_eq!(filter.floor(), score(floor), "{labels:?}");
        }
    }

    #[test]
    fn an_unsure_object_may_suit() {
        let high = Limits {
            score: Some(score(0.8)),
            ..Limits::NONE
        };
        let filter = filter(&["person", "car"], &[("person", PERSON), ("car", high)]).unwrap();
        for (class, size, suits) in [
            (0, (20.0, 40.0), true),
            (0, (5.0, 10.0), false),
            (1, (20.0, 40.0), false),
            (2, (5.0, 10.0), true),
        ] {
            let object = object(class, 0.1, size);
            assert_eq!(filter.suits(&object, PICTURE), suits, "{object:?}");
            assert!(!filter.admits(&object, PICTURE));
        }
        assert_eq!(filter.scores().collect::<Vec<_>>(), [(2, 0.8)]);
    }

    #[test]
    fn a_label_that_no_model_has_is_named() {
        for wrong in [filter(&["persn"], &[]), filter(&[], &[("persn", PERSON)])] {
            let error = wrong.unwrap_err().to_string();
            assert!(
                error.contains("`persn`") && error.contains("person, dog"),
                "{error}"
            );
        }
    }
}
