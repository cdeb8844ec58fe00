"""A real Janus: the monitor takes part in a room, follows who is there, and comes back to it."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from monitor import layers
from monitor.keyframe_media import KeyframeMedia
from tests.janus_server import ROOM, Janus, running_janus, taking_part
from tests.peers import Picture, Voice, until
from tests.watching import NAME, watching

pytestmark = pytest.mark.slow

APPEARS_WITHIN_S, VANISHES_WITHIN_S = 2.0, 5.0
BACK_WITHIN_S = 10.0
FIRST_SCORE_WITHIN_S = 5.0


@pytest_asyncio.fixture
async def janus(nothing_left_behind: None, tmp_path: Path) -> AsyncIterator[Janus]:
    async with running_janus(tmp_path / "janus") as server:
        yield server


async def test_people_are_found_followed_and_let_go_and_see_the_monitor(janus: Janus) -> None:
    async with taking_part(janus, "alice", Voice(), Picture()), watching(janus.url) as w:
        await w.state("joined")
        await w.names("alice", within_s=APPEARS_WITHIN_S)
        assert sorted(await janus.participants()) == ["alice", NAME]
        async with taking_part(janus, "bob", Voice(), Picture()):
            await w.names("alice", "bob", within_s=APPEARS_WITHIN_S)
            await w.scored("bob", 3)
        await w.names("alice", within_s=VANISHES_WITHIN_S)
        await w.scored("alice", 3)

        async def heard() -> bool:
            return bool((await w.people())["alice"]["coverage"] > 0.9)

        await until(heard)
    assert NAME not in await janus.participants()


async def test_hidden_the_monitor_is_not_seen_and_still_sees(janus: Janus) -> None:
    async with watching(janus.url, hidden=True) as w:
        await w.state("joined")
        async with taking_part(janus, "alice", Voice(), Picture()):
            await w.scored("alice")
            assert await janus.participants() == ["alice"]
        await w.names(within_s=VANISHES_WITHIN_S)


async def test_somebody_without_sound_is_there_with_a_reason(janus: Janus) -> None:
    async with watching(janus.url) as w, taking_part(janus, "alice", None, Picture()):
        await w.names("alice", within_s=10)

        async def explained() -> bool:
            return bool((await w.people())["alice"]["not_scored"] == "no_audio")

        await until(explained)


async def test_who_mutes_the_microphone_stays_and_is_scored_again_afterwards(janus: Janus) -> None:
    async with (
        watching(janus.url) as w,
        taking_part(janus, "alice", Voice(), Picture()) as alice,
    ):

        async def send(sound: bool) -> None:
            await alice.ask({"request": "configure", "streams": [{"mid": "0", "send": sound}]})

        async def reason() -> str:
            return str((await w.people())["alice"]["not_scored"])

        async def muted() -> bool:
            return await reason() == "no_audio"

        await w.scored("alice", 2)
        await send(False)
        await until(muted)
        scored = (await w.people())["alice"]["windows_scored"]
        await asyncio.sleep(3)
        assert await muted()
        await send(True)
        await w.scored("alice", scored + 2)


async def test_janus_dies_and_returns_and_the_verdict_is_what_it_was(janus: Janus) -> None:
    grey = Picture()
    async with watching(janus.url) as w:
        async with taking_part(janus, "alice", Voice(), grey, number=77):
            await w.scored("alice", 4)
            scored = (await w.people())["alice"]["windows_scored"]
            await janus.kill()
            await w.state("waiting")
            assert (await w.call())["trouble"] in ("lost", "unreachable")
            await w.names(within_s=5)
        await asyncio.sleep(3)
        await janus.start()
        async with taking_part(janus, "alice", Voice(), Picture(), number=77):
            await w.state("joined", BACK_WITHIN_S)
            await w.names("alice", within_s=APPEARS_WITHIN_S)
            assert (await w.people())["alice"]["windows_scored"] >= scored
            await w.scored("alice", scored + 2)


async def test_no_alert_is_lost_and_none_is_false_when_janus_dies(janus: Janus) -> None:
    def shade(grey: int) -> Picture:
        return Picture(np.full((120, 160, 3), grey, np.uint8))

    async with watching(janus.url) as w:

        async def state_of(name: str) -> str:
            return str((await w.people()).get(name, {}).get("state"))

        async def opened() -> int:
            lines = re.findall(r'vfd_alerts_total\{.*"opened".*\} (\d+)', await w.metrics())
            return sum(map(int, lines))

        async def everybody(*states: str) -> bool:
            return [await state_of(name) for name in ("alice", "bob", "eve")] == list(states)

        async with (
            taking_part(janus, "alice", Voice(), shade(160), number=77),
            taking_part(janus, "bob", Voice(), shade(160), number=78),
            taking_part(janus, "eve", Voice(), shade(60), number=79),
        ):
            await until(lambda: everybody("match", "match", "mismatch"), 20)
            assert await opened() == 1
            await janus.kill()
            await w.state("waiting")
        await asyncio.sleep(3)
        await janus.start()
        async with (
            taking_part(janus, "alice", Voice(), shade(160), number=77),
            taking_part(janus, "bob", Voice(), shade(60), number=78),  # not the same any more
            taking_part(janus, "eve", Voice(), shade(60), number=79),
        ):
            await w.state("joined", BACK_WITHIN_S)
            await w.names("alice", "bob", "eve", within_s=APPEARS_WITHIN_S)
            assert await everybody("match", "match", "mismatch")
            await until(lambda: everybody("match", "mismatch", "mismatch"), 20)
            assert await opened() == 2


async def test_the_video_of_who_is_silent_pauses_and_returns_with_the_voice(
    janus: Janus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "QUIET_AFTER_S", 2.0)
    monkeypatch.setattr(layers, "LOOK_EVERY_S", 30.0)
    voice = Voice()
    words, voice.samples = voice.samples, np.zeros(48_000, np.int16)
    async with watching(janus.url) as w, taking_part(janus, "alice", voice, Picture()):
        await w.names("alice", within_s=5)
        (media,) = w.service.calls.media()
        assert isinstance(media, KeyframeMedia)

        def video_age_s() -> float:
            return time.monotonic() - (media.video.last_packet_s or 0.0)

        await until(lambda: video_age_s() < 0.5)
        await until(lambda: video_age_s() > 2.0, 15)
        voice.samples = words
        await until(lambda: video_age_s() < 0.5)
        await w.scored("alice", within_s=FIRST_SCORE_WITHIN_S)


@pytest.mark.parametrize(
    ("change", "state", "trouble", "message"),
    [
        (("open%20sesame", "wrong"), "failed", "refused", "433"),
        ((f"/{ROOM}?", "/999?"), "waiting", "not_found", "426"),
    ],
    ids=["wrong-pin", "wrong-room"],
)
async def test_a_room_that_cannot_be_entered_is_named(
    janus: Janus, change: tuple[str, str], state: str, trouble: str, message: str
) -> None:
    async with watching(janus.url.replace(*change)) as w:
        await w.state(state)
        call = await w.call()
        assert call["trouble"] == trouble
        assert message in call["message"]


async def test_a_room_that_is_closed_is_waited_for(janus: Janus) -> None:
    async with watching(janus.url) as w, taking_part(janus, "alice", Voice(), Picture()) as alice:
        await w.scored("alice")
        await alice.ask({"request": "destroy", "room": ROOM})
        await w.state("waiting")
        assert (await w.call())["trouble"] == "not_found"


async def test_no_secret_gets_into_the_log(janus: Janus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "monitor")
    async with watching(janus.url) as w:
        await w.state("joined")
        await janus.kill()
        await w.state("waiting")
    assert "sesame" not in caplog.text
