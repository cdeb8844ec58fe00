"""Where scores come from, as a picture of the kind of the paper's Fig. 6 and 7: the face and the
voice of a few windows, each beside its heat map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from engines.engine import Engine
from engines.explain import Explanation, Map, explain
from monitor.exemplars import Exemplar
from vfd.front_ends import FRONT_ENDS
from vfd.mel import MEL_BANDS, hertz_to_mel
from vfd.types import SAMPLE_RATE_HZ

WIDTH_INCHES, ROW_INCHES, FRAME_INCHES, DPI = 13.0, 2.7, 1.5, 100
FRAME_S = 0.01  # every front end makes a hundred frames a second
COLUMN_WIDTHS = (1.0, 1.0, 1.5, 1.5)
COLUMN_TITLES = ("face", "where on the face", "voice", "where in the voice")
BAR_LABEL = "similarity lost when this part is hidden\n(red speaks for a match, blue against)"
NYQUIST_HZ = SAMPLE_RATE_HZ / 2
TICKS_HZ = (500, 1000, 2000, 4000, 8000)
LUMA = (0.299, 0.587, 0.114)
MIN_SCALE = 0.02  # below this cosine a map is noise and must not be drawn as if it were strong
INK, MUTED = "#1f2d4d", "#5a6275"
HEAT = LinearSegmentedColormap.from_list(
    "heat",
    [
        (0.0, (0.05, 0.20, 0.75, 0.90)),
        (0.3, (0.20, 0.50, 0.95, 0.60)),
        (0.47, (1.0, 1.0, 1.0, 0.0)),
        (0.53, (1.0, 1.0, 1.0, 0.0)),
        (0.7, (1.0, 0.65, 0.05, 0.60)),
        (1.0, (0.80, 0.02, 0.05, 0.90)),
    ],
)
"""Red where it speaks for a match, blue where it speaks against one, clear where it says little."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One row. `spectrogram` (1, bins, frames): what the voice tower read of the window."""

    exemplar: Exemplar
    explanation: Explanation
    spectrogram: NDArray[np.float32]


def explained(exemplar: Exemplar, engine: Engine, front_end: str) -> Explained:
    """The pair of its voice and the best of its faces, explained. Raises EngineError."""
    spectrogram = FRONT_ENDS[front_end].compute(exemplar.window.audio)
    explanation = explain(engine, spectrogram, exemplar.window.faces[0].rgb)
    return Explained(exemplar, explanation, spectrogram)


def plot_explanations(path: Path, rows: Sequence[Explained], *, title: str, note: str) -> None:
    """Writes a PNG, a row for each window. Raises OSError if `path` cannot be written."""
    height = FRAME_INCHES + ROW_INCHES * len(rows)
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), 4, squeeze=False, width_ratios=COLUMN_WIDTHS)
    face_scale = _scale([row.explanation.face for row in rows])
    voice_scale = _scale([row.explanation.voice for row in rows])
    for axes, row in zip(grid, rows, strict=True):
        _draw_faces(axes[0], axes[1], row, face_scale)
        _draw_voices(axes[2], axes[3], row, voice_scale)
    for axes, name in zip(grid[0], COLUMN_TITLES, strict=True):
        axes.set_title(name, fontsize=11, color=INK)
    for axes in grid[-1, 2:]:
        axes.set_xlabel("media time (s)", fontsize=9, color=MUTED)
    for columns, scale in ((grid[:, :2], face_scale), (grid[:, 2:], voice_scale)):
        bar = figure.colorbar(
            ScalarMappable(scale, HEAT),
            ax=columns,
            location="bottom",
            shrink=0.7,
            aspect=40,
            pad=0.02,
        )
        bar.set_label(BAR_LABEL, fontsize=9, color=MUTED)
        bar.ax.tick_params(labelsize=8, colors=MUTED)
        bar.outline.set_visible(False)
        bar.locator = MaxNLocator(5)
    figure.suptitle(f"{title}\n", fontsize=14, fontweight="bold", color=INK, x=0.01, ha="left")
    figure.text(0.01, 1 - 0.4 / height, note, fontsize=9, color=MUTED, va="top")
    figure.savefig(path, format="png")


def _scale(maps: Sequence[Map]) -> Normalize:
    """One for all rows, so that they can be compared."""
    top = max([MIN_SCALE, *(float(np.abs(m).max()) for m in maps)])
    return Normalize(-top, top)


def _draw_faces(plain: Axes, heated: Axes, row: Explained, scale: Normalize) -> None:
    rgb = row.exemplar.window.faces[0].rgb
    plain.imshow(rgb)
    heated.imshow(rgb @ np.array(LUMA), cmap="gray", vmin=0, vmax=255)
    extent = (-0.5, rgb.shape[1] - 0.5, rgb.shape[0] - 0.5, -0.5)
    heated.imshow(
        row.explanation.face, cmap=HEAT, norm=scale, extent=extent, interpolation="bicubic"
    )
    for axes in (plain, heated):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    plain.set_ylabel(
        f"{row.exemplar.name}\nsimilarity {row.explanation.similarity:+.2f}",
        fontsize=11,
        color=INK,
        fontweight="bold",
    )


def _draw_voices(plain: Axes, heated: Axes, row: Explained, scale: Normalize) -> None:
    picture = row.spectrogram[0]
    # Without a value below zero it is power, of which the eye sees nothing but the loudest spots.
    shown = np.log(picture + 1e-3) if picture.min() >= 0 else picture
    bins, frames = shown.shape
    end_s = row.exemplar.window.end_s
    extent = (end_s - frames * FRAME_S, end_s, -0.5, bins - 0.5)
    low, high = np.percentile(shown, (2, 99.5))
    for axes in (plain, heated):
        axes.imshow(
            shown,
            cmap="gray_r",
            vmin=low,
            # Paler under the heat, which would drown in ink.
            vmax=high if axes is plain else 2 * high - low,
            extent=extent,
            origin="lower",
            aspect="auto",
        )
        axes.set_yticks(
            [_row(hertz, bins) for hertz in TICKS_HZ], [f"{hz / 1000:g}" for hz in TICKS_HZ]
        )
        axes.tick_params(labelsize=8, colors=MUTED)
        axes.spines[:].set_visible(False)
    plain.set_ylabel("kHz", fontsize=9, color=MUTED)
    heated.imshow(
        row.explanation.voice,
        cmap=HEAT,
        norm=scale,
        extent=extent,
        origin="lower",
        aspect="auto",
        interpolation="bicubic",
    )


def _row(hertz: float, bins: int) -> float:
    """Where a frequency lies in a spectrogram of so many bins."""
    if bins != MEL_BANDS:
        return hertz / NYQUIST_HZ * bins - 1
    mel, top = hertz_to_mel(np.array([hertz, NYQUIST_HZ]))
    return float(mel / top * (MEL_BANDS + 1) - 1)
