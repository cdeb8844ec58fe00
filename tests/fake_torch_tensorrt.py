"""What of torch-tensorrt the build needs, without TensorRT: "compiling" keeps the exported graph.

Everything else on the way is real: the export with an open batch, the file, its manifest, loading
and running it. Parameters are named as in the library, since calls are checked by name.
"""

from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

__version__ = "2.13.0"


class Input:
    def __init__(
        self,
        min_shape: tuple[int, ...],
        opt_shape: tuple[int, ...],
        max_shape: tuple[int, ...],
        dtype: torch.dtype,
    ) -> None:
        self.shapes = (min_shape, opt_shape, max_shape)
        self.dtype = dtype


class Compiled(nn.Module):
    """As the library returns it: its children are the parts into which it cut the graph."""

    def __init__(self, program: ExportedProgram, parts: list[str]) -> None:
        super().__init__()
        self.program = program
        for part in parts:
            self.add_module(part, nn.Identity())


class dynamo:  # noqa: N801 - a module in the library
    parts = ("_run_on_acc_0",)
    error: Exception | None = None
    asked: tuple[dict[str, Any], ...] = ()

    @staticmethod
    def compile(
        exported_program: ExportedProgram,
        *,
        arg_inputs: list[Input],
        device: torch.device,
        require_full_compilation: bool,
        use_fp32_acc: bool,
        timing_cache_path: str,
    ) -> nn.Module:
        if dynamo.error is not None:
            raise dynamo.error
        dynamo.asked += (dict(locals()),)
        return Compiled(exported_program, list(dynamo.parts))

    @staticmethod
    def convert_exported_program_to_serialized_trt_engine(
        exported_program: ExportedProgram,
        *,
        arg_inputs: list[Input],
        device: torch.device,
        require_full_compilation: bool,
        use_fp32_acc: bool,
        timing_cache_path: str,
    ) -> bytes:
        return str(arg_inputs[0].shapes).encode()


def save(module: Compiled, file_path: str = "", *, arg_inputs: list[Input]) -> None:
    torch.export.save(module.program, file_path)
