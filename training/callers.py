"""Callers for decisions: voices and faces of many synthetic people, embedded once, kept as vectors.

How often a genuine participant alarms in thousands of hours can only be counted on recombined
material. Of every person there are two takes: another room, another microphone, other words;
another scene, another pose. A take is one turn of speech with silence before and after it, as
windows one hop apart that really overlap, and a few looks at the face. All went through codecs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from training.codecs import decode_opus, decode_vp8, encode_opus, encode_vp8
from training.face_drawing import FaceDrawer
from training.people import TEST_SEED, VERSION, FaceTraits, VoiceTraits, draw_person
from training.scenes import draw_scene, pose_track
from training.voice_synthesis import record, speak
from vfd.finder import FaceFinder
from vfd.front_ends import FRONT_ENDS
from vfd.speech import speech_share
from vfd.types import SAMPLE_RATE_HZ, Audio, FaceFrame, Rgb

TAKES: Final = 2
WINDOWS: Final = 5  # of a take, one a second, of 3 s each
LOOKS: Final = 3
LEAD_S: Final = 1.2  # of silence before and after the speech, which windows at the edges hold
SPEECH_S: Final = WINDOWS + 2 - 2 * LEAD_S
MIN_SPEECH: Final = 0.4  # scoring.min_speech: a window with less is not scored
PEOPLE_PER_FILE: Final = 40
_BIT_RATE: Final = 2_000_000  # two pictures of it look as a call's 500 kbit/s do once settled
_COMPLEXITY: Final = 5  # of the Opus encoder: half the time of 10, which browsers take
_TRIES: Final = 6  # looks that the quality gate refuses are drawn again


class Towers(Protocol):
    """The two halves of a model, as engines have them."""

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]: ...

    def embed_faces(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Callers:
    """`seed` (n,) of the persons; `voice` (n, TAKES, WINDOWS, D) and `face` (n, TAKES, LOOKS, D),
    float32 of unit length; `scored` (n, TAKES, WINDOWS): the window holds enough speech."""

    seed: NDArray[np.int64]
    voice: NDArray[np.float32]
    face: NDArray[np.float32]
    scored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.seed)


def caller_seeds(count: int, *, unseen: bool) -> list[int]:
    """Distinct persons: those for tests (`unseen`), or others that no training list names, to
    calibrate on. The first n of a larger count are those of a count of n."""
    rng = np.random.default_rng((VERSION, 7, int(unseen)))
    drawn = dict.fromkeys(int(s) for s in rng.integers(TEST_SEED, size=4 * count + 16))
    return [seed + TEST_SEED * unseen for seed in list(drawn)[:count]]


class CallerMaker:
    """Draws, speaks, sends and embeds. `front_end`: of the towers' checkpoint. For one thread."""

    def __init__(self, towers: Towers, finder: FaceFinder, front_end: str) -> None:
        self._towers = towers
        self._finder = finder
        self._front_end = FRONT_ENDS[front_end]

    def make(self, seeds: Sequence[int]) -> Callers:
        """Whoever shows no face in _TRIES looks is left out."""
        made = [(seed, person) for seed in seeds if (person := self._person(seed)) is not None]
        return Callers(
            np.array([seed for seed, _ in made]),
            np.stack([voice for _, (voice, _, _) in made]),
            np.stack([face for _, (_, face, _) in made]),
            np.stack([scored for _, (_, _, scored) in made]),
        )

    def _person(
        self, seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]] | None:
        person = draw_person(seed)
        voices, faces, scored = [], [], []
        for take in range(TAKES):
            crops = self._looks(person.face, np.random.default_rng((seed, take, 1)))
            if crops is None:
                return None
            faces.append(self._towers.embed_faces(np.stack(crops)))
            windows = turn_windows(person.voice, np.random.default_rng((seed, take, 0)))
            pictures = np.stack([self._front_end.compute(window) for window in windows])
            voices.append(self._towers.embed_voice(pictures))
            scored.append([speech_share(window) >= MIN_SPEECH for window in windows])
        return np.stack(voices), np.stack(faces), np.array(scored)

    def _looks(self, face: FaceTraits, rng: np.random.Generator) -> list[Rgb] | None:
        drawer = FaceDrawer(face, draw_scene(rng))
        mouths = np.clip(rng.normal(0.3, 0.3, _TRIES), 0, 1)
        crops: list[Rgb] = []
        for pose in pose_track(rng, mouths, fps=0.5):  # a look every two seconds
            picture = drawer.draw(pose)
            seen = self._finder.find(decode_vp8(encode_vp8([picture] * 2, _BIT_RATE))[-1], 0.0)
            if isinstance(seen, FaceFrame):
                crops.append(seen.rgb)
            if len(crops) == LOOKS:
                return crops
        return None


def turn_windows(voice: VoiceTraits, rng: np.random.Generator) -> list[Audio]:
    """One turn as received, cut into WINDOWS windows of 3 s, one a second."""
    silence = np.zeros(round(LEAD_S * SAMPLE_RATE_HZ), np.float32)
    speech = speak(voice, SPEECH_S, rng).audio
    sent = encode_opus(record(np.concatenate([silence, speech, silence]), rng), 32_000, _COMPLEXITY)
    heard = decode_opus(sent)
    starts = range(0, WINDOWS * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
    whole = np.zeros((WINDOWS + 2) * SAMPLE_RATE_HZ, np.float32)
    whole[: len(heard)] = heard[: len(whole)]
    return [whole[start : start + 3 * SAMPLE_RATE_HZ] for start in starts]


def save_callers(path: Path, callers: Callers) -> None:
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        seed=callers.seed,
        voice=callers.voice.astype(np.float16),
        face=callers.face.astype(np.float16),
        scored=callers.scored,
    )
    partial.replace(path)


def load_callers(folder: Path, kind: str) -> Callers:
    """Everybody of `kind` ("test" or "calibration") whose file is whole. Raises FileNotFoundError
    when there is nobody."""
    files = sorted(f for f in folder.glob(f"{kind}-*.npz") if ".partial" not in f.name)
    if not files:
        raise FileNotFoundError(f"{folder}: no callers called {kind}-*.npz")
    parts = [np.load(file) for file in files]
    return Callers(
        np.concatenate([p["seed"] for p in parts]),
        np.concatenate([p["voice"] for p in parts]).astype(np.float32),
        np.concatenate([p["face"] for p in parts]).astype(np.float32),
        np.concatenate([p["scored"] for p in parts]),
    )
