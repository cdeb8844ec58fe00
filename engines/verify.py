"""Whether an engine says the same as the reference: torch in float32, on real inputs."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engines.engine import Embeddings, Engine
from engines.load import load_engine
from engines.samples import Samples, embed_samples
from vfd.checkpoint import Checkpoint
from vfd.metrics import Interval, auc_difference_interval

COSINE_LIMITS: Final = {"f32": 1e-4, "bf16": 5e-3, "fp16": 5e-3}
"""By precision. int8 has none: what counts there is the AUC."""
AUC_LIMIT: Final = 0.002
INT8_AUC_LOSS_LIMIT: Final = 0.003
"""At the upper end of the 95 % interval."""
MIN_PEOPLE: Final = 20
"""Of fewer no interval can be drawn that means something."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far an engine is from the reference.

    `max_cosine_difference` and `mean_cosine_difference`: 1 - cosine between the two embeddings of
    one input, over all `voices` and `faces`. `auc_loss`: AUC of the reference less that of the
    engine, value and interval, where there are people enough.
    """

    engine: str
    preset: str
    precision: str
    voices: int
    faces: int
    max_cosine_difference: float
    mean_cosine_difference: float
    cosine_limit: float | None
    auc_loss: Interval | None
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"passed": self.passed}


def verify(engine: Engine, checkpoint: Checkpoint, samples: Samples) -> Parity:
    """Compares `engine` with the reference. Raises EngineError."""
    config = checkpoint.info.config
    reference = load_engine("torch", checkpoint)
    try:
        expected = embed_samples(reference, samples, config)
    finally:
        reference.close()
    found = embed_samples(engine, samples, config)
    differences = np.concatenate(
        [cosine_differences(a, b) for a, b in zip(found, expected, strict=True)]
    )
    loss = _auc_loss(found, expected, samples) if _people(samples) >= MIN_PEOPLE else None
    return Parity(
        engine=engine.name,
        preset=config.preset,
        precision=engine.precision,
        voices=len(samples.windows),
        faces=len(samples.crops),
        max_cosine_difference=float(differences.max()),
        mean_cosine_difference=float(differences.mean()),
        cosine_limit=COSINE_LIMITS.get(engine.precision),
        auc_loss=loss,
        problems=tuple(_problems(engine.precision, float(differences.max()), loss)),
    )


def cosine_differences(found: Embeddings, expected: Embeddings) -> NDArray[np.float64]:
    """(rows,): 1 - cosine of the rows of two arrays; NaN counts as 2, the worst there is."""
    a, b = found.astype(np.float64), expected.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = (a * b).sum(axis=1) / norms
    return np.where(np.isfinite(cosines), np.maximum(0.0, 1 - cosines), 2.0)


def _people(samples: Samples) -> int:
    return len(np.intersect1d(samples.voice_ids, samples.face_ids))


def _auc_loss(
    found: tuple[Embeddings, Embeddings],
    expected: tuple[Embeddings, Embeddings],
    samples: Samples,
) -> Interval:
    """Over every voice with every face."""
    voices, faces = (
        ids.ravel() for ids in np.meshgrid(samples.voice_ids, samples.face_ids, indexing="ij")
    )
    before, after = ((v @ f.T).ravel() for v, f in (expected, found))
    return auc_difference_interval(before, np.nan_to_num(after), voices == faces, voices, faces)


def _problems(precision: str, worst: float, loss: Interval | None) -> list[str]:
    problems = []
    limit = COSINE_LIMITS.get(precision)
    if limit is not None and worst > limit:
        problems.append(f"a cosine difference of {worst:.1e} is more than {limit:.0e}")
    if precision == "int8" and loss is None:
        problems.append(
            f"int8 is judged by its AUC on at least {MIN_PEOPLE} people: give --validation FILE"
        )
    elif precision == "int8" and loss is not None and not loss.high <= INT8_AUC_LOSS_LIMIT:
        problems.append(
            f"the AUC loss may be {loss.high:.4f} (upper end of its 95 % interval), more than "
            f"{INT8_AUC_LOSS_LIMIT}"
        )
    elif precision != "int8" and loss is not None and abs(loss.value) > AUC_LIMIT:
        problems.append(f"the AUC differs by {loss.value:.4f}, more than {AUC_LIMIT}")
    return problems
