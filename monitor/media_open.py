"""Opens media with FFmpeg: what it may contact for that, and which tracks are taken."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import av
import certifi
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

OPEN_TIMEOUT_S = 20.0  # a live HLS playlist may first have to wait for its next segment
READ_TIMEOUT_S = 10.0  # after that long without a byte, a live stream counts as lost
LINES_THAT_SUFFICE: Final = 360  # of several sizes of one picture, the smallest that has as many

Track = VideoStream | AudioStream

_SDP: Final = ".sdp"
_PROTOCOLS: Final = {
    "http": "http,https,tls,tcp,crypto",
    "https": "https,tls,tcp,crypto",  # nothing that was asked for in secret is fetched in the open
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
    "rtsp": "rtsp,tcp",
    "rtsps": "rtsps,tls,tcp",
    "udp": "udp",
    _SDP: "file,udp,rtp",
}
"""What a redirect, a playlist or a session description may lead to; files of this machine never."""


class MediaError(Exception):
    """The media at `location` cannot be opened, and `why`; `__cause__` is FFmpeg's own error, if it
    was one. The message says both."""

    def __init__(self, location: str, why: str) -> None:
        super().__init__(f"{location}: {why}")
        self.why = why


def is_url(location: str) -> bool:
    return "://" in location


def open_media(location: str) -> InputContainer:
    """Raises MediaError. A bare path gets the prefix that keeps FFmpeg from reading "a:b.mp4" as a
    protocol."""
    try:
        container = av.open(
            location if is_url(location) else f"file:{Path(location)}",
            options=_options(location),
            timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S),
            metadata_errors="replace",
        )
    except av.error.ExitError as error:
        raise MediaError(location, f"no answer within {OPEN_TIMEOUT_S:.0f} s") from error
    except av.error.InvalidDataError as error:
        raise MediaError(location, "is not media, or is cut off at its start") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise MediaError(location, f"cannot be opened: {why}") from error
    if container.format.name == "tty":  # FFmpeg would play any text file as a terminal recording
        container.close()
        raise MediaError(location, "is a text file, not media")
    return container


def certificates() -> str:
    """The file of those whom we trust to vouch for a server: the system's, or else Mozilla's."""
    return ssl.get_default_verify_paths().cafile or certifi.where()


def played_tracks(container: InputContainer) -> tuple[VideoStream | None, AudioStream | None]:
    """The tracks that FFmpeg would play, if it has a decoder for them. Cover art is no video."""
    video, audio = container.streams.best("video"), container.streams.best("audio")
    return (
        video if isinstance(video, VideoStream) and _playable(video) else None,
        audio if isinstance(audio, AudioStream) and _playable(audio) else None,
    )


def followed_tracks(container: InputContainer) -> tuple[VideoStream | None, AudioStream | None]:
    """Of a live stream: the smallest picture that shows enough, and the first sound, if possible of
    the same variant. The server need not send the rest."""
    videos = [t for t in container.streams.video if _playable(t)]
    video = min(videos, key=_cost, default=None)
    audios = [t for t in container.streams.audio if _playable(t)]
    audio = min(audios, key=lambda t: _variant(t) != _variant(video), default=None)
    for track in container.streams:
        if track not in (video, audio):
            track.discard = Discard.all
    return video, audio


def remarks(container: InputContainer, video: bool, audio: bool) -> list[str]:
    """What somebody who expects to be judged should know about what of a stream is followed."""
    said = []
    sounds = len(container.streams.audio)
    if not audio:
        said.append("no sound" + (" that can be decoded" if sounds else "") + ": nobody is judged")
    elif sounds > 1:
        said.append(f"{sounds} tracks of sound: the first is taken")
    if not video:
        pictures = "that can be decoded" if container.streams.video else "so far"
        said.append(f"no video {pictures}: nobody is judged")
    return said


def pixel_aspect(stream: VideoStream | None) -> float:
    """1.0 where the file states none or nonsense."""
    stated = stream.sample_aspect_ratio if stream is not None else None
    aspect = float(stated) if stated else 1.0
    return aspect if 0.25 <= aspect <= 4.0 else 1.0


def _options(location: str) -> dict[str, str]:
    kind = urlsplit(location).scheme if is_url(location) else Path(location).suffix
    options = {"live_start_index": "-1"}  # of HLS: the newest segment; FFmpeg begins three earlier
    if kind in _PROTOCOLS:
        options["protocol_whitelist"] = _PROTOCOLS[kind]
    if kind in ("https", "rtmps", "rtsps"):
        options |= {"tls_verify": "1", "ca_file": certificates()}
    if kind in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "tcp"
    if kind in _PROTOCOLS and kind not in ("http", "https"):
        options["fpsprobesize"] = "0"  # measuring the frame rate would take four seconds
    return options


def _playable(track: Track) -> bool:
    return track.codec_context is not None and not track.disposition & Disposition.attached_pic


def _cost(track: VideoStream) -> tuple[bool, int]:
    lines = track.codec_context.height
    enough = lines >= LINES_THAT_SUFFICE
    return not enough, lines if enough else -lines


def _variant(track: Track | None) -> str:
    """Which of the variants of an HLS stream it belongs to; empty elsewhere."""
    metadata: Iterable[tuple[str, str]] = track.metadata.items() if track is not None else ()
    return dict(metadata).get("variant_bitrate", "")
