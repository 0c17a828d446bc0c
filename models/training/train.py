"""Trains the default model on generated scenes and exports it to ONNX.

python train.py --out street.onnx                            as it ships: a quarter of an hour of one core
python train.py --out street.onnx --scenes 1000 --epochs 3    a look at how it goes
"""

from __future__ import annotations

import argparse
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxslim
import torch
from numpy.random import Generator
from torch import Tensor, nn

from boxes import Pixels
from evaluate import evaluate, generated
from loss import detection_loss
from network import Exported, StreetNetwork
from reference import Detector
from scenes import NAMES, SIZE, Scene, scene

FIRST_TRAINING_SEED, FIRST_HELD_OUT_SEED = 100_000, 9_000_000
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.03
WARM_UP_STEPS = 200
GRADIENT_LIMIT = 10.0
AVERAGE_DECAY = 0.998
OPSET = 12
"""Old enough for every ONNX Runtime that the agent accepts."""


@dataclass(frozen=True)
class Settings:
    """How long and on how much; the defaults are those of the shipped model."""

    scenes: int
    epochs: int
    batch: int
    workers: int
    seed: int


class Average:
    """Moving average of the weights: it scores better than the last step."""

    def __init__(self, network: nn.Module) -> None:
        self._steps = 0
        self.state = {name: value.clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves towards the present weights, fast at first."""
        self._steps += 1
        decay = min(AVERAGE_DECAY, (1 + self._steps) / (10 + self._steps))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


def train(settings: Settings) -> StreetNetwork:
    """Trains from nothing; returns the averaged network, ready to run."""
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + settings.scenes)
    with ProcessPoolExecutor(settings.workers) as pool:
        scenes = list(pool.map(scene, seeds, chunksize=32))

    network = StreetNetwork(len(NAMES), SIZE).to(memory_format=torch.channels_last)
    optimiser = _optimiser(network)
    average, begun, step = Average(network), time.monotonic(), 0
    steps = settings.epochs * (settings.scenes // settings.batch)
    for epoch in range(settings.epochs):
        network.train()
        losses = []
        order = rng.permutation(settings.scenes)[: steps // settings.epochs * settings.batch]
        for chosen in order.reshape(-1, settings.batch):
            for group in optimiser.param_groups:
                group["lr"] = _learning_rate(step, steps)
            loss = detection_loss(network, *_batch([scenes[i] for i in chosen], rng))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_LIMIT)
            optimiser.step()
            average.update(network)
            losses.append(float(loss))
            step += 1
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, {time.monotonic() - begun:.0f} s", flush=True)

    averaged = StreetNetwork(len(NAMES), SIZE)
    averaged.load_state_dict(average.state)
    return averaged.eval()


def export(network: StreetNetwork, path: Path) -> None:
    """Writes an ONNX file in the layout of YOLOv8, with the metadata that an Ultralytics export has."""
    example = torch.zeros(1, 3, SIZE, SIZE)
    torch.onnx.export(
        Exported(network),
        (example,),
        str(path),
        input_names=["images"],
        output_names=["output0"],
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnxslim.slim(onnx.load(path))
    metadata = {"names": str(dict(enumerate(NAMES))), "stride": "32", "imgsz": f"[{SIZE}, {SIZE}]", "task": "detect"}
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)


def _optimiser(network: nn.Module) -> torch.optim.Optimizer:
    """Weights decay; biases and normalisation do not."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.99))


def _learning_rate(step: int, steps: int) -> float:
    """Rises in a line, then falls along a cosine to a fiftieth."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * (0.02 + 0.98 * cosine)


def _batch(scenes: list[Scene], rng: Generator) -> tuple[Tensor, list[Tensor]]:
    """RGB pictures in 0..1 and their labels; some mirrored, and half of the batches recoloured."""
    mirrored = [_mirror(drawn) if rng.random() < 0.5 else drawn for drawn in scenes]
    stacked: Pixels = np.stack([drawn.picture[..., ::-1] for drawn in mirrored])
    pictures = torch.from_numpy(stacked).permute(0, 3, 1, 2).float().div_(255)
    if rng.random() < 0.5:
        channels = torch.from_numpy(rng.permutation(3))
        pictures = (pictures[:, channels] * float(rng.uniform(0.7, 1.3))).clamp(0, 1)
    labels = [torch.from_numpy(drawn.labels) for drawn in mirrored]
    return pictures.contiguous(memory_format=torch.channels_last), labels


def _mirror(drawn: Scene) -> Scene:
    labels = drawn.labels.copy()
    labels[:, [1, 3]] = SIZE - labels[:, [3, 1]]
    return Scene(drawn.picture[:, ::-1], labels)


def main() -> None:
    """Trains, exports, and scores the exported file on held-out scenes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw scenes")
    parser.add_argument("--threads", type=int, default=1, help="threads that train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", type=int, default=200, help="scenes to score on")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(arguments.threads)

    settings = Settings(arguments.scenes, arguments.epochs, arguments.batch, arguments.workers, arguments.seed)
    export(train(settings), arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size} bytes")
    print(evaluate(Detector(arguments.out), generated(FIRST_HELD_OUT_SEED, arguments.held_out)))


if __name__ == "__main__":
    main()
