"""Detects with Python's ONNX Runtime and OpenCV: the boxes that other implementations must match.

    python reference.py --model ../street_tiny_320.onnx --source ../street_synth/images \
        --json ../reference/street_tiny_320.street_synth.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime

from boxes import Boxes, Layout, Pixels, decode, prepare, read_picture, suppress

CONFIDENCE = 0.25
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
"""Numbers that an input may want."""
OVERLAP = 0.7
"""Overlap above which the weaker box of a class goes; the default of Ultralytics."""


class Detector:
    """An ONNX model with the layout and input size that it states itself."""

    def __init__(self, model: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0]
        self.size = int(self._input.shape[-1])
        self.layout = Layout.of(tuple(self._session.get_outputs()[0].shape), self.size)

    def detect(self, picture: Pixels, confidence: float = CONFIDENCE, overlap: float = OVERLAP) -> Boxes:
        """Finds boxes in a BGR picture, in pixels of that picture."""
        tensor, fit = prepare(picture, self.size, self.layout)
        tensor = tensor.astype(TYPES[self._input.type])
        output = self._session.run(None, {self._input.name: tensor})[0].astype(np.float32)
        found = decode(output, self.layout, self.size, confidence)
        if self.layout is not Layout.END_TO_END:
            found = suppress(found, overlap)
        return Boxes(fit.to_picture(found.corners), found.scores, found.classes)


def main() -> None:
    """Writes `{"picture": [[x1, y1, x2, y2, score, class], ...]}`, a line a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True, help="folder of .jpg pictures")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--confidence", type=float, default=CONFIDENCE)
    parser.add_argument("--overlap", type=float, default=OVERLAP)
    arguments = parser.parse_args()

    detector = Detector(arguments.model)
    lines = []
    for path in sorted(arguments.source.glob("*.jpg")):
        found = detector.detect(read_picture(path), arguments.confidence, arguments.overlap)
        lines.append(f"{json.dumps(path.stem)}: {json.dumps(found.rows())}")
    arguments.json.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(lines)} pictures, {detector.layout.value} at {detector.size} pixels: {arguments.json}")


if __name__ == "__main__":
    main()
