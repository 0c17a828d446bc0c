"""Writes golden.json: scenes with what py-motmetrics 1.4.0 says of them.

    python3 -m venv venv && venv/bin/pip install motmetrics==1.4.0 && venv/bin/python golden.py
"""

import json
import random
from pathlib import Path

import motmetrics
import numpy

FRAMES = 24
NAMES = ["num_objects", "num_predictions", "num_misses", "num_false_positives", "num_switches", "mota", "idf1"]


def scene(seed):
    """Walkers who cross, and a tracker that shakes, misses, invents and mixes them up."""
    dice = random.Random(seed)
    walkers = [
        {"id": index + 1, "x": dice.uniform(0, 200), "v": dice.uniform(-12, 12), "from": dice.randrange(8), "number": index + 1}
        for index in range(dice.randrange(3, 6))
    ]
    fresh = 100
    frames = []
    for frame in range(FRAMES):
        truths, shown = [], []
        for walker in walkers:
            if frame < walker["from"] or dice.random() < 0.05:
                continue
            x = walker["x"] + walker["v"] * frame
            truths.append([walker["id"], round(x), 50, round(x) + 40, 130])
            if dice.random() < 0.07:
                fresh += 1
                walker["number"] = fresh
            if dice.random() < 0.85:
                shift = dice.choice([0, 1, -3, 5, 9, -14])
                shown.append([walker["number"], round(x) + shift, 50, round(x) + shift + 40, 130])
        if dice.random() < 0.08:
            one, other = dice.sample(walkers, 2)
            one["number"], other["number"] = other["number"], one["number"]
        if dice.random() < 0.2:
            x = dice.randrange(300)
            shown.append([900 + dice.randrange(3), x, 60, x + 30, 120])
        frames.append({"truths": truths, "shown": shown})
    return frames


def distances(truths, shown):
    """1 - intersection over union; not a number below an overlap of a half."""
    table = numpy.full((len(truths), len(shown)), numpy.nan)
    for row, (_, *a) in enumerate(truths):
        for column, (_, *b) in enumerate(shown):
            both = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
            area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
            if both / (area - both) >= 0.5:
                table[row, column] = 1 - both / (area - both)
    return table


def judged(frames):
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in frames:
        truths, shown = frame["truths"], frame["shown"]
        accumulator.update([box[0] for box in truths], [box[0] for box in shown], distances(truths, shown))
    row = motmetrics.metrics.create().compute(accumulator, metrics=NAMES, name="scene").loc["scene"]
    counts = {name: int(row[name]) for name in NAMES[:5]}
    return {**counts, "mota": float(row["mota"]), "idf1": float(row["idf1"])}


golden = []
for seed in range(6):
    frames = scene(seed)
    golden.append({"frames": frames, "expected": judged(frames)})
text = ",\n".join(json.dumps(scene, separators=(",", ":")) for scene in golden)
Path(__file__).with_name("golden.json").write_text(f"[\n{text}\n]\n")
