"""Chooses how media is received, and owns what all participants share in it."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Final

from monitor.aiortc_hooks import self_test
from monitor.attention import Attention
from monitor.config import Config
from monitor.datagrams import Pump
from monitor.keyframe_decoder import DecoderPool
from monitor.keyframe_media import KeyframeMedia
from monitor.keyframe_requests import KeyframeTally
from monitor.media import FaceSink, Hearable, Media
from monitor.plain_media import PlainMedia
from monitor.receiver import Receiver
from monitor.sessions import Session

BUSY_LATE_S: Final = 0.05  # on average; a quiet machine is 1 ms late

logger = logging.getLogger(__name__)


class Receiving:
    """Makes receivers. `open` it on a running event loop."""

    def __init__(
        self,
        config: Config,
        faces: FaceSink,
        executor: Executor,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._faces = faces
        self._executor = executor
        self._clock = clock
        self._pump = Pump(clock)
        self.keyframes = KeyframeTally()
        self._decoders = DecoderPool(self.keyframes)
        self._attention = Attention(
            config.receiver.keyframe_interval_s, config.scoring.face_max_age_s
        )
        self.path = config.receiver.path

    async def open(self) -> None:
        """Finds out whether the keyframe path runs here; otherwise it is the plain one, and the
        log says why."""
        if self.path == "keyframe" and (failure := await self_test(self._pump)):
            self.path = "plain"
            logger.error(
                "receiving the plain way: every frame is decoded", extra={"reason": failure}
            )

    def receiver(self, session: Session, may_be_silent: bool = False) -> Receiver:
        """A new one for what `session` is about to be sent; see `Receiver`."""
        return Receiver(self._media(session), self._config, self._clock, may_be_silent)

    async def hear(self, heard: Iterable[Hearable], end_s: float) -> None:
        """Brings every buffer up to `end_s`. One participant a turn of the loop: packets and
        requests are not kept waiting by a full room."""
        for media in heard:
            media.hear(end_s)
            await asyncio.sleep(0)

    def attend(self, heard: Iterable[Hearable]) -> None:
        """Looks at everybody as closely as their verdicts ask for; as soon as those are known."""
        busy = self._pump.late_s > BUSY_LATE_S
        for media in heard:
            if isinstance(media, KeyframeMedia):
                media.attend(self._attention, busy)

    def close(self) -> None:
        """To be called when every receiver is closed."""
        self._decoders.close()
        self._pump.close()

    def _media(self, session: Session) -> Media:
        if self.path == "plain":
            interval_s = self._config.scoring.face_interval_s
            return PlainMedia(session, self._faces, interval_s, self._executor, self._clock)
        return KeyframeMedia(
            session,
            self._faces,
            self._config.receiver,
            self._clock,
            self._pump,
            self._decoders,
            self.keyframes,
        )
