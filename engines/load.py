"""Chooses the engine that runs a checkpoint. Libraries are imported only with their engine."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.engine import Engine, EngineError
from engines.hardware import nvidia_driver_visible
from engines.manifest import read_manifest
from vfd.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

IN_ORDER: Final = ("tensorrt", "cuda", "openvino", "torch")
"""Fastest first."""
ENGINES: Final = ("auto", *IN_ORDER)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What `load_engine` was asked for."""

    checkpoint: Checkpoint
    threads: int
    folder: Path | None
    precision: str


def load_engine(
    name: str,
    checkpoint: Checkpoint,
    threads: int = 1,
    folder: Path | None = None,
    precision: str = "auto",
) -> Engine:
    """The engine called `name` (one of ENGINES) with `checkpoint` loaded.

    `folder`: what `vfd-engine build` wrote for this checkpoint; TensorRT and int8 need one. "auto"
    takes the engine that the folder is for, then the first of IN_ORDER that runs here, and logs
    why it passed over the others. `threads` is for OpenVINO; torch takes its own setting.
    `precision` "auto" is what suits engine and preset; a folder has its own. Raises EngineError,
    which says why and what to do.
    """
    if name not in ENGINES:
        raise EngineError(f"there is no engine {name!r}: choose one of {', '.join(ENGINES)}")
    wish = _Wish(checkpoint, threads, folder, precision)
    if folder is not None and precision != "auto":
        raise EngineError(
            f"{folder} runs in the precision that it was built in: leave out --folder or "
            f"--precision {precision}"
        )
    if name == "auto":
        return _first_that_runs(wish)
    if folder is not None and (built_for := read_manifest(folder).engine) != name:
        raise EngineError(f"{folder}: was built for the engine {built_for!r}, not for {name!r}")
    return _LOADERS[name](wish)


def _first_that_runs(wish: _Wish) -> Engine:
    reasons = []
    if wish.folder is not None:
        try:
            return _LOADERS[_built_for(wish.folder)](wish)
        except EngineError as error:
            logger.warning("the built engine is passed over: %s", error)
            reasons.append(str(error))
    without_folder = _Wish(wish.checkpoint, wish.threads, None, wish.precision)
    for name in IN_ORDER:
        try:
            engine = _LOADERS[name](without_folder)
        except EngineError as error:
            logger.info("engine %s is passed over: %s", name, error)
            reasons.append(f"{name}: {error}")
        else:
            logger.info("engine %s runs the model", name)
            return engine
    raise EngineError(f"no engine runs here: {'; '.join(reasons)}")


def _built_for(folder: Path) -> str:
    name = read_manifest(folder).engine
    if name not in IN_ORDER:
        raise EngineError(f"{folder}: was built for an engine {name!r} that there is not")
    return name


def _tensorrt(wish: _Wish) -> Engine:
    _need_nvidia()
    if wish.folder is None:
        raise EngineError(
            "TensorRT runs only what was built for this GPU: run vfd-engine build "
            "--engine tensorrt and name its folder"
        )
    try:
        from engines.tensorrt_engine import TensorRtEngine
    except ImportError as error:
        raise EngineError(
            f"torch cannot be imported ({error}): install vfd-monitor[tensorrt]"
        ) from error
    return TensorRtEngine(wish.checkpoint, wish.folder)


def _cuda(wish: _Wish) -> Engine:
    _need_nvidia()
    try:
        from engines.cuda_engine import CudaEngine
    except ImportError as error:
        raise EngineError(
            f"torch cannot be imported ({error}): install vfd-monitor[training] with a torch for "
            "this GPU"
        ) from error
    precision = "bf16" if wish.precision == "auto" else wish.precision
    return CudaEngine(wish.checkpoint, precision)


def _openvino(wish: _Wish) -> Engine:
    try:
        from engines.openvino_engine import OpenVinoEngine
    except ImportError as error:
        raise EngineError(
            f"OpenVINO cannot be imported ({error}): install the package again"
        ) from error
    if wish.folder is not None:
        return OpenVinoEngine.from_folder(wish.checkpoint, wish.folder, wish.threads)
    return OpenVinoEngine(wish.checkpoint, wish.threads, wish.precision)


def _torch(wish: _Wish) -> Engine:
    if wish.precision not in ("auto", "f32"):
        raise EngineError(f"the torch engine computes in f32, not in {wish.precision!r}")
    try:
        from engines.torch_engine import TorchEngine
    except ImportError as error:
        raise EngineError(
            f"torch cannot be imported ({error}): install vfd-monitor[training], "
            "or choose the openvino engine"
        ) from error
    return TorchEngine(wish.checkpoint)


def _need_nvidia() -> None:
    if not nvidia_driver_visible():
        raise EngineError("no NVIDIA driver is visible on this machine")


_LOADERS: Final[dict[str, Callable[[_Wish], Engine]]] = {
    "tensorrt": _tensorrt,
    "cuda": _cuda,
    "openvino": _openvino,
    "torch": _torch,
}
