//! Who moves in a street: people, bicycles, cars, dogs, buses and trucks.
//!
//! The shapes are those that the default model was trained on (`models/training`); what it has never seen it does
//! not find.

mod vehicles;

use std::f32::consts::TAU;

use crate::source::dice::Dice;
use crate::source::paint::{Point, Sheet};

/// What an actor is; the order is that of the default model's classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Person,
    Bicycle,
    Car,
    Dog,
    Bus,
    Truck,
}

/// Where and how an actor stands in one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pose {
    /// Middle of its feet or wheels.
    pub(super) feet: Point,
    /// Its height in pixels.
    pub(super) height: f32,
    /// 1 when it faces right, -1 when left.
    pub(super) facing: f32,
    /// How far through its step it is, in steps.
    pub(super) step: f32,
}

impl Kind {
    /// The name of its class.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Bicycle => "bicycle",
            Self::Car => "car",
            Self::Dog => "dog",
            Self::Bus => "bus",
            Self::Truck => "truck",
        }
    }

    /// Its height beside a person of 1.
    pub(super) const fn stature(self) -> f32 {
        match self {
            Self::Person => 1.0,
            Self::Bicycle => 0.62,
            Self::Car => 0.85,
            Self::Dog => 0.38,
            Self::Bus => 1.6,
            Self::Truck => 1.55,
        }
    }

    /// Draws it; the dice decide how it looks.
    pub(super) fn draw(self, sheet: &mut Sheet, dice: &mut Dice, pose: Pose) {
        match self {
            Self::Person => person(sheet, dice, pose),
            Self::Bicycle => vehicles::bicycle(sheet, dice, pose),
            Self::Car => vehicles::car(sheet, dice, pose),
            Self::Dog => dog(sheet, dice, pose),
            Self::Bus => vehicles::bus(sheet, dice, pose),
            Self::Truck => vehicles::truck(sheet, dice, pose),
        }
    }
}

fn person(s: &mut Sheet, dice: &mut Dice, pose: Pose) {
    let Pose {
        feet: (x, y),
        height: h,
        facing,
        step,
    } = pose;
    let skin = dice.pick(&[
        [224, 180, 140],
        [190, 130, 96],
        [130, 85, 60],
        [240, 200, 170],
    ]);
    let (shirt, trousers, hair) = (
        dice.colour(20.0, 235.0),
        dice.colour(10.0, 160.0),
        dice.colour(10.0, 90.0),
    );
    let body = h * dice.between(0.10, 0.14);
    let swing = 0.45 * (step * TAU / 2.0).sin();
    let (hip, neck) = ((x, y - h * 0.47), (x + facing * h * 0.01, y - h * 0.80));
    let thick = h * 0.085;
    for side in [-1.0, 1.0] {
        let angle = swing * side;
        let knee = (
            hip.0 + angle.sin() * h * 0.24,
            hip.1 + angle.cos() * h * 0.24,
        );
        let foot = (knee.0 + (angle * 0.5).sin() * h * 0.22, y - h * 0.02);
        s.line(hip, knee, trousers, thick);
        s.line(knee, foot, trousers, thick * 0.9);
        s.ellipse(
            (foot.0 + facing * h * 0.03, foot.1),
            (h * 0.05, h * 0.022),
            [30, 30, 30],
        );
    }
    s.polygon(
        &[
            (x - body, neck.1 + h * 0.03),
            (x + body, neck.1 + h * 0.03),
            (x + body * 0.8, hip.1 + h * 0.02),
            (x - body * 0.8, hip.1 + h * 0.02),
        ],
        shirt,
    );
    let sleeve = dice.near(shirt, 18.0);
    for side in [-1.0, 1.0] {
        let angle = -swing * side * 1.1;
        let shoulder = (x + side * body * 0.95, neck.1 + h * 0.045);
        let elbow = (
            shoulder.0 + angle.sin() * h * 0.17 + side * h * 0.02,
            shoulder.1 + angle.cos() * h * 0.17,
        );
        let bent = angle + 0.3 * facing;
        let hand = (
            elbow.0 + bent.sin() * h * 0.14,
            elbow.1 + bent.cos() * h * 0.14,
        );
        s.line(shoulder, elbow, sleeve, thick * 0.75);
        s.line(elbow, hand, skin, thick * 0.6);
    }
    s.ellipse((x, y - h * 0.90), (h * 0.065, h * 0.085), skin);
    s.ellipse((x, y - h * 0.945), (h * 0.068, h * 0.05), hair);
}

fn dog(s: &mut Sheet, dice: &mut Dice, pose: Pose) {
    let Pose {
        feet: (x, y),
        height: h,
        facing,
        step,
    } = pose;
    let coat = dice.pick(&[
        [90, 60, 40],
        [160, 120, 90],
        [220, 210, 200],
        [30, 30, 30],
        [140, 90, 60],
    ]);
    let (legs, ear, tail) = (
        dice.near(coat, 8.0),
        dice.near(coat, 30.0),
        dice.between(0.6, 0.95),
    );
    let width = h * 1.25;
    let at = |u: f32| x + facing * (u - 0.5) * width;
    let swing = 0.06 * (step * TAU).sin();
    for (u, side) in [(0.2, 1.0), (0.3, -1.0), (0.62, -1.0), (0.72, 1.0)] {
        s.line(
            (at(u), y - h * 0.4),
            (at(u) + swing * side * h, y),
            legs,
            h * 0.10,
        );
    }
    s.ellipse((at(0.45), y - h * 0.50), (width * 0.32, h * 0.19), coat);
    s.line(
        (at(0.68), y - h * 0.52),
        (at(0.80), y - h * 0.80),
        coat,
        h * 0.2,
    );
    s.ellipse((at(0.83), y - h * 0.83), (h * 0.17, h * 0.14), coat);
    s.ellipse((at(0.95), y - h * 0.78), (h * 0.13, h * 0.07), coat);
    s.polygon(
        &[
            (at(0.74), y - h * 0.92),
            (at(0.72), y - h * 0.70),
            (at(0.80), y - h * 0.80),
        ],
        ear,
    );
    s.line(
        (at(0.16), y - h * 0.55),
        (at(0.02), y - h * tail),
        coat,
        h * 0.08,
    );
    s.ellipse(
        (at(1.03), y - h * 0.79),
        (h * 0.03, h * 0.025),
        [10, 10, 10],
    );
}
