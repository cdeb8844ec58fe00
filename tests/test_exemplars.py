"""A few windows are kept of however many, and they are the right ones."""

import numpy as np
import pytest

from monitor.exemplars import MAX_SAMPLED, Exemplars, RememberingScorer
from monitor.scorer import Scorer
from tests.fakes import ALICE, FakeEngine, face, voice
from vfd.types import Score, Window


def window(end_s: float, grey: int = 160) -> Window:
    return Window(ALICE, end_s - 3, end_s, voice(3.0), (face(end_s, grey),), 1.0, 1.0)


def filled(similarities: list[float]) -> Exemplars:
    exemplars = Exemplars()
    one = voice(3.0)
    for number, similarity in enumerate(similarities):
        seen = Window(ALICE, number, number + 3, one, (face(number),), 1.0, 1.0)
        exemplars.add(seen, Score(ALICE, number + 3, similarity, 1))
    return exemplars


def named(exemplars: Exemplars) -> list[tuple[str, float]]:
    return [(e.name, e.score.similarity) for e in exemplars.chosen()]


def test_highest_median_and_lowest_in_order() -> None:
    chosen = named(filled([0.2, -0.4, 0.9, 0.1, 0.3]))
    assert chosen == [("highest", 0.9), ("median", 0.2), ("lowest", -0.4)]


def test_each_window_once_when_there_are_few() -> None:
    assert named(Exemplars()) == []
    assert named(filled([0.5])) == [("highest", 0.5)]
    assert named(filled([0.5, 0.1])) == [("highest", 0.5), ("lowest", 0.1)]


def test_long_recordings_keep_extremes_and_an_even_sample() -> None:
    rng = np.random.default_rng(0)
    similarities = rng.normal(0.2, 0.1, 2_000).tolist()
    similarities[1_777], similarities[913] = 0.95, -0.9
    exemplars = filled(similarities)
    high, median, low = named(exemplars)
    assert (high[1], low[1]) == (0.95, -0.9)
    assert median[1] == pytest.approx(0.2, abs=0.06)
    assert len(exemplars._sampled) <= MAX_SAMPLED
    times = [w.start_s for w, _ in exemplars._sampled]
    assert set(np.diff(times)) == {64.0}
    assert times[-1] > 1_900


def test_the_scorer_remembers_and_scores_as_ever() -> None:
    exemplars = Exemplars()
    windows = [window(3.0, 160), window(4.0, 80)]
    scorer = RememberingScorer(FakeEngine(), 1, "stft512", exemplars)
    assert scorer.score(windows) == Scorer(FakeEngine(), 1).score(windows)
    assert [e.window for e in exemplars.chosen()] == windows
