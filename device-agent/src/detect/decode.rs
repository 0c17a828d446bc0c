use crate::detect::layout::{FINISHED, Family, Layout, STRIDES, Size};
use crate::detect::{Candidate, Confidence, PixelBox};

/// Reads the boxes above a confidence out of a model's output, in pixels of the model's input. What no detector can mean
/// is left out: a box without an inside, a score beyond 1.
///
/// `output` holds as many values as the layout takes, in the order of the family.
pub(crate) fn decode(
    layout: Layout,
    input: Size,
    output: &[f32],
    confidence: Confidence,
) -> Vec<Candidate> {
    let confidence = confidence.get();
    let mut found = match layout.family {
        Family::Yolov5 => decode_yolov5(layout, output, confidence),
        Family::Yolov8 => decode_yolov8(layout, output, confidence),
        Family::Yolox => decode_yolox(layout, input, output, confidence),
        Family::EndToEnd => decode_end_to_end(output, confidence),
    };
    found.retain(Candidate::is_sound);
    found
}

/// `[3 cells, 5 + classes]`: centre x, centre y, width, height in pixels, objectness, then a score a class.
fn decode_yolov5(layout: Layout, output: &[f32], confidence: f32) -> Vec<Candidate> {
    output
        .chunks_exact(layout.row())
        .filter(|row| row[4] > confidence)
        .filter_map(|row| {
            let bounds = PixelBox::around(row[0], row[1], row[2], row[3]);
            candidate(bounds, row, confidence)
        })
        .collect()
}

/// `[4 + classes, cells]`: centre x, centre y, width, height in pixels, then a score a class.
fn decode_yolov8(layout: Layout, output: &[f32], confidence: f32) -> Vec<Candidate> {
    let cells = layout.boxes;
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
        .collect()
}

/// `[cells, 5 + classes]`: offset x and y in cells, logarithm of width and height in cells, objectness, then a
/// score a class. Cells run along the rows of the finest grid first.
fn decode_yolox(layout: Layout, input: Size, output: &[f32], confidence: f32) -> Vec<Candidate> {
    grid(input)
        .zip(output.chunks_exact(layout.row()))
        .filter(|(_, row)| row[4] > confidence)
        .filter_map(|((column, line, stride), row)| {
            let bounds = PixelBox::around(
                (row[0] + column) * stride,
                (row[1] + line) * stride,
                row[2].exp() * stride,
                row[3].exp() * stride,
            );
            candidate(bounds, row, confidence)
        })
        .collect()
}

