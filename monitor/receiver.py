"""One peer connection that only receives: it is negotiated, watched over, and closed for good."""

import asyncio
import logging
from collections.abc import Callable

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription

from monitor.config import Config
from monitor.media import Media
from monitor.problems import RETRY_AFTER_S, Problem
from monitor.sdp import accept_comfort_noise, advertise, ask_for_clear_sound

NEGOTIATION_TIMEOUT_S = 5.0  # no part of it waits for the network unless a STUN server is set
POLL_S = 0.25  # how late the watchdog may be
SETTLE_S = 0.5  # two reachable peers need less than 0.2 s
SETTLE_STEP_S = 0.02

logger = logging.getLogger(__name__)


class Receiver:
    """Lets `media` have what one peer sends, until the peer leaves or falls silent."""

    def __init__(self, media: Media, config: Config, clock: Callable[[], float]) -> None:
        self.media = media
        self._config = config
        self._clock = clock
        self._peer: RTCPeerConnection | None = None
        self._started_s = clock()
        self._heard_s: float | None = None  # None until connected
        self._packets = 0

    async def answer(self, offer: str) -> str:
        """The SDP answer to `offer`; candidates included, there is no trickle.

        Raises Problem for an offer that the WebRTC stack does not take, or not in time; nothing is
        left of it then.
        """
        # An explicit list, even if empty: the default contacts a public STUN server.
        servers = [RTCIceServer(urls=url) for url in self._config.whip.ice_servers]
        peer = self._peer = self.media.connect(RTCConfiguration(iceServers=servers), offer)
        try:
            async with asyncio.timeout(NEGOTIATION_TIMEOUT_S):
                await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
                await peer.setLocalDescription(await peer.createAnswer())
        except TimeoutError as error:
            logger.warning("negotiation took too long")
            await self.close()
            raise Problem(
                503,
                f"Negotiation took more than {NEGOTIATION_TIMEOUT_S:g} s; try again later.",
                {"Retry-After": str(RETRY_AFTER_S)},
            ) from error
        except Exception as error:
            # The stack fails on bad SDP with whatever comes first: AssertionError, ValueError,
            # AttributeError, OperationError and more were seen.
            logger.info("offer refused", extra={"error": f"{type(error).__name__}: {error}"[:200]})
            await self.close()
            raise Problem(422, "The offer's codecs or transport cannot be used.") from error
        except asyncio.CancelledError:
            await self.close()
            raise
        answer = ask_for_clear_sound(peer.localDescription.sdp)
        if self.media.takes_comfort_noise:
            answer = accept_comfort_noise(answer, offer)
        return advertise(answer, self._config.receiver.advertised_addresses)

    async def run(self) -> str:
        """Receives until there is nothing more to come; returns why. Closes the connection."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                if reason := await self._end_reason():
                    return reason
                # All receivers at the same moments: the loop wakes up once for a whole room.
                await asyncio.sleep(POLL_S - loop.time() % POLL_S)
        finally:
            await self.close()

    async def close(self) -> None:
        """Ends connection and tasks; idempotent."""
        await self.media.close()
        if self._peer is not None:
            await close_peer(self._peer)

    async def _end_reason(self) -> str:
        assert self._peer is not None
        if self._peer.connectionState in ("closed", "failed"):
            return "left"
        if reason := self.media.ended():
            return reason
        now_s = self._clock()
        if self._peer.connectionState == "connected":
            packets = await self.media.packets()
            if self._heard_s is None or packets != self._packets:
                self._packets, self._heard_s = packets, now_s
            return "silent" if now_s - self._heard_s > self._config.whip.no_media_timeout_s else ""
        late = now_s - self._started_s > self._config.whip.connect_timeout_s
        return "never connected" if late else ""


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
    # Whoever is cancelled while the stack closes the connection by itself must not cancel that.
    await asyncio.shield(asyncio.ensure_future(peer.close()))
    for transceiver in peer.getTransceivers():
        await transceiver.receiver.stop()
        await transceiver.sender.stop()
