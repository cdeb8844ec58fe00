"""When to ask one publisher for a keyframe, and which of its packets are worth decrypting now.

Pure: time is passed in. A request reaches the publisher's encoder, and behind an SFU everybody who
watches it pays for the answer: so requests are spread, backed off, and natural keyframes used.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

ANSWER_S: Final = 0.7  # an encoder answers within a frame or two, after one round trip
MIN_REQUEST_S: Final = 0.5  # libwebrtc itself ignores requests that come faster than 0.3 s
MAX_BACKOFF_S: Final = 30.0
JITTER: Final = 0.1  # of the interval, so that a room that joined together does not ask together
PEEK_FROM: Final = 0.8
"""Of the interval: a natural keyframe from then on serves as well. To look for one costs a
decryption a frame, a quarter of what a participant costs in all."""
ATTENTIVE_S: Final = 0.02  # between two polls while packets of a keyframe may be missing
IDLE_S: Final = 0.1  # while the camera is off


@dataclass(slots=True)
class KeyframeTally:
    """Of all publishers together: a sender that is asked in vain shows as a growing difference."""

    requested: int = 0
    received: int = 0
    dropped: int = 0
    """Not decoded, frames of bursts among them, because too many waited for a decoder."""


class Gate(Enum):
    """What of the video is decrypted."""

    SHUT = 0
    """Nothing."""
    PEEK = 1
    """The first packet of every frame: a natural keyframe opens the gate."""
    OPEN = 2
    """Everything: an answer is due or a keyframe is coming in."""


class KeyframeRequests:
    """The schedule of one publisher. `uniform(low, high)` draws the jitter."""

    def __init__(
        self,
        interval_s: float,
        now_s: float,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.interval_s = interval_s
        self.gate = Gate.OPEN
        self.unanswered = 0
        """Requests since the last keyframe."""
        self.sent = 0
        self._uniform = uniform
        self._due_s = now_s
        self._peek_s = now_s
        self._shut_s = now_s + ANSWER_S
        self._sent_s = float("-inf")

    def poll(self, now_s: float, flowing: bool) -> bool:
        """Sets the gate; whether to send a request now. `flowing`: video packets keep coming;
        nobody is asked who sends none."""
        ask = flowing and now_s >= self._due_s and now_s - self._sent_s >= MIN_REQUEST_S
        if ask:
            self._asked(now_s)
        if now_s < self._shut_s:
            self.gate = Gate.OPEN
        else:
            self.gate = Gate.PEEK if now_s >= self._peek_s else Gate.SHUT
        return ask

    def next_s(self, now_s: float) -> float:
        """When `poll` would change something."""
        if self.gate is Gate.OPEN:
            return now_s + ATTENTIVE_S
        ahead = [at_s for at_s in (self._peek_s, self._due_s) if at_s > now_s]
        return min(ahead, default=now_s + IDLE_S)

    def started(self, now_s: float) -> None:
        """The first packet of a keyframe came, wished for or not: its others are wanted."""
        self.gate = Gate.OPEN
        self._shut_s = max(self._shut_s, now_s + ANSWER_S)
        self._due_s = max(self._due_s, now_s + ANSWER_S)

    def received(self, now_s: float) -> None:
        """A keyframe is complete."""
        self.unanswered = 0
        wait_s = self.interval_s * self._uniform(1 - JITTER, 1 + JITTER)
        self._due_s = now_s + wait_s
        self._peek_s = now_s + wait_s * PEEK_FROM
        self._shut_s = now_s
        self.gate = Gate.SHUT

    def hurry(self, now_s: float) -> None:
        """A keyframe is wanted as soon as the rate limit allows."""
        self._due_s = now_s
        self._peek_s = min(self._peek_s, now_s)

    def restart(self, now_s: float) -> None:
        """Another sender answers from now on, who has not been asked in vain yet."""
        self.unanswered = 0
        self.hurry(now_s)

    def _asked(self, now_s: float) -> None:
        self.unanswered += 1
        self.sent += 1
        self._sent_s = now_s
        self._shut_s = now_s + ANSWER_S
        self._peek_s = min(self._peek_s, now_s)
        self._due_s = now_s + min(MAX_BACKOFF_S, ANSWER_S * 2 ** min(self.unanswered - 1, 8))
