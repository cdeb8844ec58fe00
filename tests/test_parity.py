"""Every engine that a CPU can run, in every precision, on the weights that ship and on people whom
no training has seen: nobody's score depends on who computed it."""

from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from engines.build import Order, build
from engines.cuda_engine import CudaEngine
from engines.engine import Engine
from engines.floor import floor_precisions
from engines.load import load_engine
from engines.samples import FULL_SCALE, Samples
from engines.verify import AUC_LIMIT, COSINE_LIMITS, MIN_PEOPLE, Parity, verify
from tests.unseen import unseen_person
from vfd.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoint_path

PEOPLE = MIN_PEOPLE + 4

Opened = Callable[[Checkpoint, Path], Engine]


@cache
def people() -> Samples:
    """One voice and one face of each."""
    ids = np.arange(PEOPLE)
    voices, crops = zip(*(unseen_person(number) for number in range(PEOPLE)), strict=True)
    windows = np.clip(np.stack(voices) * FULL_SCALE, -FULL_SCALE, FULL_SCALE - 1)
    return Samples(windows.astype(np.int16), ids, np.stack(crops), ids)


def openvino(precision: str) -> Opened:
    return lambda checkpoint, _folder: load_engine("openvino", checkpoint, precision=precision)


def built(checkpoint: Checkpoint, folder: Path) -> Engine:
    """As a monitor runs it from `[model].engine_folder`."""
    build(checkpoint, folder / "engine", Order(precision="f32"))
    return load_engine("openvino", checkpoint, folder=folder / "engine")


def on_torch(precision: str) -> Opened:
    """The GPU engine, on the CPU: the same rounding, in the same places."""
    return lambda checkpoint, _folder: CudaEngine(checkpoint, precision, "cpu")


ENGINES: dict[str, Opened] = {
    **{f"openvino {precision}": openvino(precision) for precision in floor_precisions()},
    "openvino folder": built,
    "torch f32": on_torch("f32"),
    "torch bf16": on_torch("bf16"),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ENGINES)
def test_scores_are_those_of_the_reference(name: str, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(shipped_checkpoint_path())
    with closing(ENGINES[name](checkpoint, tmp_path)) as engine:
        parity = verify(engine, checkpoint, people())
    print(f"{name}: {described(parity)}")
    assert (parity.voices, parity.faces) == (PEOPLE, PEOPLE)
    assert parity.passed, parity.problems
    assert parity.max_cosine_difference <= COSINE_LIMITS[parity.precision]
    assert parity.auc_loss is not None
    assert abs(parity.auc_loss.value) <= AUC_LIMIT == 0.002


def described(parity: Parity) -> str:
    assert parity.auc_loss is not None
    return (
        f"cosine difference max {parity.max_cosine_difference:.1e} mean "
        f"{parity.mean_cosine_difference:.1e}, AUC loss {parity.auc_loss.value:.5f}"
    )
