"""The model on OpenVINO: the default on a CPU, without torch."""

import logging
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from engines.batch import checked_crops, checked_spectrograms
from engines.engine import Embeddings, EngineError
from engines.manifest import Manifest, check_manifest, read_manifest
from engines.openvino_cache import cached_model, compiled_folder
from engines.openvino_graph import tower_graphs
from vfd.checkpoint import Checkpoint
from vfd.model_config import TOWERS, ModelConfig
from vfd.openvino_core import openvino_core

logger = logging.getLogger(__name__)

BEST_BATCH: Final = 8
"""Batching gains nothing on a CPU (within a tenth from 1 to 32), and larger calls only take longer:
8 windows are 0.16 s of `nano`, but 1.4 s of `tiny` and 15 s of `base` (engines/reports/cpu.md)."""

PRECISIONS: Final = ("auto", "f32", "bf16")
FLOAT32_PRESETS: Final = frozenset({"nano"})
"""So small that bf16 gains less than its rounding costs."""


class OpenVinoEngine:
    """Implements `Engine` on `threads` threads. `precision` is the one that runs: "f32", "bf16",
    or "int8" for a folder that was built so."""

    name = "openvino"
    best_batch = BEST_BATCH

    def __init__(
        self,
        checkpoint: Checkpoint,
        threads: int = 1,
        precision: str = "auto",
        built: Path | None = None,
    ) -> None:
        """Compiles both towers, from the cache where this model was compiled before.

        `precision` "auto" is f32 for `nano` and bf16, where the processor has it, for all others.
        `built`: a folder with voice.xml and face.xml to run in place of the checkpoint's towers.
        Raises EngineError.
        """
        self._config = checkpoint.info.config
        self.precision = chosen_precision(precision, self._config)
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # pinned to one core, towers and detector would queue
        }
        try:
            compiled = _compiled(checkpoint, settings, self.precision, built)
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO {ov.__version__} cannot compile the {self._config.preset!r} model: "
                f"{one_line(error)}; check the number of threads and the processor, or use the "
                "torch engine"
            ) from error
        self._voice: ov.InferRequest | None = compiled[0].create_infer_request()
        self._faces: ov.InferRequest | None = compiled[1].create_infer_request()

    @classmethod
    def from_folder(cls, checkpoint: Checkpoint, folder: Path, threads: int = 1) -> Self:
        """What `vfd-engine build` wrote for this checkpoint. Raises EngineError."""
        found = read_manifest(folder)
        expected = expected_manifest(checkpoint, found.precision)
        int8 = found.precision == "int8"
        options = "--int8 --validation FILE" if int8 else f"--precision {found.precision}"
        rebuild = f"vfd-engine build CHECKPOINT --out NEW_FOLDER --engine openvino {options}"
        check_manifest(folder, found, expected, rebuild)
        engine = cls(checkpoint, threads, "auto" if int8 else found.precision, folder)
        engine.precision = found.precision
        return engine

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> Embeddings:
        """See `Engine.embed_voice`."""
        return _infer(self._voice, checked_spectrograms(spectrograms, self._config))

    def embed_faces(self, crops: NDArray[np.uint8]) -> Embeddings:
        """See `Engine.embed_faces`."""
        return _infer(self._faces, checked_crops(crops))

    def close(self) -> None:
        """See `Engine.close`."""
        self._voice = self._faces = None


def one_line(error: Exception) -> str:
    """OpenVINO speaks in paragraphs with the lines of its own source."""
    return " ".join(str(error).split())


def capabilities() -> list[str]:
    """What OpenVINO finds in this processor, such as FP32, BF16, INT8."""
    found: list[str] = openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return found


def chosen_precision(asked: str, config: ModelConfig) -> str:
    """ "f32" or "bf16". Raises EngineError for an unknown one and for bf16 without hardware."""
    if asked not in PRECISIONS:
        raise EngineError(f"there is no precision {asked!r}: choose one of {', '.join(PRECISIONS)}")
    if asked == "auto" and config.preset in FLOAT32_PRESETS:
        return "f32"
    has_bf16 = "BF16" in capabilities()
    if asked == "bf16" and not has_bf16:
        raise EngineError(
            f"this processor computes {', '.join(capabilities())} but not BF16: choose f32"
        )
    if asked == "auto":
        return "bf16" if has_bf16 else "f32"
    return asked


def expected_manifest(checkpoint: Checkpoint, precision: str) -> Manifest:
    """What a folder must say that runs this checkpoint here; an IR runs on every processor."""
    return Manifest(
        engine="openvino",
        preset=checkpoint.info.config.preset,
        precision=precision,
        weights_sha256=checkpoint.sha256,
        versions={"openvino": ov.__version__.split(".")[0]},
        device="CPU",
        batches=(1, BEST_BATCH, BEST_BATCH),
        files={},
    )


def _compiled(
    checkpoint: Checkpoint, settings: dict[str, Any], precision: str, built: Path | None
) -> list[ov.CompiledModel]:
    """Voice, then face."""

    def models() -> tuple[ov.Model, ov.Model]:
        if built is not None:
            return _read(built)
        return tower_graphs(checkpoint.info.config, checkpoint.tensors)

    core = openvino_core()
    if built is not None:
        cache = compiled_folder(built)
    else:
        cache = cached_model(checkpoint.sha256, precision, models)
    if cache is not None:
        source, with_cache = built or cache, settings | {"CACHE_DIR": str(cache)}
        try:
            return [core.compile_model(source / f"{t}.xml", "CPU", with_cache) for t in TOWERS]
        except RuntimeError as error:  # settings that do not fit fail again below
            logger.warning("the cached model in %s cannot be used: %s", cache, error)
    return [core.compile_model(model, "CPU", settings) for model in models()]


def _read(folder: Path) -> tuple[ov.Model, ov.Model]:
    try:
        voice, face = (openvino_core().read_model(folder / f"{name}.xml") for name in TOWERS)
    except RuntimeError as error:
        raise EngineError(
            f"{folder}: OpenVINO {ov.__version__} cannot read it: {one_line(error)}; build it again"
        ) from error
    return voice, face


def _infer(request: ov.InferRequest | None, batch: NDArray[Any]) -> Embeddings:
    if request is None:
        raise EngineError("the OpenVINO engine is closed")
    try:
        return np.array(request.infer([batch])[0])
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO did not run a batch of shape {batch.shape}: {one_line(error)}"
        ) from error
