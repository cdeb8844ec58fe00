"""Streams that lack a track, or have one too many, or begin with one of them."""

from pathlib import Path

import pytest

from monitor import stream_source
from monitor.calls import CallState
from monitor.service import Service
from tests.following import following, matched, person
from tests.peers import free_port, until
from tests.stream_servers import nginx, prepared, publishing


async def _abstained(service: Service, reason: str) -> bool:
    return reason in (await person(service)()).get("windows_abstained", {})


def late_video(talk: Path, late_s: float) -> tuple[str, ...]:
    """What makes FFmpeg send the video of `talk` only after some time."""
    video = ("-itsoffset", f"{late_s:g}", "-re", "-stream_loop", "-1", "-i", str(talk))
    both = ("-map", "0:a", "-map", "1:v", "-c", "copy", "-max_interleave_delta", "1")
    return (*video, *both)


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (("-an",), "no sound"),
        (("-vn", "-c:a", "aac"), "no video"),
        (
            ("-map", "0:v", "-map", "0:a", "-map", "0:a", "-map", "0:a", "-c:a", "aac"),
            "3 tracks of sound: the first is taken",
        ),
    ],
)
async def test_what_is_missing_from_a_stream_is_said(
    tmp_path: Path, arguments: tuple[str, ...], note: str
) -> None:
    media = prepared(tmp_path / "m.ts", *arguments)
    url = f"udp://127.0.0.1:{free_port()}"
    to = ("-map", "0", "-c", "copy", "-f", "mpegts", url)
    async with (
        publishing(media, *to, log=tmp_path / "log"),
        following(url) as (service, call),
    ):
        await until(lambda: call.state is CallState.JOINED, 20)
        assert note in call.message
        abstained = "no_audio" if note == "no sound" else "no_video"
        if note.startswith("no "):
            await until(lambda: _abstained(service, abstained), 15)
        else:
            await matched(service)


async def test_video_that_starts_late_is_seen(tmp_path: Path) -> None:
    talk = prepared(tmp_path / "talk.mp4", "-c:a", "aac")
    url = f"udp://127.0.0.1:{free_port()}"
    async with (
        publishing(talk, *late_video(talk, 12), "-f", "mpegts", url, log=tmp_path / "log"),
        following(url) as (service, _),
    ):
        found = await matched(service, 40)
        assert "no_video" in found["windows_abstained"]


async def test_a_track_that_was_not_announced_joins_in_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_source, "LOOK_AGAIN_S", 1.0)
    talk = prepared(tmp_path / "talk.mp4", "-c:a", "aac")
    async with nginx(tmp_path / "nginx") as server:
        url = f"{server.rtmp}/talk"
        async with (
            publishing(talk, *late_video(talk, 9), "-f", "flv", url, log=tmp_path / "log"),
            following(url) as (service, call),
        ):
            await until(lambda: call.message, 20)
            assert call.message == "no video so far: nobody is judged"
            await matched(service, 40)
            assert not call.message
