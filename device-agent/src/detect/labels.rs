use std::path::{Path, PathBuf};

use thiserror::Error;

/// Endings of the files beside a model that may name its classes, one a line.
const SIDECARS: [&str; 2] = ["names.txt", "labels"];

/// Why the classes of a model have no names.
#[derive(Debug, Error)]
pub enum LabelsError {
    /// Nothing names them.
    #[error(
        "the model has {classes} classes and nothing names them; write one name a line into {sidecar}"
    )]
    Missing {
        /// Classes in the output.
        classes: usize,
        /// The file that would name them.
        sidecar: String,
    },
    /// Nothing names them, and the model does not say how many there are.
    #[error(
        "an end-to-end model does not say how many classes it has, and nothing names them; write one name a line \
         into {sidecar}"
    )]
    Unnamed {
        /// The file that would name them.
        sidecar: String,
    },
    /// The number of names is not the number of classes.
    #[error("{origin} has {found} class names, the model's output has {classes} classes")]
    Count {
        /// Where the names stand.
        origin: String,
        /// Names found.
        found: usize,
        /// Classes in the output.
        classes: usize,
    },
    /// The metadata cannot be read.
    #[error("the model's metadata `names` is not a list of names: {0}")]
    Metadata(String),
    /// The sidecar cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Names the classes of a model: from a file beside it, else from its metadata, else COCO's where there are 80. How
/// many names there must be is known unless the model is an end-to-end one.
pub(crate) fn labels_of(
    model: &Path,
    metadata: Option<&str>,
    classes: Option<usize>,
) -> Result<Vec<String>, LabelsError> {
    let sidecars: Vec<PathBuf> = SIDECARS
        .iter()
        .map(|end| model.with_extension(end))
        .collect();
    let (origin, labels) = match (sidecars.iter().find(|path| path.is_file()), metadata) {
        (Some(path), _) => (path.display().to_string(), read_sidecar(path)?),
        (None, Some(text)) => (
            "the model's metadata".to_owned(),
            parse_names(text)
                .ok_or_else(|| LabelsError::Metadata(text.chars().take(80).collect()))?,
        ),
        (None, None) if classes == Some(COCO.len()) => (
            "COCO".to_owned(),
            COCO.iter().map(ToString::to_string).collect(),
        ),
        (None, None) => {
            let sidecar = sidecars[0].display().to_string();
            return Err(match classes {
                Some(classes) => LabelsError::Missing { classes, sidecar },
                None => LabelsError::Unnamed { sidecar },
            });
        }
    };
    match classes {
        Some(classes) if classes != labels.len() => Err(LabelsError::Count {
            origin,
            found: labels.len(),
            classes,
        }),
        _ => Ok(labels),
    }
}

fn read_sidecar(path: &Path) -> Result<Vec<String>, LabelsError> {
    let text = std::fs::read_to_string(path).map_err(|source| LabelsError::Read {
        path: path.display().to_string(),
        source,
    })?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Reads the `names` that Ultralytics writes: a Python literal, `{0: 'person', 1: "dog's"}` or `['person', …]`.
///
/// The keys of a dictionary must be 0, 1, 2 and so on, in any order.
fn parse_names(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let (inner, keyed) = match (text.as_bytes().first()?, text.as_bytes().last()?) {
        (b'{', b'}') => (&text[1..text.len() - 1], true),
        (b'[', b']') => (&text[1..text.len() - 1], false),
        _ => return None,
    };
    let mut names = Vec::new();
    let mut rest = inner.trim_start();
    while !rest.is_empty() {
        let mut key = names.len();
        if keyed {
            let (number, after) = rest.split_once(':')?;
            key = number.trim().trim_matches(['\'', '"']).parse().ok()?;
            rest = after.trim_start();
        }
        let (name, after) = parse_string(rest)?;
        names.push((key, name));
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    names.sort();
    let gapless = names
        .iter()
        .enumerate()
        .all(|(index, (key, _))| index == *key);
    gapless.then(|| names.into_iter().map(|(_, name)| name).collect())
}

/// Reads a quoted string and returns it with what follows it.
fn parse_string(text: &str) -> Option<(String, &str)> {
    let quote = text
        .chars()
        .next()
        .filter(|first| matches!(first, '\'' | '"'))?;
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => name.push(characters.next()?.1),
            _ if character == quote => return Some((name, &text[index + 1..])),
            _ => name.push(character),
        }
    }
    None
}

/// The 80 classes of COCO in the order that YOLO models use.
const COCO: [&str; 80] = [
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_python_writes_them() {
        for (text, names) in [
            ("{0: 'person', 1: 'dog'}", Some(vec!["person", "dog"])),
            ("{1: 'dog', 0: 'person'}", Some(vec!["person", "dog"])),
            (
                r#"{0: "dog's", 1: 'say \'hi\''}"#,
                Some(vec!["dog's", "say 'hi'"]),
            ),
            ("{0: 'a, b: c', 1: 'd}'}", Some(vec!["a, b: c", "d}"])),
            (
                r#"{"0": "person", "1": "dog"}"#,
                Some(vec!["person", "dog"]),
            ),
            ("['person', 'dog',]", Some(vec!["person", "dog"])),
            ("{}", Some(vec![])),
            ("{0: 'person', 2: 'dog'}", None),
            ("{0: 'person'", None),
            ("{0: 'person}", None),
            ("{0 'person'}", None),
            ("person, dog", None),
            ("", None),
            ("{", None),
        ] {
            let expected = names.map(|names| names.iter().map(ToString::to_string).collect());
            assert_eq!(parse_names(text), expected, "{text}");
        }
    }

    #[test]
    fn a_sidecar_wins_and_only_80_nameless_classes_are_coco() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("gate.onnx");
        let labels = |metadata, classes| labels_of(&model, metadata, classes);
        assert_eq!(labels(None, Some(80)).unwrap()[16], "dog");
        let missing = labels(None, Some(2)).unwrap_err().to_string();
        assert!(missing.contains("gate.names.txt"), "{missing}");
        let unnamed = labels(None, None).unwrap_err().to_string();
        assert!(unnamed.contains("gate.names.txt"), "{unnamed}");
        for classes in [Some(2), None] {
            assert_eq!(labels(Some("['a', 'b']"), classes).unwrap(), ["a", "b"]);
        }
        assert!(matches!(
            labels(Some("['a', 'b']"), Some(80)),
            Err(LabelsError::Count { .. })
        ));
        assert!(matches!(
            labels(Some("what"), Some(80)),
            Err(LabelsError::Metadata(_))
        ));
        std::fs::write(folder.path().join("gate.labels"), "cat\n\n dog \n").unwrap();
        assert_eq!(labels(Some("['a', 'b']"), Some(2)).unwrap(), ["cat", "dog"]);
        std::fs::write(folder.path().join("gate.names.txt"), "fox\nowl\n").unwrap();
        assert_eq!(labels(None, Some(2)).unwrap(), ["fox", "owl"]);
    }
}
