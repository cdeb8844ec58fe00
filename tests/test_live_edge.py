"""Where media time lies on the monitor's clock, from scripts of arrivals."""

import pytest

from monitor.live_edge import CONTINUOUS, MARGIN_S, SEGMENTED, SPARE_S, LiveEdge, OwnPace
from vfd.types import SAMPLE_RATE_HZ

FRAME_S = 0.02
SAMPLES_S = 2 / SAMPLE_RATE_HZ


def steadily(edge: LiveEdge, start_s: float, end_s: float, delay_s: float) -> None:
    """Frames of the media time from `start_s` on, each read `delay_s` after it was said."""
    for index in range(round((end_s - start_s) / FRAME_S)):
        media_s = start_s + index * FRAME_S
        assert edge.read(media_s, media_s + delay_s, leads=True)


def in_segments(edge: LiveEdge, count: int, segment_s: float, first: int = 0) -> None:
    """Whole segments, each read at once when it is finished."""
    for number in range(first, first + count):
        for index in range(round(segment_s / FRAME_S)):
            media_s = number * segment_s + index * FRAME_S
            assert edge.read(media_s, (number + 1) * segment_s, leads=True)


def continuous() -> LiveEdge:
    return LiveEdge(CONTINUOUS, in_bursts=False)


def test_a_steady_stream_is_played_a_margin_behind_its_edge() -> None:
    edge = continuous()
    steadily(edge, 0, 5, 100.0)
    assert edge.offset_s == pytest.approx(100 + MARGIN_S, abs=SAMPLES_S)
    assert edge.latency_s == pytest.approx(MARGIN_S, abs=SAMPLES_S)


def test_what_was_read_to_find_the_tracks_does_not_delay_the_rest() -> None:
    edge = continuous()
    for index in range(150):  # three seconds, at once
        edge.read(index * FRAME_S, 103.0, leads=True)
    steadily(edge, 3, 5, 100.0)
    assert edge.offset_s == pytest.approx(100 + MARGIN_S, abs=0.2)


def test_offsets_are_whole_samples() -> None:
    edge = continuous()
    steadily(edge, 0, 1, 100.123456789)
    assert edge.offset_s is not None
    assert edge.offset_s * SAMPLE_RATE_HZ == round(edge.offset_s * SAMPLE_RATE_HZ)


def test_a_segmented_stream_waits_for_its_segments_once() -> None:
    edge = LiveEdge(SEGMENTED, in_bursts=True)
    in_segments(edge, 2, 4.0)
    offset_s = edge.offset_s
    in_segments(edge, 20, 4.0, first=2)
    assert edge.offset_s == offset_s == pytest.approx(4 + MARGIN_S, abs=SAMPLES_S)
    assert edge.latency_s == pytest.approx(4 + MARGIN_S, abs=2 * FRAME_S)
    assert edge.skipped_s == 0


def test_a_stall_delays_and_the_delay_is_made_up_for() -> None:
    edge = continuous()
    steadily(edge, 0, 20, 100.0)
    for index in range(150):  # three seconds that come late, at once
        assert edge.read(20 + index * FRAME_S, 123.0, leads=True)
    assert edge.latency_s == pytest.approx(3 + MARGIN_S, abs=SAMPLES_S)
    assert not edge.behind
    steadily(edge, 23, 23 + 1.5 * CONTINUOUS.span_s, 100.0)
    assert edge.latency_s == pytest.approx(MARGIN_S, abs=SAMPLES_S)
    assert edge.skipped_s == pytest.approx(3, abs=2 * FRAME_S)


def test_what_fell_far_behind_is_skipped_up_to_the_edge() -> None:
    edge = continuous()
    steadily(edge, 0, 20, 100.0)
    before_s = edge.offset_s
    kept = [edge.read(20 + i * FRAME_S, 129.0, leads=True) for i in range(450)]  # nine seconds late
    assert kept.index(True) * FRAME_S == pytest.approx(9 - SPARE_S, abs=2 * FRAME_S)
    assert all(kept[kept.index(True) :])
    assert edge.skipped_s == pytest.approx(9 - SPARE_S, abs=2 * FRAME_S)
    assert before_s is not None
    assert edge.offset_s == pytest.approx(before_s + SPARE_S, abs=2 * FRAME_S)


def test_while_it_is_behind_it_says_so() -> None:
    edge = continuous()
    steadily(edge, 0, 20, 100.0)
    assert not edge.read(20, 129.0, leads=True)
    assert edge.behind
    assert edge.read(28.9, 129.0, leads=True)
    assert not edge.behind


def test_a_sender_who_paused_its_clock_is_believed_after_a_while() -> None:
    edge = continuous()
    steadily(edge, 0, 20, 100.0)
    late_s = 108.0
    kept = [
        edge.read(20 + i * FRAME_S, 20 + i * FRAME_S + late_s, leads=True) for i in range(1_000)
    ]
    assert kept.index(True) * FRAME_S <= CONTINUOUS.span_s
    assert all(kept[kept.index(True) :])
    assert edge.offset_s == pytest.approx(late_s + MARGIN_S, abs=SAMPLES_S)


def test_a_leap_of_the_senders_clock_begins_anew() -> None:
    edge = continuous()
    steadily(edge, 0, 20, 100.0)
    assert edge.read(500.0, 120.0, leads=True)
    assert edge.offset_s == pytest.approx(-380 + MARGIN_S, abs=SAMPLES_S)


def test_pictures_that_come_late_do_not_hold_up_the_sound() -> None:
    edge = continuous()
    steadily(edge, 0, 5, 100.0)
    before_s = edge.offset_s
    assert edge.read(4.0, 106.0, leads=False)
    assert edge.offset_s == before_s


def test_what_has_an_end_is_played_from_now_on_at_its_own_pace() -> None:
    pace = OwnPace()
    assert pace.read(0.0, 50.0, leads=True)
    assert pace.read(10.0, 50.5, leads=True)
    assert (pace.offset_s, pace.latency_s, pace.skipped_s) == (50.0, None, 0.0)
