from fractions import Fraction

import numpy as np
import pytest
from av import AudioFrame

from monitor.audio_clock import AudioPlacer, Hole
from monitor.buffers import ParticipantBuffer
from monitor.config import ScoringConfig
from monitor.media_clock import JUMP_AFTER_S, SLACK_S, ArrivalClock
from tests.fakes import ALICE
from vfd.types import Audio

PACKET_S = 0.02
DELAY_S = 0.08


def frame(start_s: float, rate_hz: int = 48_000, layout: str = "stereo") -> AudioFrame:
    """A packet of a 200 Hz tone, its phase as at that media time."""
    t = start_s + np.arange(round(rate_hz * PACKET_S)) / rate_hz
    mono = (np.sin(2 * np.pi * 200 * t) * 16384).astype(np.int16)
    samples = np.repeat(mono, 2) if layout == "stereo" else mono
    packet = AudioFrame.from_ndarray(samples[None], format="s16", layout=layout)
    packet.sample_rate = rate_hz
    packet.pts, packet.time_base = round(start_s * rate_hz), Fraction(1, rate_hz)
    return packet


def tone(time_s: float, count: int) -> Audio:
    t = time_s + np.arange(count) / 16_000
    return (np.sin(2 * np.pi * 200 * t) / 2).astype(np.float32)


class Placed:
    """A placer whose media time m belongs at `origin_s` + m."""

    def __init__(self, origin_s: float = 50.0) -> None:
        self.origin_s = origin_s
        self.buffer = ParticipantBuffer(ALICE, ScoringConfig())
        self.placer = AudioPlacer(self.buffer.write_audio)

    def push(self, index: int, late_s: float = 0.0, **kind: object) -> Hole | None:
        start_s = index * PACKET_S
        packet = frame(start_s, **kind)  # type: ignore[arg-type]
        return self.placer.push(packet, self.origin_s + start_s + PACKET_S + late_s)

    def window(self, end_s: float) -> tuple[Audio, np.ndarray]:
        snapshot = self.buffer.snapshot(self.origin_s + end_s)
        return snapshot.audio, snapshot.received


@pytest.mark.parametrize(
    ("rate_hz", "layout"), [(48_000, "stereo"), (48_000, "mono"), (8_000, "mono"), (16_000, "mono")]
)
def test_any_rate_becomes_16_khz_mono_in_its_place(rate_hz: int, layout: str) -> None:
    placed = Placed()
    for index in range(200):
        assert placed.push(index, rate_hz=rate_hz, layout=layout) is None
    audio, received = placed.window(3.5)
    assert received.all()
    np.testing.assert_allclose(audio[100:-100], tone(0.5, 48_000)[100:-100], atol=0.02)


def test_bursts_after_a_stall_fall_into_their_places() -> None:
    placed = Placed()
    for index in range(200):
        stalled = 60 <= index < 74  # the first comes 280 ms late, the others with it
        placed.push(index, late_s=(74 - index) * PACKET_S if stalled else 0.003 * (index % 5))
    audio, received = placed.window(3.5)
    assert received.all()
    np.testing.assert_allclose(audio[100:-100], tone(0.5, 48_000)[100:-100], atol=0.02)


def test_holes_stay_holes() -> None:
    placed = Placed()
    holes = [placed.push(index) for index in range(200) if not 100 <= index < 105]
    assert [h for h in holes if h] == [pytest.approx(Hole(52.0, 0.1))]
    audio, received = placed.window(3.5)
    hole = slice(round(1.5 * 16_000), round(1.6 * 16_000))
    assert not received[hole].any()
    assert not audio[hole].any()
    assert received.sum() == pytest.approx(48_000 - 1_600, abs=2)
    np.testing.assert_allclose(audio[30_000:47_000], tone(0.5, 48_000)[30_000:47_000], atol=0.02)


def test_a_new_format_goes_on_where_the_old_one_ended() -> None:
    placed = Placed()
    for index in range(100):
        placed.push(index)
    for index in range(100, 200):
        placed.push(index, rate_hz=8_000, layout="mono")
    audio, received = placed.window(3.5)
    assert received.mean() > 0.999
    seam = slice(23_900, 24_100)
    assert np.abs(np.delete(audio - tone(0.5, 48_000), np.r_[seam])).max() < 0.05


def test_a_frame_without_a_time_is_left_out() -> None:
    placed = Placed()
    packet = frame(0.0)
    packet.pts = None
    assert placed.placer.push(packet, 50.0) is None
    assert not placed.window(0.1)[1].any()


def feed(clock: ArrivalClock, start_s: float, end_s: float, delay_s: float) -> list[float]:
    return [clock.offset_s(t, t + delay_s) for t in np.arange(start_s, end_s, PACKET_S)]


def test_small_changes_of_delay_do_not_move_the_clock() -> None:
    clock = ArrivalClock()
    rng = np.random.default_rng(0)
    offsets = {
        clock.offset_s(t, t + DELAY_S + rng.uniform(0, SLACK_S / 2))
        for t in np.arange(0, 30, PACKET_S)
    }
    assert len(offsets) == 1


def test_a_smaller_delay_is_believed_at_once() -> None:
    clock = ArrivalClock()
    feed(clock, 0, 1, 0.5)
    assert clock.offset_s(1.0, 1.0 + DELAY_S) == pytest.approx(DELAY_S)


def test_a_delay_that_has_grown_is_followed_within_ten_seconds() -> None:
    clock = ArrivalClock()
    feed(clock, 0, 6, DELAY_S)
    offsets = feed(clock, 6, 16, 0.5)
    assert offsets[0] == pytest.approx(DELAY_S)
    assert offsets[-1] == pytest.approx(0.5)


def test_timestamps_that_jump_back_anchor_the_clock_anew() -> None:
    clock = ArrivalClock()
    feed(clock, 100, 105, DELAY_S)
    offsets = [
        clock.offset_s(t, t + 105 + DELAY_S) for t in np.arange(0, JUMP_AFTER_S + 0.1, PACKET_S)
    ]
    assert offsets[0] == pytest.approx(DELAY_S)
    assert offsets[-1] == pytest.approx(105 + DELAY_S)


def test_a_long_stall_of_the_reader_does_not_anchor_the_clock_anew() -> None:
    clock = ArrivalClock()
    feed(clock, 0, 5, DELAY_S)
    burst = [clock.offset_s(t, 9.1) for t in np.arange(5, 9, PACKET_S)]
    assert burst == pytest.approx([DELAY_S] * len(burst), abs=SLACK_S)
