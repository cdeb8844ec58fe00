"""Joined calls: supervised one by one, tried again where that can help, and left for good."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from monitor import calls as calls_module
from monitor.attendance import Attendance
from monitor.call_urls import CallUrl, parse_call_url
from monitor.calls import Calls, CallState, CallTakenError
from monitor.config import Config, MetricsConfig, WhipConfig
from monitor.cpu import StageCpu
from monitor.intakes import Unheard
from monitor.metrics import Metrics
from monitor.receiver import Receiver
from monitor.sessions import AWAY_S, Registry, Session
from monitor.source import Room, Source, SourceError, Trouble
from tests.fakes import LIMITS, VirtualClock
from tests.peers import until
from vfd.decision import State
from vfd.types import ParticipantKey

FIRST = parse_call_url("rtmp://one.example/live")
SECOND = parse_call_url("rtmp://two.example/live")


class Scripted:
    """A source that does what the test says, once for every attempt."""

    def __init__(self, *attempts: Callable[[Room], object]) -> None:
        self.attempts = list(attempts)
        self.runs = 0
        self.broken = asyncio.Event()

    async def run(self, room: Room) -> None:
        self.runs += 1
        act = self.attempts.pop(0) if self.attempts else _stay
        act(room)
        self.broken.clear()
        await self.broken.wait()
        raise SourceError(Trouble.LOST, "broken off")


def _stay(room: Room) -> None:
    room.entered()


def failing(trouble: Trouble) -> Callable[[Room], None]:
    def act(_: Room) -> None:
        raise SourceError(trouble, "so it is")

    return act


def with_people(*names: str) -> Callable[[Room], None]:
    def act(room: Room) -> None:
        room.entered()
        for name in names:
            room.seat(name, f"called {name}")
            room.follow(name, Unheard())

    return act


class World:
    def __init__(self, sources: dict[str, Scripted], *, once: bool, people: int) -> None:
        self.clock = VirtualClock()
        self.registry = Registry(Config(whip=WhipConfig(max_participants=people)), LIMITS)
        self.joined: list[str] = []
        self.left: list[str] = []
        self.gone: list[str] = []
        self.attendance = Attendance(
            self.registry,
            self.clock,
            on_joined=lambda s: self.joined.append(s.key.participant),
            on_left=lambda s: self.left.append(s.key.participant),
            on_gone=self._on_gone,
        )
        self.metrics = Metrics(self.registry, MetricsConfig(), StageCpu())

        def source_of(url: CallUrl) -> Source:
            return sources[url.url]

        self.calls = Calls(
            self.attendance, source_of, _no_receiver, self.metrics, max_calls=2, once=once
        )

    async def _on_gone(self, session: Session) -> None:
        self.gone.append(session.key.participant)

    def counted(self, name: str) -> float:
        lines = self.metrics.render().decode().splitlines()
        return float(next(line for line in lines if line.startswith(name)).rpartition(" ")[2])


def _no_receiver(_: Session, __: bool) -> Receiver:
    raise AssertionError("nothing is negotiated here")


@asynccontextmanager
async def world(
    first: Scripted, second: Scripted | None = None, *, once: bool = False, people: int = 8
) -> AsyncIterator[World]:
    made = World({FIRST.url: first, SECOND.url: second or Scripted()}, once=once, people=people)
    try:
        yield made
    finally:
        await made.calls.close()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "RETRY_S", (0.01,))
    monkeypatch.setattr(calls_module, "PATIENT_RETRY_S", 0.01)


async def test_a_call_is_joined_and_its_people_take_part() -> None:
    async with world(Scripted(with_people("a", "b"))) as w:
        call = w.calls.add(FIRST)
        await until(lambda: len(w.registry.sessions()) == 2)
        assert call.state is CallState.JOINED
        assert w.calls.participants(call.id) == 2
        assert {s.name for s in w.registry.sessions()} == {"called a", "called b"}
        assert w.joined == ["a", "b"]
        assert await w.calls.remove(call.id)
        assert (sorted(w.left), sorted(w.gone)) == (["a", "b"], ["a", "b"])
        assert not w.registry.sessions()
        assert not await w.calls.remove(call.id)


@pytest.mark.parametrize("trouble", [t for t in Trouble if t.passing])
async def test_what_may_pass_is_tried_again_for_as_long_as_it_takes(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    source = Scripted(*[failing(trouble)] * 3)
    async with world(source) as w:
        call = w.calls.add(FIRST)
        await until(lambda: call.state is CallState.JOINED)
        assert source.runs == call.attempts == 4
        assert caplog.text.count("call not joined: so it is; next attempt in") == 3
        assert (call.trouble, call.message) == (None, "")
        assert w.counted(f'vfd_calls_failed_total{{trouble="{trouble}"}}') == 3


@pytest.mark.parametrize("trouble", [t for t in Trouble if not t.passing])
async def test_what_cannot_pass_is_said_and_left_alone(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.calls")
    source = Scripted(failing(trouble))
    async with world(source) as w:
        call = w.calls.add(FIRST)
        await asyncio.wait_for(call.over.wait(), 5)
        ended = trouble is Trouble.ENDED
        assert call.state is (CallState.ENDED if ended else CallState.FAILED)
        assert (call.trouble, call.message) == (trouble, "so it is")
        assert w.counted(f'vfd_calls_failed_total{{trouble="{trouble}"}}') == 1
        assert "call over: so it is" in caplog.text
        await asyncio.sleep(0.05)
        assert source.runs == 1
        assert w.calls.get(call.id) is call  # still listed, with its reason


async def test_once_means_once() -> None:
    source = Scripted(failing(Trouble.UNREACHABLE))
    async with world(source, once=True) as w:
        call = w.calls.add(FIRST)
        await asyncio.wait_for(call.over.wait(), 5)
        assert (source.runs, call.state) == (1, CallState.FAILED)


async def test_while_it_waits_a_call_says_until_when() -> None:
    async with world(Scripted(failing(Trouble.LOST))) as w:
        calls_module.RETRY_S = (60.0,)  # put back by the fixture
        call = w.calls.add(FIRST)
        await until(lambda: call.state is CallState.WAITING)
        assert call.retry_at is not None
        assert 25 < (call.retry_at - call.since).total_seconds() < 95


async def test_a_broken_connection_keeps_the_verdict_for_a_minute() -> None:
    def time_passes(_: Room) -> None:
        w.clock.now_s += 50
        raise SourceError(Trouble.UNREACHABLE, "still away")

    source = Scripted(with_people("a"), time_passes, with_people("a"))
    async with world(source) as w:
        w.calls.add(FIRST)
        await until(lambda: w.registry.sessions())
        (before,) = w.registry.sessions()
        for second in range(1, 8):
            before.decider.update(w.clock.now_s + second, -0.5)
        assert before.decider.verdict.state is State.MISMATCH
        w.clock.now_s += 8
        source.broken.set()
        await until(lambda: w.left)
        await until(lambda: w.registry.sessions())
        (after,) = w.registry.sessions()
        assert after is before
        assert w.gone == []
        assert after.decider.update(w.clock.now_s + 8, -0.5).state is State.MISMATCH


async def test_whoever_is_away_for_too_long_is_gone() -> None:
    async with world(Scripted()) as w:
        owner, key = object(), ParticipantKey("call", "a")
        first = w.attendance.join(key, owner)
        w.attendance.announce(first)
        w.attendance.suspend(key, owner)
        w.clock.now_s += AWAY_S - 1
        await w.attendance.forget()
        assert w.gone == []
        w.clock.now_s += 2
        await w.attendance.forget()
        assert w.gone == ["a"]
        assert w.attendance.join(key, owner) is not first


async def test_who_is_away_is_bounded() -> None:
    async with world(Scripted(), people=2) as w:
        for name in "abc":
            key = ParticipantKey("call", name)
            w.attendance.announce(w.attendance.join(key, w))
            w.attendance.suspend(key, w)
            w.clock.now_s += 1
        await w.attendance.forget()
        assert w.gone == ["a"]


async def test_a_call_that_fails_touches_no_other() -> None:
    def bug(_: Room) -> None:
        raise ZeroDivisionError

    first, second = Scripted(bug, bug, bug), Scripted(with_people("b"))
    async with world(first, second) as w:
        w.calls.add(SECOND)
        call = w.calls.add(FIRST)
        await until(lambda: first.runs == 4)
        assert call.state is CallState.JOINED
        assert w.counted('vfd_calls_failed_total{trouble="protocol"}') == 3
        assert (second.runs, w.left) == (1, [])


async def test_two_calls_may_have_the_same_people_but_one_call_not_twice() -> None:
    async with world(Scripted(with_people("a")), Scripted(with_people("a"))) as w:
        w.calls.add(FIRST)
        with pytest.raises(CallTakenError, match="already"):
            w.calls.add(FIRST)
        w.calls.add(SECOND)
        await until(lambda: len(w.registry.sessions()) == 2)
        with pytest.raises(CallTakenError, match="max_calls"):
            w.calls.add(FIRST, "another")


async def test_a_full_monitor_is_the_calls_trouble() -> None:
    async with world(Scripted(with_people("a", "b")), people=1, once=True) as w:
        call = w.calls.add(FIRST)
        await asyncio.wait_for(call.over.wait(), 5)
        assert call.trouble is Trouble.FULL
        assert "whip.max_participants" in call.message
        assert not w.registry.sessions()  # nobody stays behind


async def test_who_publishes_here_is_not_taken_over_by_a_call() -> None:
    async with world(Scripted(with_people("a")), once=True) as w:
        w.attendance.join(ParticipantKey(FIRST.id, "a"), object())
        call = w.calls.add(FIRST)
        await asyncio.wait_for(call.over.wait(), 5)
        assert call.trouble is Trouble.REFUSED


async def test_names_from_outside_are_cut_to_what_can_be_shown() -> None:
    def odd(room: Room) -> None:
        room.seat("a/../b \x00", 'Eve\x1b[2J\n"' + "x" * 10_000)
        room.follow("a/../b \x00", Unheard())

    async with world(Scripted(odd)) as w:
        w.calls.add(FIRST)
        await until(lambda: w.registry.sessions())
        (session,) = w.registry.sessions()
        assert session.key.participant == "a_.._b__"
        assert session.name == 'Eve[2J"' + "x" * 57
