"""Which voices are scored against which faces, and the table of their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.clips import Clip, Variant
from training.evidence import Evidence
from training.score_files import Bools, ScoreTable, Strings
from vfd.model_config import COSINE_EPS

SWAPS: Final = 40  # swapped faces for each voice: 20 or so of its own sex
MIN_SPEECH: Final = 0.4  # of a window; below it the monitor says no_speech
NO_SPEECH: Final = "no_speech"
SWAPPED: Final = "another's face"  # the manipulation of a pair that was put together here
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Rows of `Evidence.voice` and of `Evidence.face`, and whether the pair is real."""

    voice: Rows
    face: Rows
    real: Bools


def clip_pairs(evidence: Evidence) -> Pairs:
    """Every window with one face of its own clip, real or fake as the clip is: the protocol of
    deepfake sets."""
    faces_of = _by_clip(evidence.face_clip)
    rows = []
    for voice, clip in enumerate(evidence.voice_clip.tolist()):
        faces = faces_of[clip]
        rows.append((voice, int(faces[voice % len(faces)]), bool(evidence.clips.real[clip])))
    return _pairs(rows)


def swapped_pairs(evidence: Evidence, swaps: int = SWAPS, seed: int = 0) -> Pairs:
    """Of the real clips: the voice of each with a face of the same person, from another clip where
    there is one (nothing of the recording may give it away), and with `swaps` faces of other
    people. Every window of a clip takes its share.

    Raises ValueError for fewer than two identities.
    """
    rng = np.random.default_rng(seed)
    identity, real = evidence.clips.identity, evidence.clips.real
    faces = np.flatnonzero(real[evidence.face_clip])
    owner = identity[evidence.face_clip[faces]]
    people = np.unique(owner)
    if len(people) < 2:
        raise ValueError("pairs of two people want real clips of two identities at least")
    faces_of = {int(p): faces[owner == p] for p in people}
    count = _windows_of_identity(evidence)
    rows = []
    for voice in np.flatnonzero(real[evidence.voice_clip]).tolist():
        clip = int(evidence.voice_clip[voice])
        own = int(identity[clip])
        mine = faces_of[own]
        elsewhere = mine[evidence.face_clip[mine] != clip]
        rows.append((voice, int(rng.choice(elsewhere if len(elsewhere) else mine)), True))
        wanted = min(max(1, round(swaps / count[own])), len(people) - 1)
        others = rng.choice(people[people != own], wanted, replace=False)
        rows += [(voice, int(rng.choice(faces_of[int(p)])), False) for p in others]
    return _pairs(rows)


def table_of(evidence: Evidence, pairs: Pairs) -> ScoreTable:
    """The cosine of each pair (paper eq. 1), NaN where the window holds too little speech."""
    voices, faces = evidence.voice[pairs.voice], evidence.face[pairs.face]
    lengths = np.linalg.norm(voices, axis=1) * np.linalg.norm(faces, axis=1)
    cosine = (voices * faces).sum(axis=1) / np.maximum(lengths, COSINE_EPS)
    spoken = evidence.speech[pairs.voice] >= MIN_SPEECH
    described = _Described(evidence)
    rows = [described.row(int(v), int(f)) for v, f in zip(pairs.voice, pairs.face, strict=True)]
    return ScoreTable(
        clip=np.array([row["clip"] for row in rows]),
        voice_id=np.array([row["voice_id"] for row in rows]),
        face_id=np.array([row["face_id"] for row in rows]),
        real=pairs.real,
        score=np.where(spoken, cosine.astype(np.float64), np.nan),
        time_s=evidence.end_s[pairs.voice],
        attributes=_columns(rows) | {"reason": np.where(spoken, "", NO_SPEECH)},
    )


class _Described:
    """What is known of a window and of a face, read once for each clip."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._records = list(evidence.clips.records)
        self._sexes = {r.clip.identity: r.clip.sex for r in self._records}

    def row(self, voice: int, face: int) -> dict[str, str]:
        e = self._evidence
        heard, seen = int(e.voice_clip[voice]), int(e.face_clip[face])
        speaker, shown = self._records[heard].clip, self._records[seen].clip
        voice_id, face_id = _voice_of(speaker), shown.identity
        one = heard == seen
        known = {
            "clip": speaker.clip if one else f"{speaker.clip} + {shown.clip}",
            "voice_id": voice_id,
            "face_id": face_id,
            "voice_sex": self._sexes.get(voice_id, ""),
            "face_sex": self._sexes.get(face_id, ""),
            "manipulation": shown.manipulation if one else "",
            "forged": _forged(shown) if one else "",
            "speech": f"{e.speech[voice]:.3f}",
            "line": self._records[heard].variants[int(e.variant[heard])].line,
        }
        if not one and voice_id != face_id:
            known["manipulation"] = SWAPPED
        for name, values in (
            ("sex", (known["voice_sex"], known["face_sex"])),
            ("race", (speaker.race, shown.race)),
        ):
            known[name] = values[0] if values[0] == values[1] else ""
        return known | self._sound(heard) | self._picture(seen, int(e.crop[face]))

    def _sound(self, clip: int) -> dict[str, str]:
        settings = self._variant(clip).settings
        return {n: _text(v) for n, v in settings.items() if n.startswith(("audio_", "loss"))}

    def _picture(self, clip: int, crop: int) -> dict[str, str]:
        variant = self._variant(clip)
        face = variant.faces[crop]
        settings = {n: _text(v) for n, v in variant.settings.items() if n.startswith("video_")}
        return settings | {
            "brightness": _text(face.brightness),
            "yaw": _text(face.yaw),
            "eye_distance_px": _text(face.eye_distance_px),
            "height": str(face.height_px),
        }

    def _variant(self, clip: int) -> Variant:
        return self._records[clip].variants[int(self._evidence.variant[clip])]


def _forged(clip: Clip) -> str:
    """Which of voice and face, as FakeAVCeleb's categories B, C and D have it; "" for real clips
    and where it is not labelled."""
    kinds = {(False, True): "voice alone", (True, False): "face alone", (True, True): "both"}
    known = clip.fake and clip.face_fake is not None and clip.voice_fake is not None
    return kinds.get((bool(clip.face_fake), bool(clip.voice_fake)), "") if known else ""


def _voice_of(clip: Clip) -> str:
    """Of a fake with a donor: one of the two identities is the face's and the other the voice's.
    Sets do not always say which; intervals do not depend on it."""
    return clip.donors[0] if clip.fake and clip.donors else clip.identity


def _windows_of_identity(evidence: Evidence) -> dict[int, int]:
    real = evidence.clips.real[evidence.voice_clip]
    owners = evidence.clips.identity[evidence.voice_clip[real]]
    names, counts = np.unique(owners, return_counts=True)
    return {int(n): int(c) for n, c in zip(names, counts, strict=True)}


def _by_clip(clips: Rows) -> dict[int, Rows]:
    return {int(clip): np.flatnonzero(clips == clip) for clip in np.unique(clips)}


def _pairs(rows: Sequence[tuple[int, int, bool]]) -> Pairs:
    table = np.array(rows, dtype=np.int64)
    return Pairs(table[:, 0], table[:, 1], table[:, 2].astype(np.bool_))


def _columns(rows: Sequence[dict[str, str]]) -> dict[str, Strings]:
    """Attributes that any row has."""
    taken = {"clip", "voice_id", "face_id"}
    names = dict.fromkeys(name for row in rows for name in row if name not in taken)
    columns = {name: np.array([row.get(name, "") for row in rows]) for name in names}
    return {name: column for name, column in columns.items() if (column != "").any()}


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
