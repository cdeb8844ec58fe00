"""What the decoders alone need for what the receiver put out: no network, no threads, no queues."""

import time
from collections.abc import Callable
from statistics import fmean
from typing import NamedTuple

from monitor.audio_path import AudioPath
from monitor.keyframe_assembly import Keyframe, KeyframeAssembler, VideoCodec
from monitor.keyframe_decoder import decode_keyframe
from monitor.media_clock import MediaClock
from monitor.rtp import RtpPacket
from monitor.sound_codecs import AudioCodec
from tests.bench_media import SECONDS, Media

REPEATS = 20
PAUSE_S = 0.25
KEYFRAMES = 5  # a repeat
PACKETS_A_SECOND = 50


class Floor(NamedTuple):
    """CPU milliseconds: one keyframe to RGB, one second of sound to 16 kHz."""

    keyframe_ms: float
    sound_ms: float


def floor(codec: VideoCodec, media: Media) -> Floor:
    """Means of `REPEATS`, the two in turns, over some seconds: a neighbour on the same core makes
    everything slower by half for seconds on end, and the row beside it is a mean as well."""
    keyframe = keyframe_of(codec, media.video[0])
    path = AudioPath({96: AudioCodec("opus", 48_000, 2)}, MediaClock())
    keyframes, sounds = [], []
    for repeat in range(REPEATS):
        keyframes.append(_cpu_ms(lambda: [_decode(keyframe) for _ in range(KEYFRAMES)]) / KEYFRAMES)
        sounds.append(sum(_second(path, media, repeat * SECONDS + n) for n in range(SECONDS)))
        time.sleep(PAUSE_S)
    return Floor(fmean(keyframes), fmean(sounds) / SECONDS)


def keyframe_of(codec: VideoCodec, payloads: list[bytes]) -> Keyframe:
    assembler = KeyframeAssembler(codec)
    last = len(payloads) - 1
    found = [
        assembler.add(RtpPacket(number + 1, 0, 97, number == last, payload))
        for number, payload in enumerate(payloads)
    ]
    assert found[-1] is not None
    return found[-1]


def _decode(keyframe: Keyframe) -> None:
    assert decode_keyframe(keyframe) is not None


def _second(path: AudioPath, media: Media, second: int) -> float:
    for number in range(second * PACKETS_A_SECOND, (second + 1) * PACKETS_A_SECOND):
        payload = media.audio[number % len(media.audio)]
        path.packet(number * 960, number % 65_536, 96, payload, (number + 1) * 0.02)
    return _cpu_ms(lambda: path.take(second + 1.0))


def _cpu_ms(work: Callable[[], object]) -> float:
    start_s = time.process_time()
    work()
    return (time.process_time() - start_s) * 1e3
