"""From scored windows to the statistics that a decision needs, and that a checkpoint carries.

Genuine people differ: one whose voice is unusual for the face scores low for ever. So deviations
*between* persons and those of single windows *within* a person are told apart. Windows of one
person follow one another closely, so their mean is not as sure as their number says: the
autocorrelation of scores one hop apart enters both the statistics and the thresholds.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vfd.checkpoint import Calibration
from vfd.metrics import Floats, best_threshold

HOP_S: Final = 1.0  # between two scores of a stream
_HOP_TOLERANCE_S: Final = 0.05
_MIN_WINDOWS: Final = 8  # of a person: fewer cannot tell slow noise from the person's own level
_ROUNDS: Final = 50  # deviation and autocorrelation settle in fewer than ten


@dataclass(frozen=True, slots=True, eq=False)
class ScoredWindows:
    """A row for every scored window: the score, whether voice and face are one person's, whose they
    are, and where it stands: `stream` (windows of one clip, in any order) at `time_s`.

    Raises ValueError unless all have one length, no score is NaN, and both kinds are there.
    """

    score: Floats
    real: NDArray[np.bool_]
    voice_id: NDArray[np.str_]
    face_id: NDArray[np.str_]
    stream: NDArray[np.str_]
    time_s: Floats

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in self.__slots__}
        if len(lengths) != 1:
            raise ValueError(f"columns of scored windows have different lengths: {sorted(lengths)}")
        if np.isnan(self.score).any():
            raise ValueError("score holds NaN: leave out the windows without one")
        if not self.real.any() or self.real.all():
            raise ValueError("a calibration needs scores of real and of fake pairs")


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one kind of pair. `between`: deviation of the true means of persons (for fakes: of pairs
    of persons); `within`: deviation of single windows about them; `autocorrelation` in [0, 1) of
    windows one hop apart, None where no stream has two of them."""

    mean: float
    between: float
    within: float
    autocorrelation: float | None


def scored_windows(
    scores: ArrayLike, voice_ids: ArrayLike, face_ids: ArrayLike, real: ArrayLike | None = None
) -> ScoredWindows:
    """Windows that stand alone: no two of one stream. `real`: by default, voice and face of one
    identity."""
    voices, faces = np.asarray(voice_ids).astype(str), np.asarray(face_ids).astype(str)
    score = np.asarray(scores, dtype=np.float64)
    alone = np.arange(len(score)).astype(str)
    matched = voices == faces if real is None else np.asarray(real, dtype=bool)
    return ScoredWindows(score, matched, voices, faces, alone, np.zeros(len(score)))


def fit_calibration(windows: ScoredWindows) -> Calibration:
    """Lambda makes the fewest errors when real and fake are equally frequent (paper eq. 10)."""
    real, fake = spread(windows, windows.real), spread(windows, ~windows.real)
    known = [s.autocorrelation for s in (real, fake) if s.autocorrelation is not None]
    measured = {"autocorrelation": known[0]} if known else {}  # the genuine's, which alarms hang on
    return Calibration(
        threshold=best_threshold(windows.score[windows.real], windows.score[~windows.real]),
        real_mean=real.mean,
        real_std_between=real.between,
        real_std_within=real.within,
        fake_mean=fake.mean,
        fake_std_between=fake.between,
        fake_std_within=fake.within,
        **measured,
    )


def spread(windows: ScoredWindows, kind: NDArray[np.bool_]) -> Spread:
    """Random-effects statistics of the rows `kind`, every person (pair of persons) weighing the
    same.

    The variance of the means of n windows holds within-person noise, within^2 * d / n with the
    design effect d = (1 + r) / (1 - r) of autocorrelation r: it is taken off. Persons with a single
    window tell nothing of the noise within; without any other, all deviation counts as between.
    """
    score = windows.score[kind]
    names = np.char.add(np.char.add(windows.voice_id[kind], "\n"), windows.face_id[kind])
    _, person = np.unique(names, return_inverse=True)
    counts = np.bincount(person)
    means = np.bincount(person, score) / counts
    squares = np.bincount(person, np.square(score - means[person]))
    several = counts > 1
    within_2, correlation = 0.0, None
    if several.any():
        jumps = _jumps(windows, kind, np.isin(person, np.flatnonzero(counts >= _MIN_WINDOWS)))
        within_2, correlation = _within(squares[several].sum(), counts[several], jumps)
    effect = (1 + (correlation or 0.0)) / (1 - (correlation or 0.0))
    noise = within_2 * np.minimum(effect / counts, 1.0).mean()
    return Spread(
        mean=float(means.mean()),
        between=math.sqrt(max(float(means.var()) - noise, 0.0)),
        within=math.sqrt(within_2),
        autocorrelation=correlation,
    )


def _jumps(windows: ScoredWindows, kind: NDArray[np.bool_], long: NDArray[np.bool_]) -> Floats:
    """Differences between scores one hop apart in one stream, of those rows of `kind` that are of
    somebody with enough windows (`long`)."""
    rows = np.flatnonzero(kind)[long]
    rows = rows[np.lexsort((windows.time_s[rows], windows.stream[rows]))]
    follows = windows.stream[rows][1:] == windows.stream[rows][:-1]
    follows &= np.abs(np.diff(windows.time_s[rows]) - HOP_S) < _HOP_TOLERANCE_S
    return np.asarray(np.diff(windows.score[rows])[follows])


def _within(squares: float, counts: NDArray[np.intp], jumps: Floats) -> tuple[float, float | None]:
    """Variance within persons and autocorrelation. n windows about their own mean show
    within^2 * (n - d) of squares; a jump shows 2 * within^2 * (1 - r). The two are solved by
    turns."""
    if not len(jumps):
        return float(squares / (counts - 1).sum()), None
    half_jump_2 = float(np.square(jumps).mean() / 2)
    correlation = 0.0
    for _ in range(_ROUNDS):
        effect = np.minimum((1 + correlation) / (1 - correlation), counts / 2)
        within_2 = float(squares / (counts - effect).sum())
        correlation = min(max(1 - half_jump_2 / max(within_2, 1e-12), 0.0), 0.95)
    return within_2, correlation
