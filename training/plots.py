"""Pictures of scores: how real and fake fall apart, what that is worth, and what it depends on."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import ArrayLike
from scipy.stats import norm

from training.score_files import Floats, ScoreTable
from vfd.checkpoint import Calibration
from vfd.metrics import Roc, roc

Place = Literal["best", "lower right"]

DPI: Final = 110
INK, GRID, REAL, FAKE = "#1f2d4d", "#dfe3ea", "#2f9e74", "#d1477a"
SCORERS: Final = ("#1f2d4d", "#2f9e74", "#d98e04", "#7083ad", "#d1477a", "#8a63b8")
BINS: Final = 60
SIMILARITY: Final = "similarity of voice and face"
DET_RATES: Final = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
RELIABILITY_BINS: Final = 10


def save(figure: Figure, path: Path) -> Path:
    """As PNG."""
    figure.savefig(path, format="png")
    return path


def histogram(
    table: ScoreTable, threshold: float | None, title: str, score: str = SIMILARITY
) -> Figure:
    """Scores of real and fake pairs, as in Figs. 3, 8 and 9; each kind adds up to 100 %. `score`:
    what they are."""
    scored = table.rows(table.scored)
    figure, axes = _figure(title, 6.4, 3.8)
    edges = np.linspace(scored.score.min(), scored.score.max(), BINS + 1)
    for kind, colour, name in ((True, REAL, "real"), (False, FAKE, "fake")):
        values = scored.score[scored.real == kind]
        axes.hist(
            values,
            edges.tolist(),
            weights=np.full(len(values), 100 / max(1, len(values))),
            color=colour,
            alpha=0.6,
            label=f"{name} ({len(values):,})",
        )
    if threshold is not None:
        axes.axvline(threshold, color=INK, linewidth=1.2, linestyle="--")
        axes.annotate(
            f" λ = {threshold:.2f}", (threshold, 0.97), xycoords=("data", "axes fraction"),
            color=INK, va="top", fontsize=9,
        )  # fmt: skip
    axes.set_xlabel(score)
    axes.set_ylabel("share of pairs, %")
    _legend(axes)
    return figure


def roc_curves(tables: Mapping[str, ScoreTable], title: str) -> Figure:
    """Real pairs accepted against fakes accepted, the latter on a logarithmic axis: what happens at
    few false acceptances decides."""
    figure, axes = _figure(title, 5.4, 5.0)
    for colour, (name, curve) in zip(SCORERS, _curves(tables).items(), strict=False):
        axes.plot(np.maximum(curve.fpr, 1e-4), curve.tpr, color=colour, label=name, linewidth=1.6)
    chance = np.geomspace(1e-4, 1, 50)
    axes.plot(chance, chance, color=GRID, linewidth=1.2, label="chance")
    axes.set_xscale("log")
    axes.set_xlim(1e-4, 1)
    axes.set_ylim(0, 1.01)
    axes.set_xlabel("share of fakes accepted (FPR)")
    axes.set_ylabel("share of real pairs accepted (TPR)")
    _legend_below(figure)
    return figure


def det_curves(tables: Mapping[str, ScoreTable], title: str) -> Figure:
    """Both errors on normal-deviate axes (Martin et al., 1997): two normals give a line."""
    figure, axes = _figure(title, 5.2, 5.4)
    ends = _deviates([DET_RATES[0], DET_RATES[-1]])
    for colour, (name, curve) in zip(SCORERS, _curves(tables).items(), strict=False):
        x, y = (_deviates(np.clip(e, 1e-6, 1 - 1e-6)) for e in (curve.fpr, 1 - curve.tpr))
        axes.plot(x, y, color=colour, label=name, linewidth=1.6)
    axes.plot(ends, ends, color=GRID, linewidth=1, linestyle=":", label="equal errors")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(_deviates(DET_RATES).tolist()))
        axis.set_major_formatter(FixedFormatter([f"{100 * rate:g}" for rate in DET_RATES]))
        axis.set_minor_locator(NullLocator())
    axes.set_xlim(ends[0], ends[1])
    axes.set_ylim(ends[0], ends[1])
    axes.set_xlabel("fakes accepted, %")
    axes.set_ylabel("real pairs refused, %")
    _legend_below(figure)
    return figure


def reliability(table: ScoreTable, calibration: Calibration, title: str) -> Figure:
    """How often a pair is real when the calibration says it is with probability p, real and fake
    being equally frequent."""
    scored = table.rows(table.scored)
    stated = probability_real(scored.score, calibration)
    weight = np.where(scored.real, 0.5 / scored.real.sum(), 0.5 / (~scored.real).sum())
    place = np.minimum((stated * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    total = np.bincount(place, weight, RELIABILITY_BINS)
    filled = total > 0
    said = np.bincount(place, weight * stated, RELIABILITY_BINS)[filled] / total[filled]
    seen = np.bincount(place, weight * scored.real, RELIABILITY_BINS)[filled] / total[filled]
    error = float(np.abs(said - seen) @ total[filled])
    figure, axes = _figure(f"{title}: expected calibration error {100 * error:.1f} %", 5.0, 4.6)
    axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.5)
    axes.plot(said, seen, color=INK, linewidth=1.2)
    axes.scatter(said, seen, s=8 + 400 * total[filled], color=REAL, alpha=0.8, zorder=3)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("probability of being real, as stated (area: share of pairs)")
    axes.set_ylabel("share that is real")
    return figure


def probability_real(score: Floats, calibration: Calibration) -> Floats:
    """Of equally frequent kinds, each a normal with the calibration's total deviation."""
    c = calibration
    real = norm.logpdf(score, c.real_mean, np.hypot(c.real_std_between, c.real_std_within) + 1e-6)
    fake = norm.logpdf(score, c.fake_mean, np.hypot(c.fake_std_between, c.fake_std_within) + 1e-6)
    return np.asarray(1 / (1 + np.exp(np.clip(fake - real, -700, 700))))


