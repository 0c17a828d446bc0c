use ort::session::Session;

use crate::detect::layout::Size;

/// What a model says of itself beside its graph, in the words of Ultralytics' exporter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// The classes, as a Python literal.
    pub(crate) names: Option<String>,
    /// What it was trained for; `detect` for boxes.
    pub(crate) task: Option<String>,
    /// The size that it was exported for.
    pub(crate) image_size: Option<Size>,
    /// Downscaling of its coarsest grid.
    pub(crate) stride: Option<u32>,
}

impl Metadata {
    pub(crate) fn read(session: &Session) -> Self {
        let metadata = session.metadata().ok();
        let entry = |key: &str| metadata.as_ref().and_then(|metadata| metadata.custom(key));
        Self {
            names: entry("names"),
            task: entry("task"),
            image_size: entry("imgsz").as_deref().and_then(parse_image_size),
            stride: entry("stride").and_then(|text| text.trim().parse().ok()),
        }
    }
}

/// Reads `imgsz`: `[height, width]`, or one number for both.
fn parse_image_size(text: &str) -> Option<Size> {
    let text = text.trim();
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let (height, width) = inner.split_once(',').unwrap_or((inner, inner));
    Some(Size {
        width: width.trim().parse().ok()?,
        height: height.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_sizes() {
        for (text, size) in [
            ("[384, 640]", Some((640, 384))),
            ("[320,320]", Some((320, 320))),
            ("640", Some((640, 640))),
            ("[640]", Some((640, 640))),
            ("[a, b]", None),
            ("[1, 2, 3]", None),
            ("", None),
        ] {
            let expected = size.map(|(width, height)| Size { width, height });
            assert_eq!(parse_image_size(text), expected, "{text}");
        }
    }
}
