"""How each kind of URL is reached."""

from collections.abc import Callable
from typing import assert_never

from monitor.call_urls import CallUrl
from monitor.config import Config
from monitor.janus_source import JanusSource
from monitor.media import FaceSink
from monitor.source import Source, SourceError, Trouble
from monitor.stream_source import StreamSource
from monitor.whep_source import WhepSource


def source_of(url: CallUrl, config: Config, faces: FaceSink, clock: Callable[[], float]) -> Source:
    """A new source for `url`. Raises SourceError."""
    match url.kind:
        case "janus":
            return JanusSource(url, config.join)
        case "whep":
            return WhepSource(url, private_redirects=config.join.allow_private_targets)
        case "livekit":
            return _livekit(url, config, faces, clock)
        case "stream" | "rtp":
            return StreamSource(url, config, faces, clock)
    assert_never(url.kind)


def _livekit(url: CallUrl, config: Config, faces: FaceSink, clock: Callable[[], float]) -> Source:
    try:
        from monitor.livekit_source import LiveKitSource
    except ImportError as error:
        missing = "rooms of LiveKit need its SDK: pip install 'vfd-monitor[livekit]'"
        raise SourceError(Trouble.UNSUPPORTED, missing) from error
    return LiveKitSource(url, config, faces, clock)
