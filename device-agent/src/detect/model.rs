use std::path::Path;

use ashya_protocol::{Hash, ModelInfo};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{TensorElementType, TensorRef, ValueType};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::detect::decode::{decode, is_already_decoded};
use crate::detect::labels::{LabelsError, labels_of};
use crate::detect::layout::{Family, Layout, LayoutError, Shape, Size};
use crate::detect::letterbox::Letterbox;
use crate::detect::suppress::suppress;
use crate::detect::{Candidate, Confidence, Overlap};
use crate::picture::Picture;
use crate::runtime::Runtime;

/// A model, loaded and ready to look at pictures.
pub struct Detector {
    session: Session,
    info: ModelInfo,
    input: Size,
    layout: Layout,
    labels: Vec<String>,
    /// The model's input, kept between pictures.
    planes: Vec<f32>,
}

/// Why a file is not a model that we can use.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("cannot read the model {path}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// ONNX Runtime refuses it.
    #[error("ONNX Runtime cannot load {path}: {reason}")]
    Load {
        /// The file.
        path: String,
        /// ONNX Runtime's reason.
        reason: String,
    },
    /// Its inputs and outputs are not those of a detector.
    #[error("{path}: {what}")]
    Interface {
        /// The file.
        path: String,
        /// What was found and what is expected.
        what: String,
    },
    /// Its output has a shape that we cannot read.
    #[error("{path}")]
    Layout {
        /// The file.
        path: String,
        /// What was found and what is expected.
        source: LayoutError,
    },
    /// Its classes have no names.
    #[error("{path}")]
    Labels {
        /// The file.
        path: String,
        /// What is missing.
        source: LabelsError,
    },
}

/// Why a model could not look at a picture.
#[derive(Debug, Error)]
pub enum DetectError {
    /// ONNX Runtime failed.
    #[error("the model failed to run: {0}")]
    Run(String),
    /// The output changed its shape since the model was loaded.
    #[error("the model gave {found} values, expected {expected}")]
    Output {
        /// Values found.
        found: usize,
        /// Values expected.
        expected: usize,
    },
}

impl Detector {
    /// Loads a model, finds out how to feed and read it, and runs it once.
    ///
    /// `threads` is how many CPU threads one picture may use.
    ///
    /// # Errors
    /// When the file is no model, or none that [`Layout`] describes; the message says what was found.
    pub fn load(runtime: &Runtime, path: &Path, threads: usize) -> Result<Self, ModelError> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| ModelError::Read {
            path: shown.clone(),
            source,
        })?;
        let sha256 = Hash::new(Sha256::digest(&bytes).into());
        let session = open(runtime, &bytes, threads).map_err(|error| ModelError::Load {
            path: shown.clone(),
            reason: error.to_string(),
        })?;
        let interface = |what| ModelError::Interface {
            path: shown.clone(),
            what,
        };
        let metadata = Metadata::read(&session);
        if let Some(task) = metadata.task.as_deref().filter(|task| *task != "detect") {
            return Err(interface(format!(
                "its task is `{task}`, expected `detect`"
            )));
        }
        let input = input_size(&session, metadata.image_size).map_err(interface)?;
        let mut detector = Self {
            session,
            info: ModelInfo {
                name: stem(path),
                sha256,
            },
            input,
            // Replaced below: the output of a dynamic model is known only once it ran.
            layout: Layout {
                family: Family::Yolov8,
                classes: 0,
                cells: 0,
            },
            labels: Vec::new(),
            planes: vec![0.0; 3 * input.width as usize * input.height as usize],
        };
        let (shape, values) = detector.infer().map_err(|error| ModelError::Load {
            path: shown.clone(),
            reason: error.to_string(),
        })?;
        detector.layout = Layout::of(input, &shape.0).map_err(|source| ModelError::Layout {
            path: shown.clone(),
            source,
        })?;
        if detector.layout.family == Family::Yolox
            && is_already_decoded(detector.layout, input, &values)
        {
            return Err(interface(
                "a YOLOX model whose boxes are already in pixels, expected raw grid offsets: \
                 export it without `--decode_in_inference`"
                    .into(),
            ));
        }
        detector.labels = labels_of(path, metadata.names.as_deref(), detector.layout.classes)
            .map_err(|source| ModelError::Labels {
                path: shown.clone(),
                source,
            })?;
        Ok(detector)
    }

    /// Finds the objects in a picture, best score first, with boxes in pixels of the picture.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn detect(
        &mut self,
        picture: &Picture,
        confidence: Confidence,
        overlap: Overlap,
    ) -> Result<Vec<Candidate>, DetectError> {
        let size = Size {
            width: picture.width(),
            height: picture.height(),
        };
        let (layout, input) = (self.layout, self.input);
        let fit = Letterbox::fit(layout.family, size, input);
        fit.fill(layout.family, picture, input, &mut self.planes);
        let found = self.run(|_, values| {
            let expected = layout.values();
            if values.len() != expected {
                return Err(DetectError::Output {
                    found: values.len(),
                    expected,
                });
            }
            Ok(decode(layout, input, values, confidence))
        })??;
        Ok(suppress(found, overlap)
            .into_iter()
            .map(|object| Candidate {
                bounds: fit.unfit(object.bounds, size),
                ..object
            })
            .collect())
    }

    /// The model's name and sha256.
    pub const fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The size of the model's input in pixels.
    pub const fn input(&self) -> Size {
        self.input
    }

    /// How the model's output is read.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The names of the model's classes.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The name of a class.
    pub fn label(&self, class: u32) -> &str {
        self.labels.get(class as usize).map_or("?", String::as_str)
    }

    fn infer(&mut self) -> Result<(Shape, Vec<f32>), DetectError> {
        self.run(|shape, values| (Shape(shape.to_vec()), values.to_vec()))
    }

    /// Runs the model on what lies in `planes` and hands its output to `read`.
    fn run<T>(&mut self, read: impl FnOnce(&[i64], &[f32]) -> T) -> Result<T, DetectError> {
        let failed = |error: ort::Error| DetectError::Run(error.to_string());
        let shape = [1, 3, self.input.height as usize, self.input.width as usize];
        let input = TensorRef::from_array_view((shape, &*self.planes)).map_err(failed)?;
        let outputs = self
            .session
            .run([SessionInputValue::from(input)])
            .map_err(failed)?;
        let (shape, values) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        Ok(read(shape, values))
    }
}

