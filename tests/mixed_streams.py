"""What a monitor made of a mixed stream, window by window, beside the truth."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pytest

from monitor import replay, scoring
from monitor.buffers import Snapshot
from monitor.evaluation import Evaluation, Step
from monitor.scorer import Scorer
from monitor.stream_seats import PARTICIPANT
from tests import alignment
from training.gallery import Gallery
from vfd.speech import speech_share
from vfd.types import SAMPLE_RATE_HZ, WINDOW_S, Box, ParticipantKey, Reason, Score

MIN_SPEECH: Final = 0.4  # as [scoring].min_speech: a window with less has no score anyway
TRACK: Final = f"{PARTICIPANT}-"


@dataclass(frozen=True)
class Judged:
    """One window with speech. `truth`: who speaks longest in it, by place; those on screen come
    first. `chosen`: whose face was scored, if anybody's; else `reasons`: what everybody got."""

    end_s: float
    truth: int
    chosen: int | None
    similarity: float | None
    reasons: frozenset[Reason]


@dataclass
class Kept:
    """Every step of everybody, since `keep`."""

    steps: list[list[tuple[Snapshot, Step]]] = field(default_factory=list)

    def people(self, gallery: Gallery) -> dict[ParticipantKey, int]:
        """Whose place the face of a participant was seen in, of all whose faces were."""
        faces = {
            snapshot.key: snapshot.faces[-1].box
            for taken in self._several()
            for snapshot, _ in taken
            if snapshot.faces
        }
        return {key: _place(box, gallery) for key, box in faces.items()}

    def judged(self, gallery: Gallery, *, live: bool) -> list[Judged]:
        """Those of several people. `live`: the clock is not that of the media, and where a window
        lies is found by its sound."""
        return [
            _judged(gallery, taken, live)
            for taken in self._several()
            if taken[0][0].received.all() and speech_share(taken[0][0].audio) >= MIN_SPEECH
        ]

    def _several(self) -> list[list[tuple[Snapshot, Step]]]:
        """The steps of people, without those of the stream as a whole."""
        steps = [
            [(s, step) for s, step in taken if s.key.participant.startswith(TRACK)]
            for taken in self.steps
        ]
        return [taken for taken in steps if taken]


def _judged(gallery: Gallery, taken: list[tuple[Snapshot, Step]], live: bool) -> Judged:
    first, _ = taken[0]
    end_s = first.end_s
    if live:
        end_s = alignment.place(first.audio, gallery.audio).end / SAMPLE_RATE_HZ
    scored = [
        (step.result.similarity, _place(snapshot.faces[-1].box, gallery))
        for snapshot, step in taken
        if isinstance(step.result, Score)
    ]
    assert len(scored) <= 1, "a voice was scored with two faces"
    similarity, chosen = scored[0] if scored else (None, None)
    return Judged(
        end_s=end_s,
        truth=int(gallery.heard(end_s - WINDOW_S, end_s).argmax()),
        chosen=chosen,
        similarity=similarity,
        reasons=frozenset(s.result.reason for _, s in taken if not isinstance(s.result, Score)),
    )


def _place(box: Box, gallery: Gallery) -> int:
    middle = box.x + box.width / 2, box.y + box.height / 2
    return int(np.argmin(np.hypot(*(gallery.centres - middle).T)))


def keep(patch: pytest.MonkeyPatch) -> Kept:
    """Keeps what monitors, and recordings that are watched, make of their windows from now on."""
    kept, evaluate = Kept(), scoring.evaluate

    def kept_evaluate(
        scorer: Scorer, snapshots: Sequence[Snapshot], *, probe: bool = False
    ) -> Evaluation:
        evaluation = evaluate(scorer, snapshots, probe=probe)
        kept.steps.append(list(zip(snapshots, evaluation.steps, strict=True)))
        return evaluation

    patch.setattr(scoring, "evaluate", kept_evaluate)
    patch.setattr(replay, "evaluate", kept_evaluate)
    return kept


def right(judged: Sequence[Judged]) -> float:
    """Of the scored windows, how many with the face of who speaks longest in them."""
    scored = [window for window in judged if window.chosen is not None]
    return sum(window.chosen == window.truth for window in scored) / max(1, len(scored))


def scored(judged: Sequence[Judged], people: int) -> float:
    """Of the windows whose speaker is one of the `people` on screen, how many have a score."""
    on_screen = [window for window in judged if window.truth < people]
    return sum(window.chosen is not None for window in on_screen) / max(1, len(on_screen))
