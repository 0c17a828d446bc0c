//! What has wheels.

use super::Pose;
use crate::source::dice::Dice;
use crate::source::paint::Sheet;

pub(super) fn bicycle(s: &mut Sheet, dice: &mut Dice, pose: Pose) {
    let Pose {
        feet: (x, y),
        height: h,
        facing: f,
        ..
    } = pose;
    let (radius, base, colour, thick) = (
        h * 0.34,
        h * 0.95,
        dice.colour(20.0, 235.0),
        (h * 0.045).max(1.0),
    );
    let (rear, front) = (
        (x - f * base / 2.0, y - radius),
        (x + f * base / 2.0, y - radius),
    );
    for hub in [rear, front] {
        s.ring(hub, radius, [25, 25, 25], thick);
        s.ellipse(hub, (radius * 0.12, radius * 0.12), [90, 90, 90]);
    }
    let pedals = (x - f * base * 0.08, y - radius * 0.9);
    let seat = (x - f * base * 0.18, y - h * 0.80);
    let head = (x + f * base * 0.30, y - h * 0.78);
    for (from, to) in [
        (rear, pedals),
        (pedals, seat),
        (rear, seat),
        (seat, head),
        (pedals, head),
        (head, front),
    ] {
        s.line(from, to, colour, thick);
    }
    let saddle = seat.1 - h * 0.03;
    s.line(
        (seat.0 - h * 0.09, saddle),
        (seat.0 + h * 0.09, saddle),
        [20, 20, 20],
        thick * 1.6,
    );
    s.line(
        head,
        (head.0 + f * h * 0.02, y - h * 0.95),
        [60, 60, 60],
        thick,
    );
    s.line(
        (head.0 - h * 0.07, y - h * 0.95),
        (head.0 + h * 0.09, y - h * 0.97),
        [60, 60, 60],
        thick,
    );
}

pub(super) fn car(s: &mut Sheet, dice: &mut Dice, pose: Pose) {
    let Pose {
        feet: (x, y),
        height: h,
        facing,
        ..
    } = pose;
    let width = h * dice.between(2.1, 2.6);
    let (paint, glass) = (dice.colour(30.0, 240.0), dice.near([70, 90, 120], 25.0));
    let at = |u: f32| x + facing * (u - 0.5) * width;
    let (low, waist) = (y - h * 0.18, y - h * 0.60);
    s.polygon(
        &[
            (at(0.0), low),
            (at(0.01), y - h * 0.52),
            (at(0.12), waist),
            (at(0.80), waist),
            (at(0.97), y - h * 0.48),
            (at(1.0), low),
        ],
        paint,
    );
    let (roof, pane) = (y - h * 0.98, y - h * 0.92);
    let cabin = [
        (at(0.10), y - h * 0.58),
        (at(0.24), roof),
        (at(0.60), roof),
        (at(0.78), y - h * 0.58),
    ];
    s.polygon(&cabin, paint);
    s.polygon(
        &[
            (at(0.16), waist),
            (at(0.27), pane),
            (at(0.41), pane),
            (at(0.41), waist),
        ],
        glass,
    );
    s.polygon(
        &[
            (at(0.44), waist),
            (at(0.44), pane),
            (at(0.58), pane),
            (at(0.72), waist),
        ],
        glass,
    );
    wheels(s, &[at(0.2), at(0.8)], y, h * 0.2);
    s.ellipse(
        (at(0.97), y - h * 0.42),
        (h * 0.05, h * 0.05),
        [250, 240, 200],
    );
    s.ellipse(
        (at(0.02), y - h * 0.45),
        (h * 0.04, h * 0.05),
        [200, 40, 40],
    );
}

pub(super) fn bus(s: &mut Sheet, dice: &mut Dice, pose: Pose) {
    let Pose {
        feet: (x, y),
        height: h,
        facing,
        ..
    } = pose;
    let width = h * dice.between(2.2, 2.8);
    let (paint, stripe, glass) = (
        dice.colour(30.0, 240.0),
        dice.colour(20.0, 235.0),
        dice.near([80, 100, 130], 25.0),
    );
    let left = x - width / 2.0;
    s.rectangle(left, y - h, left + width, y - h * 0.12, paint);
    let panes = dice.pick(&[5, 6, 7, 8]);
    let pane = width / panes as f32;
    let door = if facing > 0.0 { panes - 1 } else { 0 };
    for index in 0..panes {
        let (from, to) = (
            left + index as f32 * pane,
            left + (index + 1) as f32 * pane - pane * 0.1,
        );
        if index == door {
            s.rectangle(from + pane * 0.2, y - h * 0.82, to, y - h * 0.14, glass);
        } else {
            s.rectangle(from + pane * 0.1, y - h * 0.84, to, y - h * 0.50, glass);
        }
    }
    s.rectangle(left, y - h * 0.40, left + width, y - h * 0.33, stripe);
    wheels(s, &[left + width * 0.18, left + width * 0.78], y, h * 0.14);
}

pub(super) fn truck(s: &mut Sheet, dice: &mut Dice, pose: Pose) {
    let Pose {
        feet: (x, y),
        height: h,
        facing,
        ..
    } = pose;
    let width = h * dice.between(1.9, 2.5);
    let (cargo, cab, glass) = (
        dice.colour(120.0, 250.0),
        dice.colour(30.0, 230.0),
        dice.near([80, 100, 130], 20.0),
    );
    let at = |u: f32| x + facing * (u - 0.5) * width;
    let low = y - h * 0.14;
    s.polygon(
        &[
            (at(0.0), low),
            (at(0.0), y - h),
            (at(0.68), y - h),
            (at(0.68), low),
        ],
        cargo,
    );
    let (brow, bonnet) = (y - h * 0.74, y - h * 0.42);
    s.polygon(
        &[
            (at(0.70), low),
            (at(0.70), brow),
            (at(0.88), brow),
            (at(1.0), bonnet),
            (at(1.0), low),
        ],
        cab,
    );
    let (sill, lintel) = (y - h * 0.45, y - h * 0.68);
    s.polygon(
        &[
            (at(0.78), sill),
            (at(0.78), lintel),
            (at(0.87), lintel),
            (at(0.96), sill),
        ],
        glass,
    );
    let frame = y - h * 0.20;
    s.polygon(
        &[
            (at(0.0), low),
            (at(0.0), frame),
            (at(1.0), frame),
            (at(1.0), low),
        ],
        [50, 50, 50],
    );
    wheels(s, &[at(0.14), at(0.30), at(0.84)], y, h * 0.13);
}

fn wheels(s: &mut Sheet, at: &[f32], y: f32, radius: f32) {
    for &x in at {
        s.ellipse((x, y - radius), (radius, radius), [22, 22, 22]);
        s.ellipse(
            (x, y - radius),
            (radius * 0.5, radius * 0.5),
            [150, 150, 150],
        );
    }
}
