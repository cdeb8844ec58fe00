"""Who of those on a stream is a participant, and what reaches them."""

from collections.abc import Callable

import numpy as np
import pytest

from monitor.buffers import ParticipantBuffer
from monitor.cast import ALONE_S, Cast, Faces
from monitor.config import ScoringConfig
from monitor.media_tracks import Picture
from monitor.screen import Screen, Seen
from monitor.sessions import Session
from monitor.source import SourceError, Trouble
from tests.fakes import LIMITS, face
from vfd.decision import Decider
from vfd.types import SAMPLE_RATE_HZ, FaceFrame, ParticipantKey, Reason, Rgb

RGB = np.zeros((4, 4, 3), np.uint8)


class Seats:
    """As many as there is place for."""

    def __init__(self, places: int = 16) -> None:
        self.taken: dict[str, Session] = {}
        self.places = places
        self.given = 0

    def sit(self, track: int | None = None) -> Session:
        """As Seats.sit."""
        if len(self.taken) >= self.places:
            raise SourceError(Trouble.FULL, "the monitor is full")
        self.given += track is not None
        name = "stream" if track is None else f"stream-{self.given}"
        key = ParticipantKey("call", name)
        buffer = ParticipantBuffer(key, ScoringConfig())
        self.taken[name] = Session(key, buffer, Decider(LIMITS), joined_s=0.0)
        return self.taken[name]

    def rise(self, session: Session) -> None:
        """As Seats.rise."""
        del self.taken[session.key.participant]


class Sink:
    """Sees what it is told to see: `one` in pictures of one person, `tracks` in shared ones."""

    def __init__(self) -> None:
        self.one: FaceFrame | Reason = Reason.NO_FACE
        self.tracks: frozenset[int] = frozenset()
        self.late: list[Callable[[], None]] = []
        self.hold = False
        self.submitted = 0
        self.watched = 0

    def submit(self, session: Session, time_s: float, rgb: Rgb) -> None:
        """As FaceSink.submit."""
        self.submitted += 1
        session.buffer.note_look(time_s, self.one)

    def watch(
        self, screen: Screen, time_s: float, rgb: Rgb, on_seen: Callable[[Seen], None]
    ) -> None:
        """As FaceSink.watch."""
        self.watched += 1
        seen = Seen(time_s, self.tracks, {track: face(time_s) for track in self.tracks})
        if self.hold:
            self.late.append(lambda: on_seen(seen))
        else:
            on_seen(seen)


class Stage:
    """A cast that is shown a picture four times a second."""

    def __init__(self, faces: Faces = "auto", places: int = 16) -> None:
        self.seats, self.sink = Seats(places), Sink()
        self.cast = Cast(self.seats, self.sink, faces)
        self.cast.begin()
        self.now_s = 0.0

    def show(self, tracks: set[int], seconds: float = 0.5) -> list[str]:
        """Who is seated after that."""
        self.sink.tracks = frozenset(tracks)
        self.sink.one = Reason.SEVERAL_FACES if len(tracks) > 1 else face(self.now_s)
        for _ in range(round(4 * seconds)):
            self.now_s += 0.25
            self.cast.picture(Picture(self.now_s, RGB, RGB))
        return sorted(self.seats.taken)


def test_one_person_is_the_stream_and_nobody_watches_mouths() -> None:
    stage = Stage()
    assert stage.show({1}, 60.0) == ["stream"]
    assert not stage.cast.closely
    assert stage.sink.watched == 0
    assert stage.sink.submitted == 240


def test_of_several_each_is_a_participant_and_the_stream_is_none() -> None:
    stage = Stage()
    stage.show({1})
    assert stage.show({1, 2, 3}) == ["stream-1", "stream-2", "stream-3"]
    assert stage.cast.closely
    before = stage.sink.submitted
    stage.show({1, 2, 3})
    assert stage.sink.submitted == before
    assert [s.key.participant for s in stage.cast.sessions] == ["stream-1", "stream-2", "stream-3"]


def test_who_goes_is_gone_and_who_comes_is_somebody_new() -> None:
    stage = Stage()
    stage.show({1, 2, 3})
    assert stage.show({1, 3}) == ["stream-1", "stream-3"]
    assert stage.show({1, 3, 4}) == ["stream-1", "stream-3", "stream-4"]


def test_after_a_while_alone_the_stream_is_one_person_again() -> None:
    stage = Stage()
    stage.show({1, 2})
    assert stage.show({1}, ALONE_S) == ["stream-1"]
    assert stage.show({1}) == ["stream"]
    assert not stage.cast.closely
    assert stage.show({1, 2}) == ["stream-3", "stream-4"]


def test_a_second_face_that_does_not_stay_changes_nothing() -> None:
    stage = Stage()
    stage.sink.one = Reason.SEVERAL_FACES
    stage.cast.picture(Picture(0.0, RGB, RGB))
    assert stage.show({1}, ALONE_S + 1) == ["stream"]
    assert stage.sink.watched > 0
    assert not stage.cast.closely


def test_where_one_is_said_to_be_shown_several_are_not_judged() -> None:
    stage = Stage("one")
    assert stage.show({1, 2}, 5.0) == ["stream"]
    assert not stage.cast.closely
    assert stage.sink.watched == 0


def test_where_several_are_said_to_be_shown_one_is_not_the_stream() -> None:
    stage = Stage("several")
    assert stage.cast.closely
    assert stage.show(set(), 5.0) == []
    assert stage.show({1}, 60.0) == ["stream-1"]
    assert stage.sink.submitted == 0


def test_everybody_hears_everything_and_has_the_own_face() -> None:
    stage = Stage()
    stage.show({1, 2})
    stage.cast.sound(1.0, np.ones(SAMPLE_RATE_HZ, np.float32))
    for session in stage.cast.sessions:
        snapshot = session.buffer.snapshot(2.0)
        assert snapshot.received[-SAMPLE_RATE_HZ:].all()
        assert snapshot.faces
        assert snapshot.last_video_s == stage.now_s


def test_what_is_seen_after_the_end_seats_nobody() -> None:
    stage = Stage("several")
    stage.sink.hold = True
    stage.show({1, 2})
    stage.cast.end()
    for deliver in stage.sink.late:
        deliver()
    assert stage.seats.taken == {}


def test_for_whom_there_is_no_place_is_not_watched(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage("several", places=2)
    assert stage.show({1, 2, 3}) == ["stream-1", "stream-2"]
    assert caplog.text.count("the monitor is full") == 1
    assert stage.show({1, 3}) == ["stream-1", "stream-3"]


def test_where_there_is_no_place_for_the_stream_it_is_refused() -> None:
    with pytest.raises(SourceError, match="full"):
        Stage(places=0)
