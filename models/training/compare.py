"""Agreement of two sets of boxes: how far another implementation is from the reference.

    ashya-agent detect --model M.onnx --source DIR --json agent.jsonl --confidence 0.25
    python compare.py reference.json agent.jsonl

Reads what `reference.py` writes and what the agent writes. Exit code 1 when they agree less than they must.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boxes import iou

SAME_BOX = 0.5
"""Boxes of one class that overlap by less are not the same detection."""
LEAST_MATCHED, LEAST_OVERLAP, MOST_SCORE_DIFFERENCE = 0.99, 0.998, 0.002

Rows = list[list[float]]
"""`[x1, y1, x2, y2, score, class]` a box."""


@dataclass(frozen=True)
class Agreement:
    """What two sets of boxes have in common."""

    boxes: tuple[int, int]
    matched: float
    """Pairs as a share of the larger set."""
    overlap: float
    """Mean IoU of the pairs."""
    score_difference: float
    """Mean absolute difference of the scores of the pairs."""

    def enough(self) -> bool:
        """Whether the two may be called the same detector."""
        close = self.overlap >= LEAST_OVERLAP and self.score_difference <= MOST_SCORE_DIFFERENCE
        return self.matched >= LEAST_MATCHED and close

    def __str__(self) -> str:
        return (
            f"{self.boxes[0]} and {self.boxes[1]} boxes, {self.matched:.2%} matched, "
            f"mean IoU {self.overlap:.5f}, mean score difference {self.score_difference:.5f}"
        )


def compare(left: dict[str, Rows], right: dict[str, Rows]) -> Agreement:
    """Pairs the boxes of each picture, closest first."""
    overlaps, differences = [], []
    for name in left.keys() | right.keys():
        for a, b, overlap in _pairs(left.get(name, []), right.get(name, [])):
            overlaps.append(overlap)
            differences.append(abs(a[4] - b[4]))
    counts = sum(map(len, left.values())), sum(map(len, right.values()))
    if not overlaps:
        return Agreement(counts, 1.0 if max(counts) == 0 else 0.0, 0.0, 1.0)
    return Agreement(counts, len(overlaps) / max(counts), float(np.mean(overlaps)), float(np.mean(differences)))


def read(path: Path) -> dict[str, Rows]:
    """Reads `reference.py` JSON, or the agent's JSON lines, by picture name without extension."""
    text = path.read_text()
    if path.suffix != ".jsonl":
        return json.loads(text)
    pictures = (json.loads(line) for line in text.splitlines())
    return {
        Path(picture["image"]).stem: [[*found["box"], found["score"], found["class"]] for found in picture["objects"]]
        for picture in pictures
    }


def _pairs(left: Rows, right: Rows) -> list[tuple[list[float], list[float], float]]:
    if not left or not right:
        return []
    candidates = np.array(right, np.float64)
    table = []
    for i, a in enumerate(left):
        row = iou(np.array(a[:4]), candidates[:, :4])
        table += [(row[j], i, j) for j in np.where((candidates[:, 5] == a[5]) & (row >= SAME_BOX))[0]]
    pairs, used_left, used_right = [], set(), set()
    for overlap, i, j in sorted(table, reverse=True):
        if i not in used_left and j not in used_right:
            used_left.add(i)
            used_right.add(j)
            pairs.append((left[i], right[j], float(overlap)))
    return pairs


def main() -> None:
    """Prints one line; the exit code is the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("reference", type=Path)
    parser.add_argument("other", type=Path)
    arguments = parser.parse_args()
    agreement = compare(read(arguments.reference), read(arguments.other))
    print(agreement)
    sys.exit(0 if agreement.enough() else 1)


if __name__ == "__main__":
    main()
