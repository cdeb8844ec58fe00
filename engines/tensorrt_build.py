"""Builds TensorRT engines from a checkpoint: one for each tower, for one GPU.

checkpoint -> torch in bf16 or fp16 -> `torch.export` with an open batch -> torch-tensorrt. The
graph is cast before it is exported because TensorRT types strongly: every tensor keeps the type
that it has there. Scaling of crops and the unit length stay outside, in float32.

torch-tensorrt 2.11 (TensorRT 10.15) to 2.13 (TensorRT 11) are supported.
"""

import contextlib
import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch.export import ExportedProgram

from engines.buckets import BUCKETS
from engines.cuda_engine import BEST_BATCH, dtype_of, model_on_device
from engines.cuda_graphs import Device, describe_memory, is_out_of_memory
from engines.engine import EngineError
from engines.hardware import nvidia_driver_version
from engines.manifest import (
    MANIFEST_NAME,
    Batches,
    Manifest,
    describe_files,
    write_manifest,
)
from engines.signatures import checked_call
from engines.tower_export import export_open_batch
from vfd.checkpoint import Checkpoint
from vfd.model_config import TOWERS, TowerConfig

ENGINE: Final = "tensorrt"
PRECISIONS: Final = ("bf16", "fp16")
TIMING_CACHE: Final = "timing.cache"
"""What TensorRT measured of its kernels; the next build into the same folder is quicker."""


def program_name(tower: str) -> str:
    """The file of one tower in the folder of an engine."""
    return f"{tower}.pt2"  # torch.export insists on this ending


def build(
    checkpoint: Checkpoint,
    folder: Path,
    precision: str = "bf16",
    max_batch: int = BUCKETS[-1],
    device: str = "cuda",
) -> Manifest:
    """Builds both towers into `folder`, which `TensorRtEngine` loads; minutes for large presets.

    `precision`: a name of PRECISIONS. Raises EngineError.
    """
    torch_tensorrt = import_torch_tensorrt()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_NAME).unlink(missing_ok=True)  # of an engine that is no more, from here on
    for tower in _lowered(torch_tensorrt, checkpoint, precision, max_batch, device):
        with _explained(tower.name, tower.preset, tower.device):
            module = checked_call(
                torch_tensorrt.dynamo.compile,
                tower.program,
                arg_inputs=[tower.input],
                device=tower.device,
                require_full_compilation=True,
                use_fp32_acc=precision == "fp16",
                timing_cache_path=str(folder / TIMING_CACHE),
            )
            _check_one_engine(module)
            path = str(folder / program_name(tower.name))
            checked_call(torch_tensorrt.save, module, path, arg_inputs=[tower.input])
    files = describe_files(folder, [program_name(name) for name in TOWERS])
    manifest = manifest_here(checkpoint, precision, _batches(max_batch), files, device)
    write_manifest(folder, manifest)
    return manifest


def build_plan(
    checkpoint: Checkpoint,
    folder: Path,
    precision: str = "bf16",
    max_batch: int = BUCKETS[-1],
    device: str = "cuda",
) -> tuple[Path, Path]:
    """Writes both towers as plain TensorRT plans, voice.plan and face.plan, for Triton and trtexec.

    Input (B, C, H, W) in `precision`: spectrograms, or crops after `vfd.model.scale_faces`. Output
    (B, V), not yet of unit length. Raises EngineError.
    """
    torch_tensorrt = import_torch_tensorrt()
    folder.mkdir(parents=True, exist_ok=True)
    for tower in _lowered(torch_tensorrt, checkpoint, precision, max_batch, device):
        with _explained(tower.name, tower.preset, tower.device):
            plan = checked_call(
                torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine,
                tower.program,
                arg_inputs=[tower.input],
                device=tower.device,
                require_full_compilation=True,
                use_fp32_acc=precision == "fp16",
                timing_cache_path=str(folder / TIMING_CACHE),
            )
        (folder / f"{tower.name}.plan").write_bytes(plan)
    return folder / "voice.plan", folder / "face.plan"


