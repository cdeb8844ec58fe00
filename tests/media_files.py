"""Encodes small media files with PyAV, in the forms that recordings come in."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

FPS = 10
Hole = tuple[float, float]


@dataclass(frozen=True)
class SoundForm:
    codec: str = "aac"
    rate: int = 44_100
    layout: str = "stereo"


AAC = SoundForm()
OPUS = SoundForm("libopus", 48_000, "mono")
TELEPHONE = SoundForm("pcm_mulaw", 8_000, "mono")
PCM_8K = SoundForm("pcm_s16le", 8_000, "mono")


def grey(level: int, width: int = 64, height: int = 48) -> Rgb:
    return np.full((height, width, 3), level, np.uint8)


def encode(
    path: Path,
    *,
    picture: Callable[[float], Rgb] | None = None,
    picture_s: float = 0.0,
    sound: Audio | None = None,
    form: SoundForm = AAC,
    sound_at_s: float = 0.0,
    hole: Hole | None = None,
    rotation: int = 0,
    codec: str = "mpeg4",
    codec_options: dict[str, str] | None = None,
) -> Path:
    """`picture(time_s)` for `picture_s` seconds at FPS; `sound` at 16 kHz mono from `sound_at_s`,
    without the samples whose time lies in `hole`."""
    with av.open(str(path), "w") as container:
        video = audio = None
        if picture is not None:
            first = picture(0.0)
            video = container.add_stream(codec, rate=FPS, options=codec_options or {})
            video.height, video.width = first.shape[:2]
            video.pix_fmt = "yuv420p"
            video.bit_rate = 2_000_000
            if rotation:
                video.set_display_rotation(rotation)
        if sound is not None:
            audio = container.add_stream(form.codec, rate=form.rate, layout=form.layout)
        if video is not None and picture is not None:
            for index in range(round(picture_s * FPS)):
                frame = av.VideoFrame.from_ndarray(picture(index / FPS), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, FPS)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if audio is not None and sound is not None:
            _encode_sound(container, audio, sound, form, sound_at_s, hole)
    return path


def _encode_sound(
    container: av.container.OutputContainer,
    stream: av.AudioStream,
    sound: Audio,
    form: SoundForm,
    start_s: float,
    hole: Hole | None,
) -> None:
    packets = []
    resampler = av.AudioResampler(format="s16", layout=form.layout, rate=form.rate)
    fifo = av.AudioFifo()
    whole = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="flt", layout="mono")
    whole.sample_rate, whole.pts = SAMPLE_RATE_HZ, 0
    for frame in [*resampler.resample(whole), *resampler.resample(None)]:
        fifo.write(frame)
    at = 0
    size = stream.frame_size or form.rate // 50
    while (frame := fifo.read(size, partial=True)) is not None:
        time_s = at / form.rate
        at += frame.samples
        if hole is not None and hole[0] <= time_s < hole[1]:
            continue
        frame.time_base = Fraction(1, form.rate)
        frame.pts = round((start_s + time_s) * form.rate)
        packets += stream.encode(frame)
    packets += stream.encode(None)
    for packet in packets:
        container.mux(packet)