/// `[boxes, 6]`: the corners in pixels, score, class. Rows that found nothing are zeros.
fn decode_end_to_end(output: &[f32], confidence: f32) -> Vec<Candidate> {
    output
        .chunks_exact(FINISHED)
        .filter(|row| row[4] > confidence && row[5] >= 0.0)
        .map(|row| Candidate {
            bounds: PixelBox {
                x1: row[0],
                y1: row[1],
                x2: row[2],
                y2: row[3],
            },
            score: row[4],
            // Whole numbers, far below where 32-bit floats have gaps.
            class: row[5].round() as u32,
        })
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

/// The best class of a row with objectness at 4 and a score a class behind it.
fn candidate(bounds: PixelBox, row: &[f32], confidence: f32) -> Option<Candidate> {
    let objectness = row[4];
    let (score, class) = (0..)
        .zip(&row[5..])
        .map(|(class, score)| (score * objectness, class))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    (score > confidence).then_some(Candidate {
        bounds,
        score,
        class,
    })
}

/// Whether the boxes of a YOLOX output are already in pixels, as `decode_in_inference` exports them.
///
/// Raw offsets stay near their cell (a few units); decoded centres spread over the whole input.
pub(crate) fn is_already_decoded(layout: Layout, input: Size, output: &[f32]) -> bool {
    let total: f64 = output
        .chunks_exact(layout.row())
        .map(|row| f64::from(row[0].abs()))
        .sum();
    total / layout.boxes as f64 > f64::from(input.width) / 8.0
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
            classes: Some(2),
            boxes: 3,
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
            classes: Some(2),
            boxes: 21,
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
    fn yolov5_boxes_weigh_their_class_with_the_objectness() {
        let layout = Layout {
            family: Family::Yolov5,
            classes: Some(2),
            boxes: 4,
        };
        let output = [
            [10.0, 10.0, 4.0, 6.0, 0.5, 0.2, 0.8],
            [10.0, 10.0, 4.0, 6.0, 0.2, 1.0, 1.0], // nothing there
            [10.0, 10.0, 4.0, 6.0, 0.9, 0.2, 0.1], // of no class
            [f32::NAN, 10.0, 4.0, 6.0, 0.9, 0.9, 0.1],
        ]
        .concat();
        let bounds = PixelBox {
            x1: 8.0,
            y1: 7.0,
            x2: 12.0,
            y2: 13.0,
        };
        let one = Candidate {
            bounds,
            score: 0.4,
            class: 1,
        };
        assert_eq!(decode(layout, INPUT, &output, confidence(0.25)), [one]);
    }

    #[test]
    fn what_no_detector_can_mean_is_left_out() {
        let end_to_end = Layout {
            family: Family::EndToEnd,
            classes: None,
            boxes: 1,
        };
        let yolov8 = Layout {
            family: Family::Yolov8,
            classes: Some(1),
            boxes: 1,
        };
        let nan = f32::NAN;
        for (layout, output, kept) in [
            (end_to_end, &[1.0, 2.0, 3.0, 4.0, 1.0, 0.0][..], 1),
            (end_to_end, &[1.0, 2.0, 3.0, 4.0, 7.0, 0.0], 0),
            (end_to_end, &[1.0, 2.0, 3.0, 4.0, f32::INFINITY, 0.0], 0),
            (end_to_end, &[3.0, 2.0, 1.0, 4.0, 0.9, 0.0], 0),
            (end_to_end, &[1.0, 4.0, 3.0, 2.0, 0.9, 0.0], 0),
            (end_to_end, &[1.0, 2.0, 1.0, 4.0, 0.9, 0.0], 0),
            (end_to_end, &[1.0, 2.0, nan, 4.0, 0.9, 0.0], 0),
            (yolov8, &[9.0, 9.0, 4.0, 4.0, 0.9], 1),
            (yolov8, &[9.0, 9.0, 4.0, 4.0, 5.0], 0),
            (yolov8, &[9.0, 9.0, -4.0, 4.0, 0.9], 0),
            (yolov8, &[9.0, 9.0, 4.0, 0.0, 0.9], 0),
        ] {
            let found = decode(layout, INPUT, output, confidence(0.25));
            assert_eq!(found.len(), kept, "{output:?}: {found:?}");
        }
    }

    #[test]
    fn end_to_end_boxes_are_taken_as_they_are() {
        let layout = Layout {
            family: Family::EndToEnd,
            classes: None,
            boxes: 4,
        };
        let output = [
            [1.0, 2.0, 3.0, 4.0, 0.9, 5.0],
            [1.0, 2.0, 3.0, 4.0, 0.25, 5.0], // at the threshold
            [1.0, 2.0, 3.0, 4.0, 0.9, -1.0], // of no class
            [0.0; 6],
        ]
        .concat();
        let bounds = PixelBox {
            x1: 1.0,
            y1: 2.0,
            x2: 3.0,
            y2: 4.0,
        };
        let one = Candidate {
            bounds,
            score: 0.9,
            class: 5,
        };
        assert_eq!(decode(layout, INPUT, &output, confidence(0.25)), [one]);
    }

    #[test]
    fn decoded_exports_are_recognised() {
        let layout = Layout {
            family: Family::Yolox,
            classes: Some(1),
            boxes: 21,
        };
        let raw = [0.4, 0.3, 0.1, 0.1, 0.9, 0.9].repeat(21);
        let decoded = [16.0, 16.0, 8.0, 8.0, 0.9, 0.9].repeat(21);
        assert!(!is_already_decoded(layout, INPUT, &raw));
        assert!(is_already_decoded(layout, INPUT, &decoded));
    }
}
