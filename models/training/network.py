"""The network: a small anchor-free detector at strides 8, 16 and 32, written from scratch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from boxes import STRIDES

WIDTHS = (16, 24, 48, 80, 112)
"""Channels at strides 2 to 32."""
NECK = 48
"""Channels of the pyramid, the same at each stride."""
START_CONFIDENCE = 0.01
"""Score of everything before training; without it the empty background drowns the first steps."""


class Convolution(nn.Sequential):
    """Convolution, batch normalisation, ReLU; the size is kept but for the stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03),
            nn.ReLU(inplace=True),
        )


class Separable(nn.Sequential):
    """A convolution in each channel, then one across channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__(Convolution(inputs, inputs, kernel, groups=inputs), Convolution(inputs, outputs, 1))


class Residual(nn.Module):
    """A bottleneck beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = Convolution(channels, channels // 2, 1)
        self.expand = Convolution(channels // 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.expand(self.squeeze(x))


class Head(nn.Module):
    """Distances to the four edges, and one logit a class, for each cell of a stride."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = Convolution(channels, channels, 1)
        self.classes = nn.Sequential(Separable(channels, channels), nn.Conv2d(channels, classes, 1))
        self.edges = nn.Sequential(Separable(channels, channels), nn.Conv2d(channels, 4, 1))
        nn.init.constant_(self.classes[-1].bias, math.log(START_CONFIDENCE / (1 - START_CONFIDENCE)))
        nn.init.constant_(self.edges[-1].bias, 0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        return self.edges(x), self.classes(x)


class StreetNetwork(nn.Module):
    """`[b, 3, size, size]` in 0..1 to corners `[b, n, 4]` in pixels and logits `[b, n, classes]`."""

    centres: Tensor
    steps: Tensor

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        w2, w4, w8, w16, w32 = WIDTHS
        self.stem = nn.Sequential(Convolution(3, w2, stride=2), Convolution(w2, w4, stride=2), Residual(w4))
        self.stage8 = nn.Sequential(Convolution(w4, w8, stride=2), Residual(w8), Residual(w8))
        self.stage16 = nn.Sequential(Convolution(w8, w16, stride=2), Residual(w16), Residual(w16))
        self.stage32 = nn.Sequential(Convolution(w16, w32, stride=2), Residual(w32), Separable(w32, w32, 5))

        self.lateral8, self.lateral16, self.lateral32 = (Convolution(w, NECK, 1) for w in (w8, w16, w32))
        self.merge8, self.merge16 = Separable(NECK, NECK), Separable(NECK, NECK)
        self.down16, self.down32 = (Convolution(NECK, NECK, stride=2, groups=NECK) for _ in range(2))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.heads = nn.ModuleList(Head(NECK, classes) for _ in STRIDES)

        centres, steps = _cells(size)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("steps", steps, persistent=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        c8 = self.stage8(self.stem(pictures))
        c16 = self.stage16(c8)
        c32 = self.stage32(c16)
        p32 = self.lateral32(c32)
        p16 = self.merge16(self.lateral16(c16) + self.up(p32))
        p8 = self.merge8(self.lateral8(c8) + self.up(p16))
        p16 = p16 + self.down16(p8)
        p32 = p32 + self.down32(p16)

        answers = [head(p) for head, p in zip(self.heads, (p8, p16, p32), strict=True)]
        distances = functional.softplus(_rows([edges for edges, _ in answers])) * self.steps * 2
        corners = torch.cat([self.centres - distances[..., :2], self.centres + distances[..., 2:]], -1)
        return corners, _rows([logits for _, logits in answers])


class Exported(nn.Module):
    """The network with the output of a YOLOv8 export: `[1, 4 + classes, n]`, centre, size, scores."""

    def __init__(self, network: StreetNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        corners, logits = self.network(pictures)
        start, end = corners[..., :2], corners[..., 2:]
        return torch.cat([(start + end) / 2, end - start, logits.sigmoid()], -1).transpose(1, 2)


def _cells(size: int) -> tuple[Tensor, Tensor]:
    """Centre and stride of each cell in pixels, finest stride first."""
    centres, steps = [], []
    for stride in STRIDES:
        side = torch.arange(size // stride)
        y, x = torch.meshgrid(side, side, indexing="ij")
        centres.append((torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
        steps.append(torch.full((len(side) ** 2, 1), float(stride)))
    return torch.cat(centres), torch.cat(steps)


def _rows(maps: list[Tensor]) -> Tensor:
    """Feature maps of all strides as one list of cells, `[b, n, channels]`."""
    return torch.cat([m.flatten(2) for m in maps], 2).transpose(1, 2)
