"""Average precision of the agent and of its Python reference on the same photographs, as a table.

    python ap.py AGENT SHARED

Exit code 1 when one of the models scores otherwise than it may.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "training"))

from boxes import read_picture
from compare import Rows
from reference import Detector

MODELS = ("yolov5n", "yolo11n_320_fp32dq", "yolox_nano")
CONFIDENCE = 0.001
"""Precision is integrated over all scores, so nearly everything that is found counts."""
OVERLAP = 0.7
"""Overlap above which the weaker box of a class goes, on both sides."""
MOST_DIFFERENCE = 0.003
"""Between the two AP50:95."""


def main() -> None:
    """Prints the table."""
    agent, shared = map(Path, sys.argv[1:])
    pictures = shared / "images/coco128val/images"
    truth = shared / "images/coco128val/instances.json"
    print(f"{len(list(pictures.glob('*.jpg')))} photographs of COCO val2017, scored by pycocotools; confidence above "
          f"{CONFIDENCE}, overlap {OVERLAP}.\n")
    print("| model | agent AP50:95 | reference AP50:95 | difference | agent AP50 | reference AP50 | agent boxes | reference boxes |")
    print("|---|---|---|---|---|---|---|---|")
    failed = False
    for name in MODELS:
        print(name, file=sys.stderr)
        model = shared / f"models/{name}.onnx"
        ours, theirs = by_agent(agent, model, pictures), by_reference(model, pictures)
        (ap, ap50), (reference, reference50) = score(truth, ours), score(truth, theirs)
        difference = ap - reference
        failed |= abs(difference) > MOST_DIFFERENCE
        boxes = [sum(map(len, found.values())) for found in (ours, theirs)]
        print(f"| {name} | {ap:.4f} | {reference:.4f} | {difference:+.4f} | {ap50:.4f} | {reference50:.4f} | {boxes[0]} | {boxes[1]} |")
    print(f"\nAllowed is a difference of {MOST_DIFFERENCE} between the two AP50:95 of a model. The agent leaves out boxes without area, which the reference has.")
    sys.exit(1 if failed else 0)


def by_agent(agent: Path, model: Path, pictures: Path) -> dict[str, Rows]:
    """What `ashya-agent detect` finds in each picture."""
    command = [agent, "detect", "--model", model, "--source", pictures, "--confidence", str(CONFIDENCE), "--json", "-"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    seen = (json.loads(line) for line in lines)
    return {
        Path(picture["image"]).stem: [[*found["box"], found["score"], found["class"]] for found in picture["objects"]]
        for picture in seen
    }


def by_reference(model: Path, pictures: Path) -> dict[str, Rows]:
    """What the Python reference finds in each."""
    detector = Detector(model, threads=2)
    return {
        path.stem: detector.detect(read_picture(path), CONFIDENCE, OVERLAP).rows() for path in sorted(pictures.glob("*.jpg"))
    }


def score(truth: Path, found: dict[str, Rows]) -> tuple[float, float]:
    """AP50:95 and AP50."""
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its own progress.
        annotated = COCO(truth)
        categories = sorted(annotated.getCatIds())
        rows = [
            {
                "image_id": int(name),
                "category_id": categories[int(klass)],
                "bbox": [left, top, right - left, bottom - top],
                "score": confidence,
            }
            for name, boxes in found.items()
            for left, top, right, bottom, confidence, klass in boxes
        ]
        run = COCOeval(annotated, annotated.loadRes(rows), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return float(run.stats[0]), float(run.stats[1])


if __name__ == "__main__":
    main()
