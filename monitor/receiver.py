"""One peer connection that only receives: its tracks end in the participant's buffer."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Protocol

import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from monitor.audio_clock import AudioPlacer, Hole
from monitor.config import Config
from monitor.problems import Problem
from monitor.sdp import ask_for_clear_sound
from monitor.sessions import Session
from vfd.types import Rgb

NEGOTIATION_TIMEOUT_S = 5.0  # no part of it waits for the network unless a STUN server is set
POLL_S = 0.25  # how late the watchdog may be
SETTLE_S = 0.5  # two reachable peers need less than 0.2 s
SETTLE_STEP_S = 0.02
SUPPRESSED_S = 0.5  # Opus sends at least every 400 ms while it suppresses silence (RFC 6716)

logger = logging.getLogger(__name__)


class FaceSink(Protocol):
    """Takes pictures to look for faces in; must not block."""

    def submit(self, session: Session, time_s: float, rgb: Rgb) -> None: ...


class Receiver:
    """Feeds `session` with what one peer sends, until the peer leaves or falls silent.

    Tracks are always drained: what is not looked at is thrown away at once. Pictures are converted
    on `executor`, one at a time and at most one every `scoring.face_interval_s`.
    """

    def __init__(
        self,
        session: Session,
        faces: FaceSink,
        config: Config,
        executor: Executor,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._faces = faces
        self._config = config
        self._executor = executor
        self._clock = clock
        servers = [RTCIceServer(urls=url) for url in config.whip.ice_servers]
        # An explicit list, even if empty: the default contacts a public STUN server.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._peer.on("track", self._on_track)
        self._tracks: list[asyncio.Task[None]] = []
        self._conversion: asyncio.Future[Rgb] | None = None
        self._started_s = clock()
        self._heard_s: float | None = None  # None until connected
        self._packets = 0
        self._lost = 0

    async def answer(self, offer: str) -> str:
        """The SDP answer to `offer`; candidates included, there is no trickle.

        Raises Problem for an offer that the WebRTC stack does not take; nothing is left of it then.
        """
        try:
            async with asyncio.timeout(NEGOTIATION_TIMEOUT_S):
                await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
                await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:
            # The stack fails on bad SDP with whatever comes first: AssertionError, ValueError,
            # AttributeError, OperationError and more were seen.
            logger.info("offer refused", extra={"error": f"{type(error).__name__}: {error}"[:200]})
            await self.close()
            raise Problem(422, "The offer's codecs or transport cannot be used.") from error
        except asyncio.CancelledError:
            await self.close()
            raise
        return ask_for_clear_sound(self._peer.localDescription.sdp)

    async def run(self) -> str:
        """Receives until there is nothing more to come; returns why. Closes the connection."""
        try:
            while True:
                if reason := await self._end_reason():
                    return reason
                await asyncio.sleep(POLL_S)
        finally:
            await self.close()

    async def close(self) -> None:
        """Ends connection and tasks; idempotent."""
        for task in self._tracks:
            task.cancel()
        await asyncio.gather(*self._tracks, return_exceptions=True)
        if self._conversion:
            self._conversion.cancel()
        await close_peer(self._peer)

    async def _end_reason(self) -> str:
        if self._peer.connectionState in ("closed", "failed"):
            return "left"
        for task in self._tracks:
            if task.done() and (error := task.exception()):
                logger.error("receiving failed", exc_info=error)
                return "failed"
        if self._tracks and all(task.done() for task in self._tracks):
            return "left"
        now_s = self._clock()
        if self._peer.connectionState == "connected":
            packets = await self._packets_received()
            if self._heard_s is None or packets != self._packets:
                self._packets, self._heard_s = packets, now_s
            return "silent" if now_s - self._heard_s > self._config.whip.no_media_timeout_s else ""
        late = now_s - self._started_s > self._config.whip.connect_timeout_s
        return "never connected" if late else ""

    async def _packets_received(self) -> int:
        report = await self._peer.getStats()
        return sum(s.packetsReceived for s in report.values() if s.type == "transport")

    def _on_track(self, track: MediaStreamTrack) -> None:
        receive = self._receive_audio if track.kind == "audio" else self._receive_video
        name = f"receive {track.kind} {self._session.key.call}/{self._session.key.participant}"
        self._tracks.append(asyncio.create_task(receive(track), name=name))

    async def _receive_audio(self, track: MediaStreamTrack) -> None:
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
            due_s = now_s + self._config.scoring.face_interval_s
            self._conversion = loop.run_in_executor(self._executor, _to_rgb, frame)
            self._conversion.add_done_callback(partial(self._on_converted, now_s))

    def _on_converted(self, time_s: float, conversion: asyncio.Future[Rgb]) -> None:
        if conversion.cancelled():
            return
        if error := conversion.exception():
            logger.warning("picture not converted", extra={"error": str(error)})
            return
        self._faces.submit(self._session, time_s, conversion.result())


async def close_peer(peer: RTCPeerConnection) -> None:
    """Closes `peer` for good, also at the very moment at which it connects.

    The stack (aiortc 1.16, aioice 0.13) starts what belongs to a connection once that has come
    about, closed meanwhile or not: consent checks after ICE, senders and receivers after DTLS. So
    ICE gets the time to come about or not, and what was started late is stopped once more.
    """
    for _ in range(round(SETTLE_S / SETTLE_STEP_S)):
        if peer.iceConnectionState != "checking":
            break
        await asyncio.sleep(SETTLE_STEP_S)
    await peer.close()
    for transceiver in peer.getTransceivers():
        await transceiver.receiver.stop()
        await transceiver.sender.stop()


async def _next_frame(track: MediaStreamTrack) -> object | None:
    """The next frame; None at the end of the track."""
    try:
        return await track.recv()
    except MediaStreamError:
        return None


def _to_rgb(frame: VideoFrame) -> Rgb:
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
