"""Keeps what a real browser sends to a service, for tests of the receiver."""

import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from monitor import keyframe_media, receiving
from monitor.keyframe_media import KeyframeMedia
from monitor.rtp_session import RtpSession
from monitor.sessions import Session
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.types import SAMPLE_RATE_HZ, Audio, Face, Reason, Rgb

AUDIO_PACKET_S = 0.02
HOP_S = 1.0


@dataclass
class Kept:
    """Times are of the monotonic clock. `heard_s`: how much sound was written into buffers."""

    media: list[KeyframeMedia] = field(default_factory=list)
    datagrams: list[tuple[float, int]] = field(default_factory=list)
    pictures: list[tuple[float, Rgb]] = field(default_factory=list)
    heard_s: float = 0.0

    def bitrate_bps(self, start_s: float, end_s: float) -> float:
        octets = sum(size for at_s, size in self.datagrams if start_s <= at_s < end_s)
        return 8 * octets / (end_s - start_s)

    @property
    def asked_and_answered(self) -> tuple[int, int]:
        """Requests for keyframes, and keyframes, of the only participant."""
        (media,) = self.media
        return media.video.requests.sent, media.video.tally.received

    @property
    def audio_packets(self) -> tuple[int, int]:
        """Received and lost, of the only participant."""
        (media,) = self.media
        assert media.rtp is not None
        (source,) = [s for s in media.rtp._sources.values() if s.kind == "audio"]
        return source.reception.received, source.reception.lost

    def sound_is_complete(self) -> bool:
        """Every packet was heard but for those of the hop that the end of the call cut off. A fake
        microphone on a busy machine may make less than a second of sound a second."""
        received, lost = self.audio_packets
        unheard_s = received * AUDIO_PACKET_S - self.heard_s
        return lost == 0 and abs(unheard_s) <= HOP_S + AUDIO_PACKET_S


class KeepingFinder(FaceFinder):
    """Keeps every picture that it looks at."""

    def __init__(self, kept: Kept) -> None:
        super().__init__(MtcnnDetector())
        self._kept = kept

    def alone(self, rgb: Rgb) -> Face | Reason:
        self._kept.pictures.append((time.monotonic(), rgb))
        return super().alone(rgb)


def keep_media(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """From now on services keep what is sent to them."""
    kept = Kept()

    class KeptMedia(KeyframeMedia):
        def __init__(self, session: Session, *args: Any) -> None:  # noqa: ANN401
            super().__init__(session, *args)
            kept.media.append(self)
            write_audio = session.buffer.write_audio

            def count_and_write(time_s: float, samples: Audio) -> None:
                kept.heard_s += len(samples) / SAMPLE_RATE_HZ
                write_audio(time_s, samples)

            monkeypatch.setattr(session.buffer, "write_audio", count_and_write)

    class WeighedSession(RtpSession):
        def datagram(self, data: bytes, arrival_s: float) -> None:
            kept.datagrams.append((arrival_s, len(data)))
            super().datagram(data, arrival_s)

    monkeypatch.setattr(receiving, "KeyframeMedia", KeptMedia)
    monkeypatch.setattr(keyframe_media, "RtpSession", WeighedSession)
    return kept
