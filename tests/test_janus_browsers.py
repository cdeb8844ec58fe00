"""Chromium participants in a Janus room, one of them with somebody else's face: the monitor joins,
suspects that one, and nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import av
import httpx
import pytest
from scipy.signal import resample_poly

from monitor.config import Config, JoinConfig, ServerConfig
from monitor.service import Service
from tests.browser import browsing
from tests.browser_pages import pages, plain_devices
from tests.janus_server import PIN, ROOM, Janus, running_janus
from tests.looped import RATE_HZ, write_camera, write_microphone
from tests.peers import until
from tests.watching import watching
from training.call import SWAPPED, draw_cast
from training.codecs import decode_opus, decode_vp8
from training.people import FaceTraits, VoiceTraits
from training.talking import FPS, talking_loop
from vfd.types import SAMPLE_RATE_HZ

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ALERT_WITHIN_S = 45.0
NAMES = ("amira", SWAPPED)


def write_devices(folder: Path, voice: VoiceTraits, face: FaceTraits, seed: int) -> Path:
    """The folder, with a camera and a microphone in which somebody talks."""
    folder.mkdir()
    loop = talking_loop(voice, face, seed)
    pictures = [
        av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        for rgb in decode_vp8(loop.video)
    ]
    write_camera(folder / "camera.y4m", pictures, FPS)
    sound = resample_poly(decode_opus(loop.audio), RATE_HZ // SAMPLE_RATE_HZ, 1)
    write_microphone(folder / "microphone.wav", (sound * 32_000).clip(-32_768, 32_767).astype("i2"))
    return folder


@asynccontextmanager
async def room_of_browsers(janus: Janus, folder: Path) -> AsyncIterator[None]:
    """Everybody of NAMES takes part by Chromium; SWAPPED wears the donor's face."""
    cast = draw_cast(7)
    with pages("janus_page.html") as page:
        async with AsyncExitStack() as stack:
            for seed, name in enumerate(NAMES):
                person = cast.people[name]
                face = cast.donor.face if name == SWAPPED else person.face
                devices = await asyncio.to_thread(
                    write_devices, folder / name, person.voice, face, seed
                )
                query = {"janus": janus.socket, "room": ROOM, "pin": PIN, "name": name}
                await stack.enter_async_context(
                    browsing(
                        f"{page}?{urlencode(query)}",
                        camera=devices / "camera.y4m",
                        microphone=devices / "microphone.wav",
                        folder=devices,
                    )
                )
            yield


async def test_the_swapped_one_is_suspected_and_nobody_else(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path_factory.mktemp("room")  # short: Chromium puts sockets there
    async with running_janus(folder / "janus") as janus, room_of_browsers(janus, folder):
        config = Config(server=ServerConfig(port=0), join=JoinConfig(calls=(janus.url,)))
        service = Service(config)
        await service.start()
        try:
            async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:
                states: dict[str, set[str]] = {name: set() for name in NAMES}
                ids: dict[str, str] = {}

                async def decided() -> bool:
                    found = (await client.get("/v1/participants")).json()["participants"]
                    for person in found:
                        states[person["name"]].add(person["state"])
                        ids[person["name"]] = person["participant"]
                    return all(states[n] & {"match", "mismatch"} for n in NAMES)

                try:
                    await until(decided, ALERT_WITHIN_S)
                except TimeoutError:
                    pytest.fail(f"{states}, {(await client.get('/v1/participants')).json()}")
                assert set(await janus.participants()) == {*NAMES, config.join.display_name}
                await asyncio.sleep(5)
                await decided()
        finally:
            await service.stop()
    print("\n", states)
    assert "mismatch" in states[SWAPPED]
    assert "match" not in states[SWAPPED]
    assert not states["amira"] & {"mismatch", "suspect"}
    said = [record.getMessage() for record in caplog.records]
    opened = [message for message in said if "identity mismatch suspected: " in message]
    assert len(opened) == 1
    assert f"participant={ids[SWAPPED]} " in opened[0]


async def test_a_codec_that_we_lack_is_named(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path_factory.mktemp("vp9")
    async with running_janus(folder / "janus") as janus:
        query = {"janus": janus.socket, "room": ROOM, "pin": PIN, "name": "vera", "codec": "VP9"}
        with pages("janus_page.html") as page:
            async with (
                browsing(f"{page}?{urlencode(query)}", folder=folder, **plain_devices(folder)),
                watching(janus.url) as w,
            ):
                await w.names("vera", within_s=30)

                async def explained() -> bool:
                    return bool((await w.people())["vera"]["not_scored"] == "codec_unsupported")

                await until(explained, 15)
                assert 'reason="codec_unsupported"' in await w.metrics()
    assert "a participant sends video as vp9, which is not taken" in caplog.text


async def test_of_several_layers_the_smallest_is_taken_and_a_larger_one_under_suspicion(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("layers")
    devices = plain_devices(folder, height=720, grey=60)  # which the fake engine suspects
    async with running_janus(folder / "janus") as janus:
        query = {"janus": janus.socket, "room": ROOM, "pin": PIN, "name": "vera", "simulcast": ""}
        with pages("janus_page.html") as page:
            async with (
                browsing(f"{page}?{urlencode(query)}", folder=folder, **devices),
                watching(janus.url) as w,
            ):

                async def suspected() -> bool:
                    person = (await w.people()).get("vera", {"state": ""})
                    return person["state"] in ("suspect", "mismatch")

                await until(suspected, 40)
                # Janus sends what there is while a layer is not there yet.
                assert w.heights.count(180) > len(w.heights) / 2, w.heights
                await until(lambda: w.heights[-3:] == [360] * 3, 40)
