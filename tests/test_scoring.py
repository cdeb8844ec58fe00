import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

import monitor.scoring
from monitor.alerts import Alerter
from monitor.buffers import MAX_MOUTHS
from monitor.config import Config, MetricsConfig, ScoringConfig
from monitor.cpu import StageCpu
from monitor.events import Event, EventBus, Subscription
from monitor.metrics import Metrics
from monitor.record import RecordSink
from monitor.scorer import Scorer
from monitor.scoring import PATIENCE, ScoringLoop
from monitor.sessions import Registry, Session
from tests.fakes import (
    ALICE,
    BOB,
    LIMITS,
    FakeEngine,
    checkpoint,
    engine_error,
    face,
    speak,
    talking,
    until,
)
from vfd.decision import State, UnknownReason, Verdict
from vfd.drift import Drift
from vfd.types import (
    ParticipantKey,
    Reason,
)

HOP_S = 0.2  # the loop in a fifth of the time


class Monitor:
    """A scoring loop with everything real about it but the engine."""

    def __init__(self, engine: FakeEngine, hop_s: float = HOP_S) -> None:
        self.engine = engine
        self.registry = Registry(Config(), LIMITS)
        self.metrics = Metrics(self.registry, MetricsConfig(), StageCpu())
        self.bus = EventBus(self.metrics)
        self.loop = ScoringLoop(
            registry=self.registry,
            scorer=Scorer(engine, 1),
            config=ScoringConfig(hop_s=hop_s, settle_s=0.02),
            clock=time.monotonic,
            bus=self.bus,
            metrics=self.metrics,
            alerter=Alerter(checkpoint(), LIMITS, [RecordSink(self.bus, self.metrics)]),
            hear=self.hear,
            attend=self.attend,
        )
        self.heard_s: list[float] = []
        self.attended: list[Verdict] = []

    async def hear(self, end_s: float) -> None:
        self.heard_s.append(end_s)

    def attend(self) -> None:
        self.attended += [session.verdict for session in self.registry.sessions()]

    def talking(
        self, key: ParticipantKey = ALICE, grey: int = 160, end_s: float | None = None
    ) -> Session:
        """Somebody whose sound and pictures already lie there for the next second. All have one
        voice: two in a call who do not begin at once are taken for an echo."""
        end_s = time.monotonic() + 1.0 if end_s is None else end_s
        return talking(self.registry, key, end_s, grey)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Subscription]:
        with self.bus.subscribe() as events:
            task = asyncio.create_task(self.loop.run())
            try:
                yield events
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def first(events: Subscription, wanted: Callable[[Event], bool]) -> Event:
    async with asyncio.timeout(5):
        async for event in events:
            if wanted(event):
                return event
    raise AssertionError("the bus closed")


def of(kind: str, **fields: object) -> Callable[[Event], bool]:
    return lambda event: event["type"] == kind and fields.items() <= event.items()


async def test_every_hop_scores_everybody_in_one_batch() -> None:
    monitor = Monitor(FakeEngine())
    end_s = time.monotonic() + 1.0
    monitor.talking(ALICE, 160, end_s)
    monitor.talking(BOB, 80, end_s)
    async with monitor.running() as events:
        ends = []
        for _ in range(3):
            alice = await first(events, of("score", participant="alice", similarity=0.6))
            bob = await first(events, of("score", participant="bob", similarity=-0.2))
            assert alice["end_s"] == bob["end_s"]
            assert 0.02 <= float(alice["latency_s"] or 0) < 0.5
            ends.append(float(alice["end_s"] or 0))
    np.testing.assert_allclose(np.diff(ends), HOP_S, atol=0.0011)  # rounded to milliseconds
    assert set(monitor.engine.voice_batches) == {2}
    assert monitor.engine.threads == {"engine_0"}


async def test_verdicts_and_alerts_follow_from_scores() -> None:
    monitor = Monitor(FakeEngine(), hop_s=0.1)
    session = monitor.talking(ALICE, 80)
    async with monitor.running() as events:
        assert await first(events, of("verdict", state="suspect"))
        feeding = asyncio.create_task(_feed(session))
        alert = await first(events, of("alert"))
        feeding.cancel()
    assert (alert["kind"], alert["participant"]) == ("opened", "alice")
    assert session.verdict.state is State.MISMATCH
    states = [verdict.state for verdict in monitor.attended]
    assert states.index(State.SUSPECT) == 2  # at once, with the third score


async def _feed(session: Session) -> None:
    """Keeps one participant talking, in real time."""
    while True:
        now_s = time.monotonic()
        speak(session.buffer, now_s - 3.5, now_s + 1.0)
        session.buffer.write_face(face(now_s, 80))
        await asyncio.sleep(0.2)


async def test_an_engine_that_raises_is_down_until_it_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    monitor = Monitor(FakeEngine())
    session = monitor.talking()
    monitor.registry.join(BOB, 0.0)
    async with monitor.running() as events:
        await first(events, of("score"))
        assert monitor.loop.engine_up
        monitor.engine.error = engine_error()
        await first(events, of("abstention", participant="alice", reason="engine_down"))
        await first(events, of("abstention", participant="bob", reason="engine_down"))
        assert session.verdict.reason is UnknownReason.ENGINE_DOWN
        await first(events, of("abstention", participant="alice", reason="engine_down"))
        assert not monitor.loop.engine_up
        assert "vfd_engine_up 0.0" in monitor.metrics.render().decode()
        monitor.engine.error = None
        await first(events, of("score"))
        assert monitor.loop.engine_up
    assert caplog.text.count("fell off the bus") == 1
    assert "vfd_engine_up 1.0" in monitor.metrics.render().decode()


