"""From a swapped face to whoever is woken by it: the real monitor, Prometheus and Alertmanager."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from tests.alerting import MIRROR, RULE, alerting
from tests.peers import until

SWAPPED = "dana"
GOAL_S = 30.0


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_swap_wakes_the_operator_within_half_a_minute_and_its_end_is_told(
    tmp_path: Path,
) -> None:
    async with alerting(tmp_path, allowed=True) as parts:
        operator = parts.operator
        async with parts.call(seed=1, seconds=45, swap_at_s=15) as call:
            await until(lambda: call.event("swapped"), 120)
            assert not operator.mismatches(RULE, "firing")
            for way in (RULE, MIRROR):
                await until(partial(operator.mismatches, way, "firing"), 60)
            await until(lambda: call.event("left"), 60)
        for way in (RULE, MIRROR):
            await until(partial(operator.mismatches, way, "resolved"), 60)
        swapped = call.event("swapped")
        assert swapped is not None
        for way in (RULE, MIRROR):
            first = operator.mismatches(way, "firing")[0]
            assert 0 < first.at_s - swapped["time_s"] <= GOAL_S
            assert "dentity mismatch suspected" in first.alert["annotations"]["summary"]
        told = [t for way in (RULE, MIRROR) for t in operator.mismatches(way, "firing")]
        assert {t.alert["labels"]["participant"] for t in told} == {SWAPPED}
        rule = operator.mismatches(RULE, "firing")[0].alert
        assert float(rule["annotations"]["similarity"]) < 0.5
        assert {t.path for t in told} == {"/alerts"}
        assert "/watchdog" in {t.path for t in operator.told}


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_weights_of_synthetic_people_wake_nobody_unasked(tmp_path: Path) -> None:
    async with alerting(tmp_path, allowed=False) as parts:
        await until(lambda: {told.path for told in parts.operator.told} == {"/watchdog"}, 30)
        async with parts.call(seed=1, seconds=40, swap_at_s=15):

            async def raised() -> bool:
                return await parts.metric('vfd_alerts_total{kind="opened"}') == 1

            await until(raised, 120)
            await asyncio.sleep(10.0)  # a scrape, an evaluation and a message take three
            assert await parts.known() == []
        assert not [told for told in parts.operator.told if told.path == "/alerts"]
