"""Finds where in media, known sample by sample, something that was received comes from."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

BLOCK = SAMPLE_RATE_HZ // 2
MAX_SLIP = SAMPLE_RATE_HZ // 20
MIN_LIKENESS = 0.75  # of a block, to be sure of its place: less, and it may be a pitch period off
THUMBNAIL_PX = (90, 72)

Thumbnail = NDArray[np.float32]
"""(72, 90) float32, grey."""


@dataclass(frozen=True)
class Place:
    """`end`: the sample after the last one, counted in the whole. `likeness` in [-1, 1]: the
    correlation with what is there. `slip_s`: how far its half seconds are from lying side by side
    in the whole; the sender left something out, or the receiver tore something apart."""

    end: int
    likeness: float
    slip_s: float


def place(window: Audio, whole: Audio) -> Place:
    """Where `window` lies in `whole`, which is longer."""
    start, likeness = _best(window, whole)
    places = [0]  # relative to where the window as a whole says that they are
    for at in range(0, len(window) - BLOCK + 1, BLOCK):
        first = max(0, start + at - MAX_SLIP)
        around = whole[first : start + at + BLOCK + MAX_SLIP]
        found, sure = _best(window[at : at + BLOCK], around)
        if sure >= MIN_LIKENESS:
            places.append(first + found - (start + at))
    return Place(start + len(window), likeness, (max(places) - min(places)) / SAMPLE_RATE_HZ)


def _best(part: Audio, whole: Audio) -> tuple[int, float]:
    """Where `part` begins in `whole`, and the normalised correlation there."""
    products = correlate(whole.astype(np.float64), part.astype(np.float64), "valid", "fft")
    energy = np.concatenate([[0.0], np.cumsum(np.square(whole, dtype=np.float64))])
    energies = np.maximum(energy[len(part) :] - energy[: -len(part)], 1e-9)
    part_energy = max(float(np.sum(np.square(part, dtype=np.float64))), 1e-9)
    likeness = products / np.sqrt(energies * part_energy)
    start = int(np.argmax(likeness))
    return start, float(likeness[start])


def thumbnail(rgb: Rgb) -> Thumbnail:
    """What codecs and changes of size leave of a picture (height, width, 3)."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)


def nearest(picture: Thumbnail, others: NDArray[np.float32]) -> int:
    """Which of `others` (n, 72, 90) is most like `picture`."""
    return int(np.argmin(np.square(others - picture).mean(axis=(1, 2))))
