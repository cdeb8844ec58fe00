"""Everybody whom one stream shows, live or recorded: each of them is a participant.

One person is the stream itself, seen in a picture now and then. When there are several, each track
of a face becomes a participant, and the stream is none, until nobody has shared the picture for a
while.
"""

import logging
from functools import partial
from typing import Final, Literal, Protocol

from monitor.media import FaceSink
from monitor.media_tracks import Picture
from monitor.screen import Screen, Seen
from monitor.sessions import Session
from monitor.source import SourceError
from vfd.types import Audio, Reason

ALONE_S: Final = 20.0
"""Without a second person, until the stream is taken for one again. Those who come back begin anew,
so it is longer than most cuts to one of them."""

Faces = Literal["auto", "one", "several"]

logger = logging.getLogger(__name__)


class Seats(Protocol):
    """Where the participants of one stream get their sessions. Belongs to the event loop."""

    def sit(self, track: int | None = None) -> Session:
        """The session of the stream itself, or a new one for whoever has that track. Raises
        SourceError if there is no place."""
        ...

    def rise(self, session: Session) -> None:
        """Nobody has it from now on."""
        ...


class Cast:
    """A `StreamSink` (monitor.stream_player). `faces`: how many are looked for, as `[join].faces`
    has it; `sink` finds them. Belongs to the event loop."""

    def __init__(self, seats: Seats, sink: FaceSink, faces: Faces) -> None:
        self._seats = seats
        self._sink = sink
        self._faces = faces
        self._screen = Screen()
        self._whole: Session | None = None
        self._people: dict[int, Session] = {}
        self._full = False
        self._shared_s = float("-inf")  # when the picture was shared last
        self.closely = faces == "several"
        """Whether pictures in which mouths are watched are wanted."""

    def begin(self) -> None:
        """To be called once. Raises SourceError if there is no place for the stream."""
        if self._faces != "several":
            self._whole = self._seats.sit()

    def end(self) -> None:
        """Nobody is seated any more, whatever is still being looked at."""
        self._screen = Screen()

    @property
    def sessions(self) -> list[Session]:
        """Of everybody, in the order of coming."""
        return [*([] if self._whole is None else [self._whole]), *self._people.values()]

    def sound(self, time_s: float, samples: Audio) -> None:
        """Everybody hears it; whose it is, is asked later."""
        for session in self.sessions:
            session.buffer.write_audio(time_s, samples)

    def picture(self, picture: Picture) -> None:
        """To whoever finds faces and mouths."""
        for session in self.sessions:
            session.buffer.note_video(picture.time_s)
        if self._whole is not None and picture.rgb is not None:
            self._sink.submit(self._whole, picture.time_s, picture.rgb)
        if self._faces == "auto":
            self._adjust(picture.time_s)
        if self.closely and picture.lips is not None:
            on_seen = partial(self._seen, self._screen)
            self._sink.watch(self._screen, picture.time_s, picture.lips, on_seen)

    def _adjust(self, time_s: float) -> None:
        """Looks closely for as long as several may share the picture."""
        rejected = self._whole.buffer.rejected if self._whole is not None else None
        if rejected is not None and rejected[1] is Reason.SEVERAL_FACES:
            self._shared_s = max(self._shared_s, rejected[0])
        shared = time_s - self._shared_s <= ALONE_S
        if self.closely and not shared:
            self._screen = Screen()
            self._keep(frozenset())
        if not shared and self._whole is None:
            self._whole = self._sit(None)
        self.closely = shared

    def _seen(self, screen: Screen, seen: Seen) -> None:
        if screen is not self._screen:
            return
        together = len(seen.people) > 1
        if together:
            self._shared_s = max(self._shared_s, seen.time_s)
        if self._whole is not None:
            if not together:
                return
            self._seats.rise(self._whole)
            self._whole = None
        self._keep(seen.people)
        for track, found in seen.faces.items():
            if track not in self._people and (session := self._sit(track)) is not None:
                session.buffer.withheld = screen.withheld(track)
                self._people[track] = session
            if track in self._people:
                self._people[track].buffer.note_look(seen.time_s, found)

    def _keep(self, tracks: frozenset[int]) -> None:
        for track in self._people.keys() - tracks:
            self._seats.rise(self._people.pop(track))

    def _sit(self, track: int | None) -> Session | None:
        try:
            session = self._seats.sit(track)
        except SourceError as error:
            if not self._full:  # it is tried again, twice a second
                logger.warning("somebody on a stream is not watched: %s", error)
            self._full = True
            return None
        self._full = False
        return session
