use super::*;
use crate::polygon::Polygon;

const START_US: u64 = 1_790_000_000_000_000;
const RULES: ObjectRules = ObjectRules {
    update_interval: Duration::from_secs(1),
    stationary: Duration::from_secs(5),
};

fn ids<const COUNT: usize>() -> [TrackId; COUNT] {
    std::array::from_fn(|index| TrackId::new(index as u64 + 1))
}

fn moment(millis: u64) -> Moment {
    Moment {
        time: Duration::from_millis(millis),
        time_us: TimeUs::try_from(START_US + millis * 1000).unwrap(),
    }
}

/// Somebody whose feet are at `x`, `y`.
fn sighting(id: TrackId, [x, y]: [f32; 2]) -> Sighting<'static> {
    let bounds = [x - 0.05, y - 0.2, 0.1, 0.2];
    Sighting {
        id,
        label: "person",
        class: 3,
        score: 0.5,
        bounds,
        calm: bounds,
        age: Duration::from_millis(400),
    }
}

/// The lower half of the picture.
fn gate() -> Zone {
    Zone {
        name: "gate".parse().unwrap(),
        polygon: Polygon::try_from(vec![[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]).unwrap(),
        labels: Default::default(),
        inertia: 1,
        loitering: Some(Duration::from_secs(2)),
    }
}

fn told(events: &[ObjectEvent]) -> Vec<(ObjectChange, u64)> {
    events
        .iter()
        .map(|event| (event.change, event.id))
        .collect()
}

#[test]
fn an_object_comes_changes_and_goes_under_one_number() {
    let [id] = ids();
    let mut objects = Objects::new(RULES, vec![gate()]);
    let first = objects.update(moment(1000), &[sighting(id, [0.2, 0.3])], &[]);
    assert_eq!(told(&first), [(ObjectChange::New, 1)]);
    assert_eq!(
        first[0].first_seen_us.get(),
        START_US + 600_000,
        "it was seen before it was confirmed"
    );
    assert_eq!((first[0].class, first[0].label.as_str()), (3, "person"));
    // It moves at once, but is told a second later.
    for millis in [1200, 1400, 1800] {
        let y = 0.3 + (millis - 1000) as f32 / 4000.0;
        assert_eq!(
            objects.update(moment(millis), &[sighting(id, [0.2, y])], &[]),
            []
        );
    }
    let sure = Sighting {
        score: 0.9,
        ..sighting(id, [0.2, 0.6])
    };
    let update = objects.update(moment(2000), &[sure], &[]);
    assert_eq!(told(&update), [(ObjectChange::Update, 1)]);
    assert_eq!(update[0].zones.current, ["gate".parse().unwrap()]);
    assert_eq!(update[0].counts[&"gate".parse().unwrap()]["person"], 1);
    assert_eq!(
        objects.update(moment(2200), &[sighting(id, [0.2, 0.6])], &[]),
        []
    );
    // Hidden, then gone.
    assert_eq!(objects.update(moment(3400), &[], &[]), []);
    let end = objects.update(moment(4400), &[], &[id]);
    assert_eq!(told(&end), [(ObjectChange::End, 1)]);
    assert_eq!((end[0].score, end[0].top_score), (0.5, 0.9));
    assert_eq!(end[0].last_seen_us.get(), START_US + 2_200_000);
    assert_eq!(end[0].zones.entered, ["gate".parse().unwrap()]);
    assert!(end[0].zones.current.is_empty() && end[0].counts.is_empty());
    // Neither an end without a beginning nor a second end.
    assert_eq!(objects.update(moment(4600), &[], &[id]), []);
}

#[test]
fn who_stands_still_is_told_to_be_stationary_once() {
    let [id] = ids();
    let mut objects = Objects::new(RULES, Vec::new());
    let mut updates = Vec::new();
    for step in 0..50 {
        let now = moment(200 * step);
        for event in objects.update(now, &[sighting(id, [0.4, 0.4])], &[]) {
            updates.push((200 * step, event.change, event.stationary));
        }
    }
    assert_eq!(
        updates,
        [
            (0, ObjectChange::New, false),
            (5000, ObjectChange::Update, true)
        ]
    );
    let moved = objects.update(moment(10_000), &[sighting(id, [0.5, 0.4])], &[]);
    assert_eq!(
        (told(&moved), moved[0].stationary),
        (vec![(ObjectChange::Update, 1)], false)
    );
}

#[test]
fn loitering_is_told_also_while_nobody_has_to_look() {
    let [id, hidden] = ids();
    let mut objects = Objects::new(RULES, vec![gate()]);
    objects.update(
        moment(0),
        &[sighting(id, [0.4, 0.8]), sighting(hidden, [0.8, 0.8])],
        &[],
    );
    objects.update(moment(200), &[sighting(id, [0.4, 0.8])], &[]);
    let mut updates = Vec::new();
    for second in 1..10 {
        for event in objects.rest(moment(1000 * second), &[]) {
            assert_eq!(event.last_seen_us, moment(1000 * second).time_us);
            updates.push((
                second,
                event.id,
                event.zones.loitering.len(),
                event.stationary,
            ));
        }
    }
    // The hidden one is not known to be there still.
    assert_eq!(updates, [(2, 1, 1, false), (5, 1, 1, true)]);
    let ends = objects.rest(moment(10_000), &[hidden]);
    assert_eq!(told(&ends), [(ObjectChange::End, 2)]);
}

#[test]
fn each_label_in_a_zone_is_counted() {
    let all: [TrackId; 4] = ids();
    let mut objects = Objects::new(RULES, vec![gate()]);
    let mut sightings: Vec<_> = all
        .iter()
        .map(|&id| sighting(id, [0.2 * id.get() as f32, 0.8]))
        .collect();
    sightings[2].label = "dog";
    // Above the gate.
    sightings[3].bounds[1] = 0.0;
    let counted = |events: &[ObjectEvent]| {
        let counts = events.first().unwrap().counts.get(&"gate".parse().unwrap());
        counts.map(|labels| {
            labels
                .iter()
                .map(|(label, count)| format!("{label} {count}"))
                .collect::<Vec<_>>()
                .join(", ")
        })
    };
    let events = objects.update(moment(0), &sightings, &[]);
    assert_eq!(events.len(), 4);
    assert_eq!(counted(&events).unwrap(), "dog 1, person 2");
    // One is hidden and counts still; one is gone.
    let events = objects.update(moment(1000), &sightings[1..2], &all[..1]);
    assert_eq!(told(&events), [(ObjectChange::End, 1)]);
    assert_eq!(counted(&events).unwrap(), "dog 1, person 1");
    let events = objects.update(moment(2000), &[], &all[1..3]);
    assert_eq!(counted(&events), None);
}

#[test]
fn zones_that_flicker_make_no_more_events_than_the_interval_allows() {
    let [id] = ids();
    let mut objects = Objects::new(RULES, vec![gate()]);
    let mut events = Vec::new();
    for step in 0..=50 {
        // In and out with every frame, by a step of its feet.
        let y = if step % 2 == 0 { 0.499 } else { 0.501 };
        events.extend(objects.update(moment(100 * step), &[sighting(id, [0.4, y])], &[]));
    }
    assert!(events.len() <= 6, "{} events in 5 s", events.len());
    assert_eq!(events.last().unwrap().zones.entered.len(), 1);
}
