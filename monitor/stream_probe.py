"""Finds out why a stream cannot be had, before FFmpeg is asked, which hardly says.

FFmpeg calls nearly everything "Input/output error": an unknown host, a certificate that it does not
trust, redirects without end.
"""

import asyncio
import re
import socket
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import av
import httpx

from monitor.call_urls import CallUrl
from monitor.media_open import MediaError, certificates
from monitor.public_hosts import is_public
from monitor.source import SourceError, Trouble

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 10.0
MAX_REDIRECTS: Final = 5
MAX_SDP_BYTES: Final = 65_536
DASH_TYPE: Final = "application/dash+xml"
_PORTS: Final = {"rtmp": 1935, "rtmps": 443, "rtsp": 554, "rtsps": 322}
_STATUS: Final = {401: Trouble.REFUSED, 403: Trouble.REFUSED, 404: Trouble.NOT_FOUND}
_MEDIA_LINE: Final = re.compile(r"^m=(?:audio|video) (\d+)", re.MULTILINE)


async def probed(url: CallUrl, *, private_redirects: bool) -> str:
    """What FFmpeg is to open: `url`, or where it leads. `private_redirects`: whether a public host
    may send us to one that is not. Raises SourceError."""
    scheme = urlsplit(url.url).scheme if url.host else ""
    if not url.host:
        _check_dash(url, url.url)
    if scheme in ("http", "https"):
        return await _redirected(url, private_redirects)
    if scheme in _PORTS:
        await _connect(url, secure=scheme in ("rtmps", "rtsps"))
    if url.kind == "rtp":
        _bind_ports(url)
    return url.url


def source_error(error: MediaError, url: CallUrl) -> SourceError:
    """The same in our terms, without what may be secret in the URL."""
    scheme = urlsplit(url.url).scheme if url.host else ""
    if scheme in _PORTS and _is_io_error(error.__cause__):
        why = "the server plays no such stream: nobody sends it yet, or it is not for us"
        return SourceError(Trouble.NOT_FOUND, f"{url.shown}: {why}")
    return SourceError(_trouble(error.__cause__, scheme, url), f"{url.shown}: {error.why}")


def _is_io_error(cause: BaseException | None) -> bool:
    return type(cause) is av.error.OSError


def _trouble(cause: BaseException | None, scheme: str, url: CallUrl) -> Trouble:
    match cause:
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError() | PermissionError():
            return Trouble.REFUSED
        case av.error.HTTPNotFoundError() | FileNotFoundError():
            return Trouble.NOT_FOUND
        case av.error.ExitError() if scheme == "udp" or url.kind == "rtp":
            return Trouble.NOT_FOUND  # there is nobody to answer, only somebody to send
        case av.error.InvalidDataError():
            return Trouble.PROTOCOL if url.host else Trouble.UNSUPPORTED
        case None:  # it was opened, and holds nothing that we can decode
            return Trouble.UNSUPPORTED
    return Trouble.UNREACHABLE


async def _redirected(url: CallUrl, private_redirects: bool) -> str:
    context = ssl.create_default_context(cafile=certificates())
    timeout = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    request = httpx.Request("GET", url.url)
    async with httpx.AsyncClient(verify=context, timeout=timeout) as client:
        for _ in range(MAX_REDIRECTS + 1):
            follow = await _answered(client, request, url)
            if follow is None:
                return str(request.url)
            await check_redirect(request.url, follow.url, url, private_redirects)
            request = follow
    raise SourceError(
        Trouble.PROTOCOL, f"{url.shown}: more than {MAX_REDIRECTS} redirects, perhaps in a circle"
    )


async def _answered(
    client: httpx.AsyncClient, request: httpx.Request, url: CallUrl
) -> httpx.Request | None:
    """The redirect that the answer is, or None for an answer that will do."""
    try:
        response = await client.send(request, stream=True)
        await response.aclose()
    except httpx.TimeoutException as error:
        raise SourceError(Trouble.UNREACHABLE, f"{url.shown}: no answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        raise SourceError(_transport_trouble(error), f"{url.shown}: {error}") from error
    if response.next_request is not None:
        return response.next_request
    if response.is_error:
        trouble = _STATUS.get(response.status_code, Trouble.UNREACHABLE)
        raise SourceError(
            trouble,
            f"{url.shown}: the server says {response.status_code} {response.reason_phrase}",
        )
    _check_dash(url, request.url.path, response.headers.get("content-type", ""))
    return None


def _check_dash(url: CallUrl, path: str, media_type: str = "") -> None:
    dash = path.endswith(".mpd") or media_type.startswith(DASH_TYPE)
    if dash and not reads_dash():
        raise SourceError(
            Trouble.UNSUPPORTED,
            f"{url.shown}: is DASH, which this build of FFmpeg does not read; use HLS",
        )


def reads_dash() -> bool:
    """Whether this FFmpeg was built with what it parses the manifests of DASH with."""
    try:
        return av.ContainerFormat("dash", "r").is_input
    except ValueError:
        return False


def _transport_trouble(error: BaseException) -> Trouble:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return Trouble.TLS_FAILED
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, httpx.ProtocolError):
        return Trouble.PROTOCOL
    return Trouble.UNREACHABLE


async def check_redirect(
    before: httpx.URL, after: httpx.URL, url: CallUrl, private_redirects: bool
) -> None:
    """Raises SourceError for what a server of `url` may not send us to: other protocols, the open
    from where it was secret, our own network."""
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
        raise SourceError(
            Trouble.PROTOCOL, f"{url.shown}: redirects from {before.scheme} to {after.scheme}"
        )
    if private_redirects:
        return
    try:
        led_inside = await is_public(before.host) and not await is_public(after.host)
    except (OSError, UnicodeError) as error:
        raise SourceError(
            Trouble.UNREACHABLE, f"{url.shown}: redirects to a host that cannot be found"
        ) from error
    if led_inside:
        raise SourceError(
            Trouble.REFUSED,
            f"{url.shown}: redirects into a private network (join.allow_private_targets)",
        )


async def _connect(url: CallUrl, *, secure: bool) -> None:
    parts = urlsplit(url.url)
    port = parts.port or _PORTS[parts.scheme]
    context = ssl.create_default_context(cafile=certificates()) if secure else None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(url.host, port, ssl=context)
        writer.close()
    except ssl.SSLError as error:
        raise SourceError(Trouble.TLS_FAILED, f"{url.shown}: {error.reason}") from error
    except TimeoutError as error:
        raise SourceError(Trouble.UNREACHABLE, f"{url.shown}: no answer in time") from error
    except socket.gaierror as error:
        raise SourceError(Trouble.UNREACHABLE, f"{url.shown}: there is no such host") from error
    except (OSError, UnicodeError) as error:
        raise SourceError(Trouble.UNREACHABLE, f"{url.shown}: {error}") from error


def _bind_ports(url: CallUrl) -> None:
    """FFmpeg does not say that a port is taken. Raises SourceError."""
    try:
        text = Path(url.url).read_bytes()[:MAX_SDP_BYTES].decode()
    except (OSError, UnicodeError) as error:
        raise SourceError(Trouble.NOT_FOUND, f"{url.shown}: cannot be read: {error}") from error
    ports = [int(port) for port in _MEDIA_LINE.findall(text)]
    if not ports:
        raise SourceError(
            Trouble.UNSUPPORTED, f"{url.shown}: describes no sound and no video (m= lines)"
        )
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", port))
            except (OSError, OverflowError) as error:
                raise SourceError(
                    Trouble.UNREACHABLE,
                    f"{url.shown}: UDP port {port} of this machine cannot be had: {error}",
                ) from error
