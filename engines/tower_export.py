"""Parts of the model as graphs that other compilers read: `torch.export` with an open batch."""

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export


def export_open_batch(module: nn.Module, example: Tensor, max_batch: int) -> ExportedProgram:
    """`module` for batches from 1 to `max_batch` (2 or more). `example`: two rows of what it reads;
    one row would fix the batch. Raises what torch raises for a module that cannot be traced."""
    with torch.no_grad():
        batch = Dim("batch", min=1, max=max_batch)
        return export(module.eval(), (example,), dynamic_shapes=({0: batch},))
