"""One timeline for one, and one for each of several."""

from pathlib import Path

import pytest

from monitor.config import ScoringConfig
from monitor.timeline import Hop
from monitor.watch_plots import MAX_PLOTS, plot_everybody
from tests.fakes import LIMITS
from vfd.decision import State, Verdict
from vfd.types import Abstention, ParticipantKey, Reason, Score

VERDICT = Verdict(State.UNKNOWN, None, 0.0)


def hop(who: str, time_s: float, scored: bool = True) -> Hop:
    key = ParticipantKey("file", who)
    result = Score(key, time_s, 0.5, 1) if scored else Abstention(key, time_s, Reason.NO_FACE)
    return Hop(result, VERDICT, 0.8, 1.0, 1.0)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many hops each file shows."""
    found: dict[str, int] = {}

    def plot(path: Path, hops: list[Hop], **_: object) -> None:
        found[path.name] = len(hops)

    monkeypatch.setattr("monitor.watch_plots.plot_timeline", plot)
    return found


def plotted(hops: list[Hop]) -> None:
    plot_everybody(Path("t.png"), "call.mp4", hops, ScoringConfig(), LIMITS, "")


def test_one_is_drawn_into_the_file(drawn: dict[str, int]) -> None:
    plotted([hop("call.mp4", 1.0), hop("call.mp4", 2.0, scored=False)])
    assert drawn == {"t.png": 2}


def test_of_several_who_was_scored_is_drawn_beside_it(drawn: dict[str, int]) -> None:
    plotted([hop("call.mp4", 1.0, scored=False), *(hop("stream-1", t) for t in (1.0, 2.0))])
    assert drawn == {"t-stream-1.png": 2}


def test_not_more_are_drawn_than_can_share_a_picture(drawn: dict[str, int]) -> None:
    plotted([hop(f"stream-{n}", float(t)) for n in range(MAX_PLOTS + 4) for t in range(n + 1)])
    assert len(drawn) == MAX_PLOTS
    assert f"t-stream-{MAX_PLOTS + 3}.png" in drawn
    assert "t-stream-0.png" not in drawn
