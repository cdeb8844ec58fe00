"""An engine that says something else than the reference does not pass."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from checkpoints import FAMILIES, write_checkpoint
from validation_files import write_samples

from engines.engine import Embeddings
from engines.load import load_engine
from engines.samples import Samples, load_samples, packaged_samples
from engines.torch_engine import TorchEngine
from engines.verify import COSINE_LIMITS, INT8_AUC_LOSS_LIMIT, cosine_differences, verify
from vfd.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoint_path
from vfd.model_config import ModelConfig


class Inexact(TorchEngine):
    """The reference with noise on its embeddings."""

    def __init__(self, checkpoint: Checkpoint, noise: float, precision: str) -> None:
        super().__init__(checkpoint)
        self.precision = precision
        self._noise = noise

    def embed_voice(self, spectrograms: np.ndarray) -> Embeddings:
        return self._noisy(super().embed_voice(spectrograms), seed=1)

    def embed_faces(self, crops: np.ndarray) -> Embeddings:
        return self._noisy(super().embed_faces(crops), seed=2)

    def _noisy(self, rows: Embeddings, seed: int) -> Embeddings:
        rng = np.random.default_rng(seed)
        return (rows + self._noise * rng.standard_normal(rows.shape)).astype(np.float32)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors"))


@pytest.fixture
def people(tmp_path: Path) -> Samples:
    return load_samples(write_samples(tmp_path / "people.npz", 24))


@pytest.mark.parametrize("config", FAMILIES, ids=lambda c: c.preset)
def test_openvino_passes_on_real_inputs(tmp_path: Path, config: ModelConfig) -> None:
    checkpoint = load_checkpoint(write_checkpoint(tmp_path / "any.safetensors", config))
    with closing(load_engine("openvino", checkpoint, precision="f32")) as engine:
        parity = verify(engine, checkpoint, load_samples(packaged_samples()))
    assert parity.passed
    assert parity.max_cosine_difference < 1e-5
    assert parity.as_dict()["passed"] is True
    assert (parity.engine, parity.precision, parity.voices) == ("openvino", "f32", 8)


def test_the_shipped_weights_keep_their_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """On trained weights, where embeddings differ from person to person."""
    monkeypatch.setattr("engines.verify.MIN_PEOPLE", 4)
    checkpoint = load_checkpoint(shipped_checkpoint_path())
    with closing(load_engine("openvino", checkpoint)) as engine:
        parity = verify(engine, checkpoint, load_samples(packaged_samples()))
    assert parity.passed
    assert parity.auc_loss is not None
    assert abs(parity.auc_loss.value) <= 0.002
    print(f"max {parity.max_cosine_difference:.1e} mean {parity.mean_cosine_difference:.1e}")


def test_the_limits_are_those_that_were_promised() -> None:
    assert COSINE_LIMITS == {"f32": 1e-4, "bf16": 5e-3, "fp16": 5e-3}
    assert INT8_AUC_LOSS_LIMIT == 0.003


@pytest.mark.parametrize(("precision", "passes"), [("f32", False), ("bf16", True)])
def test_the_limit_is_that_of_the_precision(
    checkpoint: Checkpoint, precision: str, passes: bool
) -> None:
    engine = Inexact(checkpoint, 0.01, precision)
    parity = verify(engine, checkpoint, load_samples(packaged_samples()))
    assert 1e-4 < parity.max_cosine_difference < 5e-3
    assert parity.passed is passes
    assert passes or "is more than 1e-04" in parity.problems[0]


def test_the_auc_is_compared_where_there_are_people_enough(
    checkpoint: Checkpoint, people: Samples
) -> None:
    same = verify(Inexact(checkpoint, 0.0, "f32"), checkpoint, people)
    assert same.passed
    assert same.auc_loss is not None
    assert same.auc_loss.value == 0
    other = verify(Inexact(checkpoint, 0.5, "int8"), checkpoint, people)
    assert any("AUC loss may be" in problem for problem in other.problems)
    differs = verify(Inexact(checkpoint, 0.5, "bf16"), checkpoint, people)
    assert any("AUC differs by" in problem for problem in differs.problems)


def test_int8_without_people_cannot_pass(checkpoint: Checkpoint) -> None:
    engine = Inexact(checkpoint, 0.0, "int8")
    parity = verify(engine, checkpoint, load_samples(packaged_samples()))
    assert "give --validation FILE" in parity.problems[0]


def test_nan_is_the_worst_difference() -> None:
    rows = np.eye(3, dtype=np.float32)
    bad = rows.copy()
    bad[1] = np.nan
    bad[2] = 0
    np.testing.assert_array_equal(cosine_differences(bad, rows), [0, 2, 2])
    assert cosine_differences(-rows, rows).tolist() == [2, 2, 2]
