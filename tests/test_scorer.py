import gc

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.config import Config
from monitor.evaluation import evaluate
from monitor.scorer import Scorer
from monitor.sessions import Registry
from tests.fakes import (
    ALICE,
    BOB,
    LIMITS,
    FakeEngine,
    face,
    talking,
    voice,
)
from vfd.mel import mel128
from vfd.types import (
    FaceFrame,
    ParticipantKey,
    Score,
    Window,
)


def window(key: ParticipantKey = ALICE, *faces: FaceFrame) -> Window:
    return Window(key, 0.0, 3.0, voice(3.0), faces or (face(2.5),), 1.0, 1.0)


def test_scores_are_cosines_in_order_whatever_the_batch() -> None:
    engine = FakeEngine(best_batch=2)
    windows = [window(ALICE, face(1.0, grey)) for grey in (160, 80, 200, 0, 100)]
    scores = Scorer(engine, 1).score(windows)
    assert [s.similarity for s in scores] == pytest.approx([0.6, -0.2, 1.0, -1.0, 0.0], abs=1e-6)
    assert engine.voice_batches == engine.face_batches == [2, 2, 1]
    assert scores[0] == Score(ALICE, 3.0, scores[0].similarity, 1)
    assert Scorer(engine, 1).score([]) == []


def test_only_so_many_faces_are_used_and_pooled_by_direction() -> None:
    faces = face(1.0, 160), face(2.0, 80), face(2.5, 0)
    two = Scorer(FakeEngine(), 2).score([window(ALICE, *faces)])[0]
    angle = (np.arccos(0.6) + np.arccos(-0.2)) / 2
    assert two.similarity == pytest.approx(float(np.cos(angle)), abs=1e-6)
    assert two.faces_used == 2
    assert Scorer(FakeEngine(), 5).score([window(ALICE, *faces)])[0].faces_used == 3


def test_a_face_is_embedded_once_for_as_long_as_it_is_kept() -> None:
    engine = FakeEngine()
    scorer = Scorer(engine, 1)
    one, two = face(1.0), face(2.0)
    scorer.score([window(ALICE, one), window(BOB, one)])
    scorer.score([window(ALICE, one), window(BOB, two)])
    assert engine.face_batches == [1, 1]
    scorer.score([window(BOB, two)])
    scorer.score([window(ALICE, one)])
    assert engine.face_batches == [1, 1]
    kept = len(scorer._faces)
    del one
    gc.collect()
    assert len(scorer._faces) == kept - 1


def test_of_several_faces_only_new_ones_are_embedded() -> None:
    engine = FakeEngine(best_batch=8)
    scorer = Scorer(engine, 3)
    faces = [face(1.0 + i / 2, 150 + 5 * i) for i in range(5)]
    first = scorer.score([window(ALICE, *faces[:3])])[0]
    again = scorer.score([window(ALICE, *faces[:3])])[0]
    assert again.similarity == first.similarity
    scorer.score([window(ALICE, *faces[1:4])])
    scorer.score([window(ALICE, *faces[2:])])
    assert engine.face_batches == [3, 1, 1]


class MelEngine(FakeEngine):
    """Remembers the voice pictures it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[NDArray[np.float32]] = []

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]:
        self.pictures.extend(spectrograms)
        return np.tile(np.array([1, 0], np.float32), (len(spectrograms), 1))


def test_the_front_end_is_that_of_the_checkpoint() -> None:
    engine = MelEngine()
    scorer = Scorer(engine, 1, "mel128")
    one = window()
    scorer.score([one])
    scorer.probe()
    np.testing.assert_array_equal(engine.pictures[0], mel128(one.audio))
    assert [p.shape for p in engine.pictures] == [(1, 128, 256)] * 2


def test_opposite_faces_and_broken_numbers_make_no_nonsense(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = FakeEngine()
    score = Scorer(engine, 2).score([window(ALICE, face(1.0, 200), face(2.0, 0))])[0]
    assert -1.0 <= score.similarity <= 1.0
    monkeypatch.setattr(engine, "embed_voice", lambda x: np.full((len(x), 2), np.nan, np.float32))
    registry = Registry(Config(), LIMITS)
    talking(registry, ALICE, 3.0)
    evaluation = evaluate(Scorer(engine, 1), [registry.sessions()[0].buffer.snapshot(3.0)])
    assert "finite" in str(evaluation.error)


def test_a_face_that_is_exchanged_jumps() -> None:
    scorer = Scorer(FakeEngine(), 1)
    jumps = [scorer.score([window(ALICE, face(1.0, grey))])[0].jump for grey in (160, 160, 80)]
    assert jumps[:2] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert jumps[2] > 0.2
    assert scorer.score([window(BOB, face(1.0, 80))])[0].jump == 0.0  # of another participant
