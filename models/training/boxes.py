"""From a picture to a network's input, and from its output to boxes in pixels of that picture.

This is the reference that the device agent is held against, so each step names the tool whose
arithmetic it follows: Ultralytics for its own exports, Megvii's demo for YOLOX.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

STRIDES = (8, 16, 32)
PAD = 114
"""Grey level of the letterbox border; both families were trained with it."""
ANCHORS = 3
"""Boxes that each cell of a YOLOv5 has."""
MAX_BOXES = 300
"""Boxes kept for one picture, as Ultralytics does."""


class Layout(Enum):
    """Order of the numbers in a detector's only output; a cell is a place on one of the grids."""

    YOLOV5 = "yolov5"
    """`[1, 3 cells, 5 + classes]`: centre and size in input pixels, objectness, one score a class."""
    YOLOV8 = "yolov8"
    """`[1, 4 + classes, cells]`: centre and size in input pixels, one score a class."""
    YOLOX = "yolox"
    """`[1, cells, 5 + classes]`: offsets on the grid, objectness, one score a class."""
    END_TO_END = "end-to-end"
    """`[1, boxes, 6]`: corners in input pixels, score, class; nothing is left to suppress."""

    @staticmethod
    def of(shape: tuple[int, ...], size: int) -> Layout:
        """Tells the layout from an output shape: one axis counts the cells of a `size` input."""
        cells = sum((size // stride) ** 2 for stride in STRIDES)
        match shape:
            case (1, rows, columns) if columns == cells and rows > 4:
                return Layout.YOLOV8
            case (1, rows, columns) if rows == cells and columns > 5:
                return Layout.YOLOX
            case (1, rows, columns) if rows == ANCHORS * cells and columns > 5:
                return Layout.YOLOV5
            case (1, _, 6):
                return Layout.END_TO_END
        raise ValueError(f"output {shape} is no YOLO head for a {size} pixel input")


@dataclass(frozen=True)
class Fit:
    """How a picture was fitted into the square input: `input = picture * gain + offset`."""

    gain: tuple[float, float]
    offset: tuple[float, float]
    picture: tuple[int, int]
    """Width and height of the picture, to which boxes are clipped."""

    def to_picture(self, corners: Floats) -> Floats:
        """Maps `[n, 4]` corners in input pixels back to the picture."""
        moved = (corners - np.array(self.offset * 2)) / np.array(self.gain * 2)
        width, height = self.picture
        return moved.clip(0, [width, height, width, height]).astype(np.float32)


@dataclass(frozen=True)
class Boxes:
    """Detections of one picture, best first."""

    corners: Floats
    """`[n, 4]`: x1, y1, x2, y2."""
    scores: Floats
    classes: npt.NDArray[np.int64]

    def rows(self) -> list[list[float]]:
        """`[x1, y1, x2, y2, score, class]` a box, rounded to what a reader can use."""
        return [
            [*(round(float(edge), 3) for edge in corners), round(float(score), 5), int(klass)]
            for corners, score, klass in zip(self.corners, self.scores, self.classes, strict=True)
        ]


def read_picture(path: Path) -> Pixels:
    """Decodes a file into `[height, width, 3]`, BGR."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path} is no picture that OpenCV can read")
    return picture


def prepare(picture: Pixels, size: int, layout: Layout) -> tuple[Floats, Fit]:
    """Fits a BGR picture into the `[1, 3, size, size]` input that `layout` was trained with."""
    return _prepare_yolox(picture, size) if layout is Layout.YOLOX else _prepare_ultralytics(picture, size)


def decode(output: Floats, layout: Layout, size: int, confidence: float) -> Boxes:
    """Reads one output into boxes in input pixels whose score is above `confidence`."""
    if layout is Layout.END_TO_END:
        rows = output[0][output[0][:, 4] > confidence]
        best_first = rows[np.argsort(-rows[:, 4], kind="stable")]
        return Boxes(best_first[:, :4], best_first[:, 4], best_first[:, 5].astype(np.int64))
    rows, scores = _rows_and_scores(output[0], layout, size)
    best = scores.max(1)
    sure = best > confidence
    centre, extent = rows[sure, :2], rows[sure, 2:4]
    corners = np.concatenate([centre - extent / 2, centre + extent / 2], 1)
    return Boxes(corners, best[sure], scores[sure].argmax(1))


def suppress(boxes: Boxes, overlap: float) -> Boxes:
    """Greedy suppression inside each class: a box goes when a better one overlaps it by more."""
    left = np.argsort(-boxes.scores, kind="stable")
    kept: list[int] = []
    while len(left) and len(kept) < MAX_BOXES:
        best, rest = left[0], left[1:]
        kept.append(int(best))
        rivals = boxes.classes[rest] == boxes.classes[best]
        left = rest[~(rivals & (iou(boxes.corners[best], boxes.corners[rest]) > overlap))]
    return Boxes(boxes.corners[kept], boxes.scores[kept], boxes.classes[kept])


def iou(box: Floats, others: Floats) -> Floats:
    """Intersection over union of one box with each of `[n, 4]` others; an empty overlap is zero."""
    extent = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = extent.clip(0).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - shared + 1e-9)


def _prepare_ultralytics(picture: Pixels, size: int) -> tuple[Floats, Fit]:
    """Centred letterbox, RGB in 0..1. The gain differs by axis, because the sizes are rounded."""
    height, width = picture.shape[:2]
    ratio = min(size / height, size / width)
    fitted = round(width * ratio), round(height * ratio)
    if fitted != (width, height):
        picture = cv2.resize(picture, fitted, interpolation=cv2.INTER_LINEAR)
    # Ultralytics rounds the halves with a nudge, so that an odd border has its extra line at the end.
    left, top = (round((size - side) / 2 - 0.1) for side in fitted)
    canvas = np.full((size, size, 3), PAD, np.uint8)
    canvas[top : top + fitted[1], left : left + fitted[0]] = picture
    tensor = np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1)).astype(np.float32) / 255
    gain = fitted[0] / width, fitted[1] / height
    return tensor[None], Fit(gain, (left, top), (width, height))


def _prepare_yolox(picture: Pixels, size: int) -> tuple[Floats, Fit]:
    """Letterbox from the top left corner, BGR in 0..255, one gain for both axes."""
    height, width = picture.shape[:2]
    ratio = min(size / height, size / width)
    fitted = int(width * ratio), int(height * ratio)
    canvas = np.full((size, size, 3), PAD, np.uint8)
    canvas[: fitted[1], : fitted[0]] = cv2.resize(picture, fitted, interpolation=cv2.INTER_LINEAR)
    tensor = np.ascontiguousarray(canvas.transpose(2, 0, 1)).astype(np.float32)
    return tensor[None], Fit((ratio, ratio), (0, 0), (width, height))


def _rows_and_scores(output: Floats, layout: Layout, size: int) -> tuple[Floats, Floats]:
    """Centre, size and more of each cell, and its score of each class."""
    if layout is Layout.YOLOV8:
        return output.T, output.T[:, 4:]
    rows = _yolox_rows(output, size) if layout is Layout.YOLOX else output
    return rows, rows[:, 5:] * rows[:, 4:5]


def _yolox_rows(rows: Floats, size: int) -> Floats:
    """Adds the grid that YOLOX exports leave out: centres are offsets and sizes are logarithms."""
    grids, steps = [], []
    for stride in STRIDES:
        side = np.arange(size // stride)
        x, y = np.meshgrid(side, side)
        grids.append(np.stack((x, y), -1).reshape(-1, 2))
        steps.append(np.full((len(grids[-1]), 1), stride))
    grid = np.concatenate(grids).astype(np.float32)
    step = np.concatenate(steps).astype(np.float32)
    return np.concatenate([(rows[:, :2] + grid) * step, np.exp(rows[:, 2:4]) * step, rows[:, 4:]], 1)
