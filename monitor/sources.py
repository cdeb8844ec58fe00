"""How each kind of URL is reached."""

from collections.abc import Callable
from typing import assert_never

from monitor.call_urls import CallUrl
from monitor.config import Config
from monitor.janus_source import JanusSource
from monitor.media import FaceSink
from monitor.source import Source
from monitor.stream_source import StreamSource
from monitor.whep_source import WhepSource


def source_of(url: CallUrl, config: Config, faces: FaceSink, clock: Callable[[], float]) -> Source:
    """A new source for `url`. Raises SourceError."""
    match url.kind:
        case "janus":
            return JanusSource(url, config.join)
        case "whep":
            return WhepSource(url)
        case "stream" | "rtp":
            return StreamSource(url, config, faces, clock)
    assert_never(url.kind)
