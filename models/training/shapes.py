"""Draws the six kinds of thing of a street scene, each with the mask that gives its exact box.

A shape stands on a point of the ground, is `height` pixels tall and takes its colours, its pose and
its direction from the random generator. The order of the draws is part of the format: a seed must
give the same picture for ever, because the held-out scenes are named by their seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.random import Generator

from boxes import Pixels

Colour = tuple[int, int, int]
Point = tuple[float, float]

FILLED = -1
HARD_EDGE = 8
"""The mask is not antialiased: a pixel belongs to the shape or does not."""

TYRE, HUB, BLACK = (22, 22, 22), (150, 150, 150), (20, 20, 20)
HEADLIGHT, REAR_LIGHT = (200, 240, 250), (30, 30, 200)
SKINS = [(140, 180, 224), (96, 130, 190), (60, 85, 130), (170, 200, 240)]
COATS = [(40, 60, 90), (90, 120, 160), (200, 210, 220), (30, 30, 30), (60, 90, 140)]


def any_colour(rng: Generator, low: int = 20, high: int = 235) -> Colour:
    """A random BGR colour with each channel in `low..high`."""
    blue, green, red = rng.integers(low, high, 3)
    return int(blue), int(green), int(red)


def near(rng: Generator, colour: Colour, spread: int = 18) -> Colour:
    """A random colour at most `spread` away in each channel."""
    blue, green, red = (int(np.clip(c + rng.integers(-spread, spread + 1), 0, 255)) for c in colour)
    return blue, green, red


class Layer:
    """Draws on the picture and, with the same strokes, on a mask of its own."""

    def __init__(self, picture: Pixels) -> None:
        self.picture = picture
        self.mask = np.zeros(picture.shape[:2], np.uint8)

    def ellipse(self, centre: Point, axes: Point, colour: Colour, thickness: int = FILLED) -> None:
        """An upright ellipse, filled unless a line thickness is given."""
        at = int(centre[0]), int(centre[1])
        radii = max(1, int(axes[0])), max(1, int(axes[1]))
        cv2.ellipse(self.picture, at, radii, 0, 0, 360, colour, thickness, cv2.LINE_AA)
        cv2.ellipse(self.mask, at, radii, 0, 0, 360, 255, thickness, HARD_EDGE)

    def polygon(self, corners: Iterable[Point], colour: Colour) -> None:
        """A filled polygon."""
        points = np.array(list(corners), np.int32)
        cv2.fillPoly(self.picture, [points], colour, cv2.LINE_AA)
        cv2.fillPoly(self.mask, [points], 255)

    def line(self, start: Point, end: Point, colour: Colour, thickness: float) -> None:
        """A straight stroke, at least one pixel thick."""
        a, b = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
        width = max(1, round(thickness))
        cv2.line(self.picture, a, b, colour, width, cv2.LINE_AA)
        cv2.line(self.mask, a, b, 255, width)

    def rectangle(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A filled rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)


class Frame:
    """Coordinates of a shape: `along` 0..1 from its back to its front, `up` in heights above ground."""

    def __init__(self, x: float, ground: float, width: float, height: float, facing: int) -> None:
        self._x, self._ground, self._width, self._height, self._facing = x, ground, width, height, facing

    def along(self, share: float) -> float:
        """Horizontal pixel of a share of the width, counted from the back."""
        return self._x + self._facing * (share - 0.5) * self._width

    def at(self, share: float, up: float) -> Point:
        """The point at a share of the width and `up` heights above the ground."""
        return self.along(share), self._ground - self._height * up

    def outline(self, *corners: Point) -> list[Point]:
        """Many points at once."""
        return [self.at(share, up) for share, up in corners]


def person(layer: Layer, rng: Generator, x: float, ground: float, height: float) -> None:
    """Somebody walking, with a bag one time in four."""
    skin = SKINS[rng.integers(4)]
    shirt, trousers = any_colour(rng), any_colour(rng, 10, 160)
    stride, facing = rng.uniform(-0.5, 0.5), rng.choice([-1, 1])
    hip, neck, limb = (x, ground - height * 0.47), ground - height * 0.80, height * 0.085

    for side in (-1, 1):
        swing = stride * side
        knee = hip[0] + math.sin(swing) * height * 0.24, hip[1] + math.cos(swing) * height * 0.24
        foot = knee[0] + math.sin(swing * 0.5) * height * 0.22, ground - height * 0.02
        layer.line(hip, knee, trousers, limb)
        layer.line(knee, foot, trousers, limb * 0.9)
        layer.ellipse((foot[0] + facing * height * 0.03, foot[1]), (height * 0.05, height * 0.022), (30, 30, 30))

    chest = height * rng.uniform(0.10, 0.14)
    shoulder, belt = neck + height * 0.03, hip[1] + height * 0.02
    layer.polygon(
        [(x - chest, shoulder), (x + chest, shoulder), (x + chest * 0.8, belt), (x - chest * 0.8, belt)], shirt
    )
    for side in (-1, 1):
        swing = -stride * side * 1.1 + rng.uniform(-0.15, 0.15)
        joint = x + side * chest * 0.95, neck + height * 0.045
        upper, lower = height * 0.17, height * 0.14
        elbow = joint[0] + math.sin(swing) * upper + side * height * 0.02, joint[1] + math.cos(swing) * upper
        bent = swing + 0.3 * facing
        hand = elbow[0] + math.sin(bent) * lower, elbow[1] + math.cos(bent) * lower
        layer.line(joint, elbow, near(rng, shirt), limb * 0.75)
        layer.line(elbow, hand, skin, limb * 0.6)

    layer.ellipse((x, ground - height * 0.90), (height * 0.065, height * 0.085), skin)
    layer.ellipse((x, ground - height * 0.945), (height * 0.068, height * 0.05), any_colour(rng, 10, 90))
    if rng.random() < 0.25:
        back = x - facing * chest * 1.3 - height * 0.05, x - facing * chest * 1.0 + height * 0.02
        layer.rectangle(back[0], neck + height * 0.05, back[1], neck + height * 0.26, any_colour(rng))


def bicycle(layer: Layer, rng: Generator, x: float, ground: float, height: float) -> None:
    """A parked bicycle from the side."""
    wheel, base, paint = height * 0.34, height * 0.95, any_colour(rng)
    tube, facing = max(1, height * 0.045), rng.choice([-1, 1])
    rear, front = (x - facing * base / 2, ground - wheel), (x + facing * base / 2, ground - wheel)
    for hub in (rear, front):
        layer.ellipse(hub, (wheel, wheel), (25, 25, 25), max(1, int(tube)))
        if height > 40:
            layer.ellipse(hub, (wheel * 0.12, wheel * 0.12), (90, 90, 90))

    pedals = x - facing * base * 0.08, ground - wheel * 0.9
    seat = x - facing * base * 0.18, ground - height * 0.80
    head = x + facing * base * 0.30, ground - height * 0.78
    for start, end in ((rear, pedals), (pedals, seat), (rear, seat), (seat, head), (pedals, head), (head, front)):
        layer.line(start, end, paint, tube)
    saddle, bars, steel = seat[1] - height * 0.03, ground - height * 0.95, (60, 60, 60)
    layer.line((seat[0] - height * 0.09, saddle), (seat[0] + height * 0.09, saddle), BLACK, tube * 1.6)
    layer.line(head, (head[0] + facing * height * 0.02, bars), steel, tube)
    layer.line((head[0] - height * 0.07, bars), (head[0] + height * 0.09, ground - height * 0.97), steel, tube)


def car(layer: Layer, rng: Generator, x: float, ground: float, height: float) -> None:
    """A car from the side or, three times in ten, from the front or the back."""
    width, paint = height * rng.uniform(2.1, 2.7), any_colour(rng, 30, 240)
    glass, facing = near(rng, (120, 90, 70), 25), rng.choice([-1, 1])
    if rng.random() < 0.3:
        _car_end_on(layer, rng, x, ground, height, paint, glass)
        return
    frame = Frame(x, ground, width, height, facing)
    layer.polygon(frame.outline((0, 0.18), (0.01, 0.52), (0.12, 0.60), (0.80, 0.60), (0.97, 0.48), (1, 0.18)), paint)
    layer.polygon(frame.outline((0.10, 0.58), (0.24, 0.98), (0.60, 0.98), (0.78, 0.58)), paint)
    layer.polygon(frame.outline((0.16, 0.60), (0.27, 0.92), (0.41, 0.92), (0.41, 0.60)), glass)
    layer.polygon(frame.outline((0.44, 0.60), (0.44, 0.92), (0.58, 0.92), (0.72, 0.60)), glass)
    _wheels(layer, (frame.along(0.2), frame.along(0.8)), ground, height * 0.2)
    layer.ellipse(frame.at(0.97, 0.42), (height * 0.05, height * 0.05), HEADLIGHT)
    layer.ellipse(frame.at(0.02, 0.45), (height * 0.04, height * 0.05), (40, 40, 200))


def bus(layer: Layer, rng: Generator, x: float, ground: float, height: float) -> None:
    """A bus from the side, with a door at its front and a stripe."""
    width, paint = height * rng.uniform(2.2, 3.0), any_colour(rng, 30, 240)
    glass, facing = near(rng, (130, 100, 80), 25), rng.choice([-1, 1])
    left = x - width / 2
    layer.rectangle(left, ground - height, left + width, ground - height * 0.12, paint)
    panes = int(rng.integers(5, 9))
    pitch, door = width / panes, panes - 1 if facing > 0 else 0
    for pane in range(panes):
        near_edge, far_edge = left + pane * pitch, left + (pane + 1) * pitch - pitch * 0.1
        if pane == door:
            layer.rectangle(near_edge + pitch * 0.2, ground - height * 0.82, far_edge, ground - height * 0.14, glass)
        else:
            layer.rectangle(near_edge + pitch * 0.1, ground - height * 0.84, far_edge, ground - height * 0.50, glass)
    layer.rectangle(left, ground - height * 0.40, left + width, ground - height * 0.33, any_colour(rng))
    _wheels(layer, (left + width * 0.18, left + width * 0.78), ground, height * 0.14)


def truck(layer: Layer, rng: Generator, x: float, ground: float, height: float) -> None:
    """A box truck from the side."""
    width, facing = height * rng.uniform(1.9, 2.5), rng.choice([-1, 1])
    box, cab = any_colour(rng, 120, 250), any_colour(rng, 30, 230)
    frame = Frame(x, ground, width, height, facing)
    layer.polygon(frame.outline((0, 0.14), (0, 1), (0.68, 1), (0.68, 0.14)), box)
    layer.polygon(frame.outline((0.70, 0.14), (0.70, 0.74), (0.88, 0.74), (1, 0.42), (1, 0.14)), cab)
    windscreen = frame.outline((0.78, 0.45), (0.78, 0.68), (0.87, 0.68), (0.96, 0.45))
    layer.polygon(windscreen, near(rng, (130, 100, 80), 20))
    layer.polygon(frame.outline((0, 0.14), (0, 0.20), (1, 0.20), (1, 0.14)), (50, 50, 50))
    _wheels(layer, (frame.along(0.14), frame.along(0.30), frame.along(0.84)), ground, height * 0.13)


def dog(layer: Layer, rng: Generator, x: float, ground: float, height: float) -> None:
    """A dog from the side, its tail up."""
    coat = COATS[rng.integers(5)]
    width, facing = height * 1.25, rng.choice([-1, 1])
    frame = Frame(x, ground, width, height, facing)
    for leg in (0.2, 0.3, 0.62, 0.72):
        paw = frame.along(leg) + rng.uniform(-0.06, 0.06) * height, ground
        layer.line(frame.at(leg, 0.4), paw, near(rng, coat, 8), height * 0.10)
    layer.ellipse(frame.at(0.45, 0.50), (width * 0.32, height * 0.19), coat)
    layer.line(frame.at(0.68, 0.52), frame.at(0.80, 0.80), coat, height * 0.2)
    layer.ellipse(frame.at(0.83, 0.83), (height * 0.17, height * 0.14), coat)
    layer.ellipse(frame.at(0.95, 0.78), (height * 0.13, height * 0.07), coat)
    layer.polygon(frame.outline((0.74, 0.92), (0.72, 0.70), (0.80, 0.80)), near(rng, coat, 30))
    layer.line(frame.at(0.16, 0.55), frame.at(0.02, rng.uniform(0.6, 0.95)), coat, height * 0.08)
    layer.ellipse(frame.at(1.03, 0.79), (height * 0.03, height * 0.025), (10, 10, 10))


def _car_end_on(
    layer: Layer, rng: Generator, x: float, ground: float, height: float, paint: Colour, glass: Colour
) -> None:
    width = height * 1.25
    frame = Frame(x + width / 2, ground, width, height, 1)
    layer.polygon(frame.outline((-0.36, 0.98), (0.36, 0.98), (0.47, 0.55), (-0.47, 0.55)), paint)
    layer.polygon(frame.outline((-0.31, 0.92), (0.31, 0.92), (0.38, 0.60), (-0.38, 0.60)), glass)
    layer.polygon(frame.outline((-0.5, 0.58), (0.5, 0.58), (0.5, 0.15), (-0.5, 0.15)), paint)
    for left, right in ((-0.46, -0.30), (0.30, 0.46)):
        layer.polygon(frame.outline((left, 0.16), (right, 0.16), (right, 0), (left, 0)), BLACK)
    light = HEADLIGHT if rng.random() < 0.5 else REAR_LIGHT
    for side in (-0.38, 0.38):
        layer.ellipse(frame.at(side, 0.42), (width * 0.08, height * 0.06), light)
    plate = frame.outline((-0.2, 0.38), (0.2, 0.38), (0.2, 0.26), (-0.2, 0.26))
    layer.polygon(plate, near(rng, (60, 60, 60)))


def _wheels(layer: Layer, centres: Iterable[float], ground: float, radius: float) -> None:
    for centre in centres:
        layer.ellipse((centre, ground - radius), (radius, radius), TYRE)
        layer.ellipse((centre, ground - radius), (radius * 0.5, radius * 0.5), HUB)
