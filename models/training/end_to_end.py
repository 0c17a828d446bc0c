"""Makes a finished detector of a YOLOv8 export: suppression inside, corners, 16-bit floats.

    python end_to_end.py ../street_tiny_320.onnx ../street_tiny_320_end2end.onnx

The output is `[1, 300, 6]` as Ultralytics exports it with `nms=True` and as YOLOv10 and YOLO26 have it: x1, y1, x2, y2 in
pixels of the input, score, class, best first, zeros where nothing is left. The graph computes in 16-bit floats, all but
the suppression, for which ONNX knows only 32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

OPSET = 18
"""Version of the operators."""
CANDIDATES = 300
"""Rows of the output."""
OVERLAP = 0.7
"""Overlap above which the weaker box of a class goes; the default of Ultralytics."""
LEAST = 0.001
"""Score below which a box is not worth suppressing."""


def finish(model: onnx.ModelProto) -> onnx.ModelProto:
    """Halves the numbers of a `[1, 4 + classes, cells]` detector and puts suppression behind it."""
    model = version_converter.convert_version(model, OPSET)
    graph = model.graph
    _halve(graph)
    end = graph.output[0].name
    cells = graph.output[0].type.tensor_type.shape.dim[2].dim_value
    classes = graph.output[0].type.tensor_type.shape.dim[1].dim_value - 4
    ends = _Builder(graph)
    found = ends.add("Cast", [end], to=TensorProto.FLOAT)
    centred, scores = ends.add("Split", [found, ends.ints([4, classes])], outputs=2, axis=1)
    # A cell is of its best class only.
    best = ends.add("ReduceMax", [scores, ends.ints([1])], keepdims=1)
    scores = ends.add("Where", [ends.add("Equal", [scores, best]), scores, ends.floats([0.0])])
    rows = ends.add("Transpose", [centred], perm=[0, 2, 1])
    chosen = ends.add(
        "NonMaxSuppression",
        [rows, scores, ends.ints([CANDIDATES]), ends.floats([OVERLAP]), ends.floats([LEAST])],
        center_point_box=1,
    )
    _, klass, cell = ends.add("Split", [chosen, ends.ints([1, 1, 1])], outputs=3, axis=1)
    klass, cell = (ends.add("Squeeze", [index, ends.ints([1])]) for index in (klass, cell))
    flat = ends.add("Reshape", [scores, ends.ints([-1])])
    place = ends.add("Add", [ends.add("Mul", [klass, ends.ints([cells])]), cell])
    score = ends.add("Gather", [flat, place])
    middle, extent = ends.add("Split", [ends.add("Squeeze", [rows, ends.ints([0])]), ends.ints([2, 2])], outputs=2, axis=1)
    half = ends.add("Mul", [extent, ends.floats([0.5])])
    corners = ends.add("Concat", [ends.add("Sub", [middle, half]), ends.add("Add", [middle, half])], axis=1)
    columns = [
        ends.add("Gather", [corners, cell]),
        ends.add("Unsqueeze", [score, ends.ints([1])]),
        ends.add("Unsqueeze", [ends.add("Cast", [klass], to=TensorProto.FLOAT), ends.ints([1])]),
    ]
    # Rows of zeros behind what was found, so that the best 300 always exist.
    nothing = ends.constant(np.zeros((CANDIDATES, 6), np.float32))
    table = ends.add("Concat", [ends.add("Concat", columns, axis=1), nothing], axis=0)
    ranks = ends.add("Gather", [table, ends.constant(np.array(4, np.int64))], axis=1)
    _, order = ends.add("TopK", [ranks, ends.ints([CANDIDATES])], outputs=2)
    final = ends.add("Unsqueeze", [ends.add("Gather", [table, order]), ends.ints([0])])
    graph.node.append(helper.make_node("Cast", [final], ["finished"], to=TensorProto.FLOAT16))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("finished", TensorProto.FLOAT16, [1, CANDIDATES, 6]))
    onnx.checker.check_model(model, full_check=True)
    return model


def _halve(graph: onnx.GraphProto) -> None:
    """Turns every 32-bit float of a graph into one of 16 bits, but for the scales of a resize."""
    scales = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:]}
    for weights in graph.initializer:
        if weights.data_type == TensorProto.FLOAT and weights.name not in scales:
            halves = numpy_helper.to_array(weights).astype(np.float16)
            weights.CopyFrom(numpy_helper.from_array(halves, weights.name))
    for node in graph.node:
        for attribute in node.attribute if scales.isdisjoint(node.output) else ():
            if attribute.HasField("t") and attribute.t.data_type == TensorProto.FLOAT:
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float16)))
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16


class _Builder:
    """Appends nodes and constants to a graph under fresh names."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._count = 0

    def add(self, kind: str, inputs: list[str], outputs: int = 1, **attributes: object) -> str | list[str]:
        """Appends a node; returns the name of its output, or of all where there are several."""
        names = [self._name() for _ in range(outputs)]
        self._graph.node.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, values: np.ndarray) -> str:
        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def ints(self, values: list[int]) -> str:
        return self.constant(np.array(values, np.int64))

    def floats(self, values: list[float]) -> str:
        return self.constant(np.array(values, np.float32))

    def _name(self) -> str:
        self._count += 1
        return f"finish_{self._count}"


def main() -> None:
    """Writes the finished model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path, help="a YOLOv8 or YOLO11 export")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    onnx.save(finish(onnx.load(arguments.model)), arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
