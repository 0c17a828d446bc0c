"""Generated street scenes with exact boxes: all that the default model has ever seen.

python scenes.py --first 9000000 --count 60 --out ../street_synth    pictures and YOLO labels
python scenes.py --first 1000 --count 16 --sheet scenes.png          one sheet with the boxes drawn
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from background import street
from boxes import Floats, Pixels
from shapes import Layer, bicycle, bus, car, dog, person, truck

SIZE = 320
"""Side of a scene in pixels; the network's input."""
COUNT_ODDS = [0.04, 0.12, 0.16, 0.18, 0.16, 0.12, 0.10, 0.07, 0.05]
"""How often a scene holds 0, 1, … 8 things."""
VISIBLE_PIXELS, VISIBLE_SHARE = 25, 0.3
"""A thing that is smaller or more hidden than this has no label."""
LEAST_WIDTH, LEAST_HEIGHT = 4, 6
FILE_QUALITY = 92
"""JPEG quality of written pictures."""


@dataclass(frozen=True)
class Kind:
    """One class of thing: how it is drawn, how tall it is beside a person, how often it comes."""

    name: str
    draw: Callable[[Layer, Generator, float, float, float], None]
    height: float
    odds: float


KINDS = [
    Kind("person", person, 1.0, 0.34),
    Kind("bicycle", bicycle, 0.62, 0.14),
    Kind("car", car, 0.85, 0.26),
    Kind("dog", dog, 0.38, 0.12),
    Kind("bus", bus, 1.75, 0.07),
    Kind("truck", truck, 1.7, 0.07),
]
NAMES = [kind.name for kind in KINDS]


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it."""

    picture: Pixels
    """`[320, 320, 3]`, BGR."""
    labels: Floats
    """`[n, 5]`: class, x1, y1, x2, y2. Hidden parts count, parts outside the picture do not."""


def scene(seed: int) -> Scene:
    """The scene of a seed, the same on every machine with the same versions of NumPy and OpenCV."""
    rng = np.random.default_rng(seed)
    picture, horizon = street(rng, SIZE)
    masks = _populate(picture, rng, horizon)
    labels = _labels(masks)
    return Scene(_through_a_camera(picture, rng), labels)


def yolo_lines(labels: Floats) -> str:
    """Labels as text: class, centre and size as shares of the picture, a line a box."""
    lines = []
    for klass, left, top, right, bottom in labels:
        shares = (left + right) / 2 / SIZE, (top + bottom) / 2 / SIZE, (right - left) / SIZE, (bottom - top) / SIZE
        lines.append(f"{int(klass)} " + " ".join(f"{share:.6f}" for share in shares) + "\n")
    return "".join(lines)


def _populate(picture: Pixels, rng: Generator, horizon: int) -> list[tuple[int, Pixels]]:
    """Draws things from back to front; returns the class and mask of each in that order."""
    things = []
    for _ in range(int(rng.choice(len(COUNT_ODDS), p=COUNT_ODDS))):
        klass = int(rng.choice(len(KINDS), p=[kind.odds for kind in KINDS]))
        depth = rng.uniform(0, 1) ** 1.2
        ground = horizon + 6 + (SIZE - horizon - 6) * (depth * 0.98 + 0.02)
        person_height = SIZE * (0.07 + 0.36 * depth) * rng.uniform(0.85, 1.2)
        x = rng.uniform(-0.02, 1.02) * SIZE
        things.append((ground, klass, x, person_height * KINDS[klass].height))

    masks = []
    for ground, klass, x, height in sorted(things):
        height, layer = max(height, 9), Layer(picture)
        below = picture[min(SIZE - 1, int(ground) - 1), min(SIZE - 1, max(0, int(x)))]
        layer.ellipse((x, ground), (height * 0.35, height * 0.04), tuple(int(v * 0.5) for v in below))
        layer.mask[:] = 0  # The shadow is no part of the thing.
        KINDS[klass].draw(layer, rng, x, ground, height)
        masks.append((klass, layer.mask))
    return masks


def _labels(masks: list[tuple[int, Pixels]]) -> Floats:
    """Boxes from front to back, without those that a person could not be expected to see."""
    rows, covered = [], np.zeros((SIZE, SIZE), bool)
    for klass, mask in reversed(masks):
        shape = mask > 0
        visible = int((shape & ~covered).sum())
        covered |= shape
        if shape.sum() < VISIBLE_PIXELS or visible < VISIBLE_SHARE * shape.sum():
            continue
        ys, xs = np.where(shape)
        left, top, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
        if right - left >= LEAST_WIDTH and bottom - top >= LEAST_HEIGHT:
            rows.append((klass, left, top, right, bottom))
    return np.array(rows, np.float32).reshape(-1, 5)


def _through_a_camera(picture: Pixels, rng: Generator) -> Pixels:
    """Exposure, white balance, noise, sometimes blur and compression."""
    light = picture.astype(np.float32) * rng.uniform(0.6, 1.25) + rng.uniform(-20, 20)
    light *= np.array([rng.uniform(0.9, 1.1) for _ in range(3)])
    light += rng.normal(0, rng.uniform(0, 9), light.shape)
    picture = np.clip(light, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        kernel = int(rng.choice([3, 5]))
        picture = cv2.GaussianBlur(picture, (kernel, kernel), 0)
    if rng.random() < 0.6:
        quality = int(rng.integers(40, 95))
        _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return picture


def _with_boxes(drawn: Scene) -> Pixels:
    picture, green = drawn.picture.copy(), (0, 255, 0)
    for klass, left, top, right, bottom in drawn.labels.astype(int).tolist():
        cv2.rectangle(picture, (left, top), (right, bottom), green, 1)
        cv2.putText(picture, NAMES[klass], (left, top - 2), cv2.FONT_HERSHEY_SIMPLEX, 0.35, green, 1)
    return picture


def main() -> None:
    """Writes a dataset, a sheet, or both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--first", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--out", type=Path, help="folder for images/ and labels/")
    parser.add_argument("--sheet", type=Path, help="picture of all scenes with their boxes, four in a row")
    arguments = parser.parse_args()

    scenes = {seed: scene(seed) for seed in range(arguments.first, arguments.first + arguments.count)}
    if arguments.out:
        images, labels = arguments.out / "images", arguments.out / "labels"
        for folder in (images, labels):
            folder.mkdir(parents=True, exist_ok=True)
        for seed, drawn in scenes.items():
            cv2.imwrite(str(images / f"{seed}.jpg"), drawn.picture, [cv2.IMWRITE_JPEG_QUALITY, FILE_QUALITY])
            (labels / f"{seed}.txt").write_text(yolo_lines(drawn.labels))
    if arguments.sheet:
        tiles = [_with_boxes(drawn) for drawn in scenes.values()]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 4)
        cv2.imwrite(str(arguments.sheet), np.vstack([np.hstack(tiles[i : i + 4]) for i in range(0, len(tiles), 4)]))


if __name__ == "__main__":
    main()
