"""The people on a stream, in the room of its call."""

from typing import cast

from monitor.media import Hearable
from monitor.source import Room
from monitor.stream_player import StreamPlayer
from monitor.stream_seats import StreamSeats
from tests.fakes import until
from tests.test_calls import FIRST, Scripted, world


class Player:
    """What is played to all."""

    def hear(self, end_s: float) -> None:
        """As Hearable.hear."""


class Seated:
    """A source's seats, once it has run; `media`: what the player is."""

    def __init__(self, tracks: int = 0) -> None:
        self.tracks = tracks
        self.seats: StreamSeats
        self.player: Hearable = Player()

    def __call__(self, room: Room) -> None:
        self.seats = StreamSeats(room)
        self.seats.player = cast("StreamPlayer", self.player)
        room.entered()
        if not self.tracks:
            self.whole = self.seats.sit()
        self.people = [self.seats.sit(track) for track in range(1, self.tracks + 1)]


async def test_who_sits_takes_part_and_hears_what_is_played() -> None:
    several = Seated(tracks=2)
    async with world(Scripted(several)) as it:
        it.calls.add(FIRST, "call")
        await until(lambda: it.joined == ["stream-1", "stream-2"])
        assert it.calls.media() == [several.player] * 2
        assert it.calls.participants("call") == 2
        several.seats.player = cast("StreamPlayer", newer := Player())
        assert it.calls.media() == [newer] * 2


async def test_who_rises_is_gone_after_a_minute_and_the_stream_may_come_back() -> None:
    one = Seated()
    async with world(Scripted(one)) as it:
        it.calls.add(FIRST, "call")
        await until(lambda: it.joined == ["stream"])
        one.seats.rise(one.whole)
        await until(lambda: it.left == ["stream"])
        assert not it.registry.sessions()
        assert one.seats.sit() is one.whole
        one.seats.rise(one.whole)
        await until(lambda: len(it.left) == 2)
        it.clock.now_s += 61.0
        await it.attendance.forget()
        assert it.gone == ["stream"]


async def test_nobody_gets_the_name_of_somebody_before_the_break() -> None:
    before, after = Seated(tracks=2), Seated(tracks=2)
    source = Scripted(before, after)
    async with world(source) as it:
        it.calls.add(FIRST, "call")
        await until(lambda: len(it.joined) == 2)
        source.broken.set()
        await until(lambda: len(it.joined) == 4)
        assert it.joined == ["stream-1", "stream-2", "stream-3", "stream-4"]
        assert it.calls.get("call") is not None
