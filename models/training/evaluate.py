"""Average precision of a model, by pycocotools, on pictures that it was not trained on.

python evaluate.py --model ../street_tiny_320.onnx --first 9000000 --count 200    generated scenes
python evaluate.py --model ../street_tiny_320.onnx --folder ../street_synth       images/ and labels/
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from boxes import Boxes, Floats, read_picture
from reference import Detector
from scenes import NAMES, Scene, scene

CONFIDENCE = 0.01
"""Precision is integrated over all scores, so nearly everything that is found counts."""
OVERLAP = 0.6


@dataclass(frozen=True)
class Scores:
    """Average precision in 0..1."""

    ap: float
    """Mean over the overlaps 0.50, 0.55 … 0.95."""
    ap50: float
    ap75: float
    ap50_by_class: dict[str, float]

    def __str__(self) -> str:
        classes = ", ".join(f"{name} {value:.3f}" for name, value in self.ap50_by_class.items())
        return f"AP50:95 {self.ap:.3f}  AP50 {self.ap50:.3f}  AP75 {self.ap75:.3f}  ({classes})"


def evaluate(detector: Detector, scenes: Iterable[Scene]) -> Scores:
    """Runs the detector on each scene and scores what it finds."""
    images: list[dict] = []
    truth: list[dict] = []
    found: list[dict] = []
    for number, drawn in enumerate(scenes, 1):
        height, width = drawn.picture.shape[:2]
        images.append({"id": number, "width": width, "height": height})
        for klass, *corners in drawn.labels.tolist():
            box = _as_coco(np.array(corners))
            row = {"id": len(truth) + 1, "image_id": number, "category_id": int(klass), "iscrowd": 0}
            truth.append(row | {"bbox": box, "area": box[2] * box[3]})
        found += _detections(number, detector.detect(drawn.picture, CONFIDENCE, OVERLAP))
    return _score(images, truth, found)


def generated(first: int, count: int) -> Iterator[Scene]:
    """Scenes by their seeds."""
    return (scene(seed) for seed in range(first, first + count))


def stored(folder: Path) -> Iterator[Scene]:
    """Pictures of `images/` with the YOLO text of the same name in `labels/`."""
    for path in sorted((folder / "images").glob("*.jpg")):
        picture = read_picture(path)
        height, width = picture.shape[:2]
        lines = (folder / "labels" / f"{path.stem}.txt").read_text().split()
        klass, x, y, w, h = np.array(lines, np.float32).reshape(-1, 5).T
        corners = (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height
        yield Scene(picture, np.stack([klass, *corners], 1))


def _detections(number: int, boxes: Boxes) -> list[dict]:
    return [
        {"image_id": number, "category_id": int(klass), "bbox": _as_coco(corners), "score": float(score)}
        for corners, score, klass in zip(boxes.corners, boxes.scores, boxes.classes, strict=True)
    ]


def _as_coco(corners: Floats) -> list[float]:
    left, top, right, bottom = corners.tolist()
    return [left, top, right - left, bottom - top]


def _score(images: list[dict], truth: list[dict], found: list[dict]) -> Scores:
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES)]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its own progress.
        annotated = COCO()
        annotated.dataset = {"info": {}, "images": images, "annotations": truth, "categories": categories}
        annotated.createIndex()
        if not found:
            return Scores(0.0, 0.0, 0.0, dict.fromkeys(NAMES, 0.0))
        run = COCOeval(annotated, annotated.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    # precision[overlap, recall, class, area, detections]: overlap 0.5, all areas, 100 detections.
    by_class = run.eval["precision"][0, :, :, 0, -1].mean(0)
    ap, ap50, ap75 = (float(value) for value in run.stats[:3])
    return Scores(ap, ap50, ap75, {name: round(float(v), 3) for name, v in zip(NAMES, by_class, strict=True)})


def main() -> None:
    """Prints one line of scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="folder with images/ and labels/")
    parser.add_argument("--first", type=int, default=9_000_000, help="seed of the first generated scene")
    parser.add_argument("--count", type=int, default=200)
    arguments = parser.parse_args()
    held_out = stored(arguments.folder) if arguments.folder else generated(arguments.first, arguments.count)
    print(evaluate(Detector(arguments.model), held_out))


if __name__ == "__main__":
    main()
