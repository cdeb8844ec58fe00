"""A participant whose media comes from a file, taken through the steps of a live call.

The buffer, the judgement, the scoring, the decision and the alerts are those of the live monitor;
only the clock is the media's own.
"""

from collections import deque

from monitor.alerts import Alerter
from monitor.buffers import ParticipantBuffer
from monitor.config import ScoringConfig
from monitor.media_tracks import Item, Picture, Sound
from monitor.scoring import Scorer, evaluate
from monitor.sessions import Session
from monitor.timeline import Hop
from vfd.decision import Decider, DecisionLimits
from vfd.finder import FaceFinder
from vfd.types import WINDOW_S, ParticipantKey, Reason

TAIL_S = 0.1  # how much of its last hop a recording may lack for the hop to be taken


class Replay:
    """Give it the media in order with `write`; whenever `due`, take a `step`."""

    def __init__(
        self,
        participant: str,
        finder: FaceFinder,
        scorer: Scorer,
        alerter: Alerter,
        limits: DecisionLimits,
        scoring: ScoringConfig,
    ) -> None:
        key = ParticipantKey("file", participant)
        self.session = Session(key, ParticipantBuffer(key, scoring), Decider(limits), joined_s=0.0)
        self.engine_error: Exception | None = None
        """What the engine raised last; None if it never did."""
        self._finder = finder
        self._scorer = scorer
        self._alerter = alerter
        self._hop_s = scoring.hop_s
        self._steps = 0
        self._looked_at: deque[tuple[float, bool]] = deque()

    @property
    def next_end_s(self) -> float:
        """Where the next window ends, in media time. Multiplied, not summed: no drift."""
        return (self._steps + 1) * self._hop_s

    def due(self, item: Item) -> bool:
        """Whether everything before the end of the next window was written before `item`."""
        return item.time_s >= self.next_end_s

    def due_at_end(self, end_s: float) -> bool:
        """Whether the next window still lies in media that ends at `end_s`."""
        return end_s + TAIL_S >= self.next_end_s

    def write(self, item: Item) -> None:
        buffer = self.session.buffer
        match item:
            case Sound():
                buffer.write_audio(item.time_s, item.samples)
            case Picture(rgb=None):
                buffer.note_video(item.time_s)
            case Picture(rgb=rgb) if rgb is not None:
                found = self._finder.find(rgb, item.time_s)
                self._looked_at.append((item.time_s, not isinstance(found, Reason)))
                if isinstance(found, Reason):
                    buffer.note_rejected(item.time_s, found)
                else:
                    buffer.write_face(found)

    async def step(self) -> Hop:
        """The next window: scored or abstained, decided, and alerted if need be."""
        snapshot = self.session.buffer.snapshot(self.next_end_s)
        self._steps += 1
        evaluation = evaluate(self._scorer, [snapshot])
        self.engine_error = evaluation.error or self.engine_error
        step = evaluation.steps[0]
        verdict = self.session.apply(step.result, speech=step.speech, coverage=step.coverage)
        return Hop(
            result=step.result,
            verdict=verdict,
            speech=step.speech,
            coverage=step.coverage,
            faces=self._share_with_face(snapshot.end_s - WINDOW_S),
            alert=await self._alerter.observe(self.session),
        )

    def _share_with_face(self, since_s: float) -> float:
        while self._looked_at and self._looked_at[0][0] < since_s:
            self._looked_at.popleft()
        seen = [usable for _, usable in self._looked_at]
        return sum(seen) / len(seen) if seen else 0.0
