"""Payloads of sound to 16 kHz mono: Opus, G.711 and G.722."""

from dataclasses import dataclass, field
from typing import Final, Protocol

import av
import numpy as np

from monitor.mono import MonoResampler
from monitor.opus import OPUS_RATE_HZ, OpusDecoder, OpusError, opus_library, packet_ticks
from vfd.types import Audio

_COMFORT_NOISE: Final = "cn"
_OPUS: Final = "opus"
_FFMPEG_NAMES: Final = {_OPUS: "libopus", "pcmu": "pcm_mulaw", "pcma": "pcm_alaw", "g722": "g722"}
_NARROW_RATE_HZ: Final = 8_000
_G722_RATE_HZ: Final = 16_000
SUPPRESSED_S: Final = 0.5
"""Opus sends at least every 400 ms while it suppresses silence."""
COMFORT_NOISE_S: Final = 3.0
"""How often comfort noise is renewed is left to the sender (RFC 3389 section 4); who sends nothing
for longer may as well be gone."""
_DTX_BYTES: Final = 2
"""An Opus packet this short says that there is nothing to say (RFC 6716 section 3.1)."""
_NOTHING: Final = np.zeros(0, np.float32)


class SoundError(ValueError):
    """A payload that its codec does not take."""


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """As negotiated in SDP; `name` in any case."""

    name: str
    clock_rate_hz: int
    channels: int = 1
    key: str = field(init=False)
    is_comfort_noise: bool = field(init=False)
    supported: bool = field(init=False)
    """G.722 counts time at 8 kHz for historical reasons (RFC 3551 section 4.5.2)."""

    def __post_init__(self) -> None:
        key = self.name.lower()
        named = key in _FFMPEG_NAMES or key == _COMFORT_NOISE
        narrow = self.clock_rate_hz == _NARROW_RATE_HZ and self.channels == 1
        fits = self.clock_rate_hz == OPUS_RATE_HZ if key == _OPUS else narrow
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "is_comfort_noise", key == _COMFORT_NOISE)
        object.__setattr__(self, "supported", named and fits)

    def ticks(self, payload: bytes) -> int:
        """How much of the stream's time `payload` fills; 0 for comfort noise and broken packets.
        G.711 and G.722 have one byte a tick."""
        if self.key == _OPUS:
            return packet_ticks(payload)
        return 0 if self.is_comfort_noise else len(payload)

    def announced_silence_s(self, payload: bytes) -> float:
        """How long the sender may send nothing after this packet because there is nothing to say;
        0 if it does not announce that."""
        if self.is_comfort_noise:
            return COMFORT_NOISE_S
        return SUPPRESSED_S if self.key == _OPUS and len(payload) <= _DTX_BYTES else 0.0


class SoundDecoder(Protocol):
    """Packets of one stream in their order, to float32 at 16 kHz that may exceed [-1, 1] a little.
    Not for two threads at a time."""

    def decode(self, payload: bytes) -> Audio:
        """What is complete with `payload`; a filter may keep some back. Raises SoundError."""
        ...

    def recover(self, payload: bytes) -> Audio | None:
        """What `payload` knows of the lost packet right before it; called before `decode`."""
        ...

    def finish(self) -> Audio:
        """What was kept back: the run of unbroken sound ends here."""
        ...

    def conceal(self) -> None:
        """Something was lost between the last run and what comes now."""
        ...


def sound_decoder(codec: AudioCodec) -> SoundDecoder:
    """For a supported codec other than comfort noise."""
    library = opus_library() if codec.key == _OPUS else None
    return _FfmpegSound(codec) if library is None else _OpusSound(OpusDecoder(library))


class _OpusSound:
    def __init__(self, decoder: OpusDecoder) -> None:
        self._decoder = decoder
        self.conceal = decoder.conceal

    def decode(self, payload: bytes) -> Audio:
        try:
            return self._decoder.decode(payload)
        except OpusError as error:
            raise SoundError(str(error)) from error

    def recover(self, payload: bytes) -> Audio | None:
        try:
            return self._decoder.recover(payload)
        except OpusError:
            return None

    def finish(self) -> Audio:
        return _NOTHING


class _FfmpegSound:
    """What libopus does not decode, or all of it where libopus cannot be called."""

    def __init__(self, codec: AudioCodec) -> None:
        decoder = av.CodecContext.create(_FFMPEG_NAMES[codec.key], "r")
        assert isinstance(decoder, av.AudioCodecContext)
        self._decoder = decoder
        self._decoder.sample_rate = _G722_RATE_HZ if codec.key == "g722" else codec.clock_rate_hz
        self._decoder.layout = "mono"
        self._resampler = MonoResampler()

    def decode(self, payload: bytes) -> Audio:
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise SoundError(f"not a packet of {self._decoder.name}: {error}") from error
        parts = [part for frame in frames for part in self._resampler.push(frame)]
        return np.concatenate(parts) if parts else _NOTHING

    def recover(self, payload: bytes) -> Audio | None:
        return None

    def finish(self) -> Audio:
        parts = self._resampler.push(None)
        self._resampler = MonoResampler()
        return np.concatenate(parts) if parts else _NOTHING

    def conceal(self) -> None:
        """These codecs start over by themselves."""
