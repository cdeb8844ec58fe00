"""A path that listens, and a tape of what it hears."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from monitor.audio_path import AudioPath
from monitor.media_clock import MediaClock
from monitor.sound_codecs import AudioCodec
from monitor.sound_player import Piece
from tests.fakes import voice
from tests.sounds import PACKET_S, opus_packets
from vfd.types import SAMPLE_RATE_HZ, Audio

OPUS, PCMU, CN, DTMF, G722 = 111, 0, 13, 126, 9
CODECS = {
    OPUS: AudioCodec("opus", 48_000, 2),
    PCMU: AudioCodec("PCMU", 8_000),
    CN: AudioCodec("CN", 8_000),
    G722: AudioCodec("G722", 8_000),
    DTMF: AudioCodec("telephone-event", 8_000),
}
START_S = 1_000.0
PACKET = round(PACKET_S * SAMPLE_RATE_HZ)
TIMESTAMP = (1 << 32) - 96_000  # wraps after 2 s of Opus
SEQUENCE = 65_500
SPEECH = opus_packets(voice(10.0))


@dataclass
class Listener:
    """A path, and everything that it placed, on a tape that begins at `START_S`."""

    path: AudioPath = field(default_factory=lambda: AudioPath(CODECS, MediaClock()))
    tape: Audio = field(default_factory=lambda: np.zeros(120 * SAMPLE_RATE_HZ, np.float32))
    received: np.ndarray = field(default_factory=lambda: np.zeros(120 * SAMPLE_RATE_HZ, bool))
    pieces: list[Piece] = field(default_factory=list)

    def send(
        self,
        number: int,
        payload: bytes,
        payload_type: int = OPUS,
        late_s: float = 0.0,
        sequence: int | None = None,
    ) -> None:
        """Packet `number` of a stream of 20 ms packets, sent in time."""
        ticks = 960 if payload_type == OPUS else 160
        self.path.packet(
            (TIMESTAMP + number * ticks) % (1 << 32),
            (SEQUENCE + (number if sequence is None else sequence)) % (1 << 16),
            payload_type,
            payload,
            START_S + (number + 1) * PACKET_S + late_s,
        )

    def take(self, second: float) -> list[Piece]:
        pieces = self.path.take(START_S + second)
        for piece in pieces:
            at = round((piece.time_s - START_S) * SAMPLE_RATE_HZ)
            place = slice(at, at + round(piece.duration_s * SAMPLE_RATE_HZ))
            self.tape[place] = 0.0 if piece.samples is None else piece.samples
            self.received[place] = True
        self.pieces += pieces
        return pieces

    def heard(self, number: int) -> float:
        """Share of packet `number` that was received."""
        return float(self.received[number * PACKET : (number + 1) * PACKET].mean())


def listen(packets: Sequence[bytes], lost: Callable[[int], bool] = lambda n: False) -> Listener:
    listener = Listener()
    for number, payload in enumerate(packets):
        if not lost(number):
            listener.send(number, payload)
        if number % 50 == 49:
            listener.take((number + 1) / 50)
    return listener
