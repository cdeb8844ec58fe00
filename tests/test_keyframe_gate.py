"""Of a live video no more is decoded than faces need."""

from collections import Counter
from pathlib import Path
from typing import Any

import av
import pytest
from av.packet import Packet
from av.video.stream import VideoStream

from monitor.keyframe_gate import PATIENCE_S, KeyframeGate
from tests.media_files import FPS, encode, grey

INTERVAL_S = 2.0


class Counted:
    """What a gate made of a file: per second of media, packets that were decoded."""

    def __init__(self, path: Path, hurried: range = range(0), closely: range = range(0)) -> None:
        self.decoded: Counter[int] = Counter()
        self.shades: list[tuple[float, int]] = []
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            gate = KeyframeGate(video, INTERVAL_S)
            for packet in container.demux(video):
                self._one(gate, packet, hurried, closely)
            self.keyframes_only = gate.keyframes_only

    def _one(
        self, gate: KeyframeGate, packet: "Packet[Any]", hurried: range, closely: range
    ) -> None:
        at_s = -1.0 if packet.dts is None else float(packet.dts * packet.time_base)
        frames = gate.decode(packet, int(at_s) in hurried, int(at_s) in closely)
        for frame in frames or ():
            assert not frame.is_corrupt
            assert frame.time is not None
            self.decoded[int(frame.time)] += 1
            self.shades.append((frame.time, round(float(frame.to_ndarray(format="gray8").mean()))))


def video(path: Path, seconds: float, gop_s: float) -> Path:
    """Its grey rises by eight a second; H.264 with pictures that are reordered."""
    return encode(
        path,
        picture=lambda time_s: grey(round(20 + 8 * time_s)),
        picture_s=seconds,
        codec="libx264",
        codec_options={"g": str(round(gop_s * FPS)), "keyint_min": "1", "sc_threshold": "0"},
    )


def test_where_keyframes_come_often_they_are_all_that_is_decoded(tmp_path: Path) -> None:
    counted = Counted(video(tmp_path / "a.mp4", 12, gop_s=2.0))
    assert counted.keyframes_only
    assert counted.decoded[1] == FPS  # until the second one has shown how often they come
    assert [counted.decoded[second] for second in range(4, 12)] == [1, 0] * 4


def test_where_they_come_seldom_everything_is_decoded(tmp_path: Path) -> None:
    counted = Counted(video(tmp_path / "a.mp4", 12, gop_s=5.0))
    assert not counted.keyframes_only
    assert sum(counted.decoded.values()) == 12 * FPS


def test_what_is_watched_closely_is_all_decoded_from_a_keyframe_on(tmp_path: Path) -> None:
    counted = Counted(video(tmp_path / "a.mp4", 16, gop_s=2.0), closely=range(7, 12))
    assert [counted.decoded[second] for second in range(4, 8)] == [1, 0, 1, 0]
    assert [counted.decoded[second] for second in range(8, 11)] == [FPS] * 3
    assert [counted.decoded[second] for second in range(13, 16)] == [0, 1, 0]


def test_a_keyframe_is_shown_at_once_and_as_it_is(tmp_path: Path) -> None:
    counted = Counted(video(tmp_path / "a.mp4", 12, gop_s=2.0))
    for time_s, shade in counted.shades:
        assert shade == pytest.approx(20 + 8 * time_s, abs=3)


def test_where_everything_is_a_keyframe_few_are_decoded(tmp_path: Path) -> None:
    counted = Counted(video(tmp_path / "a.mp4", 10, gop_s=0.1))
    assert sum(counted.decoded.values()) <= 12


def test_who_is_in_a_hurry_decodes_nothing_and_goes_on_at_a_keyframe(tmp_path: Path) -> None:
    counted = Counted(video(tmp_path / "a.mp4", 20, gop_s=5.0), hurried=range(6, 8))
    assert counted.decoded[6] <= 2  # which the decoder held back
    assert [counted.decoded[second] for second in range(7, 12)] == [0, 0, 0, 10, 10]


def test_a_stream_that_is_joined_without_a_keyframe_is_waited_for_and_then_taken(
    tmp_path: Path,
) -> None:
    path = video(tmp_path / "a.mp4", 2 * PATIENCE_S, gop_s=100.0)
    with av.open(str(path)) as container:
        stream: VideoStream = container.streams.video[0]
        gate = KeyframeGate(stream, INTERVAL_S)
        packets = [p for p in container.demux(stream) if p.dts is not None][1:]
    worth = [gate.decode(packet, hurried=False) is not None for packet in packets]
    assert worth.index(True) == pytest.approx(PATIENCE_S * FPS, abs=2)
    assert all(worth[worth.index(True) :])
