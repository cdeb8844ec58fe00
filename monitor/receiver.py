"""One peer connection that only receives: it is negotiated, watched over, and closed for good."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from monitor.config import Config
from monitor.media import Media
from monitor.problems import RETRY_AFTER_S, Problem
from monitor.sdp import accept_comfort_noise, advertise, ask_for_clear_sound
from monitor.trickle import Fragment

NEGOTIATION_TIMEOUT_S = 5.0  # no part of it waits for the network unless a STUN server is set
POLL_S = 0.25  # how late the watchdog may be
SETTLE_S = 0.5  # two reachable peers need less than 0.2 s
SETTLE_STEP_S = 0.02

logger = logging.getLogger(__name__)


class Receiver:
    """Lets `media` have what one peer sends, until the peer leaves or falls silent. The server of a
    joined call `may_be_silent`: it has nothing to send while a participant is muted, and says
    itself who left."""

    def __init__(
        self,
        media: Media,
        config: Config,
        clock: Callable[[], float],
        may_be_silent: bool = False,
    ) -> None:
        self.media = media
        self._config = config
        self._clock = clock
        self._may_be_silent = may_be_silent
        self._peer: RTCPeerConnection | None = None
        self._started_s = clock()
        self._heard_s: float | None = None  # None until connected
        self._packets = 0
        self._candidates = 0  # that came after the offer

    async def answer(self, offer: str) -> str:
        """The SDP answer to `offer`; candidates included, there is no trickle.

        Raises Problem for an offer that the WebRTC stack does not take, or not in time; nothing is
        left of it then.
        """
        peer = self._connect(offer)
        await self._negotiate(_answered(peer, offer))
        sdp = self._local(peer)
        return accept_comfort_noise(sdp, offer) if self.media.takes_comfort_noise else sdp

    async def offer(self) -> str:
        """An SDP offer to receive one voice and one picture; candidates included. Raises as
        `answer` does."""
        peer = self._connect("")
        for kind in ("audio", "video"):
            peer.addTransceiver(kind, direction="recvonly")
        await self._negotiate(_offered(peer))
        return self._local(peer)

    async def accept(self, answer: str) -> None:
        """Takes the peer's answer to what `offer` gave. Raises as `answer` does."""
        assert self._peer is not None
        description = RTCSessionDescription(answer, "answer")
        await self._negotiate(self._peer.setRemoteDescription(description))

    async def add_candidates(self, fragment: Fragment) -> None:
        """What the peer sends after its offer. Raises Problem: 422 for what belongs to another ICE
        session, as a restart does, and for too many."""
        assert self._peer is not None
        remote = self._peer.remoteDescription.sdp
        if f"a=ice-ufrag:{fragment.ufrag}\r\n" not in remote:
            raise Problem(422, "ICE cannot be restarted here; publish anew with the session token.")
        self._candidates += fragment.count
        limit = self._config.whip.max_candidates
        if self._candidates > limit:
            raise Problem(422, f"At most {limit} candidates are taken.")
        for value in fragment.candidates:
            candidate = candidate_from_sdp(value)
            candidate.sdpMLineIndex = 0  # all sections share its transport
            await self._peer.addIceCandidate(candidate)
        if fragment.ended:
            await self._peer.addIceCandidate(None)

    def _connect(self, offer: str) -> RTCPeerConnection:
        # An explicit list, even if empty: the default contacts a public STUN server.
        servers = [RTCIceServer(urls=url) for url in self._config.whip.ice_servers]
        self._peer = self.media.connect(RTCConfiguration(iceServers=servers), offer)
        return self._peer

    def _local(self, peer: RTCPeerConnection) -> str:
        sdp = ask_for_clear_sound(peer.localDescription.sdp)
        return advertise(sdp, self._config.receiver.advertised_addresses)

    async def _negotiate(self, step: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(NEGOTIATION_TIMEOUT_S):
                await step
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
            logger.info("SDP refused", extra={"error": f"{type(error).__name__}: {error}"[:200]})
            await self.close()
            raise Problem(422, "The offer's codecs or transport cannot be used.") from error
        except asyncio.CancelledError:
            await self.close()
            raise

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
            silent_s = now_s - self._heard_s
            silent = silent_s > self._config.whip.no_media_timeout_s and not self._may_be_silent
            return "silent" if silent else ""
        late = now_s - self._started_s > self._config.whip.connect_timeout_s
        return "never connected" if late else ""


async def _answered(peer: RTCPeerConnection, offer: str) -> None:
    await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await peer.setLocalDescription(await peer.createAnswer())


async def _offered(peer: RTCPeerConnection) -> None:
    await peer.setLocalDescription(await peer.createOffer())


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
