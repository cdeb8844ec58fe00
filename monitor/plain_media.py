"""Media the plain way: aiortc decodes every frame; what is not looked at is thrown away.

It costs several times what the keyframe way does, and aiortc's jitter buffer gives half of the
sound away at 10 % loss. It touches no private name, so it runs on every version.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from monitor.audio_clock import AudioPlacer, Hole
from monitor.media import FaceSink
from monitor.sessions import Session
from vfd.types import Rgb

SUPPRESSED_S = 0.5  # Opus sends at least every 400 ms while it suppresses silence (RFC 6716)

logger = logging.getLogger(__name__)


class PlainMedia:
    """Tracks are always drained. Pictures are converted on `executor`, one at a time and at most
    one every `face_interval_s`."""

    takes_comfort_noise = False  # the stack drops it, and all of the pause would count as lost

    def __init__(
        self,
        session: Session,
        faces: FaceSink,
        face_interval_s: float,
        executor: Executor,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._faces = faces
        self._face_interval_s = face_interval_s
        self._executor = executor
        self._clock = clock
        self._peer: RTCPeerConnection | None = None
        self._tracks: list[asyncio.Task[None]] = []
        self._conversion: asyncio.Future[Rgb] | None = None
        self._lost = 0

    def connect(self, configuration: RTCConfiguration, offer: str) -> RTCPeerConnection:
        """A connection whose tracks are received; any offer will do."""
        self._peer = RTCPeerConnection(configuration)
        self._peer.on("track", self._on_track)
        return self._peer

    async def packets(self) -> int:
        """RTP and RTCP packets."""
        if self._peer is None:
            return 0
        report = await self._peer.getStats()
        return sum(s.packetsReceived for s in report.values() if s.type == "transport")

    def ended(self) -> str:
        """Tracks end when the peer says goodbye."""
        for task in self._tracks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                logger.error("receiving failed", exc_info=error)
                return "failed"
        return "left" if self._tracks and all(task.done() for task in self._tracks) else ""

    def hear(self, end_s: float) -> None:
        """Nothing to do: sound is written as it is decoded."""

    async def close(self) -> None:
        """Ends the tasks."""
        for task in self._tracks:
            task.cancel()
        await asyncio.gather(*self._tracks, return_exceptions=True)
        if self._conversion:
            self._conversion.cancel()

    def _on_track(self, track: MediaStreamTrack) -> None:
        receive = self._receive_audio if track.kind == "audio" else self._receive_video
        name = f"receive {track.kind} {self._session.key.call}/{self._session.key.participant}"
        self._tracks.append(asyncio.create_task(receive(track), name=name))

    async def _receive_audio(self, track: MediaStreamTrack) -> None:
        assert self._peer is not None
        placer = AudioPlacer(self._session.buffer.write_audio)
        receiver = next(r for r in self._peer.getReceivers() if r.track is track)
        while (frame := await _next_frame(track)) is not None:
            assert isinstance(frame, AudioFrame)
            hole = placer.push(frame, self._clock())
            if hole and await self._suppressed(hole, receiver):
                self._session.buffer.write_silence(*hole)

    async def _suppressed(self, hole: Hole, receiver: RTCRtpReceiver) -> bool:
        """Whether the sender left `hole` on purpose: nothing was lost since the one before."""
        report = await receiver.getStats()
        lost = sum(s.packetsLost for s in report.values() if s.type == "inbound-rtp")
        lost_before, self._lost = self._lost, lost
        return lost <= lost_before and hole.duration_s <= SUPPRESSED_S

    async def _receive_video(self, track: MediaStreamTrack) -> None:
        loop = asyncio.get_running_loop()
        due_s = self._clock()
        while (frame := await _next_frame(track)) is not None:
            assert isinstance(frame, VideoFrame)
            now_s = self._clock()
            self._session.buffer.note_video(now_s)
            busy = self._conversion is not None and not self._conversion.done()
            if now_s < due_s or busy:
                continue
            due_s = now_s + self._face_interval_s
            self._conversion = loop.run_in_executor(self._executor, _to_rgb, frame)
            self._conversion.add_done_callback(partial(self._on_converted, now_s))

    def _on_converted(self, time_s: float, conversion: asyncio.Future[Rgb]) -> None:
        if conversion.cancelled():
            return
        if error := conversion.exception():
            logger.warning("picture not converted", extra={"error": str(error)})
            return
        self._faces.submit(self._session, time_s, conversion.result())


async def _next_frame(track: MediaStreamTrack) -> object | None:
    """The next frame; None at the end of the track."""
    try:
        return await track.recv()
    except MediaStreamError:
        return None


def _to_rgb(frame: VideoFrame) -> Rgb:
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
