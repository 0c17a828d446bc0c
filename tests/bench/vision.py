"""A peer of `ashya-agent detect`: the same work with Python's ONNX Runtime and OpenCV, or with Ultralytics.

    python vision.py opencv|ultralytics MODEL FOLDER THREADS

Prints milliseconds a picture, all and of the model's run alone, and the most memory that it took, as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "training"))

if TYPE_CHECKING:
    import onnxruntime

CONFIDENCE, OVERLAP = 0.25, 0.7


def opencv(model: str, files: list[Path], threads: int) -> tuple[float, float]:
    """Seconds for all files, and those of them in the model's run, with the code of models/training."""
    import cv2
    import numpy as np
    import onnxruntime
    from boxes import Layout, decode, prepare, suppress

    cv2.setNumThreads(threads)
    options = _options(threads)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name, size = session.get_inputs()[0].name, session.get_inputs()[0].shape[-1]
    layout = Layout.of(tuple(session.get_outputs()[0].shape), size)
    session.run(None, {name: np.zeros((1, 3, size, size), np.float32)})

    began, running = time.perf_counter(), 0.0
    for file in files:
        picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        tensor, fit = prepare(picture, size, layout)
        before = time.perf_counter()
        output = session.run(None, {name: tensor})[0]
        running += time.perf_counter() - before
        fit.to_picture(suppress(decode(output, layout, size, CONFIDENCE), OVERLAP).corners)
    return time.perf_counter() - began, running


def ultralytics(model: str, files: list[Path], threads: int) -> tuple[float, float]:
    """The same by Ultralytics' own predictor."""
    # Read at import. It would install packages, ask the network and write into the home folder.
    os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true", YOLO_CONFIG_DIR=tempfile.mkdtemp())

    import onnxruntime
    import torch
    from ultralytics import YOLO

    torch.set_num_threads(threads)
    # Its backend takes the options of ONNX Runtime as they come; there is no setting for the threads.
    made = onnxruntime.InferenceSession

    def limited(*arguments: object, **more: object) -> onnxruntime.InferenceSession:
        more["sess_options"] = _options(threads)
        return made(arguments[0], **more)

    onnxruntime.InferenceSession = limited
    network = YOLO(model, task="detect")
    settings = {"imgsz": 320, "conf": CONFIDENCE, "iou": OVERLAP, "device": "cpu", "verbose": False}
    network.predict(str(files[0]), **settings)

    began, running = time.perf_counter(), 0.0
    for found in network.predict(str(files[0].parent), stream=True, **settings):
        running += found.speed["inference"] / 1000
    return time.perf_counter() - began, running


def _options(threads: int) -> onnxruntime.SessionOptions:
    """As the agent has them: threads that spin while they wait would only show how busy the machine is."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def main() -> None:
    kind, model, folder, threads = sys.argv[1:]
    files = sorted(Path(folder).glob("*.jpg"))
    peer = {"opencv": opencv, "ultralytics": ultralytics}[kind]
    total, running = peer(model, files, int(threads))
    figures = {
        "wall_ms": total * 1000 / len(files),
        "run_ms": running * 1000 / len(files),
        "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
