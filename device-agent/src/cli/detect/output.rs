use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Serialize;

use super::DetectArgs;
use super::ahead::Given;
use crate::annotate::annotate;
use crate::detect::{Candidate, Detector};
use crate::source::SourceSpec;

/// Quality of annotated pictures, as JPEG counts it.
const ANNOTATED_QUALITY: u8 = 90;

/// A line of `--json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    image: &'a str,
    width: u32,
    height: u32,
    objects: Vec<Object<'a>>,
}

#[derive(Debug, Serialize)]
struct Object<'a> {
    label: &'a str,
    class: u32,
    score: f32,
    /// x1, y1, x2, y2 in pixels of the picture.
    #[serde(rename = "box")]
    bounds: [f32; 4],
}

/// Everything that a run writes.
pub(super) struct Output<'a> {
    table: bool,
    json: Option<BufWriter<Box<dyn Write>>>,
    folder: Option<&'a Path>,
    labels: Vec<String>,
}

impl<'a> Output<'a> {
    pub(super) fn open(args: &'a DetectArgs, detector: &Detector) -> anyhow::Result<Self> {
        let to_stdout = args.json.as_deref() == Some(Path::new("-"));
        let json: Option<Box<dyn Write>> = match &args.json {
            None => None,
            Some(_) if to_stdout => Some(Box::new(io::stdout())),
            Some(path) => {
                Some(Box::new(File::create(path).with_context(|| {
                    format!("cannot write {}", path.display())
                })?))
            }
        };
        if let Some(folder) = &args.annotate {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
            spare_originals(folder, &args.source)?;
        }
        if !to_stdout {
            writeln!(
                io::stdout(),
                "model {} ({}, {} classes, input {})",
                detector.info().name,
                detector.layout().family,
                detector.labels().len(),
                detector.input()
            )?;
            writeln!(io::stdout(), "{:<24} {:>11}  objects", "image", "size")?;
        }
        Ok(Self {
            table: !to_stdout,
            json: json.map(BufWriter::new),
            folder: args.annotate.as_deref(),
            labels: detector.labels().to_vec(),
        })
    }

    pub(super) fn write(&mut self, seen: &mut Given, objects: &[Candidate]) -> anyhow::Result<()> {
        let labels = &self.labels;
        if self.table {
            let row = row(seen, objects, |class| name(labels, class));
            writeln!(io::stdout(), "{row}")?;
        }
        if let Some(json) = &mut self.json {
            serde_json::to_writer(
                &mut *json,
                &line(seen, objects, |class| name(labels, class)),
            )?;
            json.write_all(b"\n")?;
        }
        if let (Some(folder), Some(picture)) = (self.folder, &mut seen.picture) {
            annotate(picture, objects, |class| name(labels, class).to_owned());
            let path = folder.join(annotated_name(&seen.name).as_ref());
            fs::write(&path, picture.to_jpeg(ANNOTATED_QUALITY)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.json.map_or(Ok(()), |mut json| json.flush())
    }
}

/// # Errors
/// When `folder` is the one that the pictures come from: they would be overwritten.
fn spare_originals(folder: &Path, source: &SourceSpec) -> anyhow::Result<()> {
    let Some(originals) = source.pictures_folder() else {
        return Ok(());
    };
    let real = |path: &Path| {
        fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()))
    };
    ensure!(
        real(originals)? != real(folder)?,
        "--annotate {} would overwrite the pictures it shows: name another folder",
        folder.display()
    );
    Ok(())
}

/// Annotated pictures are JPEGs; `a.png` and `a.jpg` must not become one file.
fn annotated_name(name: &str) -> Cow<'_, str> {
    if name.ends_with(".jpg") {
        name.into()
    } else {
        format!("{name}.jpg").into()
    }
}

/// The name of a class.
fn name(labels: &[String], class: u32) -> &str {
    labels.get(class as usize).map_or("?", String::as_str)
}

fn line<'a>(seen: &'a Given, objects: &[Candidate], label: impl Fn(u32) -> &'a str) -> Line<'a> {
    let object = |object: &Candidate| Object {
        label: label(object.class),
        class: object.class,
        score: object.score,
        bounds: [
            object.bounds.x1,
            object.bounds.y1,
            object.bounds.x2,
            object.bounds.y2,
        ],
    };
    Line {
        image: &seen.name,
        width: seen.size.width,
        height: seen.size.height,
        objects: objects.iter().map(object).collect(),
    }
}

fn row<'a>(seen: &Given, objects: &[Candidate], label: impl Fn(u32) -> &'a str) -> String {
    let words: Vec<String> = objects
        .iter()
        .map(|object| format!("{} {:.2}", label(object.class), object.score))
        .collect();
    let words = if words.is_empty() {
        "-".to_owned()
    } else {
        words.join(", ")
    };
    format!("{:<24} {:>11}  {words}", seen.name, seen.size.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::detect::{PixelBox, Size};

    fn seen() -> Given {
        Given {
            name: "a.jpg".into(),
            size: Size {
                width: 2,
                height: 1,
            },
            picture: None,
            decode: Duration::ZERO,
            prepare: Duration::ZERO,
        }
    }

    fn dog() -> Candidate {
        Candidate {
            bounds: PixelBox {
                x1: 0.0,
                y1: 0.0,
                x2: 1.5,
                y2: 1.0,
            },
            score: 0.75,
            class: 16,
        }
    }

    #[test]
    fn annotated_pictures_have_names_of_their_own() {
        for (name, expected) in [
            ("a.jpg", "a.jpg"),
            ("a.png", "a.png.jpg"),
            ("a.JPG", "a.JPG.jpg"),
            ("a.jpeg", "a.jpeg.jpg"),
            ("clip.1-000001.jpg", "clip.1-000001.jpg"),
        ] {
            assert_eq!(annotated_name(name), expected);
        }
    }

    #[test]
    fn the_owners_pictures_are_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let (own, seen) = (root.path().join("own"), root.path().join("seen"));
        for folder in [&own, &seen] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(own.join("a.jpg"), b"a picture").unwrap();
        for (source, folder, refused) in [
            (own.clone(), own.clone(), true),
            (own.join("a.jpg"), own.clone(), true),
            (own.clone(), seen.join("../own/"), true),
            (own.clone(), seen.clone(), false),
            (own.join("a.jpg"), seen.clone(), false),
            // Its frames are files of other names.
            (own.join("clip.mp4"), own.clone(), false),
        ] {
            let found = spare_originals(&folder, &SourceSpec::Path(source.clone()));
            let shown = source.display();
            assert_eq!(found.is_err(), refused, "{shown}: {found:?}");
        }
    }

    #[test]
    fn a_json_line_has_the_documented_form() {
        let text = serde_json::to_string(&line(&seen(), &[dog()], |_| "dog")).unwrap();
        assert_eq!(
            text,
            r#"{"image":"a.jpg","width":2,"height":1,"objects":[{"label":"dog","class":16,"score":0.75,"box":[0.0,0.0,1.5,1.0]}]}"#
        );
    }

    #[test]
    fn a_row_names_the_objects() {
        assert!(row(&seen(), &[dog(), dog()], |_| "dog").ends_with("2x1  dog 0.75, dog 0.75"));
        assert!(row(&seen(), &[], |_| "dog").ends_with("  -"));
    }
}
