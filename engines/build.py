"""Builds an engine into a folder, and keeps it only if it says the same as the reference."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engines.engine import EngineError
from engines.int8 import halves, quantised_graphs
from engines.load import load_engine
from engines.manifest import describe_files, read_manifest, write_manifest
from engines.openvino_cache import forget_compiled, write_ir
from engines.openvino_engine import chosen_precision, expected_manifest
from engines.openvino_graph import tower_graphs
from engines.samples import Samples, load_samples, packaged_samples
from engines.verify import Parity, verify
from vfd.checkpoint import Checkpoint

BUILDABLE: Final = ("openvino", "tensorrt")


@dataclass(frozen=True, slots=True)
class Order:
    """What `vfd-engine build` was asked for. `validation`: a file of `vfd-train export-validation`;
    int8 needs one, the others are judged by the packaged inputs without one. `onnx`, `plan`: write
    those files too."""

    engine: str = "openvino"
    precision: str = "auto"
    int8: bool = False
    validation: Path | None = None
    onnx: bool = False
    plan: bool = False


def build(checkpoint: Checkpoint, out: Path, order: Order) -> Parity:
    """Fills `out`, which is new or empty, at once or not at all.

    The parity that is returned may have failed: then nothing was written. Raises EngineError.
    """
    _check_order(order, out)
    samples = load_samples(order.validation or packaged_samples())
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as partial:
        folder = Path(partial) / "engine"
        folder.mkdir()
        judged_by = _BUILDERS[order.engine](checkpoint, folder, order, samples)
        parity = _check(checkpoint, folder, order.engine, judged_by)
        if parity.passed:
            _list(folder, _export(checkpoint, folder, order))
            if out.exists():
                out.rmdir()
            shutil.move(folder, out)
    return parity


def _check_order(order: Order, out: Path) -> None:
    if order.engine not in BUILDABLE:
        raise EngineError(
            f"the engine {order.engine!r} needs no building: choose one of {', '.join(BUILDABLE)}"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise EngineError(f"{out}: is not empty; name a new folder")
    if order.int8 and order.engine != "openvino":
        raise EngineError("int8 is built for OpenVINO only")
    if order.int8 and order.precision != "auto":
        raise EngineError(
            f"int8 is a precision of its own: leave out --int8 or --precision {order.precision}"
        )
    if order.int8 and order.validation is None:
        raise EngineError(
            "int8 is written only when its AUC loss is known: give --validation FILE, which "
            "vfd-train export-validation writes"
        )
    if order.plan and order.engine != "tensorrt":
        raise EngineError("a plan is TensorRT's: add --engine tensorrt")


def _build_openvino(
    checkpoint: Checkpoint, folder: Path, order: Order, samples: Samples
) -> Samples:
    """Returns the inputs to judge by: for int8 other people than those that set its scales."""
    if order.int8:
        calibration, samples = halves(samples)
        precision, models = "int8", quantised_graphs(checkpoint, calibration)
    else:
        config = checkpoint.info.config
        precision = chosen_precision(order.precision, config)
        models = tower_graphs(config, checkpoint.tensors)
    files = write_ir(folder, models)
    manifest = expected_manifest(checkpoint, precision)
    write_manifest(folder, replace(manifest, files=describe_files(folder, files)))
    return samples


def _build_tensorrt(
    checkpoint: Checkpoint, folder: Path, order: Order, samples: Samples
) -> Samples:
    try:
        from engines import tensorrt_build
    except ImportError as error:
        raise EngineError(
            f"torch cannot be imported ({error}): install vfd-monitor[tensorrt]"
        ) from error
    precision = "bf16" if order.precision == "auto" else order.precision
    tensorrt_build.build(checkpoint, folder, precision)
    return samples


def _check(checkpoint: Checkpoint, folder: Path, engine: str, samples: Samples) -> Parity:
    try:
        with closing(load_engine(engine, checkpoint, folder=folder)) as built:
            return verify(built, checkpoint, samples)
    finally:
        forget_compiled(folder)


def _export(checkpoint: Checkpoint, folder: Path, order: Order) -> list[Path]:
    """Writes what else was asked for, from the weights that were just proved; the files."""
    written: list[Path] = []
    if order.plan:
        from engines.tensorrt_build import build_plan  # only after a build, which imported it

        written += build_plan(checkpoint, folder, read_manifest(folder).precision)
    if order.onnx:
        try:
            from engines.onnx_export import export_onnx
        except ImportError as error:
            raise EngineError(
                f"torch or onnx cannot be imported ({error}): install vfd-monitor[onnx]"
            ) from error
        written += export_onnx(checkpoint, folder)
    return written


def _list(folder: Path, files: list[Path]) -> None:
    """Adds files to the manifest, so that a torn one is noticed."""
    manifest = read_manifest(folder)
    sizes = describe_files(folder, [file.name for file in files])
    write_manifest(folder, replace(manifest, files={**manifest.files, **sizes}))


_BUILDERS: Final[dict[str, Callable[[Checkpoint, Path, Order, Samples], Samples]]] = {
    "openvino": _build_openvino,
    "tensorrt": _build_tensorrt,
}
