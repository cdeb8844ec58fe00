"""What is known of one participant's lips, and what a verdict has to wait for. Pure: time is passed
in."""

from typing import Final

from vfd.decision import State, Verdict

CHANCE_S: Final = 5.0
"""Of suspicion, for a burst to show the lips: up to 1 s until a keyframe comes, 2.3 s of pictures,
1 s until the window that holds them is taken; mostly there was a doubt, and a burst, before. After
that the suspicion stands as it is."""
CONFIRMED_S: Final = 5.0
"""For how long lips that moved with the voice vouch for it: as long as a burst lasts, and a hop."""
OFF_SCREEN_S: Final = 20.0
"""For how long lips that did not move say that the voice is somebody else's: until the next burst
(Attention) has had its chance."""

FITTING: Final = 4
"""Windows in a row whose voice fits the face, which make up for lips that did not move: the first
and the last of them share no sound. A stranger's voice fits now and then, but not for so long."""


class LipWatch:
    """Of one participant. `able`: whether bursts are to be had of them now."""

    def __init__(self) -> None:
        self.able = False
        self._seen_s = float("-inf")
        self._moved = False
        self._fitting = 0

    def take(self, end_s: float, moved: bool | None, *, fits: bool = False) -> None:
        """What the window that ends at `end_s` showed; see `vfd.lips.move_with`. `fits`: its voice
        fits the face, so that lips that say otherwise are not believed: some hardly move."""
        self._fitting = self._fitting + 1 if fits else 0
        if moved is not None and (moved or not fits):
            self._seen_s, self._moved = end_s, moved
        if self._fitting >= FITTING and not self._moved:
            self._seen_s = float("-inf")

    def off_screen(self, now_s: float) -> bool:
        """Whether the voice is somebody else's, as far as is known."""
        return not self._moved and now_s - self._seen_s < OFF_SCREEN_S

    def settles(self, verdict: Verdict, now_s: float) -> bool:
        """Whether the suspicion in `verdict` may become a mismatch now."""
        if not self.able or (self._moved and now_s - self._seen_s < CONFIRMED_S):
            return True
        return verdict.state is State.SUSPECT and now_s - verdict.since_s >= CHANCE_S
