"""One object a participant, and the bounded collection of them."""

from collections import Counter, deque
from typing import Final

from monitor.buffers import ParticipantBuffer
from monitor.config import Config
from monitor.lip_watch import LipWatch
from vfd.decision import Decider, DecisionLimits, State, UnknownReason, Verdict
from vfd.drift import Drift, drift
from vfd.types import Abstention, ParticipantKey, Reason, Score

HISTORY: Final = 60
"""Seconds of similarity kept for tables and pages."""
DOUBT_S: Final = 2.0  # for that long after it a low score is a reason to look more closely
AWAY_S: Final = 60.0
"""How long what is known of somebody outlasts a broken connection to their call."""


class TooManyParticipants(Exception):  # noqa: N818 - says what happened, as StopIteration does
    """The monitor is full; the message names the limit and the key that sets it."""


class Session:
    """Everything the monitor knows about one participant. Belongs to the event loop."""

    def __init__(
        self, key: ParticipantKey, buffer: ParticipantBuffer, decider: Decider, joined_s: float
    ) -> None:
        self.key = key
        self.name = ""
        """What they call themselves in their call, for people to read; anybody may take any."""
        self.buffer = buffer
        self.decider = decider
        self.joined_s = joined_s
        self.lips = LipWatch()
        self.verdict: Verdict = decider.verdict
        self.last_score: Score | None = None
        self.last_abstention: Abstention | None = None
        self.speech = 0.0  # share of the last window, in [0, 1]
        self.coverage = 0.0
        self.scored = 0
        self.drill = False
        """Whether this is a copy in which somebody was swapped on purpose."""
        self.last_end_s = joined_s  # of the newest step
        self.abstained: Counter[Reason] = Counter()
        self.similarities: deque[float | None] = deque(maxlen=HISTORY)
        """One entry a step, the newest last; None where there was no score."""

    def apply(
        self, result: Score | Abstention, *, speech: float = 0.0, coverage: float = 0.0
    ) -> Verdict:
        """Takes the outcome of one step, live or from a file. `speech` and `coverage` of its
        window, in [0, 1]; an abstention brings its own."""
        self.last_end_s = result.end_s
        match result:
            case Score():
                self.last_score = result
                self.scored += 1
                self.speech, self.coverage = speech, coverage
                self.similarities.append(result.similarity)
                hold = not self.lips.settles(self.verdict, result.end_s)
                self.verdict = self.decider.update(
                    result.end_s, result.similarity, result.jump, hold=hold
                )
            case Abstention():
                self.last_abstention = result
                self.abstained[result.reason] += 1
                self.speech, self.coverage = result.speech, result.coverage
                self.similarities.append(None)
                self.verdict = self._without_score(result)
        return self.verdict

    def take_over(self, other: "Session", decider: Decider) -> None:
        """Goes on from what is known of `other`; `decider` is a copy of that one's."""
        self.decider, self.verdict = decider, decider.verdict
        self.scored, self.abstained = other.scored, other.abstained.copy()
        self.similarities = other.similarities.copy()
        self.last_end_s = other.last_end_s

    def doubted(self, now_s: float) -> bool:
        """Whether it is worth while to see the lips: the last score was low, or they were still."""
        score = self.last_score
        recent = score is not None and now_s - score.end_s < DOUBT_S
        low = score is not None and score.similarity < self.decider.suspect_below
        return (recent and low) or self.lips.off_screen(now_s)

    def _without_score(self, abstention: Abstention) -> Verdict:
        """While the engine is down nobody vouches for the last verdict, so there is none; the
        decider keeps what it knew and resumes from there."""
        before = self.verdict
        if abstention.reason is Reason.SPEAKER_OFF_SCREEN and before.state is State.SUSPECT:
            self.decider.retract(abstention.end_s)  # it was about somebody else's voice
        verdict = self.decider.update(abstention.end_s, None)
        if abstention.reason is not Reason.ENGINE_DOWN:
            return verdict
        ongoing = before.reason is UnknownReason.ENGINE_DOWN
        since_s = before.since_s if ongoing else abstention.end_s
        return Verdict(State.UNKNOWN, verdict.statistic, since_s, UnknownReason.ENGINE_DOWN)


class Registry:
    """The live sessions. Changed on the event loop; `sessions()` may be read from any thread."""

    def __init__(self, config: Config, limits: DecisionLimits) -> None:
        self._config = config
        self._limits = limits
        self._sessions: dict[ParticipantKey, Session] = {}
        self._away: dict[ParticipantKey, tuple[float, Session]] = {}
        self._snapshot: tuple[Session, ...] = ()
        self.limit: Final = config.whip.max_participants
        self.joined = 0
        self.refused = 0
        """Since the start: who was taken in (again, after being away), and who was not."""

    def join(self, key: ParticipantKey, joined_s: float) -> Session:
        """The session of `key`, a new one unless it is live or only away (a reconnect keeps what
        was known). Raises TooManyParticipants."""
        if (live := self._sessions.get(key)) is not None:
            return live
        if len(self._sessions) >= self.limit:
            self.refused += 1
            raise TooManyParticipants(
                f"{self.limit} participants are watched already (whip.max_participants)"
            )
        session = self._returned(key, joined_s) or self._new(key, joined_s)
        self._sessions[key] = session
        self.joined += 1
        self._snapshot = tuple(self._sessions.values())
        return session

    def suspend(self, key: ParticipantKey, now_s: float) -> Session | None:
        """Takes `key` out, as `leave` does, and keeps it for AWAY_S, in which it grows no older."""
        if (session := self.leave(key)) is not None:
            self._away[key] = now_s, session
        return session

    def expired(self, now_s: float) -> list[Session]:
        """Forgets, and returns, who has been away for longer than AWAY_S; and the longest away, if
        they are more than may be here."""
        oldest = sorted(self._away.values(), key=lambda away: away[0])
        beyond = max(0, len(oldest) - self.limit)
        stale = sum(now_s - since_s > AWAY_S for since_s, _ in oldest)
        gone = [session for _, session in oldest[: max(beyond, stale)]]
        for session in gone:
            del self._away[session.key]
        return gone

    def leave(self, key: ParticipantKey) -> Session | None:
        """Forgets `key`; returns what was known, or None if it was not here."""
        session = self._sessions.pop(key, None)
        self._snapshot = tuple(self._sessions.values())
        return session

    def _returned(self, key: ParticipantKey, now_s: float) -> Session | None:
        since_s, session = self._away.pop(key, (0.0, None))
        if session is not None:
            session.decider.pause(now_s - since_s)
        return session

    def _new(self, key: ParticipantKey, joined_s: float) -> Session:
        buffer = ParticipantBuffer(key, self._config.scoring)
        return Session(key, buffer, Decider(self._limits, joined_s), joined_s)

    def get(self, key: ParticipantKey) -> Session | None:
        return self._sessions.get(key)

    def drift(self) -> Drift | None:
        """Of everybody who matches now; None where no calibration says what to expect."""
        if (model := self._limits.model) is None:
            return None
        matching = (s.decider.baseline for s in self._snapshot if s.verdict.state is State.MATCH)
        return drift((usual for usual in matching if usual is not None), model)

    def sessions(self) -> tuple[Session, ...]:
        """In the order of joining. Never changes under the reader."""
        return self._snapshot
