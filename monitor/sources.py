"""How each kind of URL is reached."""

from typing import assert_never

from monitor.call_urls import CallUrl
from monitor.config import Config
from monitor.janus_source import JanusSource
from monitor.source import Source, SourceError, Trouble
from monitor.whep_source import WhepSource


def source_of(url: CallUrl, config: Config) -> Source:
    """A new source for `url`. Raises SourceError."""
    match url.kind:
        case "janus":
            return JanusSource(url, config.join)
        case "whep":
            return WhepSource(url)
        case "stream" | "rtp":
            raise SourceError(Trouble.UNSUPPORTED, f"{url.kind} is not built yet")
    assert_never(url.kind)