def sweep_curve(
    columns: Mapping[str, Sequence[float]], title: str, log_x: bool | None = None
) -> Figure:
    """Fig. 11: the first column across, "seed" apart, each further one a line through the means
    over seeds, with all seeds as dots. `log_x`: by default, when values span more than a factor of
    twenty. Raises ValueError without a column to draw."""
    names = [name for name in columns if name != "seed"]
    if len(names) < 2:
        raise ValueError("a sweep wants a column of values and one of results at least")
    x = np.asarray(columns[names[0]], dtype=np.float64)
    figure, axes = _figure(title, 6.0, 4.0)
    values = np.unique(x)
    for colour, name in zip(itertools.cycle(SCORERS), names[1:], strict=False):
        y = np.asarray(columns[name], dtype=np.float64)
        axes.plot(values, [y[x == v].mean() for v in values], color=colour, label=name)
        axes.scatter(x, y, s=14, color=colour, alpha=0.6)
    if log_x or (log_x is None and values[0] > 0 and values[-1] > 20 * values[0]):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(FixedLocator(values.tolist()))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{v:,g}" for v in values]))
    axes.set_xlabel(names[0])
    axes.set_ylabel("AUC, accuracy" if any(n.endswith(" accuracy") for n in names) else "AUC")
    _legend(axes, "lower right")
    return figure


def _figure(title: str, width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK, labelsize=8)
    return figure, axes


def _deviates(rates: ArrayLike) -> Floats:
    return np.asarray(norm.ppf(np.asarray(rates, dtype=np.float64)))


def _legend(axes: Axes, place: Place = "best") -> None:
    axes.legend(loc=place, frameon=True, framealpha=0.85, edgecolor="none", fontsize=8)


def _legend_below(figure: Figure) -> None:
    """Curves may run anywhere."""
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)


def _curves(tables: Mapping[str, ScoreTable]) -> dict[str, Roc]:
    found = {}
    for name, table in tables.items():
        scored = table.rows(table.scored)
        if scored.real.any() and not scored.real.all():
            found[name] = roc(scored.score[scored.real], scored.score[~scored.real])
    return found
