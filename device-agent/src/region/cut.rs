use crate::picture::Picture;
use crate::region::Region;

/// Copies a part out of a picture.
///
/// # Panics
/// When the region is not inside the picture; those that are planned are.
pub(crate) fn cut_out(picture: &Picture, region: Region) -> Picture {
    let stride = picture.width() as usize * 3;
    let (start, length) = (region.left as usize * 3, region.width as usize * 3);
    let (first, rows) = (region.top as usize, region.height as usize);
    let mut rgb = Vec::with_capacity(rows * length);
    for row in first..first + rows {
        rgb.extend_from_slice(&picture.rgb()[row * stride + start..][..length]);
    }
    Picture::from_rgb(region.width, region.height, rgb).expect("the rows fill the region")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_the_pixels_of_its_place() {
        let rgb: Vec<u8> = (0..5 * 4 * 3).collect();
        let picture = Picture::from_rgb(5, 4, rgb).unwrap();
        let region = Region {
            left: 2,
            top: 1,
            width: 3,
            height: 2,
        };
        let part = cut_out(&picture, region);
        assert_eq!((part.width(), part.height()), (3, 2));
        assert_eq!(part.rgb()[..3], [21, 22, 23]);
        assert_eq!(part.rgb()[9..12], [36, 37, 38]);
    }
}
