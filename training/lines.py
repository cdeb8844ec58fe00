"""What a clip may go through on its way through a call: room, noise, codecs, scaling, loss.

A line is a range of all that; what one clip gets is drawn from it as `settings`, which are kept
with the clip, so that accuracy can be told apart by them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from training import effects
from training.clips import RECORDED, Split
from training.codecs import (
    decode_h264,
    decode_opus,
    decode_vp8,
    encode_h264,
    encode_opus,
    encode_vp8,
)
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

Settings = dict[str, float | str]

_NAMES: Final = {"vp8": "VP8", "h264": "H.264"}
_REFERENCE_PX: Final = 640 * 360  # the picture that bit rates are stated for
_MIN_BIT_RATE: Final = 30_000  # libvpx gives up below
_MAX_HEIGHT_PX: Final = 720  # no call sends more
_OPUS_SAMPLES: Final = SAMPLE_RATE_HZ // 50
_LOSS_RUN: Final = 2.5  # packets lost together, on average


@dataclass(frozen=True, slots=True)
class Line:
    """Rates in bits a second, for a picture of 640 by 360 (others in proportion), drawn evenly on
    a logarithmic scale. `scale` of the picture's sides. `pictures` are sent before and with the
    one that is kept: the rate control of VP8 starts coarse and needs some ten to settle.
    `complexity` of the Opus encoder, 0 to 10. `loss`: share of the Opus packets that never come.
    `room`, `noise`, `suppression`: how often the sound goes through each."""

    name: str
    video_codecs: tuple[str, ...]
    video_bit_rate: tuple[int, int]
    audio_bit_rate: tuple[int, int]
    pictures: int
    complexity: int
    scale: tuple[float, float] = (1.0, 1.0)
    loss: tuple[float, float] = (0.0, 0.0)
    room: float = 0.0
    noise: float = 0.0
    suppression: float = 0.0


CALL: Final = Line("call", ("vp8",), (500_000, 500_000), (32_000, 32_000), 10, 10)
"""What accuracy is stated for, and what thresholds are fitted on."""
LOW_RATE: Final = Line(
    "low-rate", ("vp8", "h264"), (120_000, 200_000), (8_000, 12_000), 10, 10, loss=(0.02, 0.05)
)
"""Rates that no training line has."""


def training_line(number: int) -> Line:
    """The `number`-th, from 1; they differ in name alone.

    Two pictures a clip, because coding costs more than all else. Its rates reach higher than a
    call's: what two pictures look like at 2 Mbit/s a call reaches at 500 kbit/s once it has
    settled."""
    return Line(
        f"train-{number}",
        ("vp8", "h264"),
        (300_000, 3_000_000),
        (16_000, 64_000),
        pictures=2,
        complexity=2,
        scale=(0.6, 1.0),
        loss=(0.0, 0.08),
        room=0.25,
        noise=0.25,
        suppression=0.25,
    )


def lines_of(split: Split, training_variants: int) -> tuple[Line, ...]:
    """What clips of a split go through, beside being kept as recorded."""
    match split:
        case Split.TRAIN:
            return tuple(training_line(n) for n in range(1, training_variants + 1))
        case Split.VALIDATION:
            return (CALL,)
        case Split.TEST:
            return (CALL, LOW_RATE)


def in_words(name: str) -> str:
    """A sentence on the codecs of a line that tests go through; "" for any other name."""
    if name == RECORDED:
        return "As recorded, through no codec."
    line = next((line for line in (CALL, LOW_RATE) if line.name == name), None)
    if line is None:
        return ""
    video = " or ".join(_NAMES[codec] for codec in line.video_codecs)
    lost = f", of which {_span(line.loss, 0.01)} % are lost" if any(line.loss) else ""
    return (
        f"Pictures went through {video} at {_span(line.video_bit_rate, 1e3)} kbit/s (640 by 360; "
        f"others in proportion), voices through Opus at {_span(line.audio_bit_rate, 1e3)} kbit/s"
        f"{lost}."
    )


def draw_settings(line: Line, rng: np.random.Generator) -> Settings:
    """What one clip gets."""
    return {
        "video_codec": str(rng.choice(line.video_codecs)),
        "video_bit_rate": _rate(line.video_bit_rate, rng),
        "scale": float(rng.uniform(*line.scale)),
        "audio_bit_rate": _rate(line.audio_bit_rate, rng),
        "complexity": line.complexity,
        "loss": float(rng.uniform(*line.loss)),
        "room": int(rng.random() < line.room),
        "noise": int(rng.random() < line.noise),
        "suppression": int(rng.random() < line.suppression),
    }


def send_pictures(run: Sequence[Rgb], settings: Settings) -> Rgb:
    """The last picture of `run`, as received; a little smaller than it was, if so set."""
    small = [_scaled(picture, float(settings["scale"])) for picture in run]
    share = small[0].shape[0] * small[0].shape[1] / _REFERENCE_PX
    bit_rate = max(_MIN_BIT_RATE, round(float(settings["video_bit_rate"]) * share))
    if settings["video_codec"] == "h264":
        return decode_h264(encode_h264(small, bit_rate))[-1]
    return decode_vp8(encode_vp8(small, bit_rate))[-1]


def send_voice(sound: Audio, settings: Settings, rng: np.random.Generator) -> Audio:
    """`sound` as received: of the same length, lost packets are silence."""
    for name, effect in (
        ("room", effects.room),
        ("noise", effects.noise),
        ("suppression", effects.suppress_noise),
    ):
        if settings[name]:
            sound = effect(sound, rng)
    packets = encode_opus(sound, int(settings["audio_bit_rate"]), int(settings["complexity"]))
    kept = ~_lost(len(packets), float(settings["loss"]), rng)
    arrived = decode_opus([packet for packet, here in zip(packets, kept, strict=True) if here])
    received = np.zeros((len(packets), _OPUS_SAMPLES), np.float32)
    whole = np.zeros(int(kept.sum()) * _OPUS_SAMPLES, np.float32)
    whole[: len(arrived)] = arrived[: len(whole)]
    received[kept] = whole.reshape(-1, _OPUS_SAMPLES)
    return received.reshape(-1)[: len(sound)]


def _lost(
    packets: int, share: float, rng: np.random.Generator
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which packets are lost: `share` of them, in runs (Gilbert's model); the first never is."""
    lost = np.zeros(packets, np.bool_)
    leave = 1 / _LOSS_RUN
    enter = share * leave / max(1 - share, 1e-6)
    for index in range(1, packets):
        lost[index] = rng.random() < (1 - leave if lost[index - 1] else enter)
    return lost


def _scaled(picture: Rgb, scale: float) -> Rgb:
    """Sides even, as codecs want them."""
    height, width = picture.shape[:2]
    scale = min(scale, _MAX_HEIGHT_PX / height)
    size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    if size == (width, height):
        return picture
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _span(ends: tuple[float, float], unit: float) -> str:
    low, high = (f"{end / unit:g}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _rate(ends: tuple[int, int], rng: np.random.Generator) -> int:
    return round(float(np.exp(rng.uniform(*np.log(ends)))))
