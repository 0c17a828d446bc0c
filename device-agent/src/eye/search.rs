use crate::config::RegionsConfig;
use crate::detect::{Candidate, Overlap, PixelBox, Size};
use crate::eye::attention::Glance;
use crate::motion::Motion;
use crate::picture::Picture;
use crate::region::{Found, Region, cut_out, is_large, is_part_of, merge, plan, still_standing};

/// Looks for objects: at the whole of a small picture, at parts of a large one.
#[derive(Debug)]
pub(super) struct Search {
    regions: Option<RegionsConfig>,
    /// Where something moved last.
    moving: Vec<PixelBox>,
    /// What was found last.
    standing: Vec<Candidate>,
}

impl Search {
    /// Without `regions` every picture is looked at as a whole.
    pub(super) const fn new(regions: Option<RegionsConfig>) -> Self {
        Self {
            regions,
            moving: Vec::new(),
            standing: Vec::new(),
        }
    }

    /// All objects that are there now, best score first, with boxes in pixels of the picture.
    ///
    /// `detect` finds those in a picture; `input` is the size of what its model sees.
    ///
    /// # Errors
    /// What `detect` fails with.
    pub(super) fn look<E>(
        &mut self,
        picture: &Picture,
        (motion, glance): (&Motion, Glance),
        input: Size,
        mut detect: impl FnMut(&Picture) -> Result<Vec<Candidate>, E>,
    ) -> Result<&[Candidate], E> {
        match motion {
            Motion::Moved(boxes) => self.moving.clone_from(boxes),
            Motion::Changed => self.moving.clear(),
            // The eye lingers where something moved a moment ago.
            Motion::Still => {}
        }
        let size = Size::of(picture);
        self.standing = match &self.regions {
            Some(regions) if is_large(size, input) => {
                let mut look = Look {
                    picture,
                    size,
                    input,
                    limit: regions.limit.get(),
                    looked: Vec::new(),
                    found: Vec::new(),
                    detect,
                };
                look.run(glance, &self.moving, &self.standing)?;
                look.all()
            }
            _ => detect(picture)?,
        };
        Ok(&self.standing)
    }
}

/// One look at a large picture.
struct Look<'a, D> {
    picture: &'a Picture,
    size: Size,
    input: Size,
    /// Most regions at a time.
    limit: usize,
    looked: Vec<Region>,
    found: Vec<Found>,
    detect: D,
}

impl<D, E> Look<'_, D>
where
    D: FnMut(&Picture) -> Result<Vec<Candidate>, E>,
{
    fn run(
        &mut self,
        glance: Glance,
        moving: &[PixelBox],
        standing: &[Candidate],
    ) -> Result<(), E> {
        let whole = glance == Glance::Whole;
        if whole {
            let objects = (self.detect)(self.picture)?;
            let uncut = |object| Found { object, cut: false };
            self.found.extend(objects.into_iter().map(uncut));
        }
        let mut boxes = moving.to_vec();
        // Who stands where something moves may be hidden by it, or go; of the others only a whole look asks.
        boxes.extend(
            standing
                .iter()
                .map(|object| object.bounds)
                .filter(|bounds| whole || moving.iter().any(|moved| moved.overlap(bounds) > 0.0)),
        );
        self.look_round(&boxes)?;
        let halves = self.halves();
        self.look_round(&halves)?;
        if !whole {
            let uncut = |object| Found { object, cut: false };
            let unseen = still_standing(standing, &self.looked);
            self.found.extend(unseen.into_iter().map(uncut));
        }
        Ok(())
    }

    fn look_round(&mut self, boxes: &[PixelBox]) -> Result<(), E> {
        for region in plan(self.size, self.input, boxes, self.limit) {
            if self.looked.contains(&region) {
                continue;
            }
            self.looked.push(region);
            let objects = (self.detect)(&cut_out(self.picture, region))?;
            let place = |object| region.place(object, self.size);
            self.found.extend(objects.into_iter().map(place));
        }
        Ok(())
    }

    /// Where to look for the rest of what was cut and that no other region shows whole.
    fn halves(&self) -> Vec<PixelBox> {
        let shown_whole = |half: &Found| {
            self.found.iter().any(|other| {
                let same = !other.cut && other.object.class == half.object.class;
                same && is_part_of(&half.object.bounds, &other.object.bounds)
            })
        };
        let halves = self
            .found
            .iter()
            .filter(|found| found.cut && !shown_whole(found));
        halves
            .map(|half| thrice(&half.object.bounds, self.size))
            .collect()
    }

    fn all(self) -> Vec<Candidate> {
        merge(self.found, Overlap::CALM)
    }
}

/// A box and its own width and height on each side of it, cut at the picture's edges.
fn thrice(bounds: &PixelBox, picture: Size) -> PixelBox {
    let (width, height) = (bounds.x2 - bounds.x1, bounds.y2 - bounds.y1);
    PixelBox {
        x1: (bounds.x1 - width).max(0.0),
        y1: (bounds.y1 - height).max(0.0),
        x2: (bounds.x2 + width).min(picture.width as f32),
        y2: (bounds.y2 + height).min(picture.height as f32),
    }
}

#[cfg(test)]
mod tests;
