"""What becomes of everybody's evidence in one hop: windows judged, told from echoes, and scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from monitor.buffers import Snapshot, judge
from monitor.scorer import Scorer
from monitor.sessions import Session
from vfd.cross_talk import is_cross_talk, sound_of
from vfd.lips import move_with
from vfd.types import WINDOW_S, Abstention, Reason, Score, Window

MIN_OTHER_SPEECH: Final = 0.1
"""Of a window of somebody whose voice may come back from another's loudspeaker."""


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome for one participant; `speech` and `coverage` as in Window. `moved`: whether the
    lips moved with the voice, where that was seen."""

    result: Score | Abstention
    speech: float
    coverage: float
    moved: bool | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One step for every snapshot, in order. `error`: what the engine raised; then every step is
    an abstention with `engine_down`."""

    steps: list[Step]
    error: Exception | None = None


def without_cross_talk(
    snapshots: Sequence[Snapshot], judged: Sequence[Window | Abstention]
) -> list[Window | Abstention]:
    """What was judged of `snapshots`, but for windows whose voice is the loudspeaker of somebody
    else in the same call. Nobody is compared with who does not speak."""
    calls: dict[str, list[int]] = {}
    for index, item in enumerate(judged):
        if item.speech >= MIN_OTHER_SPEECH:
            calls.setdefault(item.key.call, []).append(index)
    kept = list(judged)
    for speakers in calls.values():
        if len(speakers) < 2:
            continue
        sounds = {index: sound_of(snapshots[index].audio) for index in speakers}
        for index, heard in sounds.items():
            item = judged[index]
            others = [sound for other, sound in sounds.items() if other != index]
            if isinstance(item, Window) and is_cross_talk(heard, others):
                kept[index] = Abstention(
                    item.key, item.end_s, Reason.CROSS_TALK, item.speech, item.coverage
                )
    return kept


def evaluate(scorer: Scorer, snapshots: Sequence[Snapshot], *, probe: bool = False) -> Evaluation:
    """Judges and scores, live and for files alike. `probe`: try the engine even where there is
    nothing to score. Never raises."""
    judged: list[Window | Abstention] = []
    try:
        judged = without_cross_talk(snapshots, [judge(snapshot) for snapshot in snapshots])
        windows = [item for item in judged if isinstance(item, Window)]
        if probe and not windows:
            scorer.probe()
        scores = iter(scorer.score(windows))
    except Exception as error:  # an engine may raise anything; nobody's second may go uncounted
        down = [Abstention(s.key, s.end_s, Reason.ENGINE_DOWN) for s in snapshots]
        return Evaluation([Step(a, 0.0, 0.0) for a in down], error)
    return Evaluation(
        [
            Step(next(scores), item.speech, item.coverage, _lips_moved(snapshot))
            if isinstance(item, Window)
            else Step(item, item.speech, item.coverage)
            for item, snapshot in zip(judged, snapshots, strict=True)
        ]
    )


def _lips_moved(snapshot: Snapshot) -> bool | None:
    if not len(snapshot.mouth):  # as mostly
        return None
    start_s = snapshot.end_s - WINDOW_S
    return move_with(snapshot.mouth - (start_s, 0.0), snapshot.audio)


def as_seen(step: Step, session: Session) -> Score | Abstention:
    """The result of `step`, but for a score of a voice that is not that of the face."""
    result = step.result
    fits = isinstance(result, Score) and result.similarity >= session.decider.match_above
    session.lips.take(result.end_s, step.moved, fits=fits)
    if isinstance(result, Score) and session.lips.off_screen(result.end_s):
        reason = Reason.SPEAKER_OFF_SCREEN
        return Abstention(result.key, result.end_s, reason, step.speech, step.coverage)
    return result
