"""Live calls in which the voice of a track is not that of the person on screen: nobody is accused;
and where an echo is mild, a swap is caught all the same."""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field

import httpx
import pytest

from monitor.config import Config, ServerConfig
from monitor.service import Service
from training.call import HALF_SILENT, SWAPPED
from training.troubles import Trouble

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SEED = 3
SECONDS = 26.0  # two rounds of a loop, and what the first window takes
SWAP_AT_S = 8.0
LATER_S = 16.0  # a change is told once eight windows have shown how somebody usually scores


@dataclass
class Seen:
    """What the monitor said of one call, by participant; `lowest`: the least similarity."""

    alerts: list[str] = field(default_factory=list)
    lowest: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    scored: Counter[str] = field(default_factory=Counter)
    states: dict[str, list[str]] = field(default_factory=dict)

    def take(self, event: dict[str, object]) -> None:
        who = str(event.get("participant"))
        match event["type"]:
            case "score":
                self.scored[who] += 1
                similarity = float(str(event["similarity"]))
                self.lowest[who] = min(similarity, self.lowest.get(who, 1.0))
            case "abstention":
                self.reasons.setdefault(who, Counter())[str(event["reason"])] += 1
            case "verdict":
                self.states.setdefault(who, []).append(str(event["state"]))
            case "alert" if event["kind"] == "opened":
                self.alerts.append(who)


async def hold(trouble: Trouble, swap_at_s: float = SWAP_AT_S) -> Seen:
    """A call of two people, as a process of its own, before a monitor as it ships."""
    service, seen = Service(Config(server=ServerConfig(port=0))), Seen()
    await service.start()
    try:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=None) as client:
            listening = asyncio.create_task(_listen(client, seen))
            arguments = {"url": service.url, "seed": SEED, "trouble": trouble.value}
            seconds = SECONDS + swap_at_s - SWAP_AT_S
            arguments |= {"seconds": seconds, "swap-at": swap_at_s}
            call = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "training.call"),
                *(f"--{name}={value}" for name, value in arguments.items()),
                stdout=asyncio.subprocess.DEVNULL,
            )
            assert await call.wait() == 0
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    finally:
        await service.stop()
    print(f"\n{trouble}: {seen}")
    return seen


async def _listen(client: httpx.AsyncClient, seen: Seen) -> None:
    async with client.stream("GET", "/v1/events") as response:
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                seen.take(json.loads(line.removeprefix("data:")))


async def test_the_loudspeaker_of_others_accuses_nobody() -> None:
    seen = await hold(Trouble.ECHO)
    assert seen.alerts == []
    assert seen.reasons[HALF_SILENT]["cross_talk"] >= 8
    assert seen.scored[HALF_SILENT] >= 5  # while they speak themselves


@pytest.mark.parametrize("trouble", [Trouble.OFF_SCREEN, Trouble.INTERPRETER])
async def test_nor_does_a_voice_beside_the_camera(trouble: Trouble) -> None:
    seen = await hold(trouble)
    assert seen.alerts == []
    assert seen.lowest[HALF_SILENT] < 0.3  # such scores count against somebody
    assert "mismatch" not in seen.states[HALF_SILENT]
    assert seen.reasons[HALF_SILENT]["speaker_off_screen"] >= 10


async def test_nor_do_two_people_before_one_camera() -> None:
    seen = await hold(Trouble.TWO_FACES)
    assert seen.alerts == []
    assert seen.reasons[HALF_SILENT]["several_faces"] >= 10
    assert seen.scored[HALF_SILENT] == 0


async def test_a_swap_under_a_mild_echo_is_caught() -> None:
    seen = await hold(Trouble.MILD_ECHO, LATER_S)
    assert seen.alerts == [SWAPPED]
