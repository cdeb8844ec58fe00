"""Runs our TensorRT build up to the point where TensorRT itself is needed.

    python tests/dry_run_tensorrt.py WHEEL [PRESET:PRECISION...] [--report FILE]

torch-tensorrt comes from its published wheel, without the compiled parts; TensorRT is a stub
(tests/tensorrt_stubs) and so is what asks for a GPU. Everything else is real: our export, every
keyword that we pass, the lowering, the question which operators have a converter, the division into
engines. Prints one JSON object: for every preset and precision the engines that each tower became,
its operators and how many of them have a converter, or the error; and what comes of a tower with an
operator that has none.
"""

import argparse
import contextlib
import functools
import io
import json
import sys
import tempfile
import types
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "tensorrt_stubs")]

# ruff: noqa: E402, ANN401 - the library is not there until it is unpacked, and has no types
from engines import tensorrt_build
from engines.engine import EngineError
from engines.random_weights import random_checkpoint
from engines.tensorrt_build import PRECISIONS, build
from vfd.checkpoint import Checkpoint
from vfd.model_config import PRESETS

GPU_MEMORY = 1 << 37


def pretend_a_gpu() -> None:
    """What torch-tensorrt asks about the GPU while it lowers."""
    properties = types.SimpleNamespace(major=9, minor=0, name="stub", total_memory=GPU_MEMORY)
    pretended: dict[str, Callable[..., Any]] = {
        "current_device": lambda: 0,
        "get_device_capability": lambda *_: (9, 0),
        "get_device_properties": lambda *_: properties,
        "mem_get_info": lambda *_: (GPU_MEMORY, GPU_MEMORY),
    }
    for name, function in pretended.items():
        setattr(torch.cuda, name, function)
    if not hasattr(torch._C, "_CudaDeviceProperties"):  # torch built without CUDA
        torch._C._CudaDeviceProperties = types.SimpleNamespace


def imported(wheel: Path, folder: Path) -> Any:
    """torch_tensorrt from the Python files of `wheel`, unpacked into `folder`."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [n for n in archive.namelist() if n.endswith(".py")])
    sys.path.insert(0, str(folder))
    import torch_tensorrt

    return torch_tensorrt


class DryRun:
    """Puts itself where the library would build and save; keeps what it learns of each tower."""

    def __init__(self, library: Any) -> None:
        self.coverage: list[tuple[int, int]] = []
        self.engines: list[int] = []
        compile_tower, save = library.dynamo.compile, library.save
        partitioning = library.dynamo.partitioning
        converter_support = partitioning.get_graph_converter_support

        @functools.wraps(compile_tower)  # our build reads the signature of what it calls
        def compile_dry(*args: Any, device: Any, **keywords: Any) -> Any:
            module = compile_tower(*args, device="cuda:0", dryrun=True, **keywords)
            self.engines.append(sum("_run_on_acc" in name for name, _ in module.named_children()))
            return module

        @functools.wraps(save)
        def save_nothing(module: nn.Module, file_path: str, **_: Any) -> None:
            Path(file_path).write_bytes(b"")

        @functools.wraps(converter_support)
        def kept(*args: Any, **keywords: Any) -> Any:
            supported, total = converter_support(*args, **keywords)
            self.coverage.append((int(supported), int(total)))
            return supported, total

        library.dynamo.compile = compile_dry
        library.save = save_nothing
        partitioning.get_graph_converter_support = kept

    def build(self, checkpoint: Checkpoint, folder: Path, precision: str) -> dict[str, Any]:
        self.coverage.clear()
        self.engines.clear()
        try:
            build(checkpoint, folder, precision, device="cpu")
        except EngineError as error:
            return {"error": str(error)}
        return {
            tower: {"engines": engines, "converted": converted, "operators": operators}
            for tower, engines, (converted, operators) in zip(
                ("voice", "face"), self.engines, self.coverage, strict=True
            )
        }


class Unsupported(nn.Module):
    """A tower that asks for something that TensorRT has no layer for."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, picture: Tensor) -> Tensor:
        embeddings: Tensor = self.tower(torch.special.bessel_j0(picture.float()).to(picture.dtype))
        return embeddings


def with_unsupported_tower(dry: DryRun, checkpoint: Checkpoint, folder: Path) -> dict[str, Any]:
    original = tensorrt_build.model_on_device

    def spoiled(*args: Any) -> Any:
        model = original(*args)
        model.voice = Unsupported(model.voice)
        return model

    tensorrt_build.model_on_device = spoiled
    try:
        return dry.build(checkpoint, folder, "bf16")
    finally:
        tensorrt_build.model_on_device = original


def dry_run(wheel: Path, cases: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pretend_a_gpu()
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        dry = DryRun(imported(wheel, folder / "wheel"))
        for case in cases:
            preset, precision = case.split(":")
            checkpoint = random_checkpoint(folder / "any.safetensors", PRESETS[preset])
            found[case] = dry.build(checkpoint, folder / case, precision)
        nano = random_checkpoint(folder / "any.safetensors", PRESETS["nano"])
        found["unsupported"] = with_unsupported_tower(dry, nano, folder / "unsupported")
    return found


def as_markdown(wheel: Path, found: dict[str, Any]) -> str:
    lines = [
        "# TensorRT: lowered and checked, not executed\n",
        f"torch {torch.__version__} with `{wheel.name}`; TensorRT is a stub and there is no GPU. "
        "Everything before TensorRT is real: the export with an open batch (1 to 256), the "
        "keywords, the lowering, the choice of converters, the division into engines. Whether "
        "TensorRT then builds and runs them is not known from this. Made by "
        "`python tests/dry_run_tensorrt.py WHEEL --report FILE`.\n",
        "| preset | precision | tower | engines | operators | with a converter |",
        "|-|-|-|-|-|-|",
    ]
    for case in [name for name in found if "error" not in found[name]]:
        for tower, t in found[case].items():
            row = (*case.split(":"), tower, t["engines"], t["operators"], t["converted"])
            lines.append(f"| {' | '.join(map(str, row))} |")
    lines.append("")
    errors = {name: f["error"] for name, f in found.items() if "error" in f}
    return "\n".join(lines + [f"{name}: {error}\n" for name, error in errors.items()])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("wheel", type=Path)
    every = [f"{preset}:{precision}" for preset in PRESETS for precision in PRECISIONS]
    parser.add_argument("cases", nargs="*", default=every, metavar="PRESET:PRECISION")
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    found = dry_run(options.wheel, options.cases)
    if options.report:
        options.report.write_text(as_markdown(options.wheel, found), encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
