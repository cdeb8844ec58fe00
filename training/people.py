"""Synthetic people: the contract between a voice and a face, and what each must not tell.

They exist so that the whole path can be trained, run and judged without anybody's data. They say
nothing about real people.

**Shared by voice and face** (what a model can learn). Sex is the same in both. Every other trait
is a pair of standard normal variables, one for the voice and one for the face, with correlation
`RHO`; different traits are independent of one another:

| trait  | in the voice                                  | in the face                          |
|--------|-----------------------------------------------|--------------------------------------|
| sex    | pitch register, vocal tract length            | jaw, brow height, lips, hair length  |
| age    | tremor and roughness of the pitch             | age lines, hairline                  |
| size   | vocal tract length                            | width of the face against its height |
| larynx | pitch within the sex                          | thickness of the brows               |
| breath | breathiness                                   | volume of the hair                   |
| tempo  | syllables a second                            | size of the eyes                     |
| melody | range of the intonation                       | width of the nose                    |

**Independent of the voice, by design**: skin tone, hair colour, eye colour, background, clothes.

**Nuisance, of no identity** (drawn anew for every clip): light, background clutter, head pose and
motion, expression, blinks, place and size in the picture; words, level, noise, room.

Changing anything that alters what a given seed draws changes `VERSION`.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

VERSION: Final = 1
RHO: Final = 0.95
TRAITS: Final = ("age", "size", "larynx", "breath", "tempo", "melody")

TEST_SEED: Final = 2_000_000_000
"""Person seeds below this may be trained on; from here on they are for tests and demos only."""


@dataclass(frozen=True, slots=True)
class VoiceTraits:
    """What a voice is made from. Every trait but `male` is standard normal in the population."""

    male: bool
    age: float
    size: float
    larynx: float
    breath: float
    tempo: float
    melody: float


@dataclass(frozen=True, slots=True)
class FaceTraits:
    """What a face is drawn from. The first seven belong to the contract; `skin_tone`,
    `hair_colour` and `eye_colour` are uniform in [0, 1] and tell nothing about the voice."""

    male: bool
    age: float
    size: float
    larynx: float
    breath: float
    tempo: float
    melody: float
    skin_tone: float
    hair_colour: float
    eye_colour: float


@dataclass(frozen=True, slots=True)
class Person:
    """One identity: `seed` repeats it exactly, within one VERSION."""

    seed: int
    voice: VoiceTraits
    face: FaceTraits


def draw_person(seed: int) -> Person:
    """The identity of `seed` (0 <= seed < 2**63)."""
    rng = np.random.default_rng((VERSION, seed))
    male = bool(rng.random() < 0.5)
    common, own = rng.standard_normal((2, len(TRAITS)))
    face = {t: float(c) for t, c in zip(TRAITS, common, strict=True)}
    voice = {
        t: float(RHO * c + math.sqrt(1 - RHO * RHO) * o)
        for t, c, o in zip(TRAITS, common, own, strict=True)
    }
    skin, hair, eye = (float(u) for u in rng.random(3))
    return Person(
        seed,
        VoiceTraits(male=male, **voice),
        FaceTraits(male=male, **face, skin_tone=skin, hair_colour=hair, eye_colour=eye),
    )


def oracle_similarity(voice: VoiceTraits, face: FaceTraits) -> float:
    """Log-likelihood ratio (nats) of "one person" against "two people", given the true traits.

    By Neyman and Pearson no detector separates matched from swapped pairs better than this number
    does. Different sexes never belong to one person: minus infinity.
    """
    if voice.male != face.male:
        return -math.inf
    ratio = math.log(2.0)  # two people are of one sex half of the time
    for trait in TRAITS:
        v, f = getattr(voice, trait), getattr(face, trait)
        quadratic = (RHO * RHO * (v * v + f * f) - 2 * RHO * v * f) / (1 - RHO * RHO)
        ratio += -0.5 * math.log(1 - RHO * RHO) - 0.5 * quadratic
    return ratio
