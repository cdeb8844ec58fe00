"""Where a call is, as its owner writes it: one URL that holds everything, secrets included.

    whep+https://[TOKEN@]HOST/PATH          a stream that somebody plays to us over WHEP
    janus+wss://HOST[/PATH]/ROOM[?pin=PIN]  a VideoRoom of Janus
    livekit+wss://HOST[/PATH]?token=TOKEN   the room of LiveKit that the token is for
    rtmp: rtmps: rtsp: rtsps: udp: http: https:, a path    whatever FFmpeg reads; .sdp: plain RTP

A secret never leaves this module but inside the URL: `shown` is what everybody else may see.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from monitor.public_hosts import is_public

Kind = Literal["whep", "janus", "livekit", "stream", "rtp"]
STREAM_SCHEMES: Final = ("rtmp", "rtmps", "rtsp", "rtsps", "udp", "http", "https")
MAX_CHARACTERS: Final = 2_048
_SLUG: Final = re.compile(r"[^a-z0-9]+")
_MAX_SLUG: Final = 32


class CallUrlError(ValueError):
    """A URL that leads nowhere; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class CallUrl:
    """`url`: as it was given. `shown`: without secrets. `host`: empty for a file."""

    kind: Kind
    url: str
    shown: str
    host: str

    @property
    def id(self) -> str:
        """A name for the call, the same for the same URL, and good for a key."""
        words = _SLUG.sub("-", self.shown.lower()).strip("-")[-_MAX_SLUG:].strip("-")
        return f"{words}-{hashlib.sha256(self.url.encode()).hexdigest()[:6]}"

    @property
    def local(self) -> bool:
        """Whether it names something of this machine: a file, or a port that it would open."""
        return not self.host or urlsplit(self.url).scheme == "udp"


def parse_call_url(text: str) -> CallUrl:
    """Raises CallUrlError."""
    if not text or len(text) > MAX_CHARACTERS or not text.isprintable():
        raise CallUrlError(f"expected a URL of at most {MAX_CHARACTERS} printable characters")
    if "://" not in text:
        if not Path(text).is_file():
            raise CallUrlError(f"{text}: there is no such file, and a URL has a scheme")
        return CallUrl("rtp" if text.endswith(".sdp") else "stream", text, text, "")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise CallUrlError(f"{text.split('?')[0]}: {error}") from error
    shown = _shown(parts)
    if not host:
        raise CallUrlError(f"{shown}: there is no host")
    return CallUrl(_kind(parts, shown), text, shown, host)


async def check_public(url: CallUrl) -> None:
    """Raises CallUrlError for what a caller of the interface may not ask for: files, ports of this
    machine, and addresses that are not public."""
    if url.local:
        raise CallUrlError(f"{url.shown}: only hosts on the network may be named here")
    try:
        public = await is_public(url.host)
    except (OSError, UnicodeError) as error:
        raise CallUrlError(f"{url.shown}: the host cannot be found") from error
    if not public:
        raise CallUrlError(
            f"{url.shown}: its address is not public (join.allow_private_targets permits it)"
        )


def _kind(parts: SplitResult, shown: str) -> Kind:
    match parts.scheme:
        case "whep+https" | "whep+http":
            return "whep"
        case "janus+wss" | "janus+ws":
            if not parts.path.rsplit("/", 1)[-1]:
                raise CallUrlError(f"{shown}: the room is missing, as in janus+wss://HOST/ROOM")
            return "janus"
        case "livekit+wss" | "livekit+ws":
            return "livekit"
        case scheme if scheme in STREAM_SCHEMES:
            return "stream"
    known = ", ".join(("whep+https", "janus+wss", "livekit+wss", *STREAM_SCHEMES))
    raise CallUrlError(f"{shown}: unknown kind {parts.scheme!r}; known are {known}, and files")


def _shown(parts: SplitResult) -> str:
    """Scheme, host, port and path: users, passwords and queries may be secrets."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"
