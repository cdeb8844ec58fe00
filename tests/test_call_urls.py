"""Where calls are: what is understood, what is refused and why, and what others may see of it."""

from pathlib import Path

import pytest

from monitor.call_urls import CallUrlError, check_public, parse_call_url


@pytest.mark.parametrize(
    ("text", "kind", "host"),
    [
        ("whep+https://sfu.example/whep/room", "whep", "sfu.example"),
        ("janus+wss://sfu.example:8989/janus/1234?pin=secret", "janus", "sfu.example"),
        ("janus+ws://[2001:db8::1]/standup", "janus", "2001:db8::1"),
        ("rtmp://media.example/live/key", "stream", "media.example"),
        ("rtsp://user:word@camera.example/1", "stream", "camera.example"),
        ("https://media.example/live.m3u8", "stream", "media.example"),
        ("udp://239.0.0.1:5000", "stream", "239.0.0.1"),
    ],
)
def test_every_kind_is_understood(text: str, kind: str, host: str) -> None:
    url = parse_call_url(text)
    assert (url.kind, url.host, url.url) == (kind, host, text)


def test_files_are_understood_where_they_exist(tmp_path: Path) -> None:
    for name, kind in (("talk.mp4", "stream"), ("forward.sdp", "rtp")):
        path = tmp_path / name
        path.touch()
        assert parse_call_url(str(path)).kind == kind
    with pytest.raises(CallUrlError, match="there is no such file"):
        parse_call_url(str(tmp_path / "none.mp4"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a URL"),
        ("x" * 3_000, "at most 2048"),
        ("rtmp://a\nb/c", "printable"),
        ("gopher://host/1", "unknown kind 'gopher'; known are whep+https"),
        ("rtmp:///live", "there is no host"),
        ("janus+wss://host/", "the room is missing"),
        ("rtsp://host:99999/x", "Port out of range"),
        ("https://[::1/x", "Invalid IPv6"),
    ],
)
def test_what_leads_nowhere_is_named(text: str, message: str) -> None:
    with pytest.raises(CallUrlError) as refused:
        parse_call_url(text)
    assert message in str(refused.value)


def test_secrets_are_not_shown() -> None:
    url = parse_call_url("janus+wss://user:hunter2@host:8989/janus/1234?pin=hunter2&token=hunter2")
    assert url.shown == "janus+wss://host:8989/janus/1234"
    assert "hunter2" not in url.id
    with pytest.raises(CallUrlError) as refused:
        parse_call_url("gopher://user:hunter2@host/1?pin=hunter2")
    assert "hunter2" not in str(refused.value)


def test_an_id_is_the_same_for_the_same_url_and_fits_a_key() -> None:
    first = parse_call_url("rtmp://media.example/live/one")
    assert first.id == parse_call_url("rtmp://media.example/live/one").id
    assert first.id != parse_call_url("rtmp://media.example/live/two").id
    assert parse_call_url("rtmp://media.example/" + "x" * 500).id.isascii()
    assert len(parse_call_url("rtmp://media.example/" + "x" * 500).id) <= 64


@pytest.mark.parametrize(
    "text",
    [
        "rtmp://127.0.0.1/live",
        "rtmp://10.1.2.3/live",
        "rtmp://[::1]/live",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/x.m3u8",
        "udp://8.8.8.8:5000",  # a port of ours, whatever it says
        __file__,
        "rtmp://host.invalid/live",
    ],
)
async def test_callers_of_the_interface_reach_public_hosts_only(text: str) -> None:
    with pytest.raises(CallUrlError):
        await check_public(parse_call_url(text))


async def test_a_public_address_may_be_named() -> None:
    await check_public(parse_call_url("rtmp://8.8.8.8/live"))
