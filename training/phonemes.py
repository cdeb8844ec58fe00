"""Babble without meaning: which sounds follow one another, and what each asks of the vocal tract.

A line of babble is a table with one row every 10 ms. It holds words only, nothing of the speaker
but the pace; formants are those of an average man and are scaled by whoever speaks it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

FRAME_RATE_HZ: Final = 100
FORMANTS: Final = 5

_FORMANT_GLIDE = np.hanning(9)[1:-1] / np.hanning(9).sum()  # articulators take about 40 ms
_GAIN_GLIDE = np.array([0.2, 0.6, 0.2])  # the glottis is quicker, bursts stay bursts


@dataclass(frozen=True, slots=True)
class Phone:
    """Targets of one sound. `formants_hz` F1..F5; gains relative to an open vowel; the frication
    band is centred at `band_hz`, `width_hz` wide; `mouth` is the lip opening in [0, 1]."""

    formants_hz: tuple[float, float, float, float, float]
    voiced: float = 0.0
    aspirated: float = 0.0
    fricated: float = 0.0
    band_hz: float = 3000.0
    width_hz: float = 1500.0
    mouth: float = 0.1

    def row(self) -> tuple[float, ...]:
        return (
            *self.formants_hz,
            self.voiced,
            self.aspirated,
            self.fricated,
            self.band_hz,
            self.width_hz,
            self.mouth,
        )


# Formants near those of Peterson and Barney (1952), men; F4 and F5 move more than they do in life,
# because a model that normalises every frequency over time sees only what moves.
VOWELS: Final = (
    Phone((280, 2250, 3000, 3700, 4700), voiced=0.8, mouth=0.25),  # heed
    Phone((450, 1950, 2600, 3500, 4400), voiced=0.9, mouth=0.45),  # hayed
    Phone((650, 1720, 2450, 3350, 4500), voiced=1.0, mouth=0.75),  # had
    Phone((760, 1250, 2550, 3600, 4300), voiced=1.0, mouth=1.0),  # hod
    Phone((580, 880, 2400, 3250, 4200), voiced=1.0, mouth=0.7),  # hawed
    Phone((320, 780, 2250, 3150, 4100), voiced=0.8, mouth=0.2),  # who'd
    Phone((600, 1150, 2700, 3450, 4600), voiced=0.9, mouth=0.6),  # hud
    Phone((470, 1380, 1750, 3100, 4300), voiced=0.9, mouth=0.4),  # heard
)

_DENTAL = (330, 1700, 2600, 3500, 4500)
_LABIAL = (300, 900, 2300, 3300, 4300)
_VELAR = (320, 1900, 2250, 3200, 4300)

PAUSE: Final = Phone((500, 1500, 2500, 3500, 4500), mouth=0.05)
BREATH_IN: Final = Phone((600, 1500, 2500, 3500, 4500), aspirated=0.5, mouth=0.3)


@dataclass(frozen=True, slots=True)
class Consonant:
    """Sounds in order, each with its share of the consonant's time."""

    parts: tuple[tuple[Phone, float], ...]


def _stop(locus: tuple[float, float, float, float, float], band_hz: float) -> Consonant:
    burst = Phone(locus, aspirated=0.3, fricated=0.9, band_hz=band_hz, width_hz=1600)
    release = Phone(locus, aspirated=1.0, voiced=0.1, mouth=0.3)
    return Consonant(((Phone(locus, mouth=0.0), 0.5), (burst, 0.2), (release, 0.3)))


def _steady(phone: Phone) -> Consonant:
    return Consonant(((phone, 1.0),))


CONSONANTS: Final = (
    _steady(Phone(_DENTAL, fricated=0.7, band_hz=5600, width_hz=1500)),  # s
    _steady(Phone(_VELAR, fricated=0.7, band_hz=3000, width_hz=1200)),  # sh
    _steady(Phone(_LABIAL, fricated=0.25, band_hz=4500, width_hz=4000, mouth=0.05)),  # f
    _stop(_LABIAL, 1000),  # p
    _stop(_DENTAL, 4300),  # t
    _stop(_VELAR, 2000),  # k
    _steady(Phone((250, 1050, 2200, 3200, 4200), voiced=0.22, mouth=0.0)),  # m
    _steady(Phone((250, 1600, 2500, 3400, 4400), voiced=0.22, mouth=0.1)),  # n
    _steady(Phone((360, 1150, 2800, 3600, 4500), voiced=0.35, mouth=0.3)),  # l
    _steady(Phone((380, 1150, 1600, 3000, 4200), voiced=0.35, mouth=0.2)),  # r
)


@dataclass(frozen=True, slots=True, eq=False)
class Babble:
    """Words as tracks over `frames` rows at FRAME_RATE_HZ: `formants_hz` (frames, FORMANTS);
    the others (frames,), as in Phone."""

    formants_hz: NDArray[np.float32]
    voiced: NDArray[np.float32]
    aspirated: NDArray[np.float32]
    fricated: NDArray[np.float32]
    band_hz: NDArray[np.float32]
    width_hz: NDArray[np.float32]
    mouth: NDArray[np.float32]


def babble(
    frames: int,
    syllables_per_s: float,
    rng: np.random.Generator,
    vowels: tuple[Phone, ...] = VOWELS,
    consonants: tuple[Consonant, ...] = CONSONANTS,
) -> Babble:
    """Random words of `frames` rows, spoken at `syllables_per_s` between the pauses."""
    phones: list[Phone] = []
    ends: list[int] = []
    time_s = 0.0
    for phone, duration_s in _sounds(syllables_per_s, rng, vowels, consonants):
        time_s += duration_s
        phones.append(phone)
        ends.append(round(time_s * FRAME_RATE_HZ))
        if ends[-1] >= frames:
            break
    table = np.array([phone.row() for phone in phones], np.float32)
    rows = np.repeat(table, np.diff(ends, prepend=0), axis=0)[:frames]
    shape = convolve1d(rows, _FORMANT_GLIDE, axis=0, mode="nearest")
    gain = convolve1d(rows, _GAIN_GLIDE, axis=0, mode="nearest")
    voiced, aspirated, fricated, band_hz, width_hz = gain[:, FORMANTS : FORMANTS + 5].T
    return Babble(shape[:, :FORMANTS], voiced, aspirated, fricated, band_hz, width_hz, shape[:, -1])


def _sounds(
    syllables_per_s: float,
    rng: np.random.Generator,
    vowels: tuple[Phone, ...],
    consonants: tuple[Consonant, ...],
) -> Iterator[tuple[Phone, float]]:
    """Sounds and their durations (s), without end. The first phrase is already under way."""
    order = _shuffled(len(vowels), rng)
    others = _shuffled(len(consonants), rng)
    phrase_s = rng.uniform(0.6, 4.0)
    while True:
        while phrase_s > 0:
            syllable_s = rng.lognormal(0.0, 0.04) / syllables_per_s
            consonant_s = syllable_s * rng.uniform(0.34, 0.42)
            for phone, share in consonants[next(others)].parts:
                yield phone, consonant_s * share
            yield vowels[next(order)], syllable_s - consonant_s
            phrase_s -= syllable_s
        pause_s = rng.uniform(0.2, 0.5)
        yield PAUSE, 0.3 * pause_s
        yield BREATH_IN, 0.5 * pause_s
        yield PAUSE, 0.2 * pause_s
        phrase_s = rng.uniform(2.0, 4.0)


def _shuffled(count: int, rng: np.random.Generator) -> Iterator[int]:
    """All of 0..count-1 in random order, over and over: three seconds hear nearly every sound."""
    while True:
        yield from rng.permutation(count)
