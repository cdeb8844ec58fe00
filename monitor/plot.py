"""The timeline of one participant as a picture."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator

from monitor.timeline import Hop, bands, summarize
from vfd.decision import State

WIDTH_INCHES, HEIGHT_INCHES, DPI = 12.0, 6.0, 100  # 1200 x 600
STATE_COLOURS = {
    State.UNKNOWN: "#b8bcc4",
    State.MATCH: "#3fa66b",
    State.SUSPECT: "#f0a830",
    State.MISMATCH: "#d64545",
}
INK, SCORE, MISSING = "#1f2d4d", "#7083ad", "#5a6275"
SPEECH, FACES = "#4878b8", "#8a63b8"
MINUTES_FROM_S = 180.0  # a longer axis reads better as minutes:seconds
MANY_HOPS = 300  # then single scores are drawn smaller
TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
MAX_TICKS = 14


def plot_timeline(
    path: Path,
    hops: Sequence[Hop],
    *,
    title: str,
    note: str,
    hop_s: float,
    suspect_below: float,
    match_above: float,
    min_speech: float,
) -> None:
    """Writes a PNG: similarity with its thresholds over bands of the verdict, and under it how much
    speech and how many usable faces there were. Raises OSError if `path` cannot be written."""
    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    main, speech, faces = figure.subplots(3, 1, sharex=True, height_ratios=(6, 1, 1))
    _similarity(main, hops, hop_s, suspect_below, match_above)
    handles = _legend(hops, suspect_below, match_above)
    main.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False)
    _strip(speech, hops, [h.speech for h in hops], "speech\nshare", SPEECH)
    speech.axhline(min_speech, color=INK, linewidth=0.8, linestyle=":")
    _strip(faces, hops, [h.faces for h in hops], "face\nshare", FACES)
    _time_axis(faces, hops, hop_s)
    figure.suptitle(title, fontsize=14, fontweight="bold", color=INK, x=0.01, ha="left")
    main.set_title(note, fontsize=9, color=MISSING, loc="left")
    figure.savefig(path, format="png")


def _similarity(
    axes: Axes, hops: Sequence[Hop], hop_s: float, suspect_below: float, match_above: float
) -> None:
    for band in bands(hops, hop_s):
        # From where it was known: an alert then stands at the edge of its band.
        known_s = band.start_s + hop_s, band.end_s + hop_s
        axes.axvspan(*known_s, color=STATE_COLOURS[band.state], alpha=0.28, linewidth=0)
    axes.axhline(match_above, color=STATE_COLOURS[State.MATCH], linewidth=1.2, linestyle="--")
    axes.axhline(suspect_below, color=STATE_COLOURS[State.MISMATCH], linewidth=1.2, linestyle="--")
    times = [h.end_s for h in hops]
    size = 4.0 if len(hops) <= MANY_HOPS else 1.5
    axes.plot(times, [_drawn(h.similarity) for h in hops], "o", color=SCORE, markersize=size)
    axes.plot(times, [_drawn(h.verdict.statistic) for h in hops], color=INK, linewidth=1.8)
    missing = [h.end_s for h in hops if h.similarity is None]
    axes.plot(missing, [-0.97] * len(missing), "x", color=MISSING, markersize=4)
    for hop in hops:
        if hop.raised_alert:
            axes.axvline(hop.end_s, color=STATE_COLOURS[State.MISMATCH], linewidth=2.0)
    axes.set_ylim(-1.0, 1.0)
    axes.set_ylabel("similarity (cosine)")
    axes.grid(axis="y", color="white", linewidth=0.8)
    axes.set_axisbelow(True)


def _drawn(value: float | None) -> float:
    """NaN breaks a line where there is no value."""
    return math.nan if value is None else value


def _strip(
    axes: Axes, hops: Sequence[Hop], shares: Sequence[float], label: str, colour: str
) -> None:
    times = [0.0, *(h.end_s for h in hops)]
    steps = [0.0, *shares]
    axes.fill_between(times, steps, step="pre", color=colour, alpha=0.75, linewidth=0)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([0, 1], ["0", "100 %"])
    axes.set_ylabel(label, rotation=0, ha="right", va="center")


def _time_axis(axes: Axes, hops: Sequence[Hop], hop_s: float) -> None:
    end_s = (hops[-1].end_s if hops else 0.0) + hop_s
    axes.set_xlim(0.0, end_s)
    tick_s = next((t for t in TICKS_S if end_s / t <= MAX_TICKS), end_s / MAX_TICKS)
    axes.xaxis.set_major_locator(MultipleLocator(tick_s))
    if end_s > MINUTES_FROM_S:
        axes.xaxis.set_major_formatter(FuncFormatter(_minutes))
        axes.set_xlabel("media time (minutes:seconds)")
    else:
        axes.set_xlabel("media time (s)")


def _minutes(value_s: float, _: int) -> str:
    return f"{int(value_s) // 60}:{int(value_s) % 60:02d}"


def _legend(hops: Sequence[Hop], suspect_below: float, match_above: float) -> list[Any]:
    """Only what the picture shows; the reasons are named with their counts."""
    totals = summarize(hops, 1.0)
    match, mismatch = STATE_COLOURS[State.MATCH], STATE_COLOURS[State.MISMATCH]
    handles: list[Any] = [
        Line2D([], [], color=SCORE, marker="o", linestyle="", markersize=4, label="one window"),
        Line2D([], [], color=INK, linewidth=1.8, label="smoothed"),
        Line2D([], [], color=match, linestyle="--", label=f"match above {match_above:.2f}"),
        Line2D([], [], color=mismatch, linestyle="--", label=f"suspect below {suspect_below:.2f}"),
    ]
    handles += [
        Patch(color=STATE_COLOURS[state], alpha=0.45, label=f"verdict: {state}")
        for state in State
        if any(h.verdict.state is state for h in hops)
    ]
    if totals.alerts:
        handles.append(Line2D([], [], color=mismatch, linewidth=2.0, label="alert"))
    if totals.abstained:
        reasons = "\n".join(f"  {r}: {n}" for r, n in totals.abstained.most_common(6))
        label = f"not scored\n{reasons}"
        handles.append(Line2D([], [], color=MISSING, marker="x", linestyle="", label=label))
    return handles
