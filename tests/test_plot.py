from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from monitor.alerts import Alert, AlertKind
from monitor.plot import STATE_COLOURS, plot_timeline
from monitor.timeline import Hop
from tests.fakes import ALICE
from vfd.decision import State, UnknownReason, Verdict
from vfd.types import Abstention, Reason, Score

LEGEND_X = 1005  # right of it are no bands


@pytest.fixture(scope="module", autouse=True)
def fonts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """matplotlib keeps the font files open for good: let it open them before anybody counts."""
    draw(tmp_path_factory.mktemp("fonts") / "t.png", [])


def hop(time_s: float, state: State, similarity: float | None, alert: Alert | None = None) -> Hop:
    result = (
        Abstention(ALICE, time_s, Reason.NO_SPEECH)
        if similarity is None
        else Score(ALICE, time_s, similarity, 1)
    )
    reason = UnknownReason.TOO_FEW_WINDOWS if state is State.UNKNOWN else None
    return Hop(result, Verdict(state, similarity, 0.0, reason), 0.8, 1.0, 0.5, alert)


def draw(path: Path, hops: list[Hop]) -> np.ndarray:
    plot_timeline(
        path,
        hops,
        title="standup.mp4",
        note="synthetic weights",
        hop_s=1.0,
        suspect_below=0.1,
        match_above=0.3,
        min_speech=0.3,
    )
    image = cv2.imread(str(path))
    assert image is not None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def blended(state: State) -> np.ndarray:
    """The colour of a band: a quarter of the state's colour on white, as drawn."""
    value = STATE_COLOURS[state]
    colour = np.array([int(value[i : i + 2], 16) for i in (1, 3, 5)])
    return np.round(255 - 0.28 * (255 - colour)).astype(int)


def share(image: np.ndarray, state: State) -> float:
    near = np.abs(image[:, :LEGEND_X].astype(int) - blended(state)).max(axis=2) <= 2
    return float(near.mean())


@pytest.mark.parametrize("count", [1, 60, 4000])
def test_a_timeline_is_1200_by_600(tmp_path: Path, count: int) -> None:
    hops = [hop(t, State.MATCH, 0.5) for t in range(1, count + 1)]
    assert draw(tmp_path / "t.png", hops).shape == (600, 1200, 3)


def test_bands_show_how_long_each_verdict_held(tmp_path: Path) -> None:
    states = [State.UNKNOWN] * 5 + [State.MATCH] * 30 + [State.SUSPECT] * 5 + [State.MISMATCH] * 20
    hops = [hop(t, s, 0.9) for t, s in enumerate(states, start=1)]
    image = draw(tmp_path / "t.png", hops)
    area = {state: share(image, state) for state in State}
    assert area[State.MATCH] > area[State.MISMATCH] > area[State.SUSPECT] > 0.01
    assert area[State.MATCH] / area[State.MISMATCH] == pytest.approx(1.5, rel=0.15)


def test_no_score_at_all_is_drawn_too(tmp_path: Path) -> None:
    image = draw(tmp_path / "t.png", [hop(t, State.UNKNOWN, None) for t in range(1, 20)])
    assert share(image, State.UNKNOWN) > 0.1


def test_nothing_at_all_is_drawn_too(tmp_path: Path) -> None:
    assert draw(tmp_path / "t.png", []).shape == (600, 1200, 3)


def test_an_alert_is_marked(tmp_path: Path, opened: Callable[[], Alert]) -> None:
    plain = [hop(t, State.MISMATCH, -0.3) for t in range(1, 30)]
    marked = [hop(t, State.MISMATCH, -0.3, opened() if t == 15 else None) for t in range(1, 30)]
    difference = draw(tmp_path / "a.png", plain) != draw(tmp_path / "b.png", marked)
    columns = np.flatnonzero(difference[100:350, 100:LEGEND_X].any(axis=(0, 2)))
    assert 1 <= len(columns) <= 6


def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        draw(tmp_path / "missing" / "t.png", [])


@pytest.fixture
def opened() -> Callable[[], Alert]:
    return lambda: Alert(
        id="1",
        kind=AlertKind.OPENED,
        call="standup",
        participant="alice",
        since_s=12.0,
        statistic=-0.2,
        threshold=0.1,
        windows_scored=12,
        model="nano",
        model_sha256="ab",
        trained_on="synthetic people v1",
        demo=True,
        summary="identity mismatch suspected",
    )
