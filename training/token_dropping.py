"""A tower that reads only some of its patches: that much cheaper, and what it reads changes from
step to step (after FLIP, Li et al. 2023).

Shapes as in `vfd.model`; N numbers of a patch, h and w height and width of a patch, R and S patches
down and across.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from vfd.model import CLASS_ROW, Tower
from vfd.model_config import Size
from vfd.vgg import VggTower


class TrainedTower(nn.Module):
    """A tower as it is trained. `recompute`: keep only what enters each block and compute the rest
    again on the way back (gradient checkpointing): less memory for a third more work."""

    def __init__(self, tower: Tower | VggTower, *, recompute: bool = False) -> None:
        super().__init__()
        self.tower = tower
        self.recompute = recompute

    def forward(self, x_BCHW: Tensor, kept_T: Tensor | None = None) -> Tensor:
        """As `tower(x_BCHW)`, from the patches numbered `kept_T` alone, None for all; (B, V).

        Raises ValueError for `kept_T` with a VGG, which has no patches to leave out.
        """
        if isinstance(self.tower, VggTower):
            if kept_T is not None:
                raise ValueError("a vgg tower cannot leave out patches")
            return self._checkpointed(self.tower, x_BCHW)
        x_BTD = _tokens(self.tower, x_BCHW, kept_T)
        for block in self.tower.blocks[:-1]:
            x_BTD = self._checkpointed(block, x_BTD)
        x_BTD = self.tower.blocks[-1](x_BTD, CLASS_ROW)
        y_BV: Tensor = self.tower.projection(self.tower.norm(x_BTD[:, 0]))
        return y_BV

    def _checkpointed(self, module: nn.Module, x: Tensor) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(module, x, use_reentrant=False)  # type: ignore[no-any-return]
        y: Tensor = module(x)
        return y


def some_patches(tower: Tower | VggTower, keep: float, generator: torch.Generator) -> Tensor | None:
    """A random share `keep` of the patches, the same for a whole batch; None for all."""
    if keep >= 1.0 or isinstance(tower, VggTower):
        return None
    count = tower.config.tokens - 1
    return torch.randperm(count, generator=generator)[: max(1, round(keep * count))]


def _tokens(tower: Tower, x_BCHW: Tensor, kept_T: Tensor | None) -> Tensor:
    """What enters the first block: the class vector and the kept patches with their positions."""
    config = tower.config
    if kept_T is None:
        kept_T = torch.arange(config.tokens - 1)
    kept_T = kept_T.to(x_BCHW.device)
    down = config.padded[0] - config.image[0]
    right = config.padded[1] - config.image[1]
    if down or right:  # padding by nothing would still copy all
        x_BCHW = F.pad(x_BCHW, (0, right, 0, down))
    x_BTN = _patches(x_BCHW, config.grid, kept_T)
    x_BTD = F.linear(x_BTN, tower.patch.weight.flatten(1), tower.patch.bias)
    x_BTD = x_BTD + tower.positions[1 + kept_T]
    class_B1D = (tower.class_vector + tower.positions[0]).expand(len(x_BTD), 1, -1)
    y_BTD: Tensor = tower.ln_pre(torch.cat([class_B1D.to(x_BTD.dtype), x_BTD], dim=1))
    return y_BTD


def _patches(x_BCHW: Tensor, grid: Size, kept_T: Tensor) -> Tensor:
    """(B, T, N): the N numbers of every kept patch in the order of a convolution's weight."""
    B, C, H, W = x_BCHW.shape
    rows, columns = grid
    x_BCRhSw = x_BCHW.view(B, C, rows, H // rows, columns, W // columns)
    x_BTChw = x_BCRhSw.permute(0, 2, 4, 1, 3, 5)[:, kept_T // columns, kept_T % columns]
    return x_BTChw.flatten(2)
