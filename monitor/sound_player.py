"""Plays packets of one stream in their order: unbroken runs of sound, and what lies between."""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from monitor.packet_order import Due, Gap, SoundPacket
from monitor.sound_codecs import SUPPRESSED_S, SoundDecoder, SoundError, sound_decoder
from vfd.types import SAMPLE_RATE_HZ, Audio

_NOWHERE: Final = -1


class Piece(NamedTuple):
    """Sound from `time_s` on, on the monitor's clock; `samples` float32 in [-1, 1] at 16 kHz. None:
    silence that the sender suppressed, of `duration_s`."""

    time_s: float
    samples: Audio | None
    duration_s: float


class SoundPlayer:
    """Holds the decoder of one stream, and where its sound has got to. Times inside are ticks of
    the stream's clock, extended."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._decoder: SoundDecoder | None = None
        self._next = _NOWHERE  # where unbroken sound would go on
        self._run_start = 0
        self._run_samples = 0  # of the run, given away already
        self._parts: list[Audio] = []
        self._quiet_from = 0  # the silence that the last packet announced
        self._quiet_until = 0
        self._pieces: list[Piece] = []
        self._offset_s = 0.0

    def play(self, dues: Iterable[Due], before: float, offset_s: float) -> list[Piece]:
        """Decodes `dues`; `before`: up to where packets are due; infinite when there will
        be no more. Stream time + `offset_s` is the
        monitor's time."""
        # Whole samples, or rounding might tear neighbours apart.
        self._offset_s = round(offset_s * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        for due in dues:
            self._bridge(due)
            self._decode(due.start, due.packet)
        if math.isinf(before):
            self._begin_run(_NOWHERE)
        else:
            self._emit()
            self._silence(self._quiet_from, min(int(before), self._quiet_until))
        pieces, self._pieces = self._pieces, []
        return pieces

    def _bridge(self, due: Due) -> None:
        """Fills the gap before `due` with what is known about it."""
        if due.gap is Gap.PAUSE:
            gap_start = due.start - due.gap_ticks
            limit = gap_start + round(SUPPRESSED_S * self._rate_hz)
            if due.start <= max(limit, self._quiet_until):
                self._silence(gap_start, due.start)
        elif due.gap is Gap.LOSS and self._decoder is not None:
            recovered = self._decoder.recover(due.packet.payload)
            if recovered is None:
                self._decoder.conceal()
                return
            recovered = recovered[max(0, len(recovered) - self._samples(due.gap_ticks)) :]
            self._begin_run(due.start - self._ticks(len(recovered)))
            self._parts.append(recovered)
            self._next = due.start

    def _decode(self, start: int, packet: SoundPacket) -> None:
        end = start + packet.ticks
        quiet_s = packet.codec.announced_silence_s(packet.payload)
        self._quiet_from, self._quiet_until = end, end + round(quiet_s * self._rate_hz)
        if packet.codec.is_comfort_noise:
            self._begin_run(end)
            return
        if self._decoder is None:
            self._decoder = sound_decoder(packet.codec)
        if start != self._next:
            self._begin_run(start)
        try:
            self._parts.append(self._decoder.decode(packet.payload))
            self._next = end
        except SoundError:
            self._next = _NOWHERE

    def _begin_run(self, start: int) -> None:
        if self._decoder is not None and (self._parts or self._run_samples):
            self._parts.append(self._decoder.finish())
        self._emit()
        self._run_start, self._run_samples = start, 0

    def _emit(self) -> None:
        """Gives away what the run has so far."""
        if not self._parts:
            return
        samples = np.clip(np.concatenate(self._parts), -1.0, 1.0)
        self._parts.clear()
        time_s = self._time_s(self._run_start) + self._run_samples / SAMPLE_RATE_HZ
        self._run_samples += len(samples)
        if len(samples):
            self._pieces.append(Piece(time_s, samples, len(samples) / SAMPLE_RATE_HZ))

    def _silence(self, start: int, end: int) -> None:
        if end > start:
            self._pieces.append(Piece(self._time_s(start), None, (end - start) / self._rate_hz))

    def _time_s(self, ticks: int) -> float:
        return ticks / self._rate_hz + self._offset_s

    def _samples(self, ticks: int) -> int:
        return ticks * SAMPLE_RATE_HZ // self._rate_hz

    def _ticks(self, samples: int) -> int:
        return samples * self._rate_hz // SAMPLE_RATE_HZ
