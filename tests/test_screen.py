"""Who is seen in a picture that several share, and whose voice it is."""

import itertools

import numpy as np
import pytest

from monitor.screen import DETECT_INTERVAL_S, HURRY_S, MIN_SHOWN_S, Screen, Seen
from tests.clips import drawn
from training.gallery import Gallery, compose
from training.people import TEST_SEED, draw_person
from vfd.active_speaker import KEPT_S
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.types import SAMPLE_RATE_HZ, WINDOW_S, WINDOW_SAMPLES, Face, Reason, Rgb

PEOPLE = [draw_person(TEST_SEED + 400_000 + k) for k in range(2)]
SECONDS = 12


class CountedDetector(MtcnnDetector):
    """Counts the pictures that it is asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def detect(self, rgb: Rgb) -> list[Face]:
        self.asked += 1
        return super().detect(rgb)


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return compose(PEOPLE, 5, SECONDS, fps=12)


@pytest.fixture(scope="module")
def looked(gallery: Gallery) -> tuple[Screen, list[Seen], CountedDetector]:
    """All of it."""
    screen, detector = Screen(), CountedDetector()
    finder = FaceFinder(detector)
    seen = [screen.look(finder, rgb, time_s) for time_s, rgb in gallery.pictures()]
    return screen, [s for s in seen if s is not None], detector


Looked = tuple[Screen, list[Seen], CountedDetector]


def place(gallery: Gallery, picture: Seen, track: int) -> int | None:
    """Whose face the crop shows, from the left; None where it was not fit."""
    found = picture.faces[track]
    if isinstance(found, Reason):
        return None
    return int(np.abs(gallery.centres[:, 0] - found.box.x - found.box.width / 2).argmin())


def test_faces_are_looked_for_in_every_third_picture(looked: Looked) -> None:
    _, seen, detector = looked
    assert len(seen) == SECONDS * 12
    assert detector.asked == pytest.approx(len(seen) / 3, abs=1)


def test_who_was_there_for_a_while_is_somebody(looked: Looked) -> None:
    _, seen, _ = looked
    for picture in seen:
        assert len(picture.people) == (2 if picture.time_s >= MIN_SHOWN_S else 0)
    assert len(set().union(*(picture.people for picture in seen))) == 2


def test_of_everybody_there_is_a_crop_now_and_then(looked: Looked, gallery: Gallery) -> None:
    _, seen, _ = looked
    cut = [picture for picture in seen if picture.faces]
    gaps = np.diff([picture.time_s for picture in cut])
    assert gaps.min() >= 0.5 - 1e-6
    assert gaps.max() <= 0.5 + 2 * DETECT_INTERVAL_S
    assert sorted(place(gallery, cut[0], track) for track in (1, 2)) == [0, 1]
    for picture, track in itertools.product(cut, (1, 2)):
        assert place(gallery, picture, track) in (None, place(gallery, cut[0], track))


def test_the_voice_is_that_of_one_and_kept_from_the_other(looked: Looked, gallery: Gallery) -> None:
    screen, seen, _ = looked
    first = next(picture for picture in seen if picture.faces)
    places = [place(gallery, first, track) for track in (1, 2)]
    given = 0
    for start_s in np.arange(SECONDS - KEPT_S, SECONDS - WINDOW_S, 0.5):
        begin = round(start_s * SAMPLE_RATE_HZ)
        audio = gallery.audio[begin : begin + WINDOW_SAMPLES]
        reasons = [screen.withheld(track)(audio, start_s) for track in (1, 2)]
        if None in reasons:
            given += 1
            assert reasons[1 - reasons.index(None)] is Reason.NO_SPEECH
            heard = gallery.heard(start_s, start_s + WINDOW_S)
            assert places[reasons.index(None)] == heard.argmax()
        else:
            assert reasons[0] is reasons[1]
            assert reasons[0] in (Reason.SEVERAL_FACES, Reason.SPEAKER_OFF_SCREEN)
    assert given >= 3


def test_who_speaks_is_found_out_once_a_window(looked: Looked, gallery: Gallery) -> None:
    """Or somebody who has just come, and heard little, could change it for all."""
    screen, _, _ = looked
    audio = gallery.audio[:WINDOW_SAMPLES]
    first = screen.withheld(1)(audio, 100.0)
    assert first is Reason.NO_FACE
    assert screen.withheld(2)(np.zeros_like(audio), 100.0) is first


def test_where_there_is_no_time_faces_are_looked_for_half_as_often(gallery: Gallery) -> None:
    screen, detector = Screen(), CountedDetector()
    finder = FaceFinder(detector)
    times_s: list[float] = []
    for time_s, rgb in gallery.pictures():
        if time_s == 3.0:
            screen.missed(time_s)
        before = detector.asked
        screen.look(finder, rgb, time_s)
        times_s += [time_s] * (detector.asked - before)
    gaps = {end_s: end_s - begin_s for begin_s, end_s in itertools.pairwise(times_s)}
    hurried = [gap for end_s, gap in gaps.items() if 3.0 <= end_s < 3.0 + HURRY_S]
    calm = [gap for end_s, gap in gaps.items() if end_s < 3.0 or end_s > 3.5 + HURRY_S]
    assert hurried == pytest.approx([0.5] * len(hurried))
    assert calm == pytest.approx([0.25] * len(calm))


def test_pictures_that_go_back_in_time_are_left_out() -> None:
    screen, finder = Screen(), FaceFinder(MtcnnDetector())
    assert screen.look(finder, drawn(0), 5.0) is not None
    assert screen.look(finder, drawn(0), 4.9) is None
    assert screen.look(finder, drawn(0), 5.1) is not None
