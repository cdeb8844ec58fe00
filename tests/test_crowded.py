"""A thousand participants: a scrape is quick, holds nobody up, and forgets who has left."""

import threading

import numpy as np
import pytest

from monitor.config import MetricsConfig
from monitor.metrics import Metrics
from tests.crowded import CROWD, crowded, observe

SERIES_EACH = 4  # similarity, state, speech, skew


async def test_rendering_is_not_done_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    render = Metrics.render

    def watched(metrics: Metrics) -> bytes:
        threads.append(threading.current_thread())
        return render(metrics)

    monkeypatch.setattr(Metrics, "render", watched)
    async with crowded(shown=1) as crowd:
        await crowd.scrape()
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.slow
@pytest.mark.parametrize("shown", [MetricsConfig().max_participants, CROWD])
async def test_a_scrape_of_a_thousand_stalls_nothing_and_leaves_nothing(shown: int) -> None:
    seen = await observe(shown)
    before, with_all, after = seen.series
    assert with_all == before + SERIES_EACH * shown
    assert after == before
    assert np.percentile(seen.lags_s, 99) < 0.020
    # The quickest: what a scrape costs, and not what else runs on the machine of the test.
    assert min(seen.scrapes_s) < 0.100
