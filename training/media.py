"""Media of a clip: its sound at 16 kHz and short runs of pictures, from files of any container or
from a folder of numbered pictures."""

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import av
import cv2
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame

from training.drops import Drop, DropError
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

_MAX_MISSING_S: Final = 0.15  # of what the file states: encoders' padding is shorter
FOLDER_FPS: Final = 25.0  # of VidTIMIT, the one set that comes as numbered pictures


@dataclass(frozen=True, slots=True)
class Look:
    """A moment of a clip. `run()` is the few pictures that end in it, oldest first, one at least,
    each (H, W, 3) uint8; it must be called before the next look is taken."""

    time_s: float
    run: Callable[[], list[Rgb]]


class Media(Protocol):
    """Where sound and pictures of one clip come from. Raises DropError."""

    def sound(self, max_s: float) -> Audio:
        """At most the first `max_s` seconds."""
        ...

    def looks(self, times_s: Sequence[float], run: int) -> Iterator[Look]:
        """At the given times, rising, as far as the clip lasts; at most `run` pictures each."""
        ...


@dataclass(frozen=True, slots=True)
class FileMedia:
    """`video`: a file or a folder of numbered pictures; `audio`: a file, often the same one."""

    video: Path
    audio: Path

    def sound(self, max_s: float) -> Audio:
        with _open(self.audio) as container:
            if not container.streams.audio:
                raise DropError(Drop.NO_AUDIO, self.audio.name)
            sound = _decoded_sound(container, max_s)
        if not len(sound):
            raise DropError(Drop.NO_AUDIO, f"{self.audio.name}: an audio track without a sample")
        return sound

    def looks(self, times_s: Sequence[float], run: int) -> Iterator[Look]:
        if self.video.is_dir():
            yield from _folder_looks(self.video, times_s, run)
            return
        with _open(self.video) as container:
            yield from _video_looks(container, self.video.name, times_s, run)


@dataclass(frozen=True, slots=True)
class StillMedia:
    """`pictures`: moments of a clip that others have cut out; `audio`: a file."""

    pictures: tuple[Path, ...]
    audio: Path

    def sound(self, max_s: float) -> Audio:
        return FileMedia(self.audio, self.audio).sound(max_s)

    def looks(self, times_s: Sequence[float], run: int) -> Iterator[Look]:
        """Each picture once, at the time nearest to its place; a run is one picture repeated."""
        for number, picture in enumerate(self.pictures):
            time_s = times_s[number * len(times_s) // len(self.pictures)]
            yield Look(time_s, partial(_read_pictures, [picture] * run))


def _open(path: Path) -> InputContainer:
    if not path.exists():
        raise DropError(Drop.MISSING_FILE, str(path))
    if not path.stat().st_size:
        raise DropError(Drop.EMPTY_FILE, str(path))
    try:  # the prefix keeps FFmpeg from reading "a:b.mp4" as a protocol
        return av.open(f"file:{path}", metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise DropError(Drop.UNREADABLE, f"{path.name}: {error}") from error


def _decoded_sound(container: InputContainer, max_s: float) -> Audio:
    resampler = AudioResampler("fltp", "mono", SAMPLE_RATE_HZ)
    pieces: list[Audio] = []
    wanted = round(max_s * SAMPLE_RATE_HZ)
    try:
        for frame in container.decode(audio=0):
            pieces += [f.to_ndarray()[0] for f in resampler.resample(frame)]
            if sum(map(len, pieces)) >= wanted:
                break
        else:
            pieces += [f.to_ndarray()[0] for f in resampler.resample(None)]
            _check_whole(container.streams.audio[0], sum(map(len, pieces)) / SAMPLE_RATE_HZ)
    except av.error.FFmpegError as error:
        raise DropError(Drop.CORRUPT, f"sound: {error}") from error
    return np.concatenate([np.zeros(0, np.float32), *pieces])[:wanted].astype(np.float32)


def _check_whole(stream: AudioStream, heard_s: float) -> None:
    """Some demuxers step over what is broken without a word: less comes out than is stated."""
    if stream.duration is not None and stream.time_base is not None:
        stated_s = float(stream.duration * stream.time_base)
        if heard_s < stated_s - _MAX_MISSING_S:
            raise DropError(Drop.CORRUPT, f"sound: {heard_s:.2f} s of {stated_s:.2f} s")


def _video_looks(
    container: InputContainer, name: str, times_s: Sequence[float], run: int
) -> Iterator[Look]:
    """Decodes no further than the last of `times_s`."""
    if not container.streams.video:
        raise DropError(Drop.NO_VIDEO, name)
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # one worker a core does better
    kept: deque[VideoFrame] = deque(maxlen=run)
    upcoming = deque(times_s)
    for frame in _frames(container, name):
        kept.append(frame)
        if not upcoming:
            return
        if frame.time is None:
            raise DropError(Drop.CORRUPT, f"{name}: a picture without a time")
        time_s = frame.time - (stream.start_time or 0) * float(stream.time_base or 0)
        if time_s < upcoming[0]:
            continue
        while upcoming and upcoming[0] <= time_s:
            upcoming.popleft()
        yield Look(time_s, partial(_pictures, tuple(kept)))


def _frames(container: InputContainer, name: str) -> Iterator[VideoFrame]:
    seen = 0
    try:
        for frame in container.decode(video=0):
            if frame.is_corrupt:
                raise DropError(Drop.CORRUPT, f"{name}: picture {seen}")
            seen += 1
            yield frame
    except av.error.FFmpegError as error:
        raise DropError(Drop.CORRUPT, f"{name}: picture {seen}: {error}") from error
    if not seen:
        raise DropError(Drop.NO_VIDEO, f"{name}: a video track without a picture")
    stream = container.streams.video[0]
    rate = stream.average_rate
    if rate and (stream.frames - seen) / rate > _MAX_MISSING_S:
        raise DropError(Drop.CORRUPT, f"{name}: {seen} pictures of {stream.frames}")


def _pictures(frames: Sequence[VideoFrame]) -> list[Rgb]:
    """Upright."""
    return [
        np.ascontiguousarray(np.rot90(f.to_ndarray(format="rgb24"), f.rotation // 90))
        for f in frames
    ]


def _folder_looks(folder: Path, times_s: Sequence[float], run: int) -> Iterator[Look]:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    if not files:
        raise DropError(Drop.NO_VIDEO, f"{folder}: no pictures")
    numbers = [round(time_s * FOLDER_FPS) for time_s in times_s]
    for number in itertools.takewhile(lambda n: n < len(files), numbers):
        part = files[max(0, number - run + 1) : number + 1]
        yield Look(number / FOLDER_FPS, partial(_read_pictures, part))


def _read_pictures(files: Sequence[Path]) -> list[Rgb]:
    return [_read_picture(file) for file in files]


def _read_picture(file: Path) -> Rgb:
    if not file.exists():
        raise DropError(Drop.MISSING_FILE, str(file))
    data: Any = np.frombuffer(file.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if picture is None:
        raise DropError(Drop.CORRUPT, f"{file}: not a picture")
    return np.asarray(picture, np.uint8)
