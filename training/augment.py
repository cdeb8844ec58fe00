"""Small changes to what a model reads in training, made while it trains. What takes long (codecs,
rooms, noise) is done once, when data are prepared: see `training.effects`.

All draw from the generator they are given, so that a sample depends on its seed alone.
"""

from typing import Final

import cv2
import numpy as np

from training.recipe import AugmentRecipe
from vfd.types import FACE_SIZE_PX, SAMPLE_RATE_HZ, WINDOW_SAMPLES, Audio, Rgb

MIN_SPEECH_S: Final = 0.6  # half of what the monitor needs to score at all
PACKET_SAMPLES: Final = SAMPLE_RATE_HZ * 20 // 1000  # Opus as calls send it
MAX_LOSS: Final = 0.2  # share of packets; beyond it the monitor abstains
MEAN_BURST_PACKETS: Final = 2.5
MAX_GAIN: Final = 0.15  # of each colour, about mid grey; and of all together
MAX_GAMMA: Final = 1.4


def voice_window(audio: Audio, recipe: AugmentRecipe, rng: np.random.Generator) -> Audio:
    """Three seconds from somewhere in `audio` (n,), float32 in [-1, 1] at 16 kHz; (48000,).

    What is shorter is repeated.
    """
    start = int(rng.integers(max(0, len(audio) - WINDOW_SAMPLES) + 1))
    window = np.resize(audio[start : start + WINDOW_SAMPLES], WINDOW_SAMPLES)
    if rng.random() < recipe.short_speech:
        window = interrupt(window, rng)
    if rng.random() < recipe.packet_loss:
        window = lose_packets(window, rng)
    return window


def first_window(audio: Audio) -> Audio:
    """The unchanged counterpart of `voice_window`, for validation: the first three seconds."""
    return np.resize(audio[:WINDOW_SAMPLES], WINDOW_SAMPLES)


def interrupt(window: Audio, rng: np.random.Generator) -> Audio:
    """MIN_SPEECH_S to 3 s of it; the rest is one pause in the middle, or silence at the ends."""
    kept = int(rng.uniform(MIN_SPEECH_S * SAMPLE_RATE_HZ, WINDOW_SAMPLES))
    since = (np.arange(WINDOW_SAMPLES) - rng.integers(WINDOW_SAMPLES)) % WINDOW_SAMPLES
    return np.where(since < kept, window, np.float32(0))


def lose_packets(window: Audio, rng: np.random.Generator) -> Audio:
    """Holes of whole 20 ms packets, at a rate of up to MAX_LOSS, in bursts (Gilbert, 1960)."""
    loss = rng.uniform(0, MAX_LOSS)
    end = 1 / MEAN_BURST_PACKETS
    begin = loss * end / (1 - loss)
    draws = rng.random(len(window) // PACKET_SAMPLES)
    lost = np.empty(len(draws), dtype=bool)
    losing = False
    for packet, draw in enumerate(draws):
        losing = draw >= end if losing else draw < begin
        lost[packet] = losing
    result = window.copy()
    result[: len(lost) * PACKET_SAMPLES].reshape(-1, PACKET_SAMPLES)[lost] = 0
    return result


def face_crop(crop: Rgb, recipe: AugmentRecipe, rng: np.random.Generator) -> Rgb:
    """(224, 224, 3) uint8: moved and scaled as landmarks wander, mirrored, in another light."""
    crop = jitter(crop, recipe.shift_px, recipe.zoom, rng)
    if rng.random() < recipe.flip:
        crop = np.ascontiguousarray(crop[:, ::-1])
    if rng.random() < recipe.colour:
        crop = light_and_colour(crop, rng)
    return crop


def jitter(crop: Rgb, shift_px: int, zoom: float, rng: np.random.Generator) -> Rgb:
    """Moved by up to `shift_px` and scaled by up to 1 +- `zoom`; the edge is repeated."""
    right, down = rng.integers(-shift_px, shift_px + 1, 2)
    scale = 1 + zoom * rng.uniform(-1, 1)
    middle = FACE_SIZE_PX / 2
    matrix = np.array(
        [[scale, 0, right + middle * (1 - scale)], [0, scale, down + middle * (1 - scale)]]
    )
    mode = cv2.INTER_NEAREST if zoom == 0 else cv2.INTER_LINEAR
    size = (FACE_SIZE_PX, FACE_SIZE_PX)
    moved = cv2.warpAffine(crop, matrix, size, flags=mode, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


def light_and_colour(crop: Rgb, rng: np.random.Generator) -> Rgb:
    """Another gain for each colour, brightness, and contrast curve."""
    gamma = MAX_GAMMA ** rng.uniform(-1, 1)
    gain = 1 + MAX_GAIN * rng.uniform(-1, 1, 3)
    offset = MAX_GAIN * rng.uniform(-1, 1)
    levels = np.linspace(0, 1, 256)[:, None] ** gamma
    curve = ((levels - 0.5) * gain + 0.5 + offset / 2) * 255
    table = np.clip(np.round(curve), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(crop, table[:, None, :]), dtype=np.uint8)
