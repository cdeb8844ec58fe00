"""How synthetic people speak beside who they are: another language, another way to say it, another
machine that says it.

The first family of voices has one accent, and a model that has heard no other may take part of it
for the person: vowels that lie elsewhere could pass for another length of the vocal tract.
`draw_accent` draws one for every clip, around the usual one, so that only what the traits move in
all of them tells who speaks. The second family, for tests, is none of them
(`training.voice_family`). No model has been trained on accents yet.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from training.phonemes import CONSONANTS, VOWELS, Consonant, Phone

VERSION: Final = 1
"""Goes up with anything that alters what a given seed sounds like."""

_FEWEST_VOWELS: Final = 5
_FORMANT_SPREAD: Final = np.array([0.10, 0.12, 0.07, 0.03, 0.03])
"""Of one vowel's, as a logarithm. F4 and F5 say the most of a vocal tract's length and the least of
a vowel."""
_BAND_SPREAD: Final = 0.1
_CONTRAST: Final = (0.6, 1.3)
_SINKING: Final = (0.0, 0.4)
_PHRASE_S: Final = (1.8, 3.5)
_PUFFS: Final = (0.0, 0.6)


@dataclass(frozen=True, slots=True, eq=False)
class Accent:
    """As the first family speaks, unless told otherwise.

    `gain` and `width` (FORMANTS,) of the formants, as factors; `contrast`: the power that peaks and
    valleys are raised to; `slope`, `friction` and `pace`, factors of the glottis' corner frequency,
    of the noise of consonants and of how often pitch swings; `sinking`: by what share of a voice's
    own range its pitch falls in a phrase of `phrase_s` seconds; `puffs`: how far breath comes and
    goes with the glottis, in [0, 1].
    """

    vowels: tuple[Phone, ...] = VOWELS
    consonants: tuple[Consonant, ...] = CONSONANTS
    gain: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)
    width: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)
    contrast: float = 1.0
    slope: float = 1.0
    friction: float = 1.0
    pace: float = 1.0
    sinking: float = 0.0
    phrase_s: float = 2.6
    puffs: float = 0.0


USUAL: Final = Accent()


def draw_accent(rng: np.random.Generator) -> Accent:
    """One that tells nothing of who speaks."""
    count = int(rng.integers(_FEWEST_VOWELS, len(VOWELS) + 1))
    chosen = rng.permutation(len(VOWELS))[:count]
    return Accent(
        vowels=tuple(_moved(VOWELS[k], rng) for k in chosen),
        consonants=tuple(
            Consonant(tuple((_moved(phone, rng), share) for phone, share in consonant.parts))
            for consonant in CONSONANTS
        ),
        gain=_factors(0.3, rng),
        width=_factors(0.25, rng),
        contrast=float(rng.uniform(*_CONTRAST)),
        slope=float(rng.lognormal(0.0, 0.3)),
        friction=float(rng.lognormal(0.0, 0.3)),
        pace=float(rng.lognormal(0.0, 0.2)),
        sinking=float(rng.uniform(*_SINKING)),
        phrase_s=float(rng.uniform(*_PHRASE_S)),
        puffs=float(rng.uniform(*_PUFFS)),
    )


def _moved(phone: Phone, rng: np.random.Generator) -> Phone:
    """The same sound as others say it. Formants stay in their order."""
    moved = np.array(phone.formants_hz) * rng.lognormal(0.0, _FORMANT_SPREAD)
    first, second, third, fourth, fifth = (float(hz) for hz in np.sort(moved))
    band_hz = phone.band_hz * float(rng.lognormal(0.0, _BAND_SPREAD))
    return replace(phone, formants_hz=(first, second, third, fourth, fifth), band_hz=band_hz)


def _factors(spread: float, rng: np.random.Generator) -> tuple[float, ...]:
    return tuple(float(f) for f in rng.lognormal(0.0, spread, len(_FORMANT_SPREAD)))
