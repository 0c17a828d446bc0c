use font8x8::legacy::BASIC_LEGACY;

use crate::detect::Candidate;
use crate::picture::Picture;

/// Colours of boxes, by class; bright ones that are easy to tell apart on a photograph.
const COLOURS: [[u8; 3]; 8] = [
    [255, 64, 64],
    [64, 224, 96],
    [80, 160, 255],
    [255, 200, 40],
    [224, 96, 255],
    [64, 230, 230],
    [255, 144, 48],
    [240, 240, 240],
];
/// Width and height of a letter in pixels.
const LETTER: u32 = 8;

/// Draws boxes with their label and score over a picture.
pub fn annotate(picture: &mut Picture, objects: &[Candidate], label: impl Fn(u32) -> String) {
    // The worst first, so that the best stay readable.
    for object in objects.iter().rev() {
        let colour = COLOURS[object.class as usize % COLOURS.len()];
        let [left, top, right, bottom] = [
            object.bounds.x1,
            object.bounds.y1,
            object.bounds.x2,
            object.bounds.y2,
        ]
        .map(|value| value.round() as u32);
        let thickness = (picture.width().max(picture.height()) / 320).clamp(1, 4);
        fill(picture, (left, top), (right, top + thickness), colour);
        fill(
            picture,
            (left, bottom.saturating_sub(thickness)),
            (right, bottom),
            colour,
        );
        fill(picture, (left, top), (left + thickness, bottom), colour);
        fill(
            picture,
            (right.saturating_sub(thickness), top),
            (right, bottom),
            colour,
        );
        let text = format!("{} {:.2}", label(object.class), object.score);
        let scale = (thickness / 2).max(1);
        caption(
            picture,
            (left, top.saturating_sub((LETTER + 1) * scale)),
            &text,
            colour,
            scale,
        );
    }
}

/// Writes black letters on a coloured bar, moved left as far as it needs to fit.
fn caption(picture: &mut Picture, (x, y): (u32, u32), text: &str, colour: [u8; 3], scale: u32) {
    let width = text.len() as u32 * LETTER * scale;
    let left = x.min(picture.width().saturating_sub(width));
    fill(
        picture,
        (left, y),
        (left + width, y + (LETTER + 1) * scale),
        colour,
    );
    for (index, letter) in (0..).zip(text.bytes()) {
        let glyph = BASIC_LEGACY[usize::from(letter) & 0x7f];
        for (row, bits) in (0..).zip(glyph) {
            for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                let corner = (
                    left + (index * LETTER + column) * scale,
                    y + (row + 1) * scale,
                );
                fill(
                    picture,
                    corner,
                    (corner.0 + scale, corner.1 + scale),
                    [0, 0, 0],
                );
            }
        }
    }
}

/// Fills a rectangle, cut at the picture's edges.
fn fill(picture: &mut Picture, from: (u32, u32), to: (u32, u32), colour: [u8; 3]) {
    let (width, height) = (picture.width(), picture.height());
    for y in from.1..to.1.min(height) {
        for x in from.0..to.0.min(width) {
            let start = (y as usize * width as usize + x as usize) * 3;
            picture.rgb_mut()[start..start + 3].copy_from_slice(&colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::PixelBox;

    #[test]
    fn boxes_are_drawn_even_over_the_edge() {
        let mut picture = Picture::from_rgb(64, 48, vec![0; 64 * 48 * 3]).unwrap();
        let bounds = PixelBox {
            x1: 10.0,
            y1: 20.0,
            x2: 64.0,
            y2: 48.0,
        };
        annotate(
            &mut picture,
            &[Candidate {
                bounds,
                score: 0.5,
                class: 0,
            }],
            |_| "dog".into(),
        );
        let at = |x: usize, y: usize| &picture.rgb()[(y * 64 + x) * 3..][..3];
        assert_eq!(at(10, 30), COLOURS[0]);
        assert_eq!(at(63, 47), COLOURS[0]);
        assert_eq!(at(30, 30), [0, 0, 0]);
        assert_eq!(at(5, 11), COLOURS[0], "the caption moved left to fit");
    }
}
