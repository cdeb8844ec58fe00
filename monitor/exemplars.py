"""Remembers a few windows of a recording, so that their scores can be explained at its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engines.engine import Engine
from monitor.scorer import Scorer
from vfd.types import Score, Window

MAX_SAMPLED: Final = 32
"""Windows in between, 10 to 30 MB however long the recording is."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """`name`: what it is an example of."""

    name: str
    window: Window
    score: Score


class Exemplars:
    """The highest and the lowest score, and an even sample of those between."""

    def __init__(self) -> None:
        self._highest: tuple[Window, Score] | None = None
        self._lowest: tuple[Window, Score] | None = None
        self._sampled: list[tuple[Window, Score]] = []
        self._every = 1
        self._seen = 0

    def add(self, window: Window, score: Score) -> None:
        """In order of time."""
        pair = window, score
        if self._highest is None or score.similarity > self._highest[1].similarity:
            self._highest = pair
        if self._lowest is None or score.similarity < self._lowest[1].similarity:
            self._lowest = pair
        if self._seen % self._every == 0:
            self._sampled.append(pair)
        self._seen += 1
        if len(self._sampled) > MAX_SAMPLED:
            self._sampled = self._sampled[::2]
            self._every *= 2

    def chosen(self) -> list[Exemplar]:
        """The highest, the median (of the sample) and the lowest; each window once."""
        if self._highest is None or self._lowest is None:
            return []
        ordered = sorted(self._sampled, key=lambda pair: pair[1].similarity)
        named = {
            "highest": self._highest,
            "lowest": self._lowest,
            "median": ordered[len(ordered) // 2],
        }
        chosen: dict[Window, Exemplar] = {}
        for name, (window, score) in named.items():
            chosen.setdefault(window, Exemplar(name, window, score))
        return sorted(chosen.values(), key=lambda e: -e.score.similarity)


class RememberingScorer(Scorer):
    """Shows every window that it scores to `exemplars`."""

    def __init__(
        self, engine: Engine, faces_per_window: int, front_end: str, exemplars: Exemplars
    ) -> None:
        super().__init__(engine, faces_per_window, front_end)
        self._exemplars = exemplars

    def score(self, windows: Sequence[Window]) -> list[Score]:
        """See `Scorer.score`."""
        scores = super().score(windows)
        for window, score in zip(windows, scores, strict=True):
            self._exemplars.add(window, score)
        return scores
