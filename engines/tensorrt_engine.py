"""The model on TensorRT: what serves on an NVIDIA GPU, from a folder that `tensorrt_build` wrote.

An execution context holds the state of one batch size, and a CUDA graph recorded from it is good
only as long as that state stands. So every bucket loads the tower for itself; the weights are in
GPU memory once for every bucket that is in use.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.cuda_engine import GraphEngine, TowerAt
from engines.cuda_graphs import Device, is_out_of_memory
from engines.engine import EngineError
from engines.manifest import check_manifest, read_manifest
from engines.tensorrt_build import ENGINE, import_torch_tensorrt, manifest_here, program_name
from vfd.checkpoint import Checkpoint


class TensorRtEngine(GraphEngine):
    """Implements `Engine`."""

    name = ENGINE

    def __init__(
        self, checkpoint: Checkpoint, folder: Path, graphs: bool = True, device: str = "cuda"
    ) -> None:
        """Raises EngineError for an engine that is not whole, or was built for another checkpoint,
        GPU or release of a library."""
        found = read_manifest(folder)
        placed = Device(device, graphs)
        import_torch_tensorrt()  # so that torch knows what is in the files
        expected = manifest_here(checkpoint, found.precision, found.batches, {}, device)
        rebuild = (
            "vfd-engine build CHECKPOINT --out NEW_FOLDER --engine tensorrt "
            f"--precision {found.precision}"
        )
        check_manifest(folder, found, expected, rebuild)
        towers = _tower_at(folder, "voice"), _tower_at(folder, "face")
        config, largest = checkpoint.info.config, found.batches[2]
        super().__init__(config, placed, found.precision, towers, largest)


def _tower_at(folder: Path, name: str) -> TowerAt:
    path = folder / program_name(name)

    def load(bucket: int) -> Any:  # noqa: ANN401
        try:
            # torch_tensorrt.load does the same, but hides why it failed.
            module = torch.export.load(path).module()
        except Exception as error:
            if is_out_of_memory(error):
                raise torch.OutOfMemoryError(f"for a context of batch {bucket}") from error
            raise EngineError(
                f"{path}: TensorRT does not load it ({error}); build the engine again"
            ) from error

        def run(x_BCHW: Tensor) -> Tensor:
            y_BV: Tensor = module(x_BCHW)
            return y_BV

        return run

    return load
