"""Compares what was scored live with the same seconds of the file that it came from."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.engine import Embeddings, Engine
from monitor.buffers import ParticipantBuffer, judge
from monitor.config import ScoringConfig
from monitor.file_source import FileSource
from monitor.media_tracks import Picture, Sound
from monitor.scorer import Scorer
from tests.alignment import Thumbnail, nearest, place, thumbnail
from tests.looped import Loop
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.spectrogram import Spectrogram, stft512
from vfd.types import SAMPLE_RATE_HZ, Face, FaceFrame, Reason, Rgb, Score, Window

Scored = tuple[Window, Score]
T = TypeVar("T", np.float32, np.uint8)


class RecordingScorer(Scorer):
    """Adds what it scores to `recorded`."""

    def __init__(
        self, engine: Engine, faces_per_window: int, front_end: str, recorded: list[Scored]
    ) -> None:
        super().__init__(engine, faces_per_window, front_end)
        self._recorded = recorded

    def score(self, windows: Sequence[Window]) -> list[Score]:
        scores = super().score(windows)
        self._recorded.extend(zip(windows, scores, strict=True))
        return scores


class RecordingFinder(FaceFinder):
    """Remembers the picture of every face by its time, and the sizes of all pictures."""

    def __init__(self) -> None:
        super().__init__(MtcnnDetector())
        self.seen: dict[float, Thumbnail] = {}
        self.sizes: set[tuple[int, ...]] = set()

    def alone(self, rgb: Rgb) -> Face | Reason:
        self.sizes.add(rgb.shape)
        return super().alone(rgb)

    def cut(self, rgb: Rgb, face: Face, time_s: float) -> FaceFrame | Reason:
        found = super().cut(rgb, face, time_s)
        if isinstance(found, FaceFrame):
            self.seen[time_s] = thumbnail(rgb)
        return found


@dataclass(frozen=True)
class Pair:
    """A window scored live and the same seconds of the file. `likeness`, `slip_s` as in Place.
    `voice`, `face`: cosine between the two embeddings; `spectrum`: correlation of the two
    spectrograms. `skew_s`: by how much the picture's content is ahead of the sound's."""

    coverage: float
    likeness: float
    slip_s: float
    skew_s: float
    spectrum: float
    voice: float
    face: float
    live: float
    file: float

    @property
    def difference(self) -> float:
        return abs(self.live - self.file)


class Twins:
    """Cuts from the loop's file, by the steps of `watch`, what a live window shows."""

    def __init__(self, loop: Loop, finder: FaceFinder, scoring: ScoringConfig) -> None:
        with closing(FileSource(str(loop.file), 1 / loop.fps)) as source:
            items = list(source)
        once = [item for item in items if isinstance(item, Sound)]
        again = [replace(sound, time_s=sound.time_s + loop.length_s) for sound in once]
        self._sounds = [*once, *again]  # a window may begin in one round and end in the next
        self._samples = np.concatenate([sound.samples for sound in self._sounds])
        self._pictures = [i.rgb for i in items if isinstance(i, Picture) and i.rgb is not None]
        self._thumbnails = np.stack([thumbnail(rgb) for rgb in self._pictures])
        self._loop = loop
        self._finder = finder
        self._scoring = scoring

    def compare(self, scored: Scored, picture: Thumbnail, engine: Engine) -> Pair:
        """`picture` is that of the window's face."""
        live, live_score = scored
        where = place(live.audio, self._samples)
        index = nearest(picture, self._thumbnails)
        end_s = where.end / SAMPLE_RATE_HZ
        face_s = end_s - (live.end_s - live.faces[0].time_s)
        twin = self._cut(live, end_s, face_s, self._pictures[index])
        (twin_score,) = Scorer(engine, 1).score([twin])
        spectra = np.stack([stft512(live.audio), stft512(twin.audio)])
        faces = np.stack([live.faces[0].rgb, twin.faces[0].rgb])
        return Pair(
            coverage=live.coverage,
            likeness=where.likeness,
            slip_s=where.slip_s,
            skew_s=self._shortest(index / self._loop.fps - face_s),
            spectrum=_correlation(*spectra),
            voice=_cosine(engine.embed_voice, spectra),
            face=_cosine(engine.embed_faces, faces),
            live=live_score.similarity,
            file=twin_score.similarity,
        )

    def _cut(self, live: Window, end_s: float, face_s: float, picture: Rgb) -> Window:
        buffer = ParticipantBuffer(live.key, self._scoring)
        for sound in self._sounds:
            if sound.time_s < end_s:
                buffer.write_audio(sound.time_s, sound.samples)
        face = self._finder.find(picture, face_s)
        assert isinstance(face, FaceFrame), f"found live, but in the file: {face}"
        buffer.write_face(face)
        window = judge(buffer.snapshot(end_s))
        assert isinstance(window, Window), f"scored live, but in the file: {window}"
        return window

    def _shortest(self, time_s: float) -> float:
        """The same place in the round, counted forwards or backwards, whichever is nearer."""
        length_s = self._loop.length_s
        return (time_s + length_s / 2) % length_s - length_s / 2


def _correlation(first: Spectrogram, second: Spectrogram) -> float:
    """Of two spectrograms, each with mean 0."""
    return float(np.vdot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second)))


def _cosine(embed: Callable[[NDArray[T]], Embeddings], two: NDArray[T]) -> float:
    first, second = embed(two)
    return float(first @ second)


def report(pairs: Sequence[Pair], facts: dict[str, str]) -> str:
    """Markdown: what was compared with what, and how much of it is the same."""
    differences = [pair.difference for pair in pairs]
    skew_ms = 1_000 * np.median([pair.skew_s for pair in pairs])
    rows = {
        "windows": f"{len(pairs)}",
        "cosine of the voice embeddings, smallest": f"{min(p.voice for p in pairs):.4f}",
        "cosine of the voice embeddings, median": f"{np.median([p.voice for p in pairs]):.4f}",
        "cosine of the face embeddings, smallest": f"{min(p.face for p in pairs):.4f}",
        "cosine of the face embeddings, median": f"{np.median([p.face for p in pairs]):.4f}",
        "similarity, largest difference": f"{max(differences):.4f}",
        "similarity, 95th percentile of the difference": f"{np.percentile(differences, 95):.4f}",
        "correlation of the spectrograms, mean": f"{np.mean([p.spectrum for p in pairs]):.3f}",
        "correlation of the waveforms, mean": f"{np.mean([p.likeness for p in pairs]):.3f}",
        "picture ahead of sound, median (the fake devices start apart)": f"{skew_ms:+.0f} ms",
    }
    table = [f"| {name} | {value} |" for name, value in (rows | facts).items()]
    return "\n".join(["| | |", "|-|-|", *table, ""])
