"""How a watched recording is told to a person: a progress bar while it runs, tables at the end."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from monitor.table import NO_VALUE, STATE_STYLES, sparkline
from monitor.timeline import Hop, Summary, bands, by_participant, summarize
from vfd.decision import State

MAX_BANDS = 40  # of a long recording the last ones; --json has them all


class ShowHop(Protocol):
    def __call__(self, hop: Hop, media_s: float) -> None: ...


@contextmanager
def progress_bar(console: Console, name: str, duration_s: float | None) -> Iterator[ShowHop]:
    """Shows state and similarity as they come; a stream without an end gets a moving bar. Nothing
    is drawn where `console` is no terminal."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[clock]}  {task.fields[state]}  {task.fields[history]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    histories: dict[str, list[float | None]] = {}
    with progress:
        task = progress.add_task(
            escape(name), total=duration_s, clock="0:00", state=State.UNKNOWN, history=""
        )

        def show(hop: Hop, media_s: float) -> None:
            participant = hop.result.key.participant
            history = histories.setdefault(participant, [])
            history.append(hop.similarity)
            if hop.similarity is None and len(histories) > 1:
                return  # of several, whoever spoke is shown
            progress.update(
                task,
                description=escape(participant),
                completed=media_s,
                clock=clock_text(media_s),
                state=hop.verdict.state,
                history=sparkline(history),
            )

        yield show


class Outcome(Protocol):
    """What is told: `media_s` of media, watched `speed` times faster than real time; `problems`
    are sentences."""

    hops: list[Hop]
    media_s: float
    wall_s: float
    problems: list[str]

    @property
    def speed(self) -> float: ...


def print_report(console: Console, name: str, outcome: Outcome, hop_s: float, note: str) -> None:
    """What was scored and what was not, the verdicts over time, and alerts, of everybody; problems,
    and speed."""
    people = by_participant(outcome.hops) or {name: []}
    for participant, hops in people.items():
        title = participant if participant == name else f"{name}: {participant}"
        _print_participant(console, title, hops, hop_s)
    for problem in outcome.problems:
        console.print(escape(problem), style="yellow")
    console.print(
        f"{outcome.media_s:.1f} s of media in {outcome.wall_s:.1f} s: "
        f"{outcome.speed:.1f} times real time"
    )
    if note:
        console.print(note, style="dim")


def _print_participant(console: Console, title: str, hops: Sequence[Hop], hop_s: float) -> None:
    summary = summarize(hops, hop_s)
    console.print(_windows_table(title, summary, len(hops)))
    console.print(_states_table(hops, summary, hop_s))
    for hop in hops:
        if hop.alert is not None:
            console.print(f"{clock_text(hop.end_s)}  {hop.alert.summary}", style="bold red")


def _windows_table(name: str, summary: Summary, total: int) -> Table:
    table = Table(title=Text(name), title_justify="left")
    table.add_column("windows")
    table.add_column("count", justify="right")
    table.add_column("share", justify="right")
    table.add_row("scored", str(summary.scored), _share(summary.scored, total))
    for reason, count in summary.abstained.most_common():
        table.add_row(f"not scored: {reason}", str(count), _share(count, total))
    table.add_section()
    mean = summary.mean_similarity
    table.add_row("mean similarity", "-" if mean is None else f"{mean:+.3f}", "")
    table.add_row("alerts", str(summary.alerts), "")
    return table


def _states_table(hops: Sequence[Hop], summary: Summary, hop_s: float) -> Table:
    every = list(bands(hops, hop_s))
    left_out = max(0, len(every) - MAX_BANDS)
    caption = f"{left_out} earlier ones are left out" if left_out else None
    table = Table(title="verdicts over time", title_justify="left", caption=caption)
    table.add_column("from", justify="right")
    table.add_column("to", justify="right")
    table.add_column("verdict", justify="center")
    for band in every[left_out:]:
        verdict = Text(f" {band.state} ", style=STATE_STYLES[band.state])
        table.add_row(clock_text(band.start_s), clock_text(band.end_s), verdict)
    table.add_section()
    for state, duration_s in summary.state_s.items():
        if duration_s > 0:
            table.add_row("total", clock_text(duration_s), Text(state, style=STATE_STYLES[state]))
    return table


def _share(count: int, total: int) -> str:
    return f"{count / total:.0%}" if total else NO_VALUE


def clock_text(time_s: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, seconds = divmod(math.floor(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
