import json
from itertools import pairwise
from pathlib import Path

import pytest

from monitor.timeline import bands, summarize
from tests.media_files import grey
from tests.recordings import OTHERS, OWN, call, watched
from vfd.decision import State


def test_sums_and_bands_agree(tmp_path: Path) -> None:
    path = call(tmp_path / "a.mkv", 20.0, lambda t: grey(OWN if t < 9 else OTHERS))
    hops = watched(path).hops
    summary = summarize(hops, 1.0)
    assert summary.scored + summary.abstained.total() == len(hops) == 20
    assert sum(summary.state_s.values()) == pytest.approx(20.0)
    assert summary.alerts == 1
    runs = list(bands(hops, 1.0))
    assert [run.state for run in runs][:2] == [State.UNKNOWN, State.MATCH]
    assert runs[0].start_s == 0.0
    assert runs[-1].end_s == 20.0
    assert all(a.end_s == b.start_s for a, b in pairwise(runs))
    assert summary.mean_similarity is not None
    assert -0.4 < summary.mean_similarity < 0.6


def test_nothing_seen_sums_to_nothing() -> None:
    summary = summarize([], 1.0)
    assert (summary.scored, summary.alerts, summary.mean_similarity) == (0, 0, None)
    assert list(bands([], 1.0)) == []


def test_every_hop_is_one_line_of_json_with_the_same_keys(tmp_path: Path) -> None:
    path = call(tmp_path / "a.mkv", 16.0, lambda t: grey(OWN if t < 5 else OTHERS))
    hops = [hop.as_json() for hop in watched(path).hops]
    assert len({tuple(hop) for hop in hops}) == 1
    assert json.loads(json.dumps(hops)) == hops
    alerts = [hop["alert"] for hop in hops if hop["alert"]]
    assert len(alerts) == 1
    assert {hop["type"] for hop in hops} == {"score", "abstention"}
