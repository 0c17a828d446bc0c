use std::fmt;

use thiserror::Error;

/// Downscaling of the three grids that every supported YOLO looks at.
pub(crate) const STRIDES: [u32; 3] = [8, 16, 32];

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Across.
    pub width: u32,
    /// Down.
    pub height: u32,
}

/// How a family of models wants its picture and writes its boxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Ultralytics YOLOv8, YOLO11 and their like: `[1, 4 + C, N]`; RGB in 0..1, picture in the middle.
    Yolov8,
    /// Megvii YOLOX: `[1, N, 5 + C]` with raw grid offsets; BGR in 0..255, picture at the top left.
    Yolox,
}

/// What is known about a model's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// How it is to be read.
    pub family: Family,
    /// Number of classes.
    pub classes: usize,
    /// Number of candidate boxes.
    pub cells: usize,
}

/// Why a model's output is not one that we can read; each text says what was found and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The grids do not tile the input.
    #[error("input of {0}: both sides must be multiples of 32")]
    Input(Size),
    /// An older YOLO, which has three anchors a cell.
    #[error(
        "output {found} for an input of {input} looks like YOLOv5 or YOLOv7 (three boxes a cell); \
         expected {expected}: export a YOLOv8, YOLO11 or YOLOX model"
    )]
    Anchors {
        /// Shape found.
        found: Shape,
        /// Input size.
        input: Size,
        /// Shapes that would do.
        expected: Expected,
    },
    /// Suppression is already inside the model.
    #[error(
        "output {found} looks like a model with suppression inside (end to end); \
         expected {expected}: export it without (Ultralytics: `nms=False`, `end2end=False`)"
    )]
    EndToEnd {
        /// Shape found.
        found: Shape,
        /// Shapes that would do.
        expected: Expected,
    },
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
    /// The number of cells follows from the input's size alone, and which of the two axes has it tells the families
    /// apart.
    ///
    /// # Errors
    /// When neither axis has it, or too few values stand beside it.
    pub fn of(input: Size, output: &[i64]) -> Result<Self, LayoutError> {
        let coarsest = STRIDES[STRIDES.len() - 1];
        let tiles = |side: u32| side > 0 && side.is_multiple_of(coarsest);
        if !tiles(input.width) || !tiles(input.height) {
            return Err(LayoutError::Input(input));
        }
        let cells = cells_of(input);
        let expected = Expected { cells };
        let found = Shape(output.to_vec());
        let &[1, rows, columns] = output else {
            return Err(LayoutError::Unknown {
                found,
                input,
                expected,
            });
        };
        let (rows, columns) = (size_of(rows), size_of(columns));
        if columns == cells && rows > 4 && rows != cells {
            return Ok(Self {
                family: Family::Yolov8,
                classes: rows - 4,
                cells,
            });
        }
        if rows == cells && columns > 5 {
            return Ok(Self {
                family: Family::Yolox,
                classes: columns - 5,
                cells,
            });
        }
        Err(match (rows, columns) {
            _ if rows == 3 * cells => LayoutError::Anchors {
                found,
                input,
                expected,
            },
            (1..=1000, 6) => LayoutError::EndToEnd { found, expected },
            _ => LayoutError::Unknown {
                found,
                input,
                expected,
            },
        })
    }

    /// Values in the output.
    pub const fn values(&self) -> usize {
        let beside = match self.family {
            Family::Yolov8 => 4,
            Family::Yolox => 5,
        };
        self.cells * (beside + self.classes)
    }
}

/// Cells of all grids over an input.
fn cells_of(input: Size) -> usize {
    STRIDES
        .iter()
        .map(|stride| (input.width / stride) as usize * (input.height / stride) as usize)
        .sum()
}

fn size_of(dimension: i64) -> usize {
    usize::try_from(dimension).unwrap_or(0)
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
            "[1, 4+classes, {cells}] (YOLOv8, YOLO11) or [1, {cells}, 5+classes] (YOLOX)"
        )
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yolov8 => "YOLOv8/11",
            Self::Yolox => "YOLOX",
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
        use Family::{Yolov8, Yolox};
        for (input, output, family, classes, cells) in [
            (square(320), [1, 10, 2100], Yolov8, 6, 2100),
            (square(320), [1, 84, 2100], Yolov8, 80, 2100),
            (square(640), [1, 84, 8400], Yolov8, 80, 8400),
            (square(640), [1, 5, 8400], Yolov8, 1, 8400),
            (square(416), [1, 3549, 85], Yolox, 80, 3549),
            (square(32), [1, 21, 6], Yolox, 1, 21),
            (
                Size {
                    width: 640,
                    height: 384,
                },
                [1, 84, 5040],
                Yolov8,
                80,
                5040,
            ),
        ] {
            let layout = Layout::of(input, &output).unwrap();
            assert_eq!(
                layout,
                Layout {
                    family,
                    classes,
                    cells
                },
                "{output:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (input, output, says) in [
            (square(640), &[1, 25200, 85][..], "YOLOv5"),
            (square(640), &[1, 300, 6], "suppression inside"),
            (square(640), &[1, 84, 2100], "expected [1, 4+classes, 8400]"),
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
