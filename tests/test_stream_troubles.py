"""Every way in which a stream cannot be had, or goes wrong, has a name and a message."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from monitor import media_open, stream_probe
from monitor.call_urls import CallUrl, parse_call_url
from monitor.config import Config, JoinConfig, ServerConfig
from monitor.receiver import Receiver
from monitor.sessions import Session
from monitor.source import Intake, SourceError, Trouble
from monitor.stream_source import StreamSource
from tests.peers import free_port, monitor, until
from tests.stream_servers import prepared, publishing
from tests.talking_files import talking
from tests.web_pages import Page, untrusted_web, web
from vfd.types import Rgb

CONFIG = Config(server=ServerConfig(port=0), join=JoinConfig(allow_private_targets=True))


@dataclass
class NoRoom:
    """Notes whether the stream got as far as a seat."""

    seated: list[str] = field(default_factory=list)

    def entered(self, note: str = "") -> None:
        """Never got to."""
        raise AssertionError(note)

    def seat(self, participant: str, name: str = "") -> Session:
        """Full, if it gets so far."""
        self.seated.append(participant)
        raise SourceError(Trouble.FULL, "nobody has a seat here")

    def receiver(self, participant: str, name: str = "") -> Receiver:
        """Streams need none."""
        raise AssertionError(participant)

    def follow(self, participant: str, intake: Intake) -> None:
        """Never got to."""
        raise AssertionError(participant)

    async def leave(self, participant: str) -> None:
        """Nobody is here."""


class NoFaces:
    """No picture gets here."""

    def submit(
        self, session: Session, time_s: float, rgb: Rgb, before: Sequence[tuple[float, Rgb]] = ()
    ) -> None:
        """Never called."""
        raise AssertionError


async def trouble(url: str | CallUrl) -> SourceError:
    """Why `url` is not joined; Trouble.FULL: it would have been."""
    address = parse_call_url(url) if isinstance(url, str) else url
    source = StreamSource(address, CONFIG, NoFaces(), lambda: 0.0)
    with pytest.raises(SourceError) as raised:
        await source.run(NoRoom())
    return raised.value


async def trouble_of(pages: Mapping[str, Page], path: str) -> SourceError:
    async with web(pages) as (host, _):
        return await trouble(f"http://{host}{path}")


@pytest.fixture(scope="module")
def segment_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A piece of a stream, MPEG-TS."""
    return prepared(tmp_path_factory.mktemp("segment") / "a.ts", "-c:a", "aac")


@pytest.fixture(scope="module")
def segment(segment_file: Path) -> Page:
    return Page(segment_file.read_bytes())


def playlist(*segments: str, end: bool = True) -> Page:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:4"]
    for name in segments:
        lines += ["#EXTINF:4.0,", name]
    lines += ["#EXT-X-ENDLIST"] if end else []
    text = "\n".join([*lines, ""])
    return Page(text.encode(), header="Content-Type: application/vnd.apple.mpegurl")


@pytest.mark.parametrize("scheme", ["http", "https", "rtmp", "rtmps", "rtsp", "rtsps"])
async def test_where_nobody_listens_it_can_be_tried_again(scheme: str) -> None:
    for host in (f"127.0.0.1:{free_port()}", "nobody.invalid"):
        error = await trouble(f"{scheme}://user:secret@{host}/live?token=secret")
        assert error.trouble is Trouble.UNREACHABLE
        assert f"{scheme}://{host}/live" in str(error)
        assert "secret" not in str(error)


@pytest.mark.parametrize("scheme", ["https", "rtmps", "rtsps"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    scheme: str, tmp_path: Path
) -> None:
    with untrusted_web(tmp_path) as (host, asked):
        error = await trouble(f"{scheme}://{host}/")
    assert error.trouble is Trouble.TLS_FAILED
    assert not asked


async def test_ffmpeg_itself_trusts_no_such_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with untrusted_web(tmp_path) as (host, asked):
        with pytest.raises(media_open.MediaError):
            await asyncio.to_thread(media_open.open_media, f"https://{host}/")
        assert not asked
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        with pytest.raises(media_open.MediaError):
            await asyncio.to_thread(media_open.open_media, f"https://{host}/")
        assert asked  # who vouches for it may be told


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, Trouble.REFUSED),
        (403, Trouble.REFUSED),
        (404, Trouble.NOT_FOUND),
        (503, Trouble.UNREACHABLE),
    ],
)
async def test_what_a_server_answers_has_a_name(status: int, expected: Trouble) -> None:
    error = await trouble_of({"/a.m3u8": Page(status=status)}, "/a.m3u8")
    assert error.trouble is expected
    assert str(status) in str(error)


async def test_redirects_are_followed_but_not_for_ever(segment: Page) -> None:
    pages = {
        "/a": Page(status=302, header="Location: /b"),
        "/b": Page(status=301, header="Location: /a"),
        "/c": Page(status=307, header="Location: /talk.ts"),
        "/talk.ts": segment,
        "/file": Page(status=302, header="Location: file:///etc/hostname"),
    }
    circle = await trouble_of(pages, "/a")
    assert circle.trouble is Trouble.PROTOCOL
    assert "redirects" in str(circle)
    assert (await trouble_of(pages, "/c")).trouble is Trouble.FULL
    elsewhere = await trouble_of(pages, "/file")
    assert elsewhere.trouble is Trouble.PROTOCOL
    assert "redirects from http to file" in str(elsewhere)


