use crate::detect::layout::{Family, Layout, STRIDES, Size};
use crate::detect::{Candidate, Confidence, PixelBox};

/// Reads the boxes above a confidence out of a model's output, in pixels of the model's input.
///
/// `output` holds `layout.cells * (4 or 5 + layout.classes)` values in the order of the family.
pub(crate) fn decode(
    layout: Layout,
    input: Size,
    output: &[f32],
    confidence: Confidence,
) -> Vec<Candidate> {
    match layout.family {
        Family::Yolov8 => decode_yolov8(layout, output, confidence.get()),
        Family::Yolox => decode_yolox(layout, input, output, confidence.get()),
    }
}

/// `[4 + classes, cells]`: centre x, centre y, width, height in pixels, then a score a class.
fn decode_yolov8(layout: Layout, output: &[f32], confidence: f32) -> Vec<Candidate> {
    let cells = layout.cells;
    let (boxes, scores) = output.split_at(4 * cells);
    // Plane by plane, as the values lie in memory: the best class so far of every cell at once.
    let mut best = vec![(f32::NEG_INFINITY, 0_u32); cells];
    for (class, plane) in (0..).zip(scores.chunks_exact(cells)) {
        for (best, &score) in best.iter_mut().zip(plane) {
            if score > best.0 {
                *best = (score, class);
            }
        }
    }
    best.into_iter()
        .enumerate()
        .filter(|(_, (score, _))| *score > confidence)
        .map(|(cell, (score, class))| {
            let value = |plane: usize| boxes[plane * cells + cell];
            let bounds = PixelBox::around(value(0), value(1), value(2), value(3));
            Candidate {
                bounds,
                score,
                class,
            }
        })
        .filter(Candidate::is_finite)
        .collect()
}

/// `[cells, 5 + classes]`: offset x and y in cells, logarithm of width and height in cells, objectness, then a
/// score a class. Cells run along the rows of the finest grid first.
fn decode_yolox(layout: Layout, input: Size, output: &[f32], confidence: f32) -> Vec<Candidate> {
    let values = 5 + layout.classes;
    grid(input)
        .zip(output.chunks_exact(values))
        .filter(|(_, row)| row[4] > confidence)
        .filter_map(|((column, line, stride), row)| {
            let (score, class) = best_class(&row[5..], row[4])?;
            let bounds = PixelBox::around(
                (row[0] + column) * stride,
                (row[1] + line) * stride,
                row[2].exp() * stride,
                row[3].exp() * stride,
            );
            (score > confidence).then_some(Candidate {
                bounds,
                score,
                class,
            })
        })
        .filter(Candidate::is_finite)
        .collect()
}

/// Column, row and stride of each cell.
fn grid(input: Size) -> impl Iterator<Item = (f32, f32, f32)> {
    STRIDES.into_iter().flat_map(move |stride| {
        (0..input.height / stride).flat_map(move |line| {
            (0..input.width / stride).map(move |column| (column as f32, line as f32, stride as f32))
        })
    })
}

fn best_class(scores: &[f32], objectness: f32) -> Option<(f32, u32)> {
    (0..)
        .zip(scores)
        .map(|(class, score)| (score * objectness, class))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
}

/// Whether the boxes of a YOLOX output are already in pixels, as `decode_in_inference` exports them.
///
/// Raw offsets stay near their cell (a few units); decoded centres spread over the whole input.
pub(crate) fn is_already_decoded(layout: Layout, input: Size, output: &[f32]) -> bool {
    let values = 5 + layout.classes;
    let total: f64 = output
        .chunks_exact(values)
        .map(|row| f64::from(row[0].abs()))
        .sum();
    total / layout.cells as f64 > f64::from(input.width) / 8.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Size = Size {
        width: 32,
        height: 32,
    };

    fn confidence(value: f32) -> Confidence {
        Confidence::try_from(value).unwrap()
    }

    #[test]
    fn yolov8_boxes_and_their_best_class() {
        let layout = Layout {
            family: Family::Yolov8,
            classes: 2,
            cells: 3,
        };
        let output = [
            [10.0, 20.0, f32::NAN], // centre x
            [10.0, 16.0, 5.0],      // centre y
            [4.0, 8.0, 1.0],        // width
            [6.0, 2.0, 1.0],        // height
            [0.9, 0.1, 0.8],        // first class
            [0.3, 0.25, 0.1],       // second class
        ]
        .concat();
        let found = decode(layout, INPUT, &output, confidence(0.25));
        let bounds = PixelBox {
            x1: 8.0,
            y1: 7.0,
            x2: 12.0,
            y2: 13.0,
        };
        assert_eq!(
            found,
            [Candidate {
                bounds,
                score: 0.9,
                class: 0
            }],
            "at the threshold is out"
        );
        assert_eq!(decode(layout, INPUT, &output, confidence(0.24)).len(), 2);
    }

    #[test]
    fn yolox_boxes_stand_on_their_grid() {
        let layout = Layout {
            family: Family::Yolox,
            classes: 2,
            cells: 21,
        };
        let mut output = vec![0.0; 21 * 7];
        // Cell 5 is column 1, row 1 of the 4x4 grid of stride 8; cell 20 is the only one of stride 32.
        output[5 * 7..6 * 7].copy_from_slice(&[0.5, 0.25, 0.0, 2_f32.ln(), 0.5, 0.2, 0.8]);
        output[20 * 7..].copy_from_slice(&[0.5, 0.5, 0.0, 0.0, 1.0, 1.0, 0.0]);
        let found = decode(layout, INPUT, &output, confidence(0.25));
        let first = PixelBox {
            x1: 8.0,
            y1: 2.0,
            x2: 16.0,
            y2: 18.0,
        };
        let second = PixelBox {
            x1: 0.0,
            y1: 0.0,
            x2: 32.0,
            y2: 32.0,
        };
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].bounds, found[0].class, found[0].score),
            (first, 1, 0.4)
        );
        assert_eq!(
            (found[1].bounds, found[1].class, found[1].score),
            (second, 0, 1.0)
        );
        assert_eq!(decode(layout, INPUT, &output, confidence(0.45)).len(), 1);
    }

    #[test]
    fn decoded_exports_are_recognised() {
        let layout = Layout {
            family: Family::Yolox,
            classes: 1,
            cells: 21,
        };
        let raw = [0.4, 0.3, 0.1, 0.1, 0.9, 0.9].repeat(21);
        let decoded = [16.0, 16.0, 8.0, 8.0, 0.9, 0.9].repeat(21);
        assert!(!is_already_decoded(layout, INPUT, &raw));
        assert!(is_already_decoded(layout, INPUT, &decoded));
    }
}
