"""The video of one participant: which packets are decrypted, what is asked of the sender, and the
encoded frames that come of it."""

from collections.abc import Callable
from typing import Final, NamedTuple

from monitor.keyframe_assembly import Keyframe, KeyframeAssembler, VideoCodec
from monitor.keyframe_requests import Gate, KeyframeRequests
from monitor.rtp import RtpPacket

NACK_FIRST_S: Final = 0.03  # packets that merely overtook each other are there by then
NACK_AGAIN_S: Final = 0.1  # a round trip and the sender's pacing
FLOWING_S: Final = 1.0  # without a packet for longer, the camera is off
DECRYPT_EVERY: Final = 4_096
"""Packets after which one is decrypted in any case: SRTP guesses the upper bits of its index from
the last one seen, which goes wrong beyond 32,768 (RFC 3711 section 3.3.1)."""


class Feedback(NamedTuple):
    """What the sender is to be told now."""

    keyframe: bool = False
    missing: tuple[int, ...] = ()
    """Sequence numbers, 16 bits each."""


class VideoPath:
    """One video source. `on_keyframe(keyframe, arrival_s)` gets what is complete; `on_restart()`
    hears that another source, with a clock of its own, goes on."""

    def __init__(
        self,
        requests: KeyframeRequests,
        on_keyframe: Callable[[Keyframe, float], None],
        on_restart: Callable[[], None],
    ) -> None:
        self.requests = requests
        self.last_packet_s: float | None = None
        self.keyframes = 0
        self._on_keyframe = on_keyframe
        self._on_restart = on_restart
        self._assembler: KeyframeAssembler | None = None
        self._decrypted = 0
        self._peeked = -1
        self._newest = 0
        self._nack_s: float | None = None

    def wants(self, sequence: int, timestamp: int, arrival_s: float) -> bool:
        """Whether the packet of this extended number is to be decrypted."""
        self.last_packet_s = arrival_s
        gate = self.requests.gate
        wanted = gate is Gate.OPEN or sequence - self._decrypted > DECRYPT_EVERY
        if gate is Gate.PEEK and timestamp != self._peeked and sequence > self._newest:
            wanted = True
        if sequence > self._newest:
            self._newest, self._peeked = sequence, timestamp
        return wanted

    @property
    def wants_repair(self) -> bool:
        """Whether retransmitted packets are to be decrypted."""
        return self.requests.gate is Gate.OPEN

    @property
    def codec(self) -> VideoCodec | None:
        """Of the last packet that was looked into."""
        return self._assembler.codec if self._assembler else None

    def packet(self, codec: VideoCodec, packet: RtpPacket, arrival_s: float) -> None:
        """Takes a decrypted packet, in any order."""
        self._decrypted = packet.sequence
        assembler = self._assembler
        if assembler is None or assembler.codec != codec:
            assembler = self._assembler = KeyframeAssembler(codec)
        if self.requests.gate is not Gate.OPEN:
            if not assembler.starts_keyframe(packet.payload):
                return
            assembler.clear()
            self.requests.started(arrival_s)
        try:
            keyframe = assembler.add(packet)
        except ValueError:
            return
        if keyframe is not None:
            self.keyframes += 1
            self._nack_s = None
            self.requests.received(arrival_s)
            self._on_keyframe(keyframe, arrival_s)

    def poll(self, now_s: float) -> Feedback:
        """To be called every few 10 ms."""
        flowing = self.last_packet_s is not None and now_s - self.last_packet_s < FLOWING_S
        if self.requests.poll(now_s, flowing):
            return Feedback(keyframe=True, missing=self._missing(now_s))
        return Feedback(missing=self._missing(now_s))

    def restart(self) -> None:
        """Another source goes on in this one's place."""
        self._assembler = None
        self._newest = self._decrypted = 0
        self._peeked = -1
        self._nack_s = None
        self._on_restart()

    def _missing(self, now_s: float) -> tuple[int, ...]:
        if self.requests.gate is not Gate.OPEN or self._assembler is None:
            return ()
        missing = self._assembler.missing()
        if not missing:
            self._nack_s = None
            return ()
        if self._nack_s is None:
            self._nack_s = now_s + NACK_FIRST_S
        if now_s < self._nack_s:
            return ()
        self._nack_s = now_s + NACK_AGAIN_S
        return tuple(sequence & 0xFFFF for sequence in missing)
