"""What the network is taught: which cells answer for a box, and how wrong they are.

Cells are chosen as in TOOD (Feng et al., 2021): by the score and the overlap that they reach already.
The classification loss is the varifocal one (Zhang et al., 2021), the box loss generalised IoU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from network import StreetNetwork

CELLS_A_BOX = 9
BOX_WEIGHT = 2.0
NEGATIVE_WEIGHT = 0.75
LEAST_TARGET = 0.05


@dataclass(frozen=True)
class Assignment:
    """The cells of one picture that answer for a box."""

    cells: Tensor
    """`[n]`, true for a cell that answers."""
    boxes: Tensor
    """Index of the box of each such cell."""
    targets: Tensor
    """Score that each such cell should give, 0..1."""


def detection_loss(network: StreetNetwork, pictures: Tensor, labels: list[Tensor]) -> Tensor:
    """Loss of a batch; `labels` are `[n, 5]` a picture: class, x1, y1, x2, y2."""
    corners, logits = network(pictures)
    targets = torch.zeros_like(logits)
    box_loss = corners.new_zeros(())
    weight = 0.0
    for index, rows in enumerate(labels):
        if len(rows) == 0:
            continue
        truth, classes = rows[:, 1:], rows[:, 0].long()
        chosen = assign(network, corners[index].detach(), logits[index].detach(), truth, classes)
        targets[index][chosen.cells, classes[chosen.boxes]] = chosen.targets
        _, generalised = overlaps(corners[index][chosen.cells], truth[chosen.boxes])
        box_loss = box_loss + ((1 - generalised) * chosen.targets).sum()
        weight += float(chosen.targets.sum())

    importance = torch.where(targets > 0, targets, NEGATIVE_WEIGHT * logits.detach().sigmoid() ** 2)
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return ((entropy * importance).sum() + BOX_WEIGHT * box_loss) / max(1.0, weight)


@torch.no_grad()
def assign(network: StreetNetwork, corners: Tensor, logits: Tensor, truth: Tensor, classes: Tensor) -> Assignment:
    """Gives each box the cells that answer for it best; a cell answers for one box only."""
    scores = logits.sigmoid()[:, classes].T
    iou, _ = overlaps(corners[None], truth[:, None])
    iou = iou.clamp(0)
    centres, steps = network.centres, network.steps[:, 0]
    after_start = (centres[None] - truth[:, None, :2]).amin(-1) > 0
    before_end = (truth[:, None, 2:] - centres[None]).amin(-1) > 0
    middle = (truth[:, None, :2] + truth[:, None, 2:]) / 2
    near = (centres[None] - middle).abs().amax(-1) < steps[None]
    eligible = (after_start & before_end) | near

    alignment = scores.clamp(1e-4) ** 0.5 * iou**4 * eligible
    values, cells = alignment.topk(CELLS_A_BOX, 1)
    positive = torch.zeros_like(eligible).scatter_(1, cells, values > 1e-9) & eligible
    for box in torch.where(~positive.any(1))[0]:
        # A box that no cell overlaps yet is learnt by the cell nearest to its middle.
        positive[box, ((centres - middle[box]) ** 2).sum(-1).argmin()] = True

    best = torch.where(positive, iou + 1e-6, 0).argmax(0)
    chosen = positive.any(0)
    boxes, at = best[chosen], torch.where(chosen)[0]
    reached, overlap = alignment[boxes, at], iou[boxes, at]
    top_reached, top_overlap = (
        torch.zeros(len(truth)).scatter_reduce(0, boxes, values, "amax")[boxes] for values in (reached, overlap)
    )
    targets = (reached / (top_reached + 1e-9) * top_overlap).clamp(LEAST_TARGET, 1)
    return Assignment(chosen, boxes, targets)


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al., 2019) of boxes `[..., 4]`."""
    shared = (torch.min(a[..., 2:], b[..., 2:]) - torch.max(a[..., :2], b[..., :2])).clamp(0).prod(-1)
    together = (a[..., 2:] - a[..., :2]).clamp(0).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    iou = shared / (together + 1e-7)
    hull = (torch.max(a[..., 2:], b[..., 2:]) - torch.min(a[..., :2], b[..., :2])).prod(-1)
    return iou, iou - (hull - together) / (hull + 1e-7)