async def test_a_public_host_may_not_redirect_into_our_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def is_public(host: str) -> bool:
        return host == "127.0.0.1"

    monkeypatch.setattr(stream_probe, "is_public", is_public)
    async with web({"/a": Page(status=302, header="Location: http://10.0.0.1/x")}) as (host, _):
        url = parse_call_url(f"http://{host}/a")
        with pytest.raises(SourceError, match="into a private network") as raised:
            await stream_probe.probed(url, private_redirects=False)
    assert raised.value.trouble is Trouble.REFUSED


async def test_nothing_secret_is_fetched_in_the_open() -> None:
    request = httpx.URL("https://example.com/a"), httpx.URL("http://example.com/a")
    url = parse_call_url("https://example.com/a")
    with pytest.raises(SourceError, match="redirects from https to http"):
        await stream_probe.check_redirect(*request, url, private_redirects=True)


async def test_a_playlist_leads_to_no_file_and_no_other_protocol(
    segment: Page, segment_file: Path
) -> None:
    pages = {"/talk.ts": segment, "/good.m3u8": playlist("talk.ts")}
    assert (await trouble_of(pages, "/good.m3u8")).trouble is Trouble.FULL  # it would be seated
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        for target in (f"file://{segment_file}", str(segment_file), f"tcp://127.0.0.1:{port}/a.ts"):
            error = await trouble_of({"/bad.m3u8": playlist(target)}, "/bad.m3u8")
            assert error.trouble is not Trouble.FULL, target
        with pytest.raises(BlockingIOError):  # nobody called
            listener.accept()


async def test_dash_is_named_where_it_cannot_be_read(tmp_path: Path) -> None:
    if stream_probe.reads_dash():
        pytest.skip("this FFmpeg reads DASH")
    manifest = tmp_path / "a.mpd"
    manifest.write_text("<MPD/>")
    pages = {
        "/a.mpd": Page(b"<MPD/>"),
        "/live": Page(b"<MPD/>", header="Content-Type: application/dash+xml"),
    }
    for error in (
        await trouble_of(pages, "/a.mpd"),
        await trouble_of(pages, "/live"),
        await trouble(str(manifest)),
    ):
        assert error.trouble is Trouble.UNSUPPORTED
        assert "is DASH, which this build of FFmpeg does not read" in str(error)


async def test_a_codec_that_nobody_knows_is_named(tmp_path: Path) -> None:
    path = talking(tmp_path / "a.mp4", seconds=1.0, silent=True)
    path.write_bytes(path.read_bytes().replace(b"mp4v", b"zzzz").replace(b"esds", b"zzzz"))
    error = await trouble(str(path))
    assert error.trouble is Trouble.UNSUPPORTED
    assert "can be decoded" in str(error)


async def test_a_page_is_no_stream() -> None:
    error = await trouble_of({"/live": Page(b"<html><p>Nobody is live.</p></html>" * 9)}, "/live")
    assert error.trouble is Trouble.PROTOCOL
    assert "is not media" in str(error)


async def test_where_nobody_sends_it_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_open, "OPEN_TIMEOUT_S", 0.5)
    error = await trouble(f"udp://127.0.0.1:{free_port()}")
    assert error.trouble is Trouble.NOT_FOUND


def session_description(folder: Path, port: int) -> str:
    path = folder / "a.sdp"
    lines = ("v=0", "s=a", "c=IN IP4 127.0.0.1", f"m=audio {port} RTP/AVP 0", "")
    path.write_text("\n".join(lines))
    return str(path)


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = await trouble(session_description(tmp_path, port))
    assert error.trouble is Trouble.UNREACHABLE
    assert f"UDP port {port}" in str(error)


async def test_a_session_without_media_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.sdp"
    path.write_text("v=0\ns=nothing\n")
    assert (await trouble(str(path))).trouble is Trouble.UNSUPPORTED


async def test_a_playlist_that_ends_is_over_and_not_tried_again(segment: Page) -> None:
    pages = {"/talk.ts": segment, "/a.m3u8": playlist("talk.ts")}
    async with monitor(CONFIG) as service, web(pages) as (host, _):
        call = service.calls.add(parse_call_url(f"http://{host}/a.m3u8"))
        await until(lambda: call.over.is_set(), 20)
        assert call.trouble is Trouble.ENDED
        assert call.entered.is_set()
        assert call.attempts == 1


async def test_a_sender_who_falls_silent_is_lost_and_tried_again(
    segment_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_open, "READ_TIMEOUT_S", 1.0)
    url = f"udp://127.0.0.1:{free_port()}"
    async with monitor(CONFIG) as service:
        call = service.calls.add(parse_call_url(url))
        to = ("-c", "copy", "-f", "mpegts", url)
        async with publishing(segment_file, *to, log=tmp_path / "log"):
            await until(call.entered.is_set, 20)
        await until(lambda: call.trouble is Trouble.LOST, 10)
        assert "nothing received" in call.message
        monkeypatch.setattr(media_open, "OPEN_TIMEOUT_S", 0.5)
        await until(lambda: call.attempts > 1, 10)
        await service.calls.remove(call.id)
