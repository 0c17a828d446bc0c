"""Paints the empty street: sky, houses, pavement, road, and things that are none of the six kinds.

As in `shapes`, the order of the random draws is part of the format.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from boxes import Pixels
from shapes import FILLED, any_colour, near


def street(rng: Generator, size: int) -> tuple[Pixels, int]:
    """An empty street of `size` pixels square, and the row of its horizon."""
    horizon = int(size * rng.uniform(0.30, 0.5))
    picture = np.zeros((size, size, 3), np.uint8)
    night = bool(rng.random() < 0.2)
    _sky(picture, rng, horizon, night)
    _houses(picture, rng, horizon, night)

    grey = rng.integers(60, 140)
    picture[horizon:] = np.array([grey, grey, grey]) + rng.integers(-8, 8, 3)
    kerb = int(horizon + (size - horizon) * rng.uniform(0.08, 0.25))
    cv2.rectangle(picture, (0, horizon), (size, kerb), near(rng, (150, 155, 160), 30), FILLED)
    _lane_marks(picture, rng, kerb)
    _poles_and_trees(picture, rng, horizon, kerb)
    _boxes_and_signs(picture, rng, horizon)
    return picture, horizon


def _sky(picture: Pixels, rng: Generator, horizon: int, night: bool) -> None:
    top = any_colour(rng, 10, 60) if night else (rng.integers(170, 250), rng.integers(130, 210), rng.integers(80, 190))
    zenith = np.array(top, np.float32)
    haze = np.clip(zenith + rng.uniform(-20, 60), 0, 255)
    for row in range(horizon):
        picture[row] = zenith + (haze - zenith) * (row / horizon)


def _houses(picture: Pixels, rng: Generator, horizon: int, night: bool) -> None:
    left, size = 0, picture.shape[1]
    while left < size:
        width, height = int(rng.integers(18, 80)), int(rng.integers(horizon // 4, horizon + 1))
        cv2.rectangle(picture, (left, horizon - height), (left + width, horizon), any_colour(rng, 50, 190), FILLED)
        window = near(rng, (80, 200, 230) if night else (90, 90, 90), 40)
        pitch = int(rng.integers(6, 14))
        if rng.random() < 0.8:
            for top in range(horizon - height + 4, horizon - 6, pitch):
                for side in range(left + 3, left + width - 4, pitch):
                    if rng.random() < 0.8:
                        corner = side + pitch // 2, top + pitch // 2
                        cv2.rectangle(picture, (side, top), corner, window, FILLED)
        left += width + int(rng.integers(0, 12))


def _lane_marks(picture: Pixels, rng: Generator, kerb: int) -> None:
    size = picture.shape[1]
    for _ in range(int(rng.integers(0, 4))):
        row, marks = int(rng.integers(kerb, size)), int(rng.integers(3, 9))
        for mark in range(marks):
            start, end = int(mark * size / marks), int((mark + 0.5) * size / marks)
            cv2.rectangle(picture, (start, row), (end, row + int(rng.integers(1, 5))), (220, 220, 220), FILLED)


def _poles_and_trees(picture: Pixels, rng: Generator, horizon: int, kerb: int) -> None:
    for _ in range(int(rng.integers(0, 4))):
        x = int(rng.integers(0, picture.shape[1]))
        foot = int(rng.integers(horizon, max(horizon + 1, kerb + 20)))
        if rng.random() < 0.5:
            top = foot - int(rng.integers(40, 140))
            cv2.line(picture, (x, foot), (x, top), near(rng, (80, 80, 80), 30), int(rng.integers(2, 5)))
        else:
            top = foot - int(rng.integers(30, 110))
            cv2.line(picture, (x, foot), (x, top), (30, 60, 90), int(rng.integers(3, 8)))
            for _ in range(6):
                leaf = x + int(rng.integers(-18, 18)), top + int(rng.integers(-22, 12))
                cv2.circle(picture, leaf, int(rng.integers(8, 22)), near(rng, (50, 120, 60), 30), FILLED)


def _boxes_and_signs(picture: Pixels, rng: Generator, horizon: int) -> None:
    for _ in range(int(rng.integers(0, 5))):
        x, y = (int(v) for v in rng.integers(0, picture.shape[1], 2))
        y = max(y, horizon)
        width, height = (int(v) for v in rng.integers(4, 26, 2))
        if rng.random() < 0.5:
            cv2.rectangle(picture, (x, y - height), (x + width, y), any_colour(rng), FILLED)
        else:
            cv2.circle(picture, (x, y), width // 2 + 1, any_colour(rng), FILLED)
