"""How closely each participant is looked at. Pure: time is passed in."""

from typing import Final

from vfd.decision import State, Verdict
from vfd.types import ParticipantKey

CALM_AFTER_S: Final = 60.0  # of matching without a break
CALM_FACTOR: Final = 2.0
BUSY_FACTOR: Final = 2.0
AGE_MARGIN_S: Final = 1.5
"""Between the longest interval and `face_max_age_s`: a request, its answer, and one hop."""
BURST_S: Final = 4.0  # two or three windows whose pictures suffice (vfd.lips)
BURST_EVERY_S: Final = 15.0  # of one participant; each costs some 200 ms of CPU
SUSPECT_EVERY_S: Final = 5.0
"""Of a suspect: an early burst over a score that was low by chance must not cost a later, needed
one."""
BURST_ANYBODY_EVERY_S: Final = 1.5  # two at a time


class Attention:
    """Over all participants of one monitor."""

    def __init__(self, interval_s: float, face_max_age_s: float) -> None:
        self._interval_s = interval_s
        self._longest_s = max(interval_s, face_max_age_s - AGE_MARGIN_S)
        self._bursts: dict[ParticipantKey, float] = {}
        self._last_burst_s = float("-inf")

    def interval_s(self, verdict: Verdict, now_s: float, busy: bool) -> float:
        """Seconds between two keyframes of a participant. `busy`: the machine is short of CPU."""
        interval_s = self._interval_s
        if verdict.state is State.MATCH and now_s - verdict.since_s >= CALM_AFTER_S:
            interval_s *= CALM_FACTOR
        if busy:
            interval_s *= BUSY_FACTOR
        return min(interval_s, self._longest_s)

    def burst_s(
        self, key: ParticipantKey, verdict: Verdict, now_s: float, busy: bool, doubted: bool = False
    ) -> float:
        """For how long every frame of `key` is to be decoded from now on; mostly 0. `doubted`:
        there may be a suspicion soon. Once it has become a mismatch there is nothing more to see.
        """
        suspect = verdict.state is State.SUSPECT
        if busy or verdict.state is State.MISMATCH or not (suspect or doubted):
            return 0.0
        if now_s - self._last_burst_s < BURST_ANYBODY_EVERY_S:
            return 0.0
        every_s = SUSPECT_EVERY_S if suspect else BURST_EVERY_S
        if now_s - self._bursts.get(key, float("-inf")) < every_s:
            return 0.0
        self._bursts = {k: at_s for k, at_s in self._bursts.items() if now_s - at_s < BURST_EVERY_S}
        self._bursts[key] = self._last_burst_s = now_s
        return BURST_S
