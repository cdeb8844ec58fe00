"""What of a participant in a room of LiveKit is subscribed to, and in which size."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from livekit import rtc

from monitor import layers
from tests.fake_livekit import URL, FakeLiveKit, fake_livekit
from tests.peers import until
from tests.watching import watching

GREY = np.full((120, 160, 3), 160, np.uint8)
APPEARS_WITHIN_S, FIRST_SCORE_WITHIN_S = 2.0, 5.0


@pytest_asyncio.fixture
async def livekit(nothing_left_behind: None) -> AsyncIterator[FakeLiveKit]:
    async with fake_livekit() as fake:
        yield fake


async def test_who_only_looks_on_or_shows_a_screen_is_not_followed(livekit: FakeLiveKit) -> None:
    async with watching(URL) as w:
        await w.state("joined")
        livekit.arrive("eve", "Eve", kinds=())
        livekit.arrive("ben", "Ben")
        screen = livekit.publish("ben", "video", "SOURCE_SCREENSHARE")
        await w.scored("Ben")
        assert set(await w.people()) == {"Ben"}
        assert screen not in livekit.subscribed


async def test_the_smallest_layer_is_asked_for_and_a_larger_one_under_suspicion(
    livekit: FakeLiveKit,
) -> None:
    livekit.arrive("ben", "Ben", simulcasted=True)
    async with watching(URL) as w:
        await w.scored("Ben")
        assert ("ben", "video", "VIDEO_QUALITY_LOW") in livekit.asked
        livekit.rgb["ben"] = GREY // 2  # which the fake engine takes for another person
        await until(lambda: ("ben", "video", "VIDEO_QUALITY_MEDIUM") in livekit.asked, 20)


async def test_the_video_of_who_is_silent_pauses_and_returns_with_the_voice(
    livekit: FakeLiveKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "QUIET_AFTER_S", 1.0)
    monkeypatch.setattr(layers, "LOOK_FOR_S", 1.0)
    monkeypatch.setattr(layers, "LOOK_EVERY_S", 60.0)
    livekit.arrive("ben", "Ben")
    livekit.silent.add("ben")
    async with watching(URL) as w:
        await until(lambda: "TR_ben_video" in livekit.subscribed)
        await until(lambda: "TR_ben_video" not in livekit.subscribed, 10)
        livekit.silent.clear()
        await w.scored("Ben", within_s=FIRST_SCORE_WITHIN_S)
        await until(lambda: "TR_ben_video" in livekit.subscribed)


async def test_what_does_not_come_is_asked_for_again(livekit: FakeLiveKit) -> None:
    livekit.failing.add("TR_ben_audio")
    livekit.arrive("ben", "Ben")
    async with watching(URL) as w:
        await until(lambda: livekit.asked.count(("ben", "audio", True)) > 1, 10)
        livekit.failing.clear()
        await w.scored("Ben")


async def test_an_encrypted_track_is_not_taken(livekit: FakeLiveKit) -> None:
    async with watching(URL) as w:
        await w.state("joined")
        livekit.arrive("alice", "Alice", encryption_type=rtc.EncryptionType.GCM)
        await w.names("Alice", within_s=APPEARS_WITHIN_S)

        async def explained() -> bool:
            return bool((await w.people())["Alice"]["not_scored"] == "no_video")

        await until(explained)
        assert "TR_alice_video" not in livekit.subscribed
