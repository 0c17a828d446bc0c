use std::collections::BTreeMap;
use std::time::Duration;

use ashya_protocol::{BoundingBox, ObjectChange, ObjectEvent, ObjectZones, TimeUs, ZoneName};

use crate::detect::PixelBox;
use crate::objects::stillness::Stillness;
use crate::track::TrackId;
use crate::zones::{Visit, Zone};

/// Overlap with where it was told to be below which an object has moved.
const MOVED: f32 = 0.8;

/// Everybody that is in a zone, by zone and label.
type Counts = BTreeMap<ZoneName, BTreeMap<String, u32>>;

/// When an object is told to have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectRules {
    /// Least time between two events of an object, its end apart.
    pub update_interval: Duration,
    /// How long an object stands still before it is stationary.
    pub stationary: Duration,
}

/// When a frame was taken: by a clock that never goes back, and for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) time: Duration,
    pub(crate) time_us: TimeUs,
}

/// A confirmed object in a frame. Boxes are `[x, y, width, height]` in fractions of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sighting<'a> {
    pub(crate) id: TrackId,
    pub(crate) label: &'a str,
    pub(crate) class: u32,
    pub(crate) score: f32,
    /// The box as it was found.
    pub(crate) bounds: [f32; 4],
    /// The box by all frames so far.
    pub(crate) calm: [f32; 4],
    /// How long ago the object was seen first.
    pub(crate) age: Duration,
}

/// Everything that is known about the objects there are.
#[derive(Debug)]
pub(crate) struct Objects {
    rules: ObjectRules,
    zones: Vec<Zone>,
    there: BTreeMap<TrackId, Object>,
}

#[derive(Debug)]
struct Object {
    label: String,
    class: u32,
    score: f32,
    top_score: f32,
    bounds: [f32; 4],
    calm: [f32; 4],
    first_seen_us: TimeUs,
    last_seen_us: TimeUs,
    stillness: Stillness,
    /// One for each zone.
    visits: Vec<Visit>,
    /// Whether it was in the last frame.
    visible: bool,
    state: State,
    told: Option<Told>,
}

/// What of an object is worth an event when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct State {
    stationary: bool,
    zones: ObjectZones,
}

/// What was told last.
#[derive(Debug)]
struct Told {
    at: Duration,
    bounds: PixelBox,
    state: State,
}

impl Objects {
    pub(crate) fn new(rules: ObjectRules, mut zones: Vec<Zone>) -> Self {
        zones.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            rules,
            zones,
            there: BTreeMap::new(),
        }
    }

    /// Takes what a frame said and returns what is worth telling: ends first, the rest in the order of numbers.
    pub(crate) fn update(
        &mut self,
        now: Moment,
        sightings: &[Sighting<'_>],
        gone: &[TrackId],
    ) -> Vec<ObjectEvent> {
        let ended = self.remove(gone);
        for object in self.there.values_mut() {
            object.visible = false;
        }
        for sighting in sightings {
            self.see(now, sighting);
        }
        self.tell(now, ended)
    }

    /// Takes a frame in which nothing has moved: who was there still is, time has passed, and who was hidden may be gone.
    pub(crate) fn rest(&mut self, now: Moment, gone: &[TrackId]) -> Vec<ObjectEvent> {
        let ended = self.remove(gone);
        for object in self.there.values_mut().filter(|object| object.visible) {
            object.last_seen_us = now.time_us;
            object.step(&self.rules, &self.zones, now.time);
        }
        self.tell(now, ended)
    }

    fn remove(&mut self, gone: &[TrackId]) -> Vec<(TrackId, Object)> {
        let entries = gone.iter().filter_map(|id| self.there.remove_entry(id));
        entries.collect()
    }

    fn tell(&mut self, now: Moment, ended: Vec<(TrackId, Object)>) -> Vec<ObjectEvent> {
        let counts = self.counts();
        let ends = ended
            .into_iter()
            .map(|(id, object)| object.end(id, &counts));
        let mut events: Vec<ObjectEvent> = ends.collect();
        events.extend(self.changes(now, &counts));
        events
    }

    fn see(&mut self, now: Moment, sighting: &Sighting<'_>) {
        let zones = self.zones.len();
        let object = self.there.entry(sighting.id).or_insert_with(|| Object {
            label: sighting.label.to_owned(),
            class: sighting.class,
            score: sighting.score,
            top_score: sighting.score,
            bounds: sighting.bounds,
            calm: sighting.calm,
            first_seen_us: before(now.time_us, sighting.age),
            last_seen_us: now.time_us,
            stillness: Stillness::begin(pixel_box(sighting.calm), now.time),
            visits: vec![Visit::default(); zones],
            visible: true,
            state: State::default(),
            told: None,
        });
        object.score = sighting.score;
        object.top_score = object.top_score.max(sighting.score);
        object.bounds = sighting.bounds;
        object.calm = sighting.calm;
        object.last_seen_us = now.time_us;
        object.visible = true;
        object.step(&self.rules, &self.zones, now.time);
    }

    /// Events of the objects in this frame of which there is news.
    fn changes(&mut self, now: Moment, counts: &Counts) -> Vec<ObjectEvent> {
        let interval = self.rules.update_interval;
        self.there
            .iter_mut()
            .filter(|(_, object)| object.visible)
            .filter_map(|(id, object)| {
                let change = object.change(now.time, interval)?;
                object.told = Some(Told {
                    at: now.time,
                    bounds: pixel_box(object.calm),
                    state: object.state.clone(),
                });
                Some(object.event(*id, change, counts))
            })
            .collect()
    }

    /// Who is hidden in a zone counts until it is gone.
    fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for object in self.there.values() {
            for name in &object.state.zones.current {
                *counts
                    .entry(name.clone())
                    .or_default()
                    .entry(object.label.clone())
                    .or_default() += 1;
            }
        }
        counts
    }
}