/// What a model says of itself beside its graph.
struct Metadata {
    names: Option<String>,
    task: Option<String>,
    image_size: Option<Size>,
}

impl Metadata {
    fn read(session: &Session) -> Self {
        let entry = |key: &str| {
            session
                .metadata()
                .ok()
                .and_then(|metadata| metadata.custom(key))
        };
        Self {
            names: entry("names"),
            task: entry("task"),
            image_size: entry("imgsz").as_deref().and_then(parse_image_size),
        }
    }
}

fn open(runtime: &Runtime, model: &[u8], threads: usize) -> ort::Result<Session> {
    Session::builder(runtime.environment())?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        // Spinning threads burn the CPU that the rest of a small device needs.
        .with_intra_op_spinning(false)?
        .commit_from_memory(model)
}

/// The input's size: fixed in the graph, else from the metadata of a model with a dynamic input.
fn input_size(session: &Session, from_metadata: Option<Size>) -> Result<Size, String> {
    let (inputs, outputs) = (session.inputs(), session.outputs());
    let ([input], [_]) = (inputs, outputs) else {
        return Err(format!(
            "{} inputs and {} outputs, expected one picture in and one tensor out",
            inputs.len(),
            outputs.len()
        ));
    };
    let ValueType::Tensor {
        ty: TensorElementType::Float32,
        shape,
        ..
    } = input.dtype()
    else {
        return Err(format!(
            "input {}, expected 32-bit floats [1, 3, height, width]",
            input.dtype()
        ));
    };
    let found = Shape(shape.to_vec());
    match shape[..] {
        [1 | -1, 3 | -1, height, width] if height > 0 && width > 0 => Ok(Size {
            width: width as u32,
            height: height as u32,
        }),
        [1 | -1, 3 | -1, ..] if shape.len() == 4 => from_metadata.ok_or_else(|| {
            format!("input {found} without a size: export the model with a fixed input size")
        }),
        _ => Err(format!("input {found}, expected [1, 3, height, width]")),
    }
}

/// Reads Ultralytics' `imgsz`: `[height, width]`.
fn parse_image_size(text: &str) -> Option<Size> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let (height, width) = inner.split_once(',')?;
    Some(Size {
        width: width.trim().parse().ok()?,
        height: height.trim().parse().ok()?,
    })
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_sizes() {
        for (text, size) in [
            ("[384, 640]", Some((640, 384))),
            ("[320,320]", Some((320, 320))),
            ("640", None),
            ("[640]", None),
            ("[a, b]", None),
        ] {
            let expected = size.map(|(width, height)| Size { width, height });
            assert_eq!(parse_image_size(text), expected, "{text}");
        }
    }
}
