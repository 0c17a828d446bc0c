use tiny_skia::{
    BlendMode, Color, FillRule, FilterQuality, LineCap, Paint, Path, PathBuilder, Pixmap,
    PixmapPaint, Rect, Stroke, Transform,
};

use crate::detect::PixelBox;
use crate::picture::Picture;

/// Red, green, blue.
pub(super) type Rgb = [u8; 3];
/// Across and down, in pixels.
pub(super) type Point = (f32, f32);

/// A transparent sheet to draw one thing on.
pub(super) struct Sheet {
    pixmap: Pixmap,
}

impl Sheet {
    /// An empty sheet; a side of zero counts as one pixel.
    pub(super) fn new(side: u32) -> Self {
        let side = side.max(1);
        Self {
            pixmap: Pixmap::new(side, side).expect("the sides are positive and small"),
        }
    }

    pub(super) fn clear(&mut self) {
        self.pixmap.fill(Color::TRANSPARENT);
    }

    pub(super) fn polygon(&mut self, points: &[Point], colour: Rgb) {
        let mut builder = PathBuilder::new();
        for (index, &(x, y)) in points.iter().enumerate() {
            if index == 0 {
                builder.move_to(x, y);
            } else {
                builder.line_to(x, y);
            }
        }
        builder.close();
        self.fill(builder.finish(), colour);
    }

    pub(super) fn rectangle(&mut self, left: f32, top: f32, right: f32, bottom: f32, colour: Rgb) {
        self.fill(
            Rect::from_ltrb(left, top, right, bottom).map(PathBuilder::from_rect),
            colour,
        );
    }

    pub(super) fn ellipse(&mut self, centre: Point, radii: Point, colour: Rgb) {
        self.fill(oval(centre, radii), colour);
    }

    /// An ellipse in a darker or lighter tone over what is there, `opacity` from 0 to 1.
    pub(super) fn shade(&mut self, centre: Point, radii: Point, opacity: f32) {
        let mut paint = Paint::default();
        paint.set_color(Color::from_rgba(0.0, 0.0, 0.0, opacity).unwrap_or(Color::BLACK));
        if let Some(path) = oval(centre, radii) {
            self.pixmap.fill_path(
                &path,
                &paint,
                FillRule::Winding,
                Transform::identity(),
                None,
            );
        }
    }

    pub(super) fn ring(&mut self, centre: Point, radius: f32, colour: Rgb, width: f32) {
        self.stroke(oval(centre, (radius, radius)), colour, width);
    }

    pub(super) fn line(&mut self, from: Point, to: Point, colour: Rgb, width: f32) {
        let mut builder = PathBuilder::new();
        builder.move_to(from.0, from.1);
        builder.line_to(to.0, to.1);
        self.stroke(builder.finish(), colour, width);
    }

    /// Lays another sheet over this one.
    pub(super) fn lay(&mut self, other: &Self) {
        let paint = PixmapPaint {
            blend_mode: BlendMode::SourceOver,
            opacity: 1.0,
            quality: FilterQuality::Nearest,
        };
        self.pixmap.draw_pixmap(
            0,
            0,
            other.pixmap.as_ref(),
            &paint,
            Transform::identity(),
            None,
        );
    }

    pub(super) fn copy_from(&mut self, other: &Self) {
        self.pixmap.data_mut().copy_from_slice(other.pixmap.data());
    }

    /// Which pixels are covered by at least half, row by row.
    pub(super) fn covered(&self) -> Vec<bool> {
        self.pixmap
            .pixels()
            .iter()
            .map(|pixel| pixel.alpha() > 127)
            .collect()
    }

    pub(super) fn to_picture(&self) -> Picture {
        let rgb = self
            .pixmap
            .pixels()
            .iter()
            .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()])
            .collect();
        Picture::from_rgb(self.pixmap.width(), self.pixmap.height(), rgb)
            .expect("a sheet has pixels for its size")
    }

    fn fill(&mut self, path: Option<Path>, colour: Rgb) {
        if let Some(path) = path {
            let paint = solid(colour);
            self.pixmap.fill_path(
                &path,
                &paint,
                FillRule::Winding,
                Transform::identity(),
                None,
            );
        }
    }

    fn stroke(&mut self, path: Option<Path>, colour: Rgb, width: f32) {
        if let Some(path) = path {
            let stroke = Stroke {
                width: width.max(1.0),
                line_cap: LineCap::Round,
                ..Stroke::default()
            };
            self.pixmap
                .stroke_path(&path, &solid(colour), &stroke, Transform::identity(), None);
        }
    }
}

/// The smallest box around the covered pixels; `None` where there are none.
pub(super) fn bounds_of(covered: &[bool], side: u32) -> Option<PixelBox> {
    let mut bounds: Option<(u32, u32, u32, u32)> = None;
    for (row, line) in (0..).zip(covered.chunks_exact(side as usize)) {
        let Some(first) = line.iter().position(|&covered| covered) else {
            continue;
        };
        let last = line.iter().rposition(|&covered| covered).unwrap_or(first);
        let (first, last) = (first as u32, last as u32 + 1);
        let (x1, y1, x2, _) = bounds.unwrap_or((first, row, last, row));
        bounds = Some((x1.min(first), y1, x2.max(last), row + 1));
    }
    bounds.map(|(x1, y1, x2, y2)| PixelBox {
        x1: x1 as f32,
        y1: y1 as f32,
        x2: x2 as f32,
        y2: y2 as f32,
    })
}

fn oval(centre: Point, radii: Point) -> Option<Path> {
    let (width, height) = (radii.0.max(0.5), radii.1.max(0.5));
    let rect = Rect::from_ltrb(
        centre.0 - width,
        centre.1 - height,
        centre.0 + width,
        centre.1 + height,
    )?;
    PathBuilder::from_oval(rect)
}

fn solid([red, green, blue]: Rgb) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, 255);
    paint
}
