"""A recorded file or a stream URL as sound and pictures in the order of media time.

Everything is brought to the monitor's own form here: 16 kHz mono sound, upright RGB pictures with
square pixels, times in seconds from the start of the media. Holes in the timestamps stay holes, and
a delay between sound and picture is kept.
"""

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from monitor.keyframe_gate import KeyframeGate
from monitor.media_open import (
    READ_TIMEOUT_S,
    MediaError,
    Track,
    followed_tracks,
    open_media,
    pixel_aspect,
    played_tracks,
    remarks,
)
from monitor.media_tracks import (
    Item,
    Picture,
    PictureTrack,
    Sound,
    SoundTrack,
    Timeline,
    TimeOrder,
)

MAX_FAILURES_IN_A_ROW = 200  # packets; then the rest of the file is taken as unreadable

_Reading = tuple[InputContainer, list[Track]]
_Frame: TypeAlias = "AudioFrame | VideoFrame | Packet[Any]"


class FileSource:
    """Iterates once over the media at `location`, a path or a URL; one picture is converted every
    `picture_interval_s`. Not thread-safe. Raises MediaError when it cannot be opened.

    `followed`: as one follows a live stream. Of one that has no end, nothing is put into order, and
    of its video no more is decoded than the pictures need: see `KeyframeGate`."""

    def __init__(self, location: str, picture_interval_s: float, *, followed: bool = False) -> None:
        self.location = location
        self.decode_errors = 0
        """Packets and frames that were broken and left out."""
        self.broke_off = ""
        """Why reading ended before the media did; empty if it did not."""
        self.hurried = False
        """Set by whoever cannot keep up: no video is decoded until it is unset."""
        first = open_media(location)
        tracks = followed_tracks(first) if followed else played_tracks(first)
        self._video, self._audio = tracks
        self._readings: list[_Reading] = [(first, [t for t in tracks if t])]
        if self._video is None and self._audio is None:
            self.close()
            raise MediaError(location, "holds neither sound nor video that can be decoded")
        self.format = first.format.name
        recorded = Path(location).is_file() and self.format != "sdp"
        if self._video and self._audio and recorded:
            self._read_apart(first, self._video, self._audio)
        self.duration_s = first.duration / av.time_base if first.duration else None
        """As the container states it; None for a live stream."""
        self.live = followed and self.duration_s is None and not recorded
        self.remarks = remarks(first, self._video is not None, self._audio is not None)
        """What of it is not followed, in words; empty if all is."""
        self.complete = None not in tracks
        """Whether there are sound and video; what is not there yet may come."""
        start = first.start_time
        timeline = Timeline(None if start is None else start / av.time_base)
        self._pictures = PictureTrack(timeline, picture_interval_s, pixel_aspect(self._video))
        self._sounds = SoundTrack(timeline)
        self._gate = KeyframeGate(self._video, picture_interval_s) if self.live else None

    @property
    def closely(self) -> bool:
        """Whether there are pictures in which mouths are watched; may be set at any time."""
        return self._pictures.closely

    @closely.setter
    def closely(self, value: bool) -> None:
        self._pictures.closely = value

    def close(self) -> None:
        for container, _ in self._readings:
            container.close()

    def __iter__(self) -> Iterator[Item]:
        """Items in the order of their times (as far as `MAX_LEAD_S` of look-ahead can order them),
        none before 0."""
        return heapq.merge(*map(self._ordered, self._readings), key=lambda item: item.time_s)

    def _read_apart(self, first: InputContainer, video: VideoStream, audio: AudioStream) -> None:
        """Opens a file a second time for its sound: some hold minutes of one track and then of the
        other, which no bounded look-ahead could bring together."""
        second = open_media(self.location)
        sound = second.streams[audio.index]
        assert isinstance(sound, AudioStream)
        self._readings = [(first, [video]), (second, [sound])]

    def _ordered(self, reading: _Reading) -> Iterator[Item]:
        container, tracks = reading
        if self.live:
            for frame in self._frames(container, tracks):
                yield from self._converted(frame)
            return
        order = TimeOrder([Picture if isinstance(t, VideoStream) else Sound for t in tracks])
        for frame in self._frames(container, tracks):
            for item in self._converted(frame):
                yield from order.push(item)
        if Sound in order.kinds:
            for sound in self._sounds.flush():
                yield from order.push(sound)
        yield from order.rest()

    def _converted(self, frame: _Frame) -> Sequence[Item]:
        try:
            if isinstance(frame, Packet):
                return list(self._pictures.passed(frame))
            if isinstance(frame, VideoFrame):
                return list(self._pictures.items(frame))
            return list(self._sounds.items(frame))
        except (av.error.FFmpegError, ValueError):  # decoded, but of no form we can convert
            self.decode_errors += 1
            return []

    def _frames(self, container: InputContainer, tracks: list[Track]) -> Iterator[_Frame]:
        """Decoded frames in file order; what cannot be decoded is counted and skipped. A packet is
        a picture that nobody needs."""
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

    def _decode(self, packet: "Packet[Any]") -> Sequence[_Frame]:
        frames: Sequence[object] | None
        try:
            if self._gate is not None and packet.stream is self._video:
                frames = self._gate.decode(packet, self.hurried, self.closely)
            else:
                frames = packet.decode()
        except av.error.FFmpegError:
            self.decode_errors += 1
            return []
        if frames is None:
            return [packet]
        known = [f for f in frames if isinstance(f, AudioFrame | VideoFrame)]
        whole = [f for f in known if not f.is_corrupt]
        self.decode_errors += len(known) - len(whole)
        return whole
