"""One mixed stream with several faces: synthetic people side by side who take turns.

What is drawn anew for every stream: who speaks when, head motion, light, and the mouths of those
who listen, which are not still either: now and then they move to words that nobody hears.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.codecs import decode_opus, decode_vp8, encode_opus, encode_vp8
from training.face_drawing import FaceDrawer
from training.people import Person, VoiceTraits
from training.phonemes import FRAME_RATE_HZ, babble
from training.scenes import Pose, draw_scene, pose_track
from training.talking import MOUTH_RATE_HZ
from training.voice_synthesis import record, speak
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

TILE_PX: Final = (320, 360)  # width, height; two and three people stand in a row, four in two
MOST_PEOPLE: Final = 4
BIT_RATE_PER_TILE: Final = 300_000
NOBODY: Final = -1
TURN_S: Final = (3.5, 8.0)
GAP_S: Final = (0.2, 0.8)
RESTLESS_SHARE: Final = 0.15
"""Of the time in which somebody listens, how much of it their mouth moves."""
RESTLESS_S: Final = (0.6, 2.0)
_CHUNK_S: Final = 4  # pictures are kept encoded, and this much of them is decoded at a time


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """A mixed stream and its truth.

    `chunks`: VP8, each beginning with a key frame, `fps` pictures a second in all. `audio` (n,) at
    16 kHz, after Opus. `speaker` (m,) int8 at 100 Hz over the same time: the index of who speaks,
    NOBODY in a pause between turns, `people` for somebody who is not in the picture. `centres`
    (people, 2): where the face of each rests, in pixels.
    """

    chunks: tuple[tuple[bytes, ...], ...]
    fps: int
    audio: Audio
    speaker: NDArray[np.int8]
    centres: NDArray[np.float64]

    @property
    def people(self) -> int:
        return len(self.centres)

    def pictures(self) -> Iterator[tuple[float, Rgb]]:
        """Every picture and when it is shown, in seconds."""
        index = 0
        for chunk in self.chunks:
            for rgb in decode_vp8(chunk):
                yield index / self.fps, rgb
                index += 1

    def heard(self, start_s: float, end_s: float) -> NDArray[np.float64]:
        """(people + 1,): seconds that each spoke between the two times, last who is off screen."""
        part = self.speaker[round(start_s * MOUTH_RATE_HZ) : round(end_s * MOUTH_RATE_HZ)]
        counts = np.bincount(part[part != NOBODY], minlength=self.people + 1)
        return np.asarray(counts / MOUTH_RATE_HZ, np.float64)


def compose(
    people: Sequence[Person],
    seed: int,
    duration_s: int,
    fps: int = 12,
    voices: Sequence[VoiceTraits] | None = None,
    off_screen: VoiceTraits | None = None,
    restless_share: float = RESTLESS_SHARE,
) -> Gallery:
    """Everybody in `people` shown, `voices` (their own unless given: a swap) heard in turn, and
    `off_screen` like one of them where given.

    Raises ValueError for no people or more than MOST_PEOPLE.
    """
    if not 1 <= len(people) <= MOST_PEOPLE:
        raise ValueError(f"a gallery shows 1 to {MOST_PEOPLE} people, not {len(people)}")
    said, shown = np.random.default_rng((seed, 3)), np.random.default_rng((seed, 4))
    heard = list(voices if voices is not None else [p.voice for p in people])
    if off_screen is not None:
        heard.append(off_screen)
    sound, speaker, mouths = _conversation(heard, duration_s, said)
    seen = [
        np.maximum(mouth, _restless(speaker != index, restless_share, shown))
        for index, mouth in enumerate(mouths[: len(people)])
    ]
    step = MOUTH_RATE_HZ / fps
    at = (np.arange(duration_s * fps) * step).astype(int)
    tiles = [_Tile(p, mouth[at], fps, shown) for p, mouth in zip(people, seen, strict=True)]
    chunks = tuple(_film(tiles, fps, duration_s))
    places = [_place(index, len(people)) for index in range(len(people))]
    centres = np.array([t.centre for t in tiles]) + np.array(places, np.float64)
    audio = decode_opus(encode_opus(record(sound, said)))[: len(sound)]
    return Gallery(chunks, fps, audio, speaker, centres)


class _Tile:
    """One person's part of the picture, and how they move through the whole stream."""

    def __init__(
        self, person: Person, mouth: NDArray[np.float32], fps: int, rng: np.random.Generator
    ) -> None:
        width, height = TILE_PX
        wide = draw_scene(rng)
        centre_x = 0.5 + 0.4 * (wide.centre_x - 0.5)  # a tile is narrower than a camera's picture
        scene = replace(wide, centre_x=centre_x)
        self.centre = (scene.centre_x * width, scene.centre_y * height)
        self.poses: list[Pose] = pose_track(rng, mouth, fps)
        self._drawer = FaceDrawer(person.face, scene, width, height)

    def draw(self, index: int) -> Rgb:
        return self._drawer.draw(self.poses[index])


