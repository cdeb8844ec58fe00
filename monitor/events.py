"""What happens, as small dictionaries, to whoever listens right now."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from monitor.metrics import Metrics
from vfd.decision import Verdict
from vfd.types import Abstention, ParticipantKey, Score

Event = Mapping[str, Any]
"""JSON-safe. `type` is one of score, abstention, verdict, alert, joined, left, drill; then `call`,
`participant` and the fields of that type. An alert has an `event_id`, ascending."""

QUEUE_EVENTS: Final = 256
"""A listener: four seconds of a full monitor (64 participants); a slower one loses the oldest."""


class Subscription:
    """An async iterator over the events since it was opened; ends when the bus closes."""

    def __init__(self) -> None:
        self._queue: deque[Event] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._queue.popleft()

    def put(self, event: Event) -> bool:
        """Returns False if the oldest event had to go for it."""
        fits = len(self._queue) < QUEUE_EVENTS
        if not fits:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(event)
        self._changed.set()
        return fits

    def close(self) -> None:
        """What is queued can still be read."""
        self._closed = True
        self._changed.set()


class EventBus:
    """Used on the event loop alone."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    @property
    def listeners(self) -> int:
        return len(self._subscriptions)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        subscription = Subscription()
        if self._closed:
            subscription.close()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def publish(self, event: Event) -> None:
        """Never waits."""
        for subscription in self._subscriptions:
            if not subscription.put(event):
                self._metrics.event_dropped()

    def close(self) -> None:
        """Ends every iteration, so that a server can shut down."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()


def score_event(score: Score, speech: float, latency_s: float) -> Event:
    """`latency_s`: from the end of the window to the moment its score was known."""
    return {
        "type": "score",
        **_who(score.key),
        "end_s": round(score.end_s, 3),
        "similarity": round(score.similarity, 4),
        "jump": round(score.jump, 4),
        "faces_used": score.faces_used,
        "speech": round(speech, 3),
        "latency_s": round(latency_s, 4),
    }


def abstention_event(abstention: Abstention) -> Event:
    return {
        "type": "abstention",
        **_who(abstention.key),
        "end_s": round(abstention.end_s, 3),
        "reason": abstention.reason.value,
        "speech": round(abstention.speech, 3),
        "coverage": round(abstention.coverage, 3),
    }


def verdict_event(key: ParticipantKey, end_s: float, verdict: Verdict) -> Event:
    """Sent when the state, or the reason of unknown, changes."""
    return {
        "type": "verdict",
        **_who(key),
        "end_s": round(end_s, 3),
        "state": verdict.state.value,
        "statistic": _rounded(verdict.statistic),
        "since_s": round(verdict.since_s, 3),
        "reason": None if verdict.reason is None else verdict.reason.value,
        "log_likelihood_ratio": _rounded(verdict.log_likelihood_ratio),
        "change": _rounded(verdict.change),
        "signal": None if verdict.signal is None else verdict.signal.value,
        "level": verdict.level,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def joined_event(key: ParticipantKey) -> Event:
    return {"type": "joined", **_who(key)}


def left_event(key: ParticipantKey) -> Event:
    return {"type": "left", **_who(key)}


def _who(key: ParticipantKey) -> dict[str, str]:
    return {"call": key.call, "participant": key.participant}
