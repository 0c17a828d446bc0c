//! What stands in a street: sky, buildings, pavement, road and trees.

use crate::source::dice::Dice;
use crate::source::paint::{Point, Sheet};

/// Draws sky, buildings, pavement, road and trees; `horizon` is where the buildings stand.
pub(super) fn backdrop(s: &mut Sheet, dice: &mut Dice, side: f32, horizon: f32) {
    sky(s, dice, side, horizon);
    let mut left = -dice.between(0.0, 20.0);
    while left < side {
        let width = side * dice.between(0.10, 0.25);
        let height = horizon * dice.between(0.35, 1.0);
        building(s, dice, (left, horizon), width, height);
        left += width + side * dice.between(0.0, 0.03);
    }
    let grey = dice.between(80.0, 130.0);
    s.rectangle(0.0, horizon, side, side, [grey as u8; 3]);
    let kerb = horizon + (side - horizon) * 0.12;
    let pavement = dice.near([165, 160, 155], 20.0);
    s.rectangle(0.0, horizon, side, kerb, pavement);
    s.rectangle(0.0, side * 0.80, side, side, pavement);
    let marks = horizon + (side - horizon) * 0.36;
    let count = 6;
    for index in 0..count {
        let x = index as f32 * side / count as f32;
        s.rectangle(
            x,
            marks,
            x + side * 0.08,
            marks + side * 0.009,
            [220, 220, 220],
        );
    }
    for _ in 0..3 {
        let x = dice.between(0.0, side);
        tree(s, dice, (x, horizon + (side - horizon) * 0.05), side);
    }
}

fn sky(s: &mut Sheet, dice: &mut Dice, side: f32, horizon: f32) {
    let top = [
        dice.between(90.0, 170.0),
        dice.between(140.0, 200.0),
        dice.between(190.0, 245.0),
    ];
    let fade = dice.between(10.0, 50.0);
    let mut y = 0.0;
    while y < horizon {
        let shade = top.map(|value| (value + fade * y / horizon) as u8);
        s.rectangle(0.0, y, side, (y + 1.0).min(horizon), shade);
        y += 1.0;
    }
}

fn building(s: &mut Sheet, dice: &mut Dice, (left, ground): Point, width: f32, height: f32) {
    let wall = dice.colour(60.0, 190.0);
    let pane = dice.near([90, 90, 90], 40.0);
    s.rectangle(left, ground - height, left + width, ground, wall);
    let step = dice.between(7.0, 13.0);
    let mut y = ground - height + 4.0;
    while y < ground - 6.0 {
        let mut x = left + 3.0;
        while x < left + width - step * 0.6 {
            if dice.chance(0.8) {
                s.rectangle(x, y, x + step * 0.5, y + step * 0.5, pane);
            }
            x += step;
        }
        y += step;
    }
}

fn tree(s: &mut Sheet, dice: &mut Dice, (x, ground): Point, side: f32) {
    let height = side * dice.between(0.12, 0.28);
    s.line(
        (x, ground),
        (x, ground - height),
        [90, 60, 30],
        side * 0.014,
    );
    for _ in 0..6 {
        let leaf = (
            x + side * dice.between(-0.05, 0.05),
            ground - height - side * dice.between(-0.03, 0.06),
        );
        let radius = side * dice.between(0.025, 0.06);
        let green = dice.near([60, 120, 50], 25.0);
        s.ellipse(leaf, (radius, radius), green);
    }
}
