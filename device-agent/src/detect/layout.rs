use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::picture::Picture;

/// Downscaling of the three grids that every supported YOLO looks at.
pub(crate) const STRIDES: [u32; 3] = [8, 16, COARSEST];
/// Downscaling of the coarsest grid, which both sides of the input are multiples of.
pub(crate) const COARSEST: u32 = 32;

/// A size in pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Across.
    pub width: u32,
    /// Down.
    pub height: u32,
}

/// Boxes that each cell of a YOLOv5 has.
const ANCHORS: usize = 3;
/// Values of a box that comes out of an end-to-end model.
pub(crate) const FINISHED: usize = 6;
/// Most boxes that an end-to-end model gives; Ultralytics exports have 300.
const MAX_FINISHED: usize = 1000;

/// Not the size of an input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected WIDTHxHEIGHT in multiples of {COARSEST}, such as 640x384")]
pub struct SizeError;

/// How a family of models wants its picture and writes its boxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Ultralytics YOLOv5, and YOLOv7: `[1, 3 N, 5 + C]` with boxes in pixels and objectness; picture as for YOLOv8.
    Yolov5,
    /// Ultralytics YOLOv8, YOLO11 and their like: `[1, 4 + C, N]`; RGB in 0..1, picture in the middle.
    Yolov8,
    /// Megvii YOLOX: `[1, N, 5 + C]` with raw grid offsets; BGR in 0..255, picture at the top left.
    Yolox,
    /// Ultralytics YOLOv10, YOLO26 and exports with suppression inside: `[1, M, 6]`, corners in pixels, score and
    /// class, with nothing left to suppress; picture as for YOLOv8.
    EndToEnd,
}

/// What is known about a model's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// How it is to be read.
    pub family: Family,
    /// Number of classes; an end-to-end output does not tell.
    pub classes: Option<usize>,
    /// Number of candidate boxes; of an end-to-end model those of its first run, as it may give more or fewer for the next picture.
    pub boxes: usize,
}

/// Why a model's output is not one that we can read; each text says what was found and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The grids do not tile the input.
    #[error("input of {0}: both sides must be multiples of {COARSEST}")]
    Input(Size),
    /// Anything else.
    #[error("output {found} for an input of {input}; expected {expected}")]
    Unknown {
        /// Shape found.
        found: Shape,
        /// Input size.
        input: Size,
        /// Shapes that would do.
        expected: Expected,
    },
}

/// A tensor's shape, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<i64>);

/// The shapes that can be read, given the number of cells that the input has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    cells: usize,
}

impl Layout {
    /// Chooses the layout from the input's size and the shape of the output.
    ///
    /// The number of cells follows from the input's size alone, and which axis has how many of them tells the
    /// families apart.
    ///
    /// # Errors
    /// When no axis has them, or too few values stand beside them.
    pub fn of(input: Size, output: &[i64]) -> Result<Self, LayoutError> {
        if !input.is_tiled() {
            return Err(LayoutError::Input(input));
        }
        let cells = cells_of(input);
        let (family, classes, boxes) = tell(cells, output).ok_or_else(|| LayoutError::Unknown {
            found: Shape(output.to_vec()),
            input,
            expected: Expected { cells },
        })?;
        Ok(Self {
            family,
            classes,
            boxes,
        })
    }

    /// Values of one box.
    pub(crate) fn row(&self) -> usize {
        let classes = self.classes.unwrap_or_default();
        match self.family {
            Family::Yolov8 => 4 + classes,
            Family::Yolov5 | Family::Yolox => 5 + classes,
            Family::EndToEnd => FINISHED,
        }
    }

    /// Values in the output.
    pub fn values(&self) -> usize {
        self.boxes * self.row()
    }

    /// Whether an output may have so many values. One with suppression inside has as many rows as it found objects, where
    /// its exporter did not pad them.
    pub(crate) fn takes(&self, values: usize) -> bool {
        match self.family {
            Family::EndToEnd => {
                values.is_multiple_of(FINISHED) && values / FINISHED <= MAX_FINISHED
            }
            Family::Yolov5 | Family::Yolov8 | Family::Yolox => values == self.values(),
        }
    }
}

/// Family, classes and boxes of an output's shape.
fn tell(cells: usize, output: &[i64]) -> Option<(Family, Option<usize>, usize)> {
    let &[1, rows, columns] = output else {
        return None;
    };
    let (rows, columns) = (usize::try_from(rows).ok()?, usize::try_from(columns).ok()?);
    if columns == cells && rows > 4 && rows != cells {
        return Some((Family::Yolov8, Some(rows - 4), cells));
    }
    if rows == cells && columns > 5 {
        return Some((Family::Yolox, Some(columns - 5), cells));
    }
    if rows == ANCHORS * cells && columns > 5 {
        return Some((Family::Yolov5, Some(columns - 5), rows));
    }
    (rows <= MAX_FINISHED && columns == FINISHED).then_some((Family::EndToEnd, None, rows))
}

/// Cells of all grids over an input.
fn cells_of(input: Size) -> usize {
    STRIDES
        .iter()
        .map(|stride| (input.width / stride) as usize * (input.height / stride) as usize)
        .sum()
}

impl Size {
    /// The size of a picture.
    pub const fn of(picture: &Picture) -> Self {
        Self {
            width: picture.width(),
            height: picture.height(),
        }
    }

