"""A mixed stream (`training.gallery`) as a file, to be watched or sent.

python -m training.gallery_file gallery.mkv --people 4 --swapped 2
"""

import argparse
import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.packet import Packet

from training.gallery import MOST_PEOPLE, Gallery, compose
from training.people import TEST_SEED, Person, draw_person
from vfd.types import SAMPLE_RATE_HZ

FIRST_SEED: Final = TEST_SEED + 500_000  # people whom nothing was trained on or fitted to
PEOPLE_APART: Final = 10  # seeds between two streams, so that nobody is in both
_SOUND_PACKET: Final = SAMPLE_RATE_HZ // 50


def cast_of(count: int, seed: int, swapped: int | None = None) -> tuple[list[Person], list[Person]]:
    """Those who are shown, and those whose voices they have: their own, but for number `swapped`
    (from 1), who has a stranger's."""
    first = FIRST_SEED + seed * PEOPLE_APART
    *shown, stranger = (draw_person(first + k) for k in range(count + 1))
    voices = list(shown)
    if swapped is not None:
        voices[swapped - 1] = stranger
    return shown, voices


def write_gallery(gallery: Gallery, path: Path) -> Path:
    """Matroska with the gallery's own VP8 and its sound as PCM. Raises what FFmpeg raises."""
    first = next(gallery.pictures())[1]
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("libvpx", rate=gallery.fps)
        video.height, video.width = first.shape[:2]
        video.pix_fmt = "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=SAMPLE_RATE_HZ, layout="mono")
        both = heapq.merge(_video(gallery, video), _sound(gallery, sound), key=lambda p: p[0])
        for _, packet in both:
            container.mux(packet)
    return path


def _video(gallery: Gallery, stream: av.VideoStream) -> Iterator["_Timed"]:
    frames = ((data, place == 0) for chunk in gallery.chunks for place, data in enumerate(chunk))
    for index, (data, is_keyframe) in enumerate(frames):
        packet = _packet(data, index, Fraction(1, gallery.fps), stream)
        packet.is_keyframe = is_keyframe
        yield index / gallery.fps, packet


def _sound(gallery: Gallery, stream: av.AudioStream) -> Iterator["_Timed"]:
    samples = (np.clip(gallery.audio, -1, 1) * 32_767).astype("<i2")
    for begin in range(0, len(samples), _SOUND_PACKET):
        data = samples[begin : begin + _SOUND_PACKET].tobytes()
        yield begin / SAMPLE_RATE_HZ, _packet(data, begin, Fraction(1, SAMPLE_RATE_HZ), stream)


def _packet(
    data: bytes, ticks: int, time_base: Fraction, stream: av.VideoStream | av.AudioStream
) -> "Packet[Any]":
    packet: Packet[Any] = Packet(data)
    packet.pts = packet.dts = ticks
    packet.time_base, packet.stream = time_base, stream
    return packet


_Timed = tuple[float, "Packet[Any]"]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draws people who share a picture and take turns.")
    parser.add_argument("file", type=Path, help="what to write (Matroska)")
    parser.add_argument("--people", type=int, default=4, choices=range(1, MOST_PEOPLE + 1))
    parser.add_argument("--swapped", type=int, help="whose voice is a stranger's, counted from 1")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(words)
    if given.swapped is not None and not 1 <= given.swapped <= given.people:
        parser.error(f"--swapped must be 1 to {given.people}, not {given.swapped}")
    shown, voices = cast_of(given.people, given.seed, given.swapped)
    heard = [person.voice for person in voices]
    write_gallery(compose(shown, given.seed, given.seconds, voices=heard), given.file)


if __name__ == "__main__":
    main()
