"""What pre-training has learned, as in Table 4 of the paper: faces and voices told apart by
identity, and faces matched to voices.

The paper does not say how. Ours: *face* and *voice* are the share of clips whose identity is found
among N people of the split, in two ways: by the modulators of pre-training (eq. 6), which know
training people only and have seen these clips, so this is no test; and by enrolment, for people
never seen: the first clip of each is enrolled, the others are looked up by cosine. *Match* is the
accuracy at lambda with real and other pairs equally frequent, and the share of right choices
between the right face and another (1:2).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.evidence import Evidence, Vectors
from training.pairs import Pairs
from training.score_files import Floats

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PretrainingAccuracy:
    """Shares in [0, 1] and among how many `people`; None where they could not be measured."""

    people: int
    face: float | None
    voice: float | None
    face_by_modulator: float | None
    voice_by_modulator: float | None
    match: float | None
    choice: float


def pretraining_accuracy(
    evidence: Evidence, pairs: Pairs, score: Floats, threshold: float, heads: Path | None = None
) -> PretrainingAccuracy:
    """`pairs` are swapped pairs and `score` (n,) their scores. `heads`: the file of the modulators
    that training left beside the checkpoint, for a training split.

    Raises FileNotFoundError, ValueError for modulators of another number of people.
    """
    clips = evidence.clips
    face_owner, voice_owner = (
        np.where(clips.real[c], clips.identity[c], -1)
        for c in (evidence.face_clip, evidence.voice_clip)
    )
    modulated: dict[str, float | None] = {"face": None, "voice": None}
    if heads is not None:
        weights = read_modulators(heads)
        for name, vectors, owner in (
            ("face", evidence.face, face_owner),
            ("voice", evidence.voice, voice_owner),
        ):
            modulated[name] = classified(vectors, owner, weights[name], clips.identities)
    known = ~np.isnan(score)
    return PretrainingAccuracy(
        people=len(np.unique(clips.identity[clips.real])),
        face=identified(evidence.face, face_owner, evidence.face_clip),
        voice=identified(evidence.voice, voice_owner, evidence.voice_clip),
        face_by_modulator=modulated["face"],
        voice_by_modulator=modulated["voice"],
        match=balanced(score[known], pairs.real[known], threshold),
        choice=forced_choice(score[known], pairs.real[known], pairs.voice[known]),
    )


def identified(vectors: Vectors, owner: Numbers, clip: Numbers) -> float | None:
    """Share of vectors nearest (by cosine) to the mean of their owner's first clip, of those of all
    owners' first clips. Rows of first clips are not counted, nor those of owner -1; None when
    nobody has two clips."""
    people = np.unique(owner[owner >= 0])
    first = {int(p): int(clip[owner == p].min()) for p in people}
    enrolled = np.stack([vectors[clip == first[int(p)]].mean(axis=0) for p in people])
    asked = np.array([o >= 0 and c != first[int(o)] for o, c in zip(owner, clip, strict=True)])
    if not asked.any():
        return None
    nearest = people[np.argmax(_unit(vectors[asked]) @ _unit(enrolled).T, axis=1)]
    return float((nearest == owner[asked]).mean())


def classified(vectors: Vectors, owner: Numbers, modulator: Vectors, people: int) -> float:
    """Share of vectors for which the modulator (people, V) finds the owner (paper eq. 6)."""
    if len(modulator) != people:
        raise ValueError(
            f"the modulator knows {len(modulator)} people, this split has {people}: it belongs to "
            "the training split that it was trained on"
        )
    rows = owner >= 0
    return float((np.argmax(vectors[rows] @ modulator.T, axis=1) == owner[rows]).mean())


def balanced(score: Floats, real: NDArray[np.bool_], threshold: float) -> float | None:
    """Mean of the shares of real and of other pairs on their side of the threshold."""
    if not real.any() or real.all():
        return None
    return float(((score[real] >= threshold).mean() + (score[~real] < threshold).mean()) / 2)


def forced_choice(score: Floats, real: NDArray[np.bool_], voice: Numbers) -> float:
    """How often the right face wins against another's for the same voice; a tie is half a win.
    Every voice weighs the same."""
    shares = []
    for row in np.flatnonzero(real):
        others = score[(voice == voice[row]) & ~real]
        if len(others):
            shares.append((others < score[row]).mean() + 0.5 * (others == score[row]).mean())
    return float(np.mean(shares)) if shares else float("nan")


def read_modulators(path: Path) -> dict[str, Vectors]:
    """ "face" and "voice", (people, V). Raises FileNotFoundError, ValueError."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        return {n: state[f"{n}.modulator"].float().numpy() for n in ("face", "voice")}
    except (KeyError, TypeError):
        raise ValueError(f"{path}: holds no modulators; expected face.modulator") from None


def markdown(found: PretrainingAccuracy, name: str) -> str:
    """Beside the two rows of the paper."""
    lines = [
        "| | Face | Voice | Match | 1:2 choice |",
        "|-|-|-|-|-|",
        "| VGG-based, paper | 94.67 | 72.62 | 81.54 | - |",
        "| Transformer-based, paper | 98.62 | 87.25 | 96.90 | - |",
        f"| {name}, {found.people} people by enrolment | {_percent(found.face)} | "
        f"{_percent(found.voice)} | {_percent(found.match)} | {_percent(found.choice)} |",
    ]
    if found.face_by_modulator is not None or found.voice_by_modulator is not None:
        lines.append(
            f"| {name}, by its modulators, clips it was trained on | "
            f"{_percent(found.face_by_modulator)} | {_percent(found.voice_by_modulator)} | - | - |"
        )
    note = "The paper does not say on which clips and among how many it counted."
    return "\n".join([*lines, "", note])


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-8), dtype=np.float32)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