def manifest_here(
    checkpoint: Checkpoint,
    precision: str,
    batches: Batches,
    files: dict[str, int],
    device: str = "cuda",
) -> Manifest:
    """The manifest of an engine that is built, or would serve, on this machine now."""
    on_gpu = torch.device(device).type == "cuda"
    torch_tensorrt = import_torch_tensorrt()
    return Manifest(
        engine=ENGINE,
        preset=checkpoint.info.config.preset,
        precision=precision,
        weights_sha256=checkpoint.sha256,
        versions={
            "tensorrt": importlib.import_module("tensorrt").__version__,
            "torch_tensorrt": torch_tensorrt.__version__,
            "torch": torch.__version__,
            "driver": nvidia_driver_version(),
        },
        device=torch.cuda.get_device_name(device) if on_gpu else device,
        batches=batches,
        files=files,
    )


def import_torch_tensorrt() -> Any:  # noqa: ANN401 - a library that may be absent
    """The library, and TensorRT below it is there. Raises EngineError where either is missing."""
    try:
        with _quiet():
            library = importlib.import_module("torch_tensorrt")
            importlib.import_module("tensorrt")
    except Exception as error:  # it raises a bare Exception when TensorRT's libraries are missing
        raise EngineError(
            f"torch_tensorrt cannot be imported ({error}): install vfd-monitor[tensorrt] with "
            "TensorRT's libraries (pip install torch-tensorrt tensorrt), or choose the cuda engine"
        ) from error
    return library


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what the library prints while it is imported off both outputs: the exception says the
    same, and the command's output is read by programs."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@dataclass(frozen=True, slots=True)
class _Lowered:
    """One tower on its way; `input` is a torch_tensorrt.Input."""

    name: str
    preset: str
    program: ExportedProgram
    input: Any
    device: torch.device


def _lowered(
    torch_tensorrt: Any,  # noqa: ANN401
    checkpoint: Checkpoint,
    precision: str,
    max_batch: int,
    device: str,
) -> Iterator[_Lowered]:
    config = checkpoint.info.config
    if precision not in PRECISIONS:
        raise EngineError(
            f"TensorRT is built in {' or '.join(PRECISIONS)} here, not in {precision!r}"
        )
    if not 2 <= max_batch <= BUCKETS[-1]:  # torch.export leaves no dimension of 1 open
        raise EngineError(f"max_batch is {max_batch}, not between 2 and {BUCKETS[-1]}")
    dtype = dtype_of(precision, config)
    placed = Device(device, graphs=False).device
    model = model_on_device(checkpoint, placed, dtype)
    for name, tower, shape in (
        ("voice", model.voice, config.voice),
        ("face", model.face, config.face),
    ):
        with _explained(name, config.preset, placed):
            example = torch.zeros(2, shape.channels, *shape.image, dtype=dtype, device=placed)
            program = export_open_batch(tower, example, max_batch)
            limits = _input(torch_tensorrt, shape, _batches(max_batch), dtype)
        yield _Lowered(name, config.preset, program, limits, placed)


def _batches(max_batch: int) -> Batches:
    """TensorRT tunes its kernels for the batch that the scoring loop asks for."""
    return 1, min(BEST_BATCH, max_batch), max_batch


def _input(torch_tensorrt: Any, shape: TowerConfig, batches: Batches, dtype: torch.dtype) -> Any:  # noqa: ANN401
    row = (shape.channels, *shape.image)
    least, best, greatest = batches
    return checked_call(
        torch_tensorrt.Input,
        min_shape=(least, *row),
        opt_shape=(best, *row),
        max_shape=(greatest, *row),
        dtype=dtype,
    )


def _check_one_engine(module: torch.nn.Module) -> None:
    """Raises RuntimeError for a tower of which some part was left to torch."""
    parts = [name for name, _ in module.named_children()]
    if len(parts) != 1 or "_run_on_acc" not in parts[0]:
        raise RuntimeError(f"it is not one engine but the parts {parts}")


@contextlib.contextmanager
def _explained(tower: str, preset: str, device: torch.device) -> Iterator[None]:
    """Turns whatever the libraries raise, a bare Exception among it, into an EngineError."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        memory = f" ({describe_memory(device)})" if is_out_of_memory(error) else ""
        raise EngineError(
            f"TensorRT did not build the {tower} tower of {preset!r}: {error}{memory}"
        ) from error
