"""A recorded file or a stream URL as sound and pictures in the order of media time.

Everything is brought to the monitor's own form here: 16 kHz mono sound, upright RGB pictures with
square pixels, times in seconds from the start of the media. Holes in the timestamps stay holes, and
a delay between sound and picture is kept.
"""

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from monitor.media_tracks import (
    Item,
    Picture,
    PictureTrack,
    Sound,
    SoundTrack,
    Timeline,
    TimeOrder,
)

OPEN_TIMEOUT_S = 20.0  # a live HLS playlist may first have to wait for its next segment
READ_TIMEOUT_S = 10.0  # after that long without a byte, a live stream counts as ended
MAX_FAILURES_IN_A_ROW = 200  # packets; then the rest of the file is taken as unreadable


_Track = VideoStream | AudioStream
_Reading = tuple[InputContainer, list[_Track]]


class MediaError(Exception):
    """The media cannot be opened; the message names it and says why."""


def is_url(location: str) -> bool:
    return "://" in location


class FileSource:
    """Iterates once over the media at `location`, a path or a URL; one picture is converted every
    `picture_interval_s`. Not thread-safe. Raises MediaError when it cannot be opened."""

    def __init__(self, location: str, picture_interval_s: float) -> None:
        self.location = location
        self.decode_errors = 0
        """Packets and frames that were broken and left out."""
        self.broke_off = ""
        """Why reading ended before the media did; empty if it did not."""
        first = _open(location)
        self._video, self._audio = _tracks(first)
        self._readings: list[_Reading] = [(first, [t for t in (self._video, self._audio) if t])]
        if self._video is None and self._audio is None:
            self.close()
            raise MediaError(f"{location}: holds neither sound nor video that can be decoded")
        if self._video and self._audio and Path(location).is_file():
            self._read_apart(first, self._video)
        self.duration_s = first.duration / av.time_base if first.duration else None
        """As the container states it; None for a live stream."""
        start = first.start_time
        timeline = Timeline(None if start is None else start / av.time_base)
        self._pictures = PictureTrack(timeline, picture_interval_s, _pixel_aspect(self._video))
        self._sounds = SoundTrack(timeline)

    def close(self) -> None:
        for container, _ in self._readings:
            container.close()

    def __iter__(self) -> Iterator[Item]:
        """Items in the order of their times (as far as `MAX_LEAD_S` of look-ahead can order them),
        none before 0."""
        return heapq.merge(*map(self._ordered, self._readings), key=lambda item: item.time_s)

    def _read_apart(self, first: InputContainer, video: VideoStream) -> None:
        """Opens a file a second time for its sound: some hold minutes of one track and then of the
        other, which no bounded look-ahead could bring together."""
        second = _open(self.location)
        _, audio = _tracks(second)
        assert audio is not None
        self._readings = [(first, [video]), (second, [audio])]

    def _ordered(self, reading: _Reading) -> Iterator[Item]:
        container, tracks = reading
        order = TimeOrder([Picture if isinstance(t, VideoStream) else Sound for t in tracks])
        for frame in self._frames(container, tracks):
            for item in self._converted(frame):
                yield from order.push(item)
        if Sound in order.kinds:
            for sound in self._sounds.flush():
                yield from order.push(sound)
        yield from order.rest()

    def _converted(self, frame: AudioFrame | VideoFrame) -> Sequence[Item]:
        try:
            if isinstance(frame, VideoFrame):
                return list(self._pictures.items(frame))
            return list(self._sounds.items(frame))
        except (av.error.FFmpegError, ValueError):  # decoded, but of no form we can convert
            self.decode_errors += 1
            return []

    def _frames(
        self, container: InputContainer, tracks: list[_Track]
    ) -> Iterator[AudioFrame | VideoFrame]:
        """Decoded frames in file order; what cannot be decoded is counted and skipped."""
        failures = 0
        while failures < MAX_FAILURES_IN_A_ROW:
            try:
                for packet in container.demux(*tracks):
                    frames = self._decode(packet)
                    failures = 0 if frames else failures
                    yield from frames
            except av.error.ExitError:
                self.broke_off = f"nothing received for {READ_TIMEOUT_S:.0f} s"
                return
            except OSError as error:
                self.broke_off = error.strerror or str(error)
                return
            except av.error.FFmpegError:  # a broken place; the demuxer goes on behind it
                failures += 1
                self.decode_errors += 1
            else:
                return
        self.broke_off = f"{failures} broken packets in a row"

    def _decode(self, packet: "Packet[Any]") -> Sequence[AudioFrame | VideoFrame]:
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            self.decode_errors += 1
            return []
        whole: list[AudioFrame | VideoFrame] = [f for f in frames if not f.is_corrupt]
        self.decode_errors += len(frames) - len(whole)
        return whole


def _open(location: str) -> InputContainer:
    """A bare path gets the prefix that keeps FFmpeg from reading "a:b.mp4" as a protocol."""
    options = {"rtsp_transport": "tcp"} if location.startswith("rtsp") else {}
    try:
        container = av.open(
            location if is_url(location) else f"file:{Path(location)}",
            options=options,
            timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S),
            metadata_errors="replace",
        )
    except av.error.ExitError as error:
        raise MediaError(f"{location}: no answer within {OPEN_TIMEOUT_S:.0f} s") from error
    except av.error.InvalidDataError as error:
        raise MediaError(f"{location}: is not media, or is cut off at its start") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{location}: cannot be opened: {why}") from error
    if container.format.name == "tty":  # FFmpeg would play any text file as a terminal recording
        container.close()
        raise MediaError(f"{location}: is a text file, not media")
    return container


def _tracks(container: InputContainer) -> tuple[VideoStream | None, AudioStream | None]:
    """The tracks that FFmpeg would play, if it has a decoder for them. Cover art is no video."""
    video, audio = container.streams.best("video"), container.streams.best("audio")
    if not isinstance(video, VideoStream) or _undecodable(video) or _is_cover(video):
        video = None
    if not isinstance(audio, AudioStream) or _undecodable(audio):
        audio = None
    return video, audio


def _undecodable(stream: _Track) -> bool:
    return stream.codec_context is None


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _pixel_aspect(stream: VideoStream | None) -> float:
    """1.0 where the file states none or nonsense."""
    stated = stream.sample_aspect_ratio if stream is not None else None
    aspect = float(stated) if stated else 1.0
    return aspect if 0.25 <= aspect <= 4.0 else 1.0
