use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::numbers::Seq;

/// The JSON payload of a `detections` event: what one model saw in one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detections {
    /// The model that looked.
    pub model: ModelInfo,
    /// The picture that it looked at.
    pub picture: Picture,
    /// What it saw, best score first.
    pub objects: Vec<DetectedObject>,
}

/// A model, named well enough to be found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// File name without its ending.
    pub name: String,
    /// SHA-256 of the model file.
    pub sha256: Hash,
}

/// The picture behind a detection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Number of the `frames` event (of the same boot) that shows it; absent when none was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
}

/// One object in a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectedObject {
    /// Number that stays with the object from picture to picture, where the device tracks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<u64>,
    /// Name of the class.
    pub label: String,
    /// Index of the class in the model.
    pub class: u32,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// Where it is.
    #[serde(rename = "box")]
    pub bounds: BoundingBox,
}

/// A box as `[x, y, width, height]` of its top left corner, in fractions (0 to 1) of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox(pub [f32; 4]);
