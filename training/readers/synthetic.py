"""Synthetic people as a data set: drawn and spoken when they are prepared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from training import accents, people, voice_family, voice_synthesis
from training.accents import draw_accent
from training.clips import Clip, Split
from training.dataset import Dataset, Ratios
from training.face_drawing import FaceDrawer
from training.media import Look
from training.people import TEST_SEED, TRAITS, FaceTraits, VoiceTraits, draw_person
from training.samples import Entry
from training.scenes import Scene, draw_scene, pose_track
from training.voice_synthesis import Utterance, record, speak
from vfd.types import Audio, Rgb

VoiceFamily = Literal["source-filter", "accents", "additive"]
_PREFIX: Final = "synthetic people "
NAMES: Final[dict[VoiceFamily, str]] = {
    "source-filter": f"{_PREFIX}v{people.VERSION}.{voice_synthesis.VERSION}",
    "accents": f"{_PREFIX}v{people.VERSION}.{voice_synthesis.VERSION}, accents v{accents.VERSION}",
    "additive": f"{_PREFIX}v{people.VERSION}.{voice_family.VERSION}, additive voices",
}
"""Of the data set by how voices are made; `accents`: as the first, with one of its own a clip."""
DRAWN_FPS: Final = 15  # every picture is sent twice, at 30 a second: drawing is what costs
SENT_TWICE: Final = 2
_UNUSED: Final = Ratios(1, 1, 1)  # the splits are fixed


@dataclass(frozen=True, slots=True)
class Amounts:
    """Identities of each split, real clips of each, swapped clips of each (its face, and the voice
    of somebody else of the split), seconds of each clip, and how voices are made."""

    train: int = 2600
    validation: int = 120
    test: int = 300
    clips: int = 2
    fakes: int = 1
    clip_s: float = 4.0
    family: VoiceFamily = "source-filter"


@dataclass(frozen=True, slots=True)
class DrawnMedia:
    """A clip that is made when it is asked for: `face` and `voice` are person seeds, `seed` decides
    words, room, scene and poses."""

    face: int
    voice: int
    seed: tuple[int, ...]
    duration_s: float
    family: VoiceFamily = "source-filter"

    def sound(self, max_s: float) -> Audio:
        rng = np.random.default_rng((*self.seed, 1))
        voice = draw_person(self.voice).voice
        return record(_speak(self.family, voice, min(max_s, self.duration_s), rng).audio, rng)

    def looks(self, times_s: Sequence[float], run: int) -> Iterator[Look]:
        scene = draw_scene(np.random.default_rng((*self.seed, 2)))
        for number, time_s in enumerate(times_s):
            rng = np.random.default_rng((*self.seed, 3, number))
            yield Look(time_s, partial(self._draw, scene, run, rng))

    def _draw(self, scene: Scene, run: int, rng: np.random.Generator) -> list[Rgb]:
        drawer = FaceDrawer(draw_person(self.face).face, scene)
        mouth = np.clip(rng.normal(0.3, 0.3, -(-run // SENT_TWICE)), 0, 1)
        drawn = [drawer.draw(pose) for pose in pose_track(rng, mouth, DRAWN_FPS)]
        return [picture for picture in drawn for _ in range(SENT_TWICE)][-run:]


def read_synthetic(amounts: Amounts, seed: int) -> Dataset:
    """The same people and clips for the same `seed`; an identity's clips depend on the seed of the
    run and on its own alone."""
    splits = person_seeds(amounts, seed)
    entries = [
        entry
        for split, seeds in splits.items()
        for entry in _entries(seeds, amounts, seed, np.random.default_rng((seed, len(split))))
    ]
    fixed = {str(person): split for split, seeds in splits.items() for person in seeds}
    name = NAMES[amounts.family]
    return Dataset(name, tuple(entries), (), _UNUSED, fixed, made_from=f"{amounts}, seed {seed}")


def person_seeds(amounts: Amounts, seed: int) -> dict[Split, list[int]]:
    """Distinct person seeds: those for tests at or above TEST_SEED, all others below."""
    rng = np.random.default_rng((people.VERSION, seed))
    wanted = amounts.train + amounts.validation
    known = [int(s) for s in dict.fromkeys(rng.integers(TEST_SEED, size=2 * wanted + 16))][:wanted]
    unseen = [int(s) for s in dict.fromkeys(rng.integers(TEST_SEED, size=2 * amounts.test + 16))]
    return {
        Split.TRAIN: known[: amounts.train],
        Split.VALIDATION: known[amounts.train :],
        Split.TEST: [TEST_SEED + s for s in unseen[: amounts.test]],
    }


def trait_table(
    faces: Sequence[int], voices: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the voices and the faces of these person seeds are made from: two (n, 1 + traits)
    float32, voices first; the sex (male 1, female -1), then TRAITS in order."""
    people_of = {seed: draw_person(seed) for seed in {*faces, *voices}}
    voice_rows = np.array([_row(people_of[seed].voice) for seed in voices], dtype=np.float32)
    face_rows = np.array([_row(people_of[seed].face) for seed in faces], dtype=np.float32)
    return voice_rows, face_rows


def is_synthetic(dataset: str) -> bool:
    """Whether a data set of this name was drawn by this version of the synthetic people.

    Raises ValueError when another version drew it: its traits are not what a seed says now.
    """
    if not dataset.startswith(_PREFIX):
        return False
    if dataset not in NAMES.values():
        known = " or ".join(NAMES.values())
        raise ValueError(f"{dataset}: drawn by another version; this is {known}")
    return True


def person_seed_of_voice(clip: Clip) -> int:
    """Who speaks in a synthetic clip; its face is that of `clip.identity`."""
    return int(clip.donors[0] if clip.fake else clip.identity)


def _speak(
    family: VoiceFamily, voice: VoiceTraits, duration_s: float, rng: np.random.Generator
) -> Utterance:
    match family:
        case "source-filter":
            return speak(voice, duration_s, rng)
        case "accents":
            return speak(voice, duration_s, rng, draw_accent(rng))
        case "additive":
            return voice_family.speak_additive(voice, duration_s, rng)


def _row(traits: VoiceTraits | FaceTraits) -> list[float]:
    return [1.0 if traits.male else -1.0, *(getattr(traits, name) for name in TRAITS)]


def _entries(
    seeds: Sequence[int], amounts: Amounts, seed: int, rng: np.random.Generator
) -> Iterator[Entry]:
    for place, person in enumerate(seeds):
        for number in range(amounts.clips):
            yield _entry(person, person, (seed, person, number), amounts)
        fakes = amounts.fakes if len(seeds) > 1 else 0
        for number in range(fakes):
            other = seeds[(place + 1 + int(rng.integers(len(seeds) - 1))) % len(seeds)]
            yield _entry(person, other, (seed, person, amounts.clips + number), amounts)


def _entry(face: int, voice: int, seed: tuple[int, ...], amounts: Amounts) -> Entry:
    fake = face != voice
    details: dict[str, Any] = {}
    if fake:
        details = {"donors": (str(voice),), "manipulation": "face swap"}
    clip = Clip(
        dataset=NAMES[amounts.family],
        clip=f"{face}-{seed[-1]}",
        identity=str(face),
        fake=fake,
        face_fake=fake,
        voice_fake=False,
        sex="male" if draw_person(face).face.male else "female",
        **details,
    )
    return Entry(clip, DrawnMedia(face, voice, seed, amounts.clip_s, amounts.family))
