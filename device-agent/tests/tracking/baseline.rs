//! What a tracker must be better than: each box goes on as the number of the box of the last frame that it overlaps most
//! (the IOU tracker of Bochinski et al., 2017, with the overlap that SORT uses). It knows neither motion nor hidden objects.

use ashya_agent::{Candidate, TrackerOptions};

use crate::metrics::Shown;

/// Least overlap with the box of the last frame.
const OVERLAP: f32 = 0.3;

pub(crate) struct Baseline {
    options: TrackerOptions,
    last: Vec<Followed>,
    numbers: u64,
}

struct Followed {
    number: u64,
    hits: u32,
    candidate: Candidate,
}

impl Baseline {
    pub(crate) fn new(options: TrackerOptions) -> Self {
        Self {
            options,
            last: Vec::new(),
            numbers: 0,
        }
    }

    pub(crate) fn update(&mut self, candidates: &[Candidate]) -> Vec<Shown> {
        let mut free: Vec<Candidate> = candidates
            .iter()
            .filter(|candidate| candidate.score >= self.options.sure)
            .copied()
            .collect();
        let mut now = Vec::new();
        for followed in std::mem::take(&mut self.last) {
            let overlap = |candidate: &Candidate| {
                let same = candidate.class == followed.candidate.class;
                f32::from(u8::from(same)) * candidate.bounds.overlap(&followed.candidate.bounds)
            };
            let best =
                (0..free.len()).max_by(|&a, &b| overlap(&free[a]).total_cmp(&overlap(&free[b])));
            if let Some(best) = best.filter(|&best| overlap(&free[best]) >= OVERLAP) {
                now.push(Followed {
                    number: followed.number,
                    hits: followed.hits + 1,
                    candidate: free.swap_remove(best),
                });
            }
        }
        for candidate in free {
            if candidate.score >= self.options.begin {
                self.numbers += 1;
                now.push(Followed {
                    number: self.numbers,
                    hits: 1,
                    candidate,
                });
            }
        }
        self.last = now;
        let confirmed = self
            .last
            .iter()
            .filter(|followed| followed.hits >= self.options.min_hits);
        confirmed
            .map(|followed| Shown {
                id: followed.number,
                class: followed.candidate.class,
                bounds: followed.candidate.bounds,
            })
            .collect()
    }
}
