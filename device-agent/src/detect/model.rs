use std::path::{Path, PathBuf};

use ashya_protocol::{Hash, ModelInfo};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracing::info;

use crate::detect::decode::{decode, is_already_decoded};
use crate::detect::labels::{LabelsError, labels_of};
use crate::detect::layout::{COARSEST, Family, Layout, LayoutError, Size};
use crate::detect::letterbox::Letterbox;
use crate::detect::metadata::Metadata;
use crate::detect::network::{FirstRun, Network, NetworkError};
use crate::detect::provider::Provider;
use crate::detect::suppress::{cut, suppress};
use crate::detect::{Candidate, Confidence, Overlap};
use crate::picture::Picture;
use crate::runtime::Runtime;
use crate::threads::Threads;

/// Which model to load, and how it runs.
#[derive(Debug, Clone)]
pub struct ModelOptions {
    /// The ONNX file.
    pub file: PathBuf,
    /// CPU threads for one picture.
    pub threads: Threads,
    /// What may compute it, the best first; the processor where none of these can.
    pub providers: Vec<Provider>,
    /// The size of a dynamic input.
    pub input: Option<Size>,
}

/// A model, loaded and ready to look at pictures.
pub struct Detector {
    network: Network,
    info: ModelInfo,
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

impl ModelOptions {
    /// A model as it is used where nothing else is asked for: by the whole processor.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            threads: Threads::default(),
            providers: Vec::new(),
            input: None,
        }
    }
}

impl Detector {
    /// Loads a model, finds out how to feed and read it, and runs it once.
    ///
    /// # Errors
    /// When the file is no model, or none that [`Layout`] describes; the message says what was found.
    pub fn load(runtime: &Runtime, options: &ModelOptions) -> Result<Self, ModelError> {
        let path = &options.file;
        let shown = path.display().to_string();
        let graph = std::fs::read(path).map_err(|source| ModelError::Read {
            path: shown.clone(),
            source,
        })?;
        let (network, metadata, first) =
            Network::start(runtime, &graph, options).map_err(|error| match error {
                NetworkError::Runtime(reason) => ModelError::Load {
                    path: shown.clone(),
                    reason,
                },
                NetworkError::Interface(what) => ModelError::Interface {
                    path: shown.clone(),
                    what,
                },
            })?;
        let layout =
            Layout::of(network.input(), &first.shape.0).map_err(|source| ModelError::Layout {
                path: shown.clone(),
                source,
            })?;
        if let Some(what) = objection(&metadata, layout, network.input(), &first) {
            return Err(ModelError::Interface { path: shown, what });
        }
        let labels =
            labels_of(path, metadata.names.as_deref(), layout.classes).map_err(|source| {
                ModelError::Labels {
                    path: shown,
                    source,
                }
            })?;
        let on: Vec<String> = network
            .providers()
            .iter()
            .map(ToString::to_string)
            .collect();
        info!(model = %path.display(), providers = on.join(","), "{} at {}", layout.family, network.input());
        Ok(Self {
            network,
            info: ModelInfo {
                name: stem(path),
                sha256: Hash::new(Sha256::digest(&graph).into()),
            },
            layout,
            labels,
            planes: Vec::new(),
        })
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
        let size = Size::of(picture);
        let (layout, input) = (self.layout, self.network.input());
        let fit = Letterbox::fit(layout.family, size, input);
        fit.fill(layout.family, picture, input, &mut self.planes);
        let found = self.network.run(&self.planes, |_, values| {
            let expected = layout.values();
            if values.len() != expected {
                return Err(DetectError::Output {
                    found: values.len(),
                    expected,
                });
            }
            Ok(decode(layout, input, values, confidence))
        })??;
        let kept = match layout.family {
            Family::EndToEnd => cut(found),
            Family::Yolov5 | Family::Yolov8 | Family::Yolox => suppress(found, overlap),
        };
        Ok(kept
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
        self.network.input()
    }

    /// How the model's output is read.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// What computes the model, the first one first; the processor is always the last.
    pub fn providers(&self) -> &[Provider] {
        self.network.providers()
    }

    /// The names of the model's classes.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The name of a class.
    pub fn label(&self, class: u32) -> &str {
        self.labels.get(class as usize).map_or("?", String::as_str)
    }
}

/// What makes a model with a known layout unusable all the same.
fn objection(metadata: &Metadata, layout: Layout, input: Size, first: &FirstRun) -> Option<String> {
    if let Some(stride) = metadata.stride.filter(|stride| *stride != COARSEST)
        && layout.family != Family::EndToEnd
    {
        return Some(format!(
            "its coarsest grid has stride {stride}, expected {COARSEST}"
        ));
    }
    let decoded =
        layout.family == Family::Yolox && is_already_decoded(layout, input, &first.values);
    decoded.then(|| {
        "a YOLOX model whose boxes are already in pixels, expected raw grid offsets: \
         export it without `--decode_in_inference`"
            .into()
    })
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
