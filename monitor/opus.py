"""libopus, called directly: sound straight at 16 kHz mono, and the forward error correction that
FFmpeg's wrapper never decodes.

The library is the one inside PyAV's wheel, or the system's. A self-test decides whether it is used.
"""

import ctypes
import logging
from functools import cache
from pathlib import Path
from typing import Final

import av
import numpy as np

from vfd.types import SAMPLE_RATE_HZ, Audio

OPUS_RATE_HZ: Final = 48_000
"""The RTP clock of Opus, whatever it carries (RFC 7587 section 4.1)."""
MAX_PACKET_TICKS: Final = 5_760
"""120 ms (RFC 6716 section 3.2.5)."""
_MAX_SAMPLES: Final = MAX_PACKET_TICKS * SAMPLE_RATE_HZ // OPUS_RATE_HZ
_CONCEALED_SAMPLES: Final = SAMPLE_RATE_HZ // 50
_SILK_TICKS: Final = (480, 960, 1_920, 2_880)
_HYBRID_TICKS: Final = (480, 960)
_CELT_TICKS: Final = (120, 240, 480, 960)
_FRAME_TICKS: Final = (*_SILK_TICKS * 3, *_HYBRID_TICKS * 2, *_CELT_TICKS * 4)
"""Length of one frame by the five configuration bits (RFC 6716 section 3.1, table 2)."""
_TONE: Final = bytes.fromhex("0b01a511f07732aa5e4dacc6abc7d972f8cbf630")
"""20 ms of a 440 Hz tone at 8 kbit/s, for the self-test."""

logger = logging.getLogger(__name__)


class OpusError(ValueError):
    """A packet that is not Opus, or a library that is not libopus."""


def packet_ticks(packet: bytes) -> int:
    """How long `packet` plays, in ticks of 1/48000 s; 0 if it cannot be Opus (RFC 6716 3.2)."""
    if not packet:
        return 0
    frame, code = _FRAME_TICKS[packet[0] >> 3], packet[0] & 3
    if code == 3:
        ticks = frame * (packet[1] & 0x3F) if len(packet) > 1 else 0
        return ticks if ticks <= MAX_PACKET_TICKS else 0
    return frame if code == 0 else 2 * frame


class OpusDecoder:
    """The decoder of one stream; packets in their order. Not for two threads at a time."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        error = ctypes.c_int()
        self._state = library.opus_decoder_create(SAMPLE_RATE_HZ, 1, ctypes.byref(error))
        if not self._state:
            raise OpusError(f"libopus made no decoder (error {error.value})")
        self._samples: Audio = np.zeros(_MAX_SAMPLES, np.float32)
        self._address = self._samples.ctypes.data

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_decoder_destroy(self._state)

    def decode(self, packet: bytes) -> Audio:
        """The sound of `packet` at 16 kHz; loud sound may exceed [-1, 1] a little. Raises OpusError
        for a broken packet."""
        return self._decode(packet, _MAX_SAMPLES, correct=0)

    def recover(self, packet: bytes) -> Audio | None:
        """The frame before `packet`, which was lost, from the coarse copy in `packet`; None if it
        carries none. Wants to be called before `packet` itself is decoded."""
        if self._library.opus_packet_has_lbrr(packet, len(packet)) != 1:
            return None
        samples = _FRAME_TICKS[packet[0] >> 3] * SAMPLE_RATE_HZ // OPUS_RATE_HZ
        return self._decode(packet, samples, correct=1)

    def conceal(self) -> None:
        """Something was lost for good. What the decoder makes up for it is thrown away, but what
        comes next fits to it better: without error correction the correlation with the source was
        0.93 instead of 0.90 at 10 % loss. More than one frame of it gains nothing."""
        self._decode(None, _CONCEALED_SAMPLES, correct=0)

    def _decode(self, packet: bytes | None, limit: int, correct: int) -> Audio:
        size = 0 if packet is None else len(packet)
        count = self._library.opus_decode_float(
            self._state, packet, size, self._address, limit, correct
        )
        if count < 0:
            raise OpusError(f"not an Opus packet (libopus error {count})")
        return self._samples[:count].copy()


@cache
def opus_library() -> ctypes.CDLL | None:
    """libopus, if there is one that passes its self-test."""
    bundled = Path(av.__file__).parent.parent / "av.libs"
    for name in (*map(str, sorted(bundled.glob("libopus-*.so*"))), "libopus.so.0"):
        try:
            library = _declare(ctypes.CDLL(name))
            _self_test(library)
        except (OSError, AttributeError, OpusError) as error:
            logger.info("libopus not usable", extra={"library": name, "error": str(error)})
        else:
            return library
    logger.warning("no usable libopus: lost sound is not recovered")
    return None


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Raises AttributeError if a function is missing (`opus_packet_has_lbrr` came with 1.5)."""
    integer, pointer, text = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
    library.opus_decoder_create.restype = pointer
    library.opus_decoder_create.argtypes = [ctypes.c_int32, integer, pointer]
    library.opus_decoder_destroy.restype = None
    library.opus_decoder_destroy.argtypes = [pointer]
    library.opus_decode_float.restype = integer
    library.opus_decode_float.argtypes = [pointer, text, ctypes.c_int32, pointer, integer, integer]
    library.opus_packet_has_lbrr.restype = integer
    library.opus_packet_has_lbrr.argtypes = [text, ctypes.c_int32]
    return library


def _self_test(library: ctypes.CDLL) -> None:
    """Raises OpusError unless a tone comes out as one."""
    decoder = OpusDecoder(library)
    for _ in range(2):  # the first still swings in
        tone = decoder.decode(_TONE)
    if len(tone) != _CONCEALED_SAMPLES or not 0.1 < float(np.abs(tone).max()) <= 1.0:
        raise OpusError(f"a tone came out as {len(tone)} samples of silence or noise")
    if decoder.recover(_TONE) is not None:
        raise OpusError("an error correction was found where there is none")