def _conversation(
    voices: Sequence[VoiceTraits], duration_s: int, rng: np.random.Generator
) -> tuple[Audio, NDArray[np.int8], list[NDArray[np.float32]]]:
    """Clean sound, who speaks, and everybody's lips at MOUTH_RATE_HZ. Nobody has two turns in a
    row where there are others."""
    sound = np.zeros(duration_s * SAMPLE_RATE_HZ, np.float32)
    frames = duration_s * MOUTH_RATE_HZ
    speaker = np.full(frames, NOBODY, np.int8)
    mouths = [np.zeros(frames, np.float32) for _ in voices]
    begin, last = 0, NOBODY
    while begin < frames:
        others = [k for k in range(len(voices)) if k != last] or [last]
        last = int(rng.choice(others))
        end = min(frames, begin + round(rng.uniform(*TURN_S) * MOUTH_RATE_HZ))
        said = speak(voices[last], (end - begin) / MOUTH_RATE_HZ, rng)
        per_frame = SAMPLE_RATE_HZ // MOUTH_RATE_HZ
        sound[begin * per_frame : end * per_frame] = said.audio
        mouths[last][begin:end] = said.mouth_open
        speaker[begin:end] = last
        begin = end + round(rng.uniform(*GAP_S) * MOUTH_RATE_HZ)
    return sound, speaker, mouths


def _restless(
    listens: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The mouth of a listener, (m,) in [0, 1]: silent words for about `share` of the time, zero
    else and wherever `listens` (m,) is false."""
    mouth = np.zeros(len(listens), np.float32)
    mean_s = sum(RESTLESS_S) / 2
    at_s = rng.exponential(mean_s / share) if share > 0 else np.inf
    while at_s * MOUTH_RATE_HZ < len(mouth):
        begin, lasts_s = round(at_s * MOUTH_RATE_HZ), rng.uniform(*RESTLESS_S)
        frames = min(len(mouth) - begin, round(lasts_s * FRAME_RATE_HZ))
        words = babble(frames, rng.uniform(2.0, 5.0), rng).mouth
        mouth[begin : begin + frames] = rng.uniform(0.3, 1.0) * words
        at_s += lasts_s + rng.exponential(mean_s / share)
    return np.where(listens, mouth, np.float32(0))


def _film(tiles: Sequence[_Tile], fps: int, duration_s: int) -> Iterator[tuple[bytes, ...]]:
    width, height = TILE_PX
    columns, rows = _grid(len(tiles))
    for begin in range(0, duration_s * fps, _CHUNK_S * fps):
        drawn: list[Rgb] = []
        for index in range(begin, min(begin + _CHUNK_S * fps, duration_s * fps)):
            picture = np.zeros((rows * height, columns * width, 3), np.uint8)
            for number, tile in enumerate(tiles):
                x, y = _place(number, len(tiles))
                picture[y : y + height, x : x + width] = tile.draw(index)
            drawn.append(picture)
        yield tuple(encode_vp8(drawn, BIT_RATE_PER_TILE * len(tiles), fps))


def _grid(count: int) -> tuple[int, int]:
    """Columns and rows."""
    return (2, 2) if count == MOST_PEOPLE else (count, 1)


def _place(index: int, count: int) -> tuple[int, int]:
    """Left and top of a tile in pixels."""
    columns, _ = _grid(count)
    return index % columns * TILE_PX[0], index // columns * TILE_PX[1]