impl Object {
    /// Moves zones and stillness on to a frame in which the object is.
    fn step(&mut self, rules: &ObjectRules, zones: &[Zone], time: Duration) {
        let still = self.stillness.step(&pixel_box(self.calm), time);
        let mut state = State {
            stationary: still >= rules.stationary,
            zones: ObjectZones::default(),
        };
        for (zone, visit) in zones.iter().zip(&mut self.visits) {
            visit.step(zone, zone.holds(&self.label, self.bounds), time);
            for (holds, list) in [
                (visit.entered(), &mut state.zones.entered),
                (visit.current(), &mut state.zones.current),
                (visit.loiters(zone, time), &mut state.zones.loitering),
            ] {
                if holds {
                    list.push(zone.name.clone());
                }
            }
        }
        self.state = state;
    }

    /// What is to be told now, if anything.
    fn change(&self, time: Duration, interval: Duration) -> Option<ObjectChange> {
        let Some(told) = &self.told else {
            return Some(ObjectChange::New);
        };
        let news = told.state != self.state || told.bounds.overlap(&pixel_box(self.calm)) < MOVED;
        let due = time.saturating_sub(told.at) >= interval;
        (news && due).then_some(ObjectChange::Update)
    }

    /// What is told when it is gone: it has been in zones, but is in none.
    fn end(mut self, id: TrackId, counts: &Counts) -> ObjectEvent {
        self.state.zones.current.clear();
        self.state.zones.loitering.clear();
        self.event(id, ObjectChange::End, counts)
    }

    fn event(&self, id: TrackId, change: ObjectChange, counts: &Counts) -> ObjectEvent {
        ObjectEvent {
            change,
            id: id.get(),
            label: self.label.clone(),
            class: self.class,
            score: self.score,
            top_score: self.top_score,
            bounds: BoundingBox(self.bounds),
            first_seen_us: self.first_seen_us,
            last_seen_us: self.last_seen_us,
            stationary: self.state.stationary,
            zones: self.state.zones.clone(),
            counts: counts.clone(),
            snapshot: None,
        }
    }
}

/// A box in fractions of the picture, to be compared with others of the picture.
fn pixel_box([x, y, width, height]: [f32; 4]) -> PixelBox {
    PixelBox {
        x1: x,
        y1: y,
        x2: x + width,
        y2: y + height,
    }
}

fn before(time: TimeUs, age: Duration) -> TimeUs {
    let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
    TimeUs::try_from(time.get().saturating_sub(age)).unwrap_or(time)
}

#[cfg(test)]
mod tests;