async def test_a_drift_is_logged_once_and_its_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor.scoring, "DRIFT_EVERY", 1)
    caplog.set_level(logging.INFO)
    watching = Monitor(FakeEngine(), hop_s=0.1)
    watching.talking()
    found = [Drift(8, -2.0, outside=True)] * 3 + [Drift(8, 0.1, outside=False)] * 100
    monkeypatch.setattr(Registry, "drift", lambda _: found.pop(0))
    async with watching.running():
        await until(lambda: "back in the calibrated range" in caplog.text)
    assert caplog.text.count("have left the calibrated range") == 1
    assert "people=8 shift=-2.0" in caplog.text


async def test_an_engine_recovers_without_anybody_to_score() -> None:
    monitor = Monitor(FakeEngine(), hop_s=0.1)
    monitor.talking()
    monitor.engine.error = RuntimeError("not even an EngineError")
    async with monitor.running():
        await until(lambda: not monitor.loop.engine_up)
        monitor.registry.leave(ALICE)
        monitor.engine.error = None
        await until(lambda: monitor.loop.engine_up)


async def test_hops_are_skipped_and_counted_while_the_engine_is_slow() -> None:
    monitor = Monitor(FakeEngine(), hop_s=0.1)
    session = monitor.talking()
    monitor.engine.gate = threading.Event()
    async with monitor.running() as events:
        for _ in range(3):
            await first(events, of("abstention", reason="overloaded"))
        assert session.scored == 0
        monitor.engine.gate.set()
        late = await first(events, of("score"))
        assert float(late["latency_s"] or 0) > 0.3
        await first(events, of("score"))
    assert session.abstained[Reason.OVERLOADED] >= 3
    text = monitor.metrics.render().decode()
    assert 'vfd_windows_abstained_total{reason="overloaded"} 0.0' not in text


async def test_a_step_that_runs_over_delays_the_next_and_costs_nobody_a_window() -> None:
    monitor = Monitor(FakeEngine())
    session = monitor.talking()
    monitor.engine.gate = threading.Event()
    async with monitor.running() as events:
        await until(lambda: monitor.engine.threads)
        slow_s = (1 + PATIENCE / 2) * HOP_S
        threading.Timer(slow_s, monitor.engine.gate.set).start()
        late, then = [await first(events, of("score")) for _ in range(2)]
    assert float(late["latency_s"] or 0) >= slow_s
    assert float(then["end_s"] or 0) - float(late["end_s"] or 0) == pytest.approx(HOP_S)
    assert session.abstained[Reason.OVERLOADED] == 0


async def test_hops_missed_by_a_blocked_loop_are_counted() -> None:
    monitor = Monitor(FakeEngine(), hop_s=0.1)
    session = monitor.talking()
    async with monitor.running() as events:
        await first(events, of("score"))
        time.sleep(0.45)  # noqa: ASYNC251 - the defect that is tested
        await first(events, of("abstention", reason="overloaded"))
    assert 2 <= session.abstained[Reason.OVERLOADED] <= 5


async def test_who_leaves_during_a_step_gets_no_result() -> None:
    monitor = Monitor(FakeEngine())
    session = monitor.talking()
    monitor.engine.gate = threading.Event()
    async with monitor.running():
        await until(lambda: monitor.engine.threads)
        monitor.registry.leave(ALICE)
        monitor.engine.gate.set()
        await asyncio.sleep(0.1)
    assert session.scored == 0
    assert "vfd_windows_scored_total 0.0" in monitor.metrics.render().decode()


async def test_cancelling_waits_for_the_step_and_leaves_no_thread() -> None:
    monitor = Monitor(FakeEngine(), hop_s=0.1)
    session = monitor.talking()
    monitor.engine.gate = threading.Event()
    async with monitor.running():
        await until(lambda: monitor.engine.threads)
        threading.Timer(0.2, monitor.engine.gate.set).start()
    assert session.scored == 1
    assert not [t for t in threading.enumerate() if t.name.startswith("engine")]


async def test_an_empty_monitor_does_nothing() -> None:
    monitor = Monitor(FakeEngine(), hop_s=0.1)
    async with monitor.running():
        await asyncio.sleep(0.3)
    assert monitor.engine.voice_batches == []


async def test_the_score_of_a_voice_beside_the_camera_counts_as_none() -> None:
    monitor = Monitor(FakeEngine())
    session = monitor.talking(ALICE, 80)
    start_s = time.monotonic() - 3.5
    for n in range(MAX_MOUTHS):
        session.buffer.write_mouth(start_s + n / 20, 0.1)
    async with monitor.running() as events:
        await first(events, of("abstention", participant="alice", reason="speaker_off_screen"))
    assert session.lips.off_screen(time.monotonic())
    assert session.scored == 0
