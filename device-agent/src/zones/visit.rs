use std::time::Duration;

use crate::zones::Zone;

/// One object and one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Visit {
    /// Since when it is inside.
    inside: Option<Duration>,
    /// Whether it has ever been.
    entered: bool,
    /// Frames in a row that say otherwise, and when the first of them was taken.
    doubts: u32,
    doubted: Duration,
}

impl Visit {
    /// Takes a frame in which the object stood in the zone or did not.
    pub(crate) fn step(&mut self, zone: &Zone, stands: bool, time: Duration) {
        if stands == self.inside.is_some() {
            self.doubts = 0;
            return;
        }
        if self.doubts == 0 {
            self.doubted = time;
        }
        self.doubts += 1;
        if self.doubts >= zone.inertia {
            self.doubts = 0;
            self.inside = stands.then_some(self.doubted);
            self.entered |= stands;
        }
    }

    /// Whether the object has ever been in the zone.
    pub(crate) const fn entered(&self) -> bool {
        self.entered
    }

    /// Whether it is there.
    pub(crate) const fn current(&self) -> bool {
        self.inside.is_some()
    }

    /// Whether it is there for longer than it should be.
    pub(crate) fn loiters(&self, zone: &Zone, time: Duration) -> bool {
        match (self.inside, zone.loitering) {
            (Some(since), Some(allowed)) => time.saturating_sub(since) >= allowed,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::polygon::Polygon;

    fn zone(inertia: u32) -> Zone {
        Zone {
            name: "gate".parse().unwrap(),
            polygon: Polygon::try_from(vec![[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]])
                .unwrap(),
            labels: ["person".to_owned()].into(),
            inertia,
            loitering: Some(Duration::from_secs(3)),
        }
    }

    /// One letter a frame and second: `i` stands inside, `o` outside; what comes out is `.` outside and never in, `o`
    /// outside again, `i` inside, `L` loitering.
    fn visits(inertia: u32, stands: &str) -> String {
        let zone = zone(inertia);
        let mut visit = Visit::default();
        (0..)
            .zip(stands.chars())
            .map(|(second, stands)| {
                let now = Duration::from_secs(second);
                visit.step(&zone, stands == 'i', now);
                match (visit.loiters(&zone, now), visit.current(), visit.entered()) {
                    (true, _, _) => 'L',
                    (false, true, _) => 'i',
                    (false, false, true) => 'o',
                    (false, false, false) => '.',
                }
            })
            .collect()
    }

    #[test]
    fn entering_staying_and_leaving() {
        for (inertia, stands, expected) in [
            (1, "oioi", ".ioi"),
            (3, "iioiioii", "........"),
            (3, "oiiio", "...iL"),
            // Time counts from the first step inside: second 1, so 3 s are over in second 4.
            (3, "oiiiii", "...iLL"),
            // Two frames outside are no leaving.
            (3, "iiiooiiooo", "..iLLLLLLo"),
            // Coming back begins the time anew: inside from second 6 on.
            (2, "iiiiooiiii", ".iiLLooiiL"),
        ] {
            assert_eq!(visits(inertia, stands), expected, "{inertia} {stands}");
        }
    }

    #[test]
    fn feet_and_labels_decide() {
        let zone = zone(1);
        for (label, bounds, holds) in [
            // Its head is above the zone, its feet inside.
            ("person", [0.4, 0.1, 0.2, 0.5], true),
            ("person", [0.4, 0.1, 0.2, 0.3], false),
            ("person", [0.9, 0.8, 0.1, 0.2], true),
            ("car", [0.4, 0.1, 0.2, 0.5], false),
        ] {
            assert_eq!(zone.holds(label, bounds), holds, "{label} {bounds:?}");
        }
        let everybody = Zone {
            labels: Default::default(),
            ..zone
        };
        assert!(everybody.holds("car", [0.4, 0.1, 0.2, 0.5]));
    }
}
