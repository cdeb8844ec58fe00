import math
from fractions import Fraction

import av
import numpy as np
import pytest

from monitor.media_tracks import (
    LIPS_SIDE_PX,
    MAX_AHEAD_S,
    MAX_LEAD_S,
    Item,
    Picture,
    PictureTrack,
    Sound,
    Timeline,
    TimeOrder,
    TrackClock,
    upright_rgb,
)


def frame(stamp_s: float | None) -> av.VideoFrame:
    made = av.VideoFrame(16, 16, "rgb24")
    made.time_base = Fraction(1, 1000)
    made.pts = None if stamp_s is None else round(stamp_s * 1000)
    return made


def times(stamps: list[float | None], origin_s: float | None = 0.0) -> list[float]:
    clock = TrackClock(Timeline(origin_s))
    return [clock.time(frame(stamp), 0.1) for stamp in stamps]


def test_times_count_from_the_start_of_the_media() -> None:
    assert times([5.0, 5.1, 5.2], origin_s=5.0) == pytest.approx([0, 0.1, 0.2])
    assert times([77.0, 77.1], origin_s=None) == pytest.approx([0, 0.1])


def test_a_pause_is_kept() -> None:
    assert times([0.0, 0.1, 90.0]) == pytest.approx([0, 0.1, 90])


def test_a_missing_timestamp_follows_the_one_before() -> None:
    assert times([0.0, None, None, 0.3]) == pytest.approx([0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize("jump_s", [-50.0, MAX_AHEAD_S + 1, 1e6])
def test_a_new_timeline_continues_the_old_one(jump_s: float) -> None:
    stamps = [60.0, 60.1, 60.2 + jump_s, 60.3 + jump_s]
    assert times(stamps, origin_s=60.0) == pytest.approx([0, 0.1, 0.2, 0.3])


def test_tracks_share_one_start() -> None:
    timeline = Timeline(None)
    picture, sound = TrackClock(timeline), TrackClock(timeline)
    assert picture.time(frame(10.0), 0.1) == 0
    assert sound.time(frame(10.7), 0.1) == pytest.approx(0.7)


def sound(time_s: float) -> Sound:
    return Sound(time_s, np.zeros(160, np.float32))


def pushed(order: TimeOrder, *items: Item) -> list[float]:
    return [out.time_s for item in items for out in order.push(item)]


def test_an_item_waits_for_the_other_track() -> None:
    order = TimeOrder([Sound, Picture])
    assert pushed(order, Picture(0.0, None), Picture(0.5, None)) == []
    assert pushed(order, sound(0.2), sound(0.6)) == [0.0, 0.2, 0.5]
    assert [item.time_s for item in order.rest()] == [0.6]


def test_a_track_that_is_not_there_is_not_waited_for() -> None:
    assert pushed(TimeOrder([Sound]), sound(0.0), sound(1.0)) == [0.0, 1.0]


def test_a_track_that_fell_silent_is_not_waited_for_long() -> None:
    order = TimeOrder([Sound, Picture])
    out = pushed(order, *(Picture(t / 10, None) for t in range(200)))
    assert out == sorted(out)
    assert max(out) == pytest.approx(19.9 - MAX_LEAD_S, abs=0.11)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.5])
def test_pixels_become_square(aspect: float) -> None:
    picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
    rgb = upright_rgb(picture, aspect)
    assert rgb.shape == (48, math.floor(64 * aspect), 3)


def test_an_enormous_picture_is_shrunk() -> None:
    assert upright_rgb(av.VideoFrame(8192, 1024, "yuv420p")).shape == (512, 4096, 3)


def shown(fps: int, *, closely: bool, width: int = 32, seconds: int = 2) -> list[Picture]:
    track = PictureTrack(Timeline(0.0), 0.5, 1.0)
    track.closely = closely
    made = []
    for index in range(seconds * fps):
        picture = av.VideoFrame(width, 16, "yuv420p")
        picture.pts, picture.time_base = index, Fraction(1, fps)
        made += track.items(picture)
    return made


@pytest.mark.parametrize(("fps", "count"), [(30, 24), (25, 24), (10, 20)])
def test_mouths_are_watched_in_twelve_pictures_a_second(fps: int, count: int) -> None:
    pictures = shown(fps, closely=True)
    assert sum(picture.rgb is not None for picture in pictures) == 4
    assert sum(picture.lips is not None for picture in pictures) == count
    assert all(p.lips is p.rgb for p in pictures if p.rgb is not None)  # converted once
    assert all(picture.lips is None for picture in shown(fps, closely=False))


def test_pictures_of_mouths_are_small() -> None:
    first = shown(10, closely=True, width=2 * LIPS_SIDE_PX, seconds=1)[0]
    assert first.rgb is not None
    assert first.lips is not None
    assert first.rgb.shape == (16, 2 * LIPS_SIDE_PX, 3)
    assert first.lips.shape == (8, LIPS_SIDE_PX, 3)
