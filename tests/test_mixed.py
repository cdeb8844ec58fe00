"""Four people in one stream, one of whom has a stranger's voice, from end to end: that one is
caught, and nobody else."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.call_urls import parse_call_url
from monitor.config import Config, JoinConfig, ServerConfig
from monitor.service import Service
from monitor.watch import run
from tests.mixed_streams import Kept, keep, right, scored
from tests.peers import until
from tests.stream_servers import nginx, prepared, publishing
from tests.test_watch import arguments
from training.gallery import Gallery, compose
from training.gallery_file import cast_of, write_gallery

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PEOPLE, SEED, SWAPPED, SECONDS = 4, 4, 4, 36
CONFIG = Config(server=ServerConfig(port=0), join=JoinConfig(allow_private_targets=True))


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    shown, voices = cast_of(PEOPLE, SEED, SWAPPED)
    return compose(shown, SEED, SECONDS, voices=[person.voice for person in voices])


@pytest.fixture(scope="module")
def recording(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gallery(gallery, tmp_path_factory.mktemp("mixed") / "gallery.mkv")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    return keep(monkeypatch)


def check(kept: Kept, gallery: Gallery, suspected: set[str], *, live: bool) -> None:
    """Who was suspected of a mismatch is the swapped one and nobody else, and voices were given to
    whom they belong to."""
    places = {key.participant: place for key, place in kept.people(gallery).items()}
    assert {places[participant] for participant in suspected} == {SWAPPED - 1}
    assert set(places.values()) == set(range(PEOPLE))
    judged = kept.judged(gallery, live=live)
    assert right(judged) >= 0.9
    assert scored(judged, PEOPLE) >= 0.6
    similar = [w.similarity for w in judged if w.chosen not in (None, SWAPPED - 1)]
    swapped = [w.similarity for w in judged if w.chosen == SWAPPED - 1]
    assert (
        sum(filter(None, swapped)) / len(swapped) < 0.2 < sum(filter(None, similar)) / len(similar)
    )


def test_in_a_recording(recording: Path, gallery: Gallery, kept: Kept, tmp_path: Path) -> None:
    lines = tmp_path / "hops.jsonl"
    assert run(arguments(recording, "--json", lines)) == 0
    hops = [json.loads(line) for line in lines.read_text().splitlines()]
    suspected = {hop["participant"] for hop in hops if hop["alert"]}
    check(kept, gallery, suspected, live=False)
    listeners = {hop["reason"] for hop in hops if hop["participant"] != recording.name}
    assert {"no_speech", "several_faces", None} <= listeners


async def test_in_a_live_stream(
    recording: Path, gallery: Gallery, kept: Kept, tmp_path: Path
) -> None:
    sent = prepared(tmp_path / "sent.mp4", "-c:a", "aac", source=recording)
    suspected: set[str] = set()
    service = Service(CONFIG)
    async with nginx(tmp_path / "nginx") as server:
        url = f"{server.rtmp}/panel"
        flv = ("-c", "copy", "-f", "flv", url)
        await service.start()
        try:
            async with publishing(sent, *flv, log=tmp_path / "log"):
                service.calls.add(parse_call_url(url), "panel")
                async with httpx.AsyncClient(base_url=service.url) as client:

                    async def caught() -> bool:
                        suspected.update(
                            person["participant"]
                            for person in await _people(client)
                            if person["state"] == "mismatch"
                        )
                        return bool(suspected) and len(kept.steps) >= SECONDS

                    await until(caught, 2.5 * SECONDS)
                    assert service.calls.participants("panel") == PEOPLE
                    await service.calls.remove("panel")  # while it comes, or the thread stays
        finally:
            await service.stop()
    check(kept, gallery, suspected, live=True)


async def _people(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/v1/participants")).json()["participants"]
    return found
