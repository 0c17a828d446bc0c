"""Makes the models of the tests: of the default model two whose input is not square, and some that a detector may not be.

    python make.py ../../../models/street_tiny_320.onnx .

The first two are graphs without weights: they read those of the default model out of its own file, which must lie beside
them. The others look at 32x32 pixels and have no weights at all; how bright the picture is says what they give.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 12, 7
"""Versions that the default model has."""
LEAST = 512
"""Bytes from which on numbers are weights, and are not copied."""
SIDE = 32
"""Pixels along an edge of the small inputs."""
TABLE = [
    [4.0, 4.0, 20.0, 28.0, 0.9, 0.0],
    [4.0, 4.0, 20.0, 28.0, 7.0, 0.0],  # surer than sure
    [20.0, 28.0, 4.0, 4.0, 0.9, 0.0],  # inside out
    [4.0, 4.0, 20.0, 28.0, 0.9, 4294967295.0],  # of a class that nobody has named
]
"""Rows of the finished model, the first of which is an object."""


class Graph:
    """Nodes and constants under fresh names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str | np.ndarray, name: str = "", **attributes: object) -> str:
        """Appends a node; returns the name of its output. An array becomes a constant."""
        names = [self._constant(value) if isinstance(value, np.ndarray) else value for value in inputs]
        name = name or f"made_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [name], **attributes))
        return name

    def _constant(self, value: np.ndarray) -> str:
        name = f"given_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def resized(path: Path, sides: tuple[int, int] | None) -> onnx.ModelProto:
    """The default model for an input of `(height, width)`, or of any size: its cells are counted as it runs."""
    model = onnx.load(path)
    graph, made = model.graph, Graph()
    centres, strides = [], []
    for level, stride in enumerate((8, 16, 32)):
        shape = made.add("Shape", f"/n/h.{level}/ro/Conv_output_0")
        rows, columns = (made.add("Gather", shape, np.array(axis, np.int64)) for axis in (2, 3))
        one, none = np.array(1, np.int64), np.array(0, np.int64)
        across, down = (made.add("Range", none, count, one) for count in (columns, rows))
        sides_of = made.add("Concat", *(made.add("Unsqueeze", side, axes=[0]) for side in (rows, columns)), axis=0)
        x = made.add("Expand", made.add("Unsqueeze", across, axes=[0]), sides_of)
        y = made.add("Expand", made.add("Unsqueeze", down, axes=[1]), sides_of)
        flat = [made.add("Reshape", axis, ints(-1, 1)) for axis in (x, y)]
        cells = made.add("Cast", made.add("Concat", *flat, axis=1), to=TensorProto.FLOAT)
        half = made.add("Add", cells, np.array(0.5, np.float32))
        centres.append(made.add("Mul", half, np.array(stride, np.float32)))
        ones = made.add("Add", made.add("Mul", flat[0], ints(0)), ints(stride))
        strides.append(made.add("Cast", ones, to=TensorProto.FLOAT))
    centre, stride = made.add("Concat", *centres, axis=0), made.add("Concat", *strides, axis=0)
    fresh = {"/Constant_output_0": stride, "/Constant_6_output_0": centre, "/Constant_11_output_0": centre}
    nodes = list(graph.node)
    for node in nodes:
        node.input[:] = [fresh.get(name, name) for name in node.input]
    # A graph is written in the order in which it can be run.
    first = next(index for index, node in enumerate(nodes) if not set(fresh.values()).isdisjoint(node.input))
    kept = [weights for weights in graph.initializer if weights.name not in fresh]
    for weights in kept:
        refer(weights, path)
    height, width = sides or ("height", "width")
    cells = "cells" if sides is None else sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    return finished(
        [*nodes[:first], *made.nodes, *nodes[first:]],
        [*kept, *made.constants],
        [1, 3, height, width],
        ("output0", TensorProto.FLOAT, [1, 10, cells]),
        {entry.key: entry.value for entry in model.metadata_props if entry.key != "imgsz"},
    )


def refer(weights: onnx.TensorProto, path: Path) -> None:
    """Leaves of weights only where in the file they stand."""
    raw = weights.raw_data
    if len(raw) < LEAST:
        return
    place = {"location": path.name, "offset": path.read_bytes().index(raw), "length": len(raw)}
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in place.items():
        weights.external_data.add(key=key, value=str(value))


def small(made: Graph, end: str, kind: int, shape: list[int | str]) -> onnx.ModelProto:
    return finished(made.nodes, made.constants, [1, 3, SIDE, SIDE], (end, kind, shape), {"names": "['thing']"})


def rows() -> onnx.ModelProto:
    """Suppression inside, and as many rows as there is light: none in the dark, those of the table in full light."""
    made = Graph()
    light = made.add("ReduceMean", "images", axes=[0, 1, 2, 3], keepdims=0)
    count = made.add("Round", made.add("Mul", light, np.array(len(TABLE), np.float32)))
    end = made.add("Unsqueeze", made.add("Cast", count, to=TensorProto.INT64), axes=[0])
    table = made.add("Slice", np.array(TABLE, np.float32), ints(0), end)
    return small(made, made.add("Unsqueeze", table, axes=[0]), TensorProto.FLOAT, [1, "rows", 6])


def failing() -> onnx.ModelProto:
    """Gives one object in the dark, and fails in the light: the row that it then asks for does not exist."""
    made = Graph()
    light = made.add("ReduceMax", "images", axes=[0, 1, 2, 3], keepdims=1)
    row = made.add("Ceil", made.add("Reshape", light, ints(1)))
    found = made.add("Gather", np.array(TABLE[:1], np.float32), made.add("Cast", row, to=TensorProto.INT64))
    return small(made, made.add("Unsqueeze", found, axes=[0]), TensorProto.FLOAT, [1, 1, 6])


def counting() -> onnx.ModelProto:
    """Gives whole numbers."""
    made = Graph()
    light = made.add("Reshape", made.add("ReduceMax", "images", axes=[0, 1, 2, 3], keepdims=1), ints(1, 1, 1))
    end = made.add("Cast", made.add("Expand", light, ints(1, 1, 6)), to=TensorProto.INT64)
    return small(made, end, TensorProto.INT64, [1, 1, 6])


def finished(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    taken: list[int | str],
    given: tuple[str, int, list[int | str]],
    metadata: dict[str, str],
) -> onnx.ModelProto:
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, taken)
    graph = helper.make_graph(nodes, "test", [images], [helper.make_tensor_value_info(*given)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    helper.set_model_props(model, metadata)
    return model


def main() -> None:
    """Writes all of them."""
    default, folder = Path(sys.argv[1]), Path(sys.argv[2])
    for name, model in {
        "any_size": resized(default, None),
        "wide": resized(default, (320, 640)),
        "rows": rows(),
        "failing": failing(),
        "counting": counting(),
    }.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
