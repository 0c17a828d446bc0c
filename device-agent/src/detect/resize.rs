use crate::picture::Picture;

/// Fractional bits of a weight, as OpenCV has them (`INTER_RESIZE_COEF_BITS`).
const WEIGHT_BITS: i32 = 11;

/// Where one output pixel comes from: two neighbours in the input and how much of each, in 1/2048.
#[derive(Debug, Clone, Copy)]
struct Tap {
    near: usize,
    far: usize,
    weight_near: i32,
    weight_far: i32,
}

/// Resizes a picture exactly as OpenCV's `cv2.resize` does with `INTER_LINEAR` on 8-bit pixels: bilinear in fixed
/// point, without antialiasing.
///
/// Models were trained and are judged on pictures resized so; a better looking filter moves their boxes.
pub(crate) fn resize_bilinear(source: &Picture, width: u32, height: u32) -> Picture {
    if (source.width(), source.height()) == (width, height) {
        return source.clone();
    }
    let rgb = if (source.width(), source.height()) == (2 * width, 2 * height) {
        halve(source, width as usize, height as usize)
    } else {
        bilinear(source, width as usize, height as usize)
    };
    Picture::from_rgb(width, height, rgb).expect("the rows fill the size that was asked for")
}

fn bilinear(source: &Picture, width: usize, height: usize) -> Vec<u8> {
    let columns = taps(source.width() as usize, width, Edge::Pinned);
    let rows = taps(source.height() as usize, height, Edge::Clamped);
    let stride = source.width() as usize * 3;
    let mut upper = Row::new(width * 3);
    let mut lower = Row::new(width * 3);
    let mut output = Vec::with_capacity(width * height * 3);
    for row in rows {
        // The lower row of one output row is often the upper one of the next.
        if upper.from != Some(row.near) && lower.from == Some(row.near) {
            std::mem::swap(&mut upper, &mut lower);
        }
        upper.fill(source.rgb(), stride, row.near, &columns);
        lower.fill(source.rgb(), stride, row.far, &columns);
        output.extend(upper.sums.iter().zip(&lower.sums).map(|(&near, &far)| {
            let near = (row.weight_near * (near >> 4)) >> 16;
            let far = (row.weight_far * (far >> 4)) >> 16;
            ((near + far + 2) >> 2).clamp(0, 255) as u8
        }));
    }
    output
}

/// One input row, stretched to the output's width; values carry [`WEIGHT_BITS`] fractional bits.
struct Row {
    from: Option<usize>,
    sums: Vec<i32>,
}

impl Row {
    fn new(length: usize) -> Self {
        Self {
            from: None,
            sums: vec![0; length],
        }
    }

    fn fill(&mut self, rgb: &[u8], stride: usize, row: usize, columns: &[Tap]) {
        if self.from == Some(row) {
            return;
        }
        let pixels = &rgb[row * stride..(row + 1) * stride];
        for (sum, tap) in self.sums.chunks_exact_mut(3).zip(columns) {
            let near = &pixels[tap.near * 3..tap.near * 3 + 3];
            let far = &pixels[tap.far * 3..tap.far * 3 + 3];
            for channel in 0..3 {
                sum[channel] = i32::from(near[channel]) * tap.weight_near
                    + i32::from(far[channel]) * tap.weight_far;
            }
        }
        self.from = Some(row);
    }
}

/// What happens where an output pixel lies beyond the outermost input pixels. OpenCV treats columns and rows
/// differently, and the rounding shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// All the weight goes to the outermost pixel.
    Pinned,
    /// Both neighbours are clamped to the outermost pixel and keep their weights.
    Clamped,
}

fn taps(input: usize, output: usize, edge: Edge) -> Vec<Tap> {
    let scale = 1.0 / (output as f64 / input as f64);
    let last = input as i64 - 1;
    (0..output)
        .map(|index| {
            let position = ((index as f64 + 0.5) * scale - 0.5) as f32;
            let mut near = position.floor() as i64;
            let mut fraction = position - near as f32;
            if edge == Edge::Pinned && (near < 0 || near >= last) {
                near = near.clamp(0, last);
                fraction = 0.0;
            }
            let one = (1 << WEIGHT_BITS) as f32;
            Tap {
                near: near.clamp(0, last) as usize,
                far: (near + 1).clamp(0, last) as usize,
                weight_near: ((1.0 - fraction) * one).round_ties_even() as i32,
                weight_far: (fraction * one).round_ties_even() as i32,
            }
        })
        .collect()
}

/// For an exact halving OpenCV averages each 2x2 block instead.
fn halve(source: &Picture, width: usize, height: usize) -> Vec<u8> {
    let stride = source.width() as usize * 3;
    let rgb = source.rgb();
    let mut output = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        let (upper, lower) = (&rgb[2 * row * stride..], &rgb[(2 * row + 1) * stride..]);
        for column in 0..width {
            for channel in 0..3 {
                let left = column * 6 + channel;
                let sum: u16 = [upper[left], upper[left + 3], lower[left], lower[left + 3]]
                    .into_iter()
                    .map(u16::from)
                    .sum();
                output.push(((sum + 2) >> 2) as u8);
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Noise that any language can repeat: the top byte of a 64-bit linear congruential generator.
    fn noise(width: u32, height: u32) -> Picture {
        let mut state = u64::from(width) * 1000 + u64::from(height);
        let rgb = (0..width * height * 3)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        Picture::from_rgb(width, height, rgb).unwrap()
    }

    #[test]
    fn every_byte_is_the_one_that_opencv_gives() {
        // First half of the sha256 of cv2.resize(noise, (w, h), interpolation=cv2.INTER_LINEAR), OpenCV 5.0.0.
        for (input, output, expected) in [
            ((17, 11), (9, 7), "2ff3abc3459b2006"),
            ((40, 30), (20, 15), "6838e2555cc0be78"),
            ((7, 5), (23, 31), "b848fda0daeb86ae"),
            ((64, 48), (33, 25), "ac24d1da202bb1cd"),
            ((50, 20), (50, 13), "add13827ae84b409"),
            ((31, 31), (31, 31), "fc4a9ba902a61fb1"),
            ((3, 2), (10, 1), "734672ca1d770789"),
            ((100, 1), (37, 1), "7ebc6b8ef13d58dd"),
            ((64, 48), (31, 48), "219d3f9052fd1211"),
            ((640, 3), (416, 2), "ff9bbc90f2c965bd"),
            ((13, 57), (4, 20), "e4312ecd37a4680f"),
        ] {
            let resized = resize_bilinear(&noise(input.0, input.1), output.0, output.1);
            let digest = hex::encode(Sha256::digest(resized.rgb()));
            assert_eq!(&digest[..16], expected, "{input:?} to {output:?}");
        }
    }
}
