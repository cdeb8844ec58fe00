"""Sound and pictures of streams stay together, at the live edge: half a minute of both kinds. The
same for five minutes, with memory, is `make bench-streams`."""

from pathlib import Path

import numpy as np
import pytest

from tests.streamed import follow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SECONDS = 30
MAX_SKEW_S = 0.15
MOST_BESIDE_SKIPS = 3  # a picture every two seconds, and at most a few skips
MAX_LATENCY_S = {"rtmp": 4.0, "hls": 8.0}


async def test_skew_is_bounded_and_nothing_falls_behind(tmp_path: Path) -> None:
    outcome = await follow(tmp_path, SECONDS)
    for kind, stream in outcome.streams.items():
        told_s = stream.marks.skews_s()
        skews_s = told_s[~np.isnan(told_s)]
        print(kind, told_s, max(stream.latencies_s), stream.skipped_s)
        assert len(told_s) - len(skews_s) <= MOST_BESIDE_SKIPS, kind
        assert len(skews_s) >= SECONDS / 4, kind
        assert np.abs(skews_s).max() <= MAX_SKEW_S, kind
        assert max(stream.latencies_s) <= MAX_LATENCY_S[kind], kind
        assert stream.attempts == 1, kind
