"""Post-training quantisation to int8 with NNCF: smaller and faster, at a price that is measured.

Weights and activations of matrix products and convolutions become int8; the rest stays float. The
scales of activations come from half of the people of a validation file, the loss from the others.
"""

import contextlib
import logging
import sys
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from engines.engine import EngineError
from engines.openvino_graph import tower_graphs
from engines.samples import Samples
from vfd.checkpoint import Checkpoint


def quantised_graphs(checkpoint: Checkpoint, calibration: Samples) -> tuple[ov.Model, ov.Model]:
    """Voice and face tower, quantised with `calibration`. Raises EngineError."""
    config = checkpoint.info.config
    voice, face = tower_graphs(config, checkpoint.tensors)
    return (
        _quantised(voice, calibration.spectrograms(config), config.family),
        _quantised(face, calibration.crops, config.family),
    )


def halves(samples: Samples) -> tuple[Samples, Samples]:
    """The same file split by person: to set scales with, and to judge by. Raises EngineError for a
    single person."""
    people = np.intersect1d(samples.voice_ids, samples.face_ids)
    if len(people) < 2:
        raise EngineError("int8 needs validation inputs of at least two people")
    return _of(samples, people[::2]), _of(samples, people[1::2])


def _of(samples: Samples, people: NDArray[np.int64]) -> Samples:
    voices, faces = np.isin(samples.voice_ids, people), np.isin(samples.face_ids, people)
    return Samples(
        samples.windows[voices],
        samples.voice_ids[voices],
        samples.crops[faces],
        samples.face_ids[faces],
    )


def _quantised(model: ov.Model, rows: NDArray[Any], family: str) -> ov.Model:
    try:
        import nncf
    except ImportError as error:
        raise EngineError(
            f"NNCF cannot be imported ({error}): install vfd-monitor[int8]"
        ) from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    data = nncf.Dataset([rows[i : i + 1] for i in range(len(rows))])
    kind = nncf.ModelType.TRANSFORMER if family == "transformer" else None
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it draws bars of progress
            quantised: ov.Model = nncf.quantize(
                model, data, model_type=kind, subset_size=len(rows), fast_bias_correction=True
            )
    except (RuntimeError, ValueError, nncf.InternalError) as error:
        raise EngineError(f"NNCF {nncf.__version__} cannot quantise the model: {error}") from error
    return quantised
