"""How much video to ask an SFU for: the least that answers the question about one participant.

Pure: time and what is known are passed in, a wish comes out.
"""

from dataclasses import dataclass
from typing import Final

from monitor.sessions import Session
from vfd.decision import State
from vfd.types import Reason

SPEAKS: Final = 0.1
"""Share of speech in the last window that counts as having begun to talk."""
QUIET_AFTER_S: Final = 10.0
LOOK_EVERY_S: Final = 10.0
"""Who is silent is looked at that seldom: a baseline of one's own needs faces too, and whoever
begins to talk has a face at hand."""
LOOK_FOR_S: Final = 2.0
SMALL_FACES: Final = 3
"""Pictures with too small a face, after which a larger layer is asked for."""
MAX_LAYER: Final = 2  # of three, as browsers send them


@dataclass(frozen=True, slots=True)
class Wish:
    """`video`: whether any is wanted. `layer`: of simulcast, 0 is the smallest. `every_frame`: all
    temporal layers, or only the lowest."""

    video: bool = True
    layer: int = 0
    every_frame: bool = False


class Layers:
    """Of one participant; `wish` is to be asked once a second or so."""

    def __init__(self, now_s: float) -> None:
        self._spoke_s = now_s  # a newcomer is looked at as if talking
        self._looked_s = now_s
        self._layer = 0
        self._small = 0

    def wish(self, session: Session, now_s: float) -> Wish:
        """What `session` makes necessary now."""
        if session.speech >= SPEAKS:
            self._spoke_s = now_s
        small = session.abstained[Reason.FACE_SMALL]
        if small - self._small >= SMALL_FACES and self._layer < MAX_LAYER:
            self._layer, self._small = self._layer + 1, small
        suspected = session.verdict.state in (State.SUSPECT, State.MISMATCH)
        layer = min(self._layer + suspected, MAX_LAYER)
        talks = suspected or now_s - self._spoke_s < QUIET_AFTER_S
        return Wish(talks or self._looks(now_s), layer, suspected)

    def _looks(self, now_s: float) -> bool:
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
        return now_s - self._looked_s < LOOK_FOR_S
