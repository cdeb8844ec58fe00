"""The video of one participant: which packets are decrypted, what is asked of the sender, and the
encoded frames that come of it."""

from collections.abc import Callable
from typing import Final, NamedTuple

from monitor.frame_sequence import Frame, FrameSequence
from monitor.keyframe_assembly import Keyframe, KeyframeAssembler, VideoCodec
from monitor.keyframe_requests import ATTENTIVE_S, Gate, KeyframeRequests, KeyframeTally
from monitor.rtp import RtpPacket

NACK_FIRST_S: Final = 0.03  # packets that merely overtook each other are there by then
NACK_AGAIN_S: Final = 0.1  # a round trip and the sender's pacing
FLOWING_S: Final = 1.0  # without a packet for longer, the camera is off
MAX_KEYFRAME_S: Final = 3.0  # that a keyframe may take to come in
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
    hears that another source, with a clock of its own, goes on. `tally` is counted up."""

    def __init__(
        self,
        requests: KeyframeRequests,
        on_keyframe: Callable[[Keyframe, float], None],
        on_restart: Callable[[], None],
        tally: KeyframeTally,
    ) -> None:
        self.requests = requests
        self.last_packet_s: float | None = None
        self.tally = tally
        self._on_keyframe = on_keyframe
        self._on_restart = on_restart
        self._assembler: KeyframeAssembler | None = None
        self._decrypted = 0
        self._peeked = -1
        self._newest = 0
        self._nack_s: float | None = None
        self._keyframe: int | None = None  # timestamp of the one that comes in
        self._keyframe_s = 0.0
        self._burst_end_s = float("-inf")
        self._on_frame: Callable[[Frame, float], bool] | None = None
        self._sequence: FrameSequence | None = None

    def burst(self, now_s: float, end_s: float, on_frame: Callable[[Frame, float], bool]) -> None:
        """Hands every frame to `on_frame(frame, arrival_s)` until `end_s`, from the next keyframe
        on, which is asked for. False from it means that it cannot go on without a keyframe."""
        self._burst_end_s, self._on_frame, self._sequence = end_s, on_frame, None
        self.requests.hurry(now_s)

    @property
    def bursting(self) -> bool:
        return self._on_frame is not None

    def wants(self, sequence: int, timestamp: int, arrival_s: float, padding: bool = False) -> bool:
        """Whether the packet of this extended number is to be decrypted. `padding`: it shows
        nothing, as those that keep a connection warm while the camera is off."""
        if not padding:
            self.last_packet_s = arrival_s
        gate = self.requests.gate
        wanted = gate is Gate.OPEN or self._on_frame is not None
        if sequence - self._decrypted > DECRYPT_EVERY:
            wanted = True
        if gate is Gate.PEEK and timestamp != self._peeked and sequence > self._newest:
            wanted = True
        if sequence > self._newest:
            self._newest, self._peeked = sequence, timestamp
        return wanted

    @property
    def wants_repair(self) -> bool:
        """Whether retransmitted packets are to be decrypted."""
        return self.requests.gate is Gate.OPEN or self._on_frame is not None

    @property
    def codec(self) -> VideoCodec | None:
        """Of the last packet that was looked into."""
        source = self._sequence or self._assembler
        return source.codec if source else None

    def packet(self, codec: VideoCodec, packet: RtpPacket, arrival_s: float) -> None:
        """Takes a decrypted packet, in any order."""
        self._decrypted = packet.sequence
        if self._on_frame is not None:
            self._burst_packet(self._on_frame, codec, packet, arrival_s)
            return
        assembler = self._assembler
        if assembler is None or assembler.codec != codec:
            assembler = self._assembler = KeyframeAssembler(codec)
        if self.requests.gate is not Gate.OPEN:
            if not assembler.starts_keyframe(packet.payload):
                return
            assembler.clear()
        self._wait_for_keyframe(assembler, packet, arrival_s)
        try:
            keyframe = assembler.add(packet)
        except ValueError:
            return
        if keyframe is not None:
            self._nack_s = None
            self._received(arrival_s)
            self._on_keyframe(keyframe, arrival_s)

    def poll(self, now_s: float) -> Feedback:
        """To be called every few 10 ms."""
        flowing = self.last_packet_s is not None and now_s - self.last_packet_s < FLOWING_S
        if self._on_frame is not None:
            if now_s >= self._burst_end_s:
                self._end_burst(now_s)
            elif self._sequence is not None and not self._sequence.broken:
                return Feedback(missing=self._missing(now_s))
        if self.requests.poll(now_s, flowing):
            self.tally.requested += 1
            return Feedback(keyframe=True, missing=self._missing(now_s))
        return Feedback(missing=self._missing(now_s))

    def next_s(self, now_s: float) -> float:
        """When `poll` would do something."""
        return now_s + ATTENTIVE_S if self.bursting else self.requests.next_s(now_s)

    def restart(self, now_s: float) -> None:
        """Another source goes on in this one's place."""
        self.requests.restart(now_s)
        self._assembler = self._sequence = None
        self._newest = self._decrypted = 0
        self._peeked = -1
        self._nack_s = self._keyframe = None
        self._on_restart()

    def _wait_for_keyframe(
        self, source: KeyframeAssembler | FrameSequence, packet: RtpPacket, arrival_s: float
    ) -> None:
        """While packets of a keyframe come, it is neither asked for again nor shut out."""
        if packet.timestamp != self._keyframe:
            if not source.starts_keyframe(packet.payload):
                return
            self._keyframe, self._keyframe_s = packet.timestamp, arrival_s
        if arrival_s - self._keyframe_s < MAX_KEYFRAME_S:
            self.requests.started(arrival_s)

    def _received(self, arrival_s: float) -> None:
        self._keyframe = None
        self.tally.received += 1
        self.requests.received(arrival_s)

    def _missing(self, now_s: float) -> tuple[int, ...]:
        source = self._assembler if self._on_frame is None else self._sequence
        if source is None or not self.wants_repair:
            return ()
        missing = source.missing()
        if not missing:
            self._nack_s = None
            return ()
        if self._nack_s is None:
            self._nack_s = now_s + NACK_FIRST_S
        if now_s < self._nack_s:
            return ()
        self._nack_s = now_s + NACK_AGAIN_S
        return tuple(sequence & 0xFFFF for sequence in missing)

    def _burst_packet(
        self,
        on_frame: Callable[[Frame, float], bool],
        codec: VideoCodec,
        packet: RtpPacket,
        arrival_s: float,
    ) -> None:
        sequence = self._sequence
        if sequence is None or sequence.codec != codec:
            sequence = self._sequence = FrameSequence(codec)
        if sequence.broken:
            self._wait_for_keyframe(sequence, packet, arrival_s)
        try:
            frames = sequence.add(packet)
        except ValueError:
            return
        for frame in frames:
            if frame.key:
                self._received(arrival_s)
            if not on_frame(frame, arrival_s):
                self._sequence = None
                self.requests.hurry(arrival_s)
                return

    def _end_burst(self, now_s: float) -> None:
        self._on_frame = self._sequence = self._assembler = None
        self._nack_s = None
        if not self.requests.unanswered:
            self.requests.received(now_s)
