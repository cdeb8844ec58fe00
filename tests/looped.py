"""The real clips, end to end, as what Chromium's fake devices play and as a file with the same.

Picture and sound of every clip are cut to the same length, so both devices start their next round
together.
"""

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE_HZ = 48_000  # what browsers capture at: nothing is resampled on the way to the codec

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Loop:
    """One round lasts `length_s`. `camera` (y4m) and `microphone` (wav) are for Chromium, `file`
    holds the same pictures and samples, nothing lost."""

    camera: Path
    microphone: Path
    file: Path
    length_s: float
    fps: int
    pictures: int


def write_loop(clips: Sequence[Path], folder: Path) -> Loop:
    """Writes the three files; all clips must be of one size and frame rate."""
    frames: list[av.VideoFrame] = []
    sounds: list[Samples] = []
    fps = _fps(clips[0])
    for clip in clips:
        pictures, sound = _pictures(clip), _sound(clip)
        # A clip's sound may be a little shorter than its picture: whole pictures that have sound.
        count = min(len(pictures), len(sound) * fps // RATE_HZ)
        frames += pictures[:count]
        sounds.append(sound[: count * RATE_HZ // fps])
    samples = np.concatenate(sounds)
    loop = Loop(
        camera=folder / "camera.y4m",
        microphone=folder / "microphone.wav",
        file=folder / "loop.mkv",
        length_s=len(frames) / fps,
        fps=fps,
        pictures=len(frames),
    )
    write_camera(loop.camera, frames, fps)
    write_microphone(loop.microphone, samples)
    _write_file(loop.file, frames, samples, fps)
    return loop


def _fps(clip: Path) -> int:
    with av.open(str(clip)) as container:
        rate = container.streams.video[0].average_rate
    assert rate is not None
    assert rate.denominator == 1, f"{clip}: {rate} pictures a second"
    return rate.numerator


def _pictures(clip: Path) -> list[av.VideoFrame]:
    with av.open(str(clip)) as container:
        return [frame.reformat(format="yuv420p") for frame in container.decode(video=0)]


def _sound(clip: Path) -> Samples:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    with av.open(str(clip)) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def write_camera(path: Path, frames: Sequence[av.VideoFrame], fps: int) -> None:
    """As y4m; the frames are yuv420p."""
    width, height = frames[0].width, frames[0].height
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + frame.to_ndarray().tobytes())


def write_microphone(path: Path, samples: Samples) -> None:
    """As wav, at RATE_HZ."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(samples.itemsize)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())


def _write_file(path: Path, frames: Sequence[av.VideoFrame], samples: Samples, fps: int) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=fps)
        video.width, video.height, video.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        step = RATE_HZ // fps
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, fps)
            container.mux(video.encode(picture))
            part = samples[None, index * step : (index + 1) * step]
            sound = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            sound.sample_rate = RATE_HZ
            sound.pts, sound.time_base = index * step, Fraction(1, RATE_HZ)
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
