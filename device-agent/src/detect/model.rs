use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ashya_protocol::{Hash, ModelInfo};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracing::{info, warn};

use crate::detect::decode::{decode, is_already_decoded};
use crate::detect::labels::{LabelsError, labels_of};
use crate::detect::layout::{COARSEST, Family, Layout, LayoutError, Size};
use crate::detect::metadata::Metadata;
use crate::detect::network::{FirstRun, Network, NetworkError};
use crate::detect::prepare::{Preparation, Prepared};
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
    /// Whether somebody was told that it gives classes without a name.
    told_nameless: bool,
    /// Kept between pictures for its memory.
    prepared: Prepared,
}

/// What a model found in a picture, and how long it took.
#[derive(Debug)]
pub struct Found {
    /// The objects, best score first, with boxes in pixels of the picture.
    pub objects: Vec<Candidate>,
    /// The run of the graph.
    pub run: Duration,
    /// Reading its output.
    pub read: Duration,
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
    #[error(
        "the model gave {found} values, which no {family} output has that began with {boxes} boxes"
    )]
    Output {
        /// Values found.
        found: usize,
        /// How they are read.
        family: Family,
        /// Boxes of the first run.
        boxes: usize,
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
        let read = |source| ModelError::Read {
            path: shown.clone(),
            source,
        };
        let sum = sum_of(path).map_err(read)?;
        let (network, metadata, first) =
            Network::start(runtime, options).map_err(|error| match error {
                NetworkError::Runtime(reason) => ModelError::Load {
                    path: shown.clone(),
                    reason,
                },
                NetworkError::Interface(what) => ModelError::Interface {
                    path: shown.clone(),
                    what,
                },
            })?;
        // Whoever replaces a model meanwhile must not have it published under the name of the other.
        if sum_of(path).map_err(read)? != sum {
            return Err(read(io::Error::other("it changed while it was loaded")));
        }
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
                sha256: sum,
            },
            layout,
            labels,
            told_nameless: false,
            prepared: Prepared::default(),
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
        let used = std::mem::take(&mut self.prepared);
        let prepared = self.preparation().prepare(picture, used);
        let found = self.look(&prepared, confidence, overlap);
        self.prepared = prepared;
        Ok(found?.objects)
    }

    /// The same for a picture that was prepared before, with the time that each step took.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn look(
        &mut self,
        prepared: &Prepared,
        confidence: Confidence,
        overlap: Overlap,
    ) -> Result<Found, DetectError> {
        let (layout, input) = (self.layout, self.network.input());
        let began = Instant::now();
        let (ran, mut decoded) =
            self.network
                .run(&prepared.planes, layout.family.white(), |_, values| {
                    let ran = Instant::now();
                    if !layout.takes(values.len()) {
                        return Err(DetectError::Output {
                            found: values.len(),
                            family: layout.family,
                            boxes: layout.boxes,
                        });
                    }
                    Ok((ran, decode(layout, input, values, confidence)))
                })??;
        self.drop_nameless(&mut decoded);
        let kept = match layout.family {
            Family::EndToEnd => cut(decoded),
            Family::Yolov5 | Family::Yolov8 | Family::Yolox => suppress(decoded, overlap),
        };
        let objects = kept
            .into_iter()
            .map(|object| Candidate {
                bounds: prepared.fit.unfit(object.bounds, prepared.picture),
                ..object
            })
            // What lay in the padding has no part in the picture.
            .filter(Candidate::is_sound)
            .collect();
        Ok(Found {
            objects,
            run: ran - began,
            read: ran.elapsed(),
        })
    }

    /// Drops what nothing could be said of. Only an end-to-end model can give it: where it has more classes than names.
    fn drop_nameless(&mut self, found: &mut Vec<Candidate>) {
        let names = self.labels.len();
        let nameless = |object: &Candidate| object.class as usize >= names;
        if let Some(object) = found.iter().copied().find(nameless)
            && !self.told_nameless
        {
            self.told_nameless = true;
            warn!(
                class = object.class,
                "the model gives classes beyond the {names} that have names; they are left out: name all of them"
            );
        }
        found.retain(|object| !nameless(object));
    }

    /// How the model wants its pictures.
    pub const fn preparation(&self) -> Preparation {
        Preparation {
            family: self.layout.family,
            input: self.network.input(),
        }
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

/// The sha256 of a file, read piece by piece: a model need not be in memory twice.
fn sum_of(path: &Path) -> io::Result<Hash> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(Hash::new(hasher.finalize().into()))
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
