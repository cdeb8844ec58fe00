"""A thousand participants: a scrape is quick, holds nobody up, and forgets who has left."""

import threading

import numpy as np
import pytest

from monitor.config import MetricsConfig
from tests.crowded import CROWD, observe

SERIES_EACH = 4  # similarity, state, speech, skew


@pytest.mark.slow
@pytest.mark.parametrize("shown", [MetricsConfig().max_participants, CROWD])
async def test_a_scrape_of_a_thousand_stalls_nothing_and_leaves_nothing(shown: int) -> None:
    seen = await observe(shown)
    before, with_all, after = seen.series
    assert with_all == before + SERIES_EACH * shown
    assert after == before
    assert np.percentile(seen.lags_s, 99) < 0.020
    assert threading.main_thread() not in {render.thread for render in seen.renders}
    # CPU time, and not what else runs on the machine of the test; monitor/reports has seconds.
    assert np.median([render.cpu_s for render in seen.renders]) < 0.100
