"""Chooses the engine that runs a checkpoint."""

from engines.engine import Engine, EngineError
from vfd.checkpoint import Checkpoint

ENGINES = ("auto", "openvino", "torch")


def load_engine(name: str, checkpoint: Checkpoint, threads: int = 1) -> Engine:
    """The engine called `name` (one of ENGINES) with `checkpoint` loaded; "auto" is OpenVINO.

    `threads` is for OpenVINO; torch takes its own setting. Libraries are imported only when their
    engine is chosen. Raises EngineError, which says why and what to do.
    """
    match name:
        case "auto" | "openvino":
            return _openvino(checkpoint, threads)
        case "torch":
            return _torch(checkpoint)
        case _:
            raise EngineError(f"there is no engine {name!r}: choose one of {', '.join(ENGINES)}")


def _openvino(checkpoint: Checkpoint, threads: int) -> Engine:
    try:
        from engines.openvino_engine import OpenVinoEngine
    except ImportError as error:
        raise EngineError(
            f"OpenVINO cannot be imported ({error}): install the package again"
        ) from error
    return OpenVinoEngine(checkpoint, threads)


def _torch(checkpoint: Checkpoint) -> Engine:
    try:
        from engines.torch_engine import TorchEngine
    except ImportError as error:
        raise EngineError(
            f"torch cannot be imported ({error}): install vfd-monitor[training], "
            "or choose the openvino engine"
        ) from error
    return TorchEngine(checkpoint)
