"""Sound from packets: ordered by time, decoded once a hop, placed on the monitor's clock.

Nothing waits for a packet that is missing: its time stays a hole, unless the packet after it
carries a copy, or it comes before its time is taken.
"""

import math
from collections.abc import Mapping
from typing import Final

from monitor.media_clock import MediaClock, StreamClock
from monitor.packet_order import PacketOrder, SoundPacket
from monitor.sound_codecs import AudioCodec
from monitor.sound_player import Piece, SoundPlayer

MAX_STREAMS: Final = 3
"""That ended and began within one hop; a sender that changes more often loses what came first."""


class AudioPath:
    """The sound of one participant. Belongs to the event loop.

    `codecs`: by payload type, read at every packet; packets of other types are ignored.
    """

    def __init__(self, codecs: Mapping[int, AudioCodec], clock: MediaClock) -> None:
        self._codecs = codecs
        self._clock = clock
        self._streams: list[_Stream] = []
        """The newest last; those before it have ended and are taken once more."""
        self._ended = True

    def packet(
        self,
        rtp_timestamp: int,
        sequence: int,
        payload_type: int,
        payload: bytes,
        arrival_s: float,
    ) -> None:
        """Takes what one packet carries, padding removed; 16-bit `sequence`, 32-bit
        `rtp_timestamp`. Broken packets count as lost."""
        codec = self._codecs.get(payload_type)
        if codec is None or not codec.supported:
            return
        ticks = codec.ticks(payload)
        if not ticks and not codec.is_comfort_noise:
            return
        stream = self._stream(codec)
        duration_s = ticks / codec.clock_rate_hz
        start = stream.clock.arrived(rtp_timestamp, arrival_s, duration_s)
        if stream.clock.jumped:
            self._ended = True
            stream = self._stream(codec)
            start = stream.clock.arrived(rtp_timestamp, arrival_s, duration_s)
        if start is not None:
            stream.order.put(start, SoundPacket(sequence, codec, ticks, payload))

    def reset(self) -> None:
        """The packets from now on are another stream's (SSRC): nothing connects them."""
        self._ended = True

    def take(self, end_s: float) -> list[Piece]:
        """Decodes what began before `end_s`; what comes later for that time is dropped. Some 1 ms
        of work for a second of speech."""
        pieces: list[Piece] = []
        for stream in self._streams:
            newest = stream is self._streams[-1]
            pieces += stream.take(end_s if newest else math.inf)
        del self._streams[:-1]
        return pieces

    def _stream(self, codec: AudioCodec) -> "_Stream":
        """The newest, or a new one where `codec` cannot go on with it."""
        if not self._ended and self._streams[-1].takes(codec):
            return self._streams[-1]
        self._clock.reset_audio(codec.clock_rate_hz)
        self._streams.append(_Stream(codec, self._clock.audio))
        del self._streams[:-MAX_STREAMS]
        self._ended = False
        return self._streams[-1]


class _Stream:
    """Packets whose timestamps belong together."""

    def __init__(self, codec: AudioCodec, clock: StreamClock) -> None:
        self.clock = clock
        self.order = PacketOrder()
        self._codec = codec
        self._player = SoundPlayer(clock.rate_hz)

    def takes(self, codec: AudioCodec) -> bool:
        """Comfort noise goes with any codec of its clock."""
        if codec is self._codec or codec == self._codec:
            return True
        if codec.clock_rate_hz != self._codec.clock_rate_hz:
            return False
        if self._codec.is_comfort_noise:
            self._codec = codec
            return True
        return codec.is_comfort_noise

    def take(self, end_s: float) -> list[Piece]:
        offset_s = self.clock.offset_s
        if offset_s is None:
            return []
        before = (end_s - offset_s) * self.clock.rate_hz
        return self._player.play(self.order.take(before), before, offset_s)
