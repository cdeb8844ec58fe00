"""The timelines of everybody in a watched recording, as pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from monitor.config import ScoringConfig
from monitor.plot import plot_timeline
from monitor.timeline import Hop, by_participant
from vfd.decision import DecisionLimits

MAX_PLOTS: Final = 16  # as many as can share a picture


def plot_everybody(
    path: Path,
    name: str,
    hops: Sequence[Hop],
    scoring: ScoringConfig,
    limits: DecisionLimits,
    note: str,
) -> None:
    """Writes `path`, or, where there were several, one file beside it for each of those who were
    scored most, named after them. Raises OSError."""
    for file, who, theirs in _pictures(path, name, hops):
        plot_timeline(
            file,
            theirs,
            title=f"{who}: does the voice belong to the face?",
            note=note,
            hop_s=scoring.hop_s,
            suspect_below=limits.suspect_below,
            match_above=limits.match_above,
            min_speech=scoring.min_speech,
        )


def _pictures(
    path: Path, name: str, hops: Sequence[Hop]
) -> Iterator[tuple[Path, str, Sequence[Hop]]]:
    people = by_participant(hops)
    if len(people) < 2:
        yield path, name, hops
        return
    scored = {who: sum(h.similarity is not None for h in theirs) for who, theirs in people.items()}
    for who in sorted(scored, key=lambda who: -scored[who])[:MAX_PLOTS]:
        if scored[who]:
            yield path.with_stem(f"{path.stem}-{who}"), f"{name}: {who}", people[who]
