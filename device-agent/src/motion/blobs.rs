use std::cmp::Reverse;

/// Changed pixels this far apart, across and down, belong together: a walker's legs and head seldom touch.
const REACH: usize = 3;
/// Most blobs that a picture yields; rain and snow have more, and no use for them.
const MAX_BLOBS: usize = 32;

/// Pixels that changed together: edges left and top inclusive, right and bottom exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
    /// How many of them changed.
    pub(super) pixels: usize,
}

/// Groups of changed pixels (1 rather than 0) of at least `least` pixels, the largest first.
///
/// A changed pixel without enough changed neighbours is noise.
pub(super) fn blobs(changed: &[u8], (width, height): (usize, usize), least: usize) -> Vec<Blob> {
    let mut open = without_specks(changed, (width, height));
    let mut found = Vec::new();
    let mut waiting = Vec::new();
    for start in 0..open.len() {
        if !std::mem::take(&mut open[start]) {
            continue;
        }
        let mut blob = Blob::at(start % width, start / width);
        waiting.push(start);
        while let Some(place) = waiting.pop() {
            let (x, y) = (place % width, place / width);
            blob.add(x, y);
            for row in around(y, REACH, height) {
                for column in around(x, REACH, width) {
                    let near = row * width + column;
                    if std::mem::take(&mut open[near]) {
                        waiting.push(near);
                    }
                }
            }
        }
        if blob.pixels >= least {
            found.push(blob);
        }
    }
    found.sort_by_key(|blob| Reverse(blob.pixels));
    found.truncate(MAX_BLOBS);
    found
}

/// Leaves out changed pixels that have fewer than two changed neighbours.
fn without_specks(changed: &[u8], (width, height): (usize, usize)) -> Vec<bool> {
    (0..changed.len())
        .map(|place| {
            if changed[place] == 0 {
                return false;
            }
            let (x, y) = (place % width, place / width);
            let rows = around(y, 1, height).map(|row| &changed[row * width..][around(x, 1, width)]);
            rows.flatten().filter(|&&changed| changed > 0).count() > 2
        })
        .collect()
}

fn around(place: usize, reach: usize, side: usize) -> std::ops::Range<usize> {
    place.saturating_sub(reach)..side.min(place + reach + 1)
}

impl Blob {
    const fn at(x: usize, y: usize) -> Self {
        Self {
            left: x,
            top: y,
            right: x + 1,
            bottom: y + 1,
            pixels: 0,
        }
    }

    fn add(&mut self, x: usize, y: usize) {
        self.left = self.left.min(x);
        self.top = self.top.min(y);
        self.right = self.right.max(x + 1);
        self.bottom = self.bottom.max(y + 1);
        self.pixels += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blobs of a drawing, as `left top right bottom pixels`.
    fn found(drawing: &[&str], least: usize) -> Vec<[usize; 5]> {
        let changed: Vec<u8> = drawing
            .iter()
            .flat_map(|row| row.bytes().map(|byte| u8::from(byte == b'#')))
            .collect();
        blobs(&changed, (drawing[0].len(), drawing.len()), least)
            .iter()
            .map(|blob| [blob.left, blob.top, blob.right, blob.bottom, blob.pixels])
            .collect()
    }

    #[test]
    fn what_changes_together_is_one_blob() {
        for (drawing, least, expected) in [
            (vec!["....", "...."], 1, vec![]),
            (vec!["##..", "##.."], 1, vec![[0, 0, 2, 2, 4]]),
            (vec!["##..", "##.."], 5, vec![]),
            // A gap of two is bridged, one of three is not.
            (vec!["##..##", "##..##"], 1, vec![[0, 0, 6, 2, 8]]),
            (
                vec!["##...###", "##...###"],
                1,
                vec![[5, 0, 8, 2, 6], [0, 0, 2, 2, 4]],
            ),
            // Specks of noise are nothing.
            (vec!["#......#", "........", "..##...."], 1, vec![]),
        ] {
            assert_eq!(found(&drawing, least), expected, "{drawing:?}");
        }
    }

    #[test]
    fn snow_has_an_end() {
        let (width, height) = (160, 160);
        let changed: Vec<u8> = (0..width * height)
            .map(|place| u8::from(place % width % 6 < 2 && place / width % 6 < 2))
            .collect();
        assert_eq!(blobs(&changed, (width, height), 1).len(), MAX_BLOBS);
    }
}