    /// Whether the coarsest grid tiles it.
    const fn is_tiled(self) -> bool {
        let (width, height) = (self.width, self.height);
        width > 0 && height > 0 && width.is_multiple_of(COARSEST) && height.is_multiple_of(COARSEST)
    }
}

impl FromStr for Size {
    type Err = SizeError;

    /// Reads the size of a model's input.
    fn from_str(text: &str) -> Result<Self, SizeError> {
        let (width, height) = text.split_once('x').ok_or(SizeError)?;
        let side = |text: &str| text.parse().map_err(|_| SizeError);
        let size = Self {
            width: side(width)?,
            height: side(height)?,
        };
        if size.is_tiled() {
            Ok(size)
        } else {
            Err(SizeError)
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(i64::to_string).collect();
        write!(f, "[{}]", numbers.join(", "))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.cells;
        write!(
            f,
            "[1, 4+classes, {cells}] (YOLOv8, YOLO11), [1, {}, 5+classes] (YOLOv5), [1, {cells}, 5+classes] (YOLOX) \
             or [1, boxes, {FINISHED}] (end to end: YOLOv10, YOLO26)",
            ANCHORS * cells
        )
    }
}

impl Family {
    /// The number of a white pixel in the input.
    pub(crate) const fn white(self) -> f32 {
        match self {
            Self::Yolov5 | Self::Yolov8 | Self::EndToEnd => 1.0,
            Self::Yolox => 255.0,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yolov5 => "YOLOv5",
            Self::Yolov8 => "YOLOv8/11",
            Self::Yolox => "YOLOX",
            Self::EndToEnd => "YOLO end to end",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn square(side: u32) -> Size {
        Size {
            width: side,
            height: side,
        }
    }

    #[test]
    fn the_shape_tells_the_family() {
        use Family::{EndToEnd, Yolov5, Yolov8, Yolox};
        let wide = Size {
            width: 640,
            height: 384,
        };
        for (input, output, family, classes, boxes) in [
            (square(320), [1, 10, 2100], Yolov8, Some(6), 2100),
            (square(320), [1, 84, 2100], Yolov8, Some(80), 2100),
            (square(640), [1, 84, 8400], Yolov8, Some(80), 8400),
            (square(640), [1, 5, 8400], Yolov8, Some(1), 8400),
            (wide, [1, 84, 5040], Yolov8, Some(80), 5040),
            (square(416), [1, 3549, 85], Yolox, Some(80), 3549),
            (square(32), [1, 21, 6], Yolox, Some(1), 21),
            (square(640), [1, 25200, 85], Yolov5, Some(80), 25200),
            (square(320), [1, 6300, 6], Yolov5, Some(1), 6300),
            (wide, [1, 15120, 85], Yolov5, Some(80), 15120),
            (square(640), [1, 300, 6], EndToEnd, None, 300),
            (wide, [1, 100, 6], EndToEnd, None, 100),
            // Nothing is left of a black picture where the number of rows is free.
            (square(640), [1, 0, 6], EndToEnd, None, 0),
        ] {
            let layout = Layout::of(input, &output).unwrap();
            let expected = Layout {
                family,
                classes,
                boxes,
            };
            assert_eq!(layout, expected, "{output:?}");
            let values = output.iter().product::<i64>();
            assert_eq!(layout.values(), values as usize, "{output:?}");
        }
    }

    #[test]
    fn an_end_to_end_model_gives_as_many_rows_as_it_likes() {
        let end_to_end = Layout::of(square(640), &[1, 5, 6]).unwrap();
        let yolov8 = Layout::of(square(32), &[1, 6, 21]).unwrap();
        for (layout, values, taken) in [
            (end_to_end, 0, true),
            (end_to_end, 6, true),
            (end_to_end, 6 * 1000, true),
            (end_to_end, 6 * 1001, false),
            (end_to_end, 31, false),
            (yolov8, 6 * 21, true),
            (yolov8, 6 * 20, false),
            (yolov8, 0, false),
        ] {
            assert_eq!(layout.takes(values), taken, "{values} of {layout:?}");
        }
    }

    #[test]
    fn sizes_of_inputs() {
        for (text, size) in [
            ("640x384", Some((640, 384))),
            ("320x320", Some((320, 320))),
            ("640", None),
            ("640x", None),
            ("300x300", None),
            ("0x320", None),
            ("-32x32", None),
        ] {
            let expected = size.map(|(width, height)| Size { width, height });
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (input, output, says) in [
            (
                square(640),
                &[1, 84, 2100][..],
                "expected [1, 4+classes, 8400]",
            ),
            (
                square(640),
                &[1, 6300, 85],
                "[1, 25200, 5+classes] (YOLOv5)",
            ),
            (square(640), &[1, 300, 38], "[1, boxes, 6] (end to end"),
            (square(640), &[1, 5000, 6], "output [1, 5000, 6]"),
            (square(640), &[1, 4, 8400], "output [1, 4, 8400]"),
            (square(640), &[2, 84, 8400], "output [2, 84, 8400]"),
            (square(640), &[1, 1000], "output [1, 1000]"),
            (square(640), &[1, -1, 8400], "output [1, -1, 8400]"),
            (square(0), &[1, 84, 0], "multiples of 32"),
            (square(300), &[1, 84, 2100], "multiples of 32"),
        ] {
            let error = Layout::of(input, output).unwrap_err().to_string();
            assert!(error.contains(says), "{output:?}: {error}");
        }
    }
}
