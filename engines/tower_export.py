"""One tower as a graph that other compilers read: `torch.export` with a batch size left open."""

import torch
from torch import nn
from torch.export import Dim, ExportedProgram, export

from vfd.model_config import TowerConfig


def example_of(
    config: TowerConfig, rows: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """Zeros of the shape that a tower reads, (rows, C, H, W)."""
    return torch.zeros(rows, config.channels, *config.image, dtype=dtype, device=device)


def export_tower(
    tower: nn.Module, config: TowerConfig, max_batch: int, device: torch.device
) -> ExportedProgram:
    """(B, C, H, W) -> (B, V), for B from 1 to `max_batch` (2 or more), in the precision that the
    tower has; what it returns is not of unit length. Raises what torch raises for a tower that
    cannot be traced."""
    dtype = next(tower.parameters()).dtype
    example = example_of(config, 2, dtype, device)  # of 1 row it would be fixed
    with torch.no_grad():
        batch = Dim("batch", min=1, max=max_batch)
        return export(tower.eval(), (example,), dynamic_shapes=({0: batch},))
