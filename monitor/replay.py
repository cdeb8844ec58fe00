"""Those whom a file shows, taken through the steps of a live call.

The cast, the buffers, the judgement, the scoring, the decision and the alerts are those of the live
monitor; only the clock is the media's own.
"""

from collections.abc import Callable, Sequence
from typing import Final

from monitor.alerts import Alerter
from monitor.cast import Cast, Faces
from monitor.config import Config, ScoringConfig
from monitor.evaluation import Step, evaluate
from monitor.media_tracks import Item, Picture, Sound
from monitor.scorer import Scorer
from monitor.screen import Screen, Seen
from monitor.sessions import Registry, Session
from monitor.stream_seats import PARTICIPANT
from monitor.timeline import Hop
from vfd.decision import DecisionLimits
from vfd.finder import FaceFinder
from vfd.types import WINDOW_S, ParticipantKey, Rgb

CALL: Final = "file"
TAIL_S = 0.1  # how much of its last hop a recording may lack for the hop to be taken


class Replay:
    """Give it the media in order with `write`; whenever `due`, take a `step`. `name`: who the
    recording as a whole is, until several share its picture."""

    def __init__(
        self,
        name: str,
        finder: FaceFinder,
        scorer: Scorer,
        alerter: Alerter,
        limits: DecisionLimits,
        scoring: ScoringConfig,
        faces: Faces = "auto",
    ) -> None:
        self.name = name
        self.engine_error: Exception | None = None
        """What the engine raised last; None if it never did."""
        self._scorer = scorer
        self._alerter = alerter
        self._hop_s = scoring.hop_s
        self._steps = 0
        self._now_s = 0.0
        seats = _Sessions(name, limits, scoring, clock=lambda: self._now_s)
        self._cast = Cast(seats, _AtOnce(finder), faces)
        self._cast.begin()

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
        self._now_s = max(self._now_s, item.time_s)
        match item:
            case Sound():
                self._cast.sound(item.time_s, item.samples)
            case Picture():
                self._cast.picture(item)

    async def step(self) -> list[Hop]:
        """The next window of everybody: scored or abstained, decided, and alerted if need be."""
        sessions, end_s = self._cast.sessions, self.next_end_s
        self._steps += 1
        evaluation = evaluate(self._scorer, [s.buffer.snapshot(end_s) for s in sessions])
        self.engine_error = evaluation.error or self.engine_error
        taken = zip(sessions, evaluation.steps, strict=True)
        return [await self._hop(session, step) for session, step in taken]

    async def _hop(self, session: Session, step: Step) -> Hop:
        verdict = session.apply(step.result, speech=step.speech, coverage=step.coverage)
        return Hop(
            result=step.result,
            verdict=verdict,
            speech=step.speech,
            coverage=step.coverage,
            faces=session.buffer.share_with_face(step.result.end_s - WINDOW_S),
            alert=await self._alerter.observe(session),
        )


class _Sessions:
    """`Seats` (monitor.cast) in media time."""

    def __init__(
        self, name: str, limits: DecisionLimits, scoring: ScoringConfig, clock: Callable[[], float]
    ) -> None:
        self._registry = Registry(Config(scoring=scoring), limits)
        self._name = name
        self._clock = clock
        self._begun = 0

    def sit(self, track: int | None = None) -> Session:
        """See `Seats.sit`. There is a place for as many as a picture can show."""
        self._begun += track is not None
        name = self._name if track is None else f"{PARTICIPANT}-{self._begun}"
        return self._registry.join(ParticipantKey(CALL, name), self._clock())

    def rise(self, session: Session) -> None:
        """See `Seats.rise`."""
        now_s = self._clock()
        self._registry.suspend(session.key, now_s)
        self._registry.expired(now_s)


class _AtOnce:
    """A `FaceSink` (monitor.media) without a thread of its own."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder

    def submit(
        self, session: Session, time_s: float, rgb: Rgb, before: Sequence[tuple[float, Rgb]] = ()
    ) -> None:
        """See `FaceSink.submit`; nobody bursts here, so there is never anything `before`."""
        session.buffer.note_look(time_s, self._finder.find(rgb, time_s))

    def watch(
        self, screen: Screen, time_s: float, rgb: Rgb, on_seen: Callable[[Seen], None]
    ) -> None:
        """See `FaceSink.watch`."""
        if (seen := screen.look(self._finder, rgb, time_s)) is not None:
            on_seen(seen)
