"""What a person sees in a terminal: one line a participant."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from vfd.decision import State

SPARKLINE_LENGTH = 20  # seconds; the whole table fits into a terminal of 80 columns
BLOCKS = "▁▂▃▄▅▆▇█"
NO_VALUE = "·"
STATE_STYLES = {
    State.UNKNOWN: "dim",
    State.MATCH: "bold green",
    State.SUSPECT: "bold yellow",
    State.MISMATCH: "bold white on red",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One participant. `similarity` in [-1, 1] of the last score, None before there is one;
    `history` one entry a step, the newest last, None where there was no score; `speech` and `faces`
    in [0, 1], the shares of speech in the window and of pictures that show a usable face;
    `last_reason` why a step had no score, empty if that never happened."""

    participant: str
    state: State
    similarity: float | None
    history: Sequence[float | None]
    speech: float
    faces: float
    last_reason: str = ""


def sparkline(values: Sequence[float | None], low: float = -1.0, high: float = 1.0) -> str:
    """One character a value of the last `SPARKLINE_LENGTH`, from `low` to `high` (values beyond are
    drawn at the edge); a dot where there is none."""
    return "".join(_block(v, low, high) for v in values[-SPARKLINE_LENGTH:])


def _block(value: float | None, low: float, high: float) -> str:
    if value is None:
        return NO_VALUE
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return BLOCKS[min(int(share * len(BLOCKS)), len(BLOCKS) - 1)]


def participants_table(
    rows: Sequence[Row], title: str | None = None, caption: str | None = None
) -> Table:
    """A table of `rows` in their order. It keeps its width while values change, so that it does not
    jump when it is redrawn every second."""
    table = Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("participant", no_wrap=True, overflow="ellipsis", max_width=16)
    table.add_column("state", width=max(map(len, State)) + 2, justify="center", no_wrap=True)
    table.add_column("sim.", width=5, justify="right")
    table.add_column(f"last {SPARKLINE_LENGTH} s", width=SPARKLINE_LENGTH, no_wrap=True)
    table.add_column("speech", width=6, justify="right", no_wrap=True)
    table.add_column("face", width=4, justify="right")
    table.add_column("no score", width=12, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(
            Text(row.participant),  # a name is not markup
            Text(f" {row.state} ", style=STATE_STYLES[row.state]),
            "-" if row.similarity is None else f"{row.similarity:+.2f}",
            Text(sparkline(row.history), style="cyan"),
            f"{row.speech:.0%}",
            f"{row.faces:.0%}",
            Text(row.last_reason, style="dim"),
        )
    return table
