"""When and how often each message goes out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.alerts import AlertKind
from monitor.archive import Archive
from monitor.config import AlertConfig, StoreConfig
from monitor.metrics import Metrics
from monitor.outbox import RETRY_S, Outbox
from monitor.webhook import Answer, Outcome, Webhook, webhook_targets
from tests.fakes import VirtualClock, until
from tests.hooks import RESET, Receiver, alert, config, metrics_of_nobody, outcomes

SHORT = (0.01,)


class Line:
    """An outbox on a store, and the way to it."""

    def __init__(
        self, settings: AlertConfig, path: Path, retry_s: tuple[float, ...] = SHORT
    ) -> None:
        self.metrics: Metrics = metrics_of_nobody()
        self.archive = Archive(StoreConfig(path=str(path)), self.metrics)
        (target,) = webhook_targets(settings)
        webhook = Webhook(target, settings)
        self.outbox = Outbox(webhook, self.archive, self.metrics, settings, retry_s)

    def send(self, number: int = 0, kind: AlertKind = AlertKind.OPENED) -> None:
        seq, made = self.archive.number(), alert(number, kind)
        self.outbox.offer(seq, made, self.archive.add(seq, made, [self.outbox.target]))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        await self.archive.open()
        await self.outbox.load()
        task = asyncio.create_task(self.outbox.run())
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await self.archive.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alerts.db"


async def test_failures_are_retried_with_the_same_id_until_one_succeeds(path: Path) -> None:
    script = [(RESET, ""), (500, ""), (302, "location: /elsewhere\r\n"), (404, "")]
    async with Receiver(*script).listening() as receiver:
        line = Line(config(receiver.url), path)
        async with line.running():
            line.send()
            line.send(kind=AlertKind.CLOSED)
            await until(lambda: outcomes(line.metrics) == {"delivered": 2})
    ids = [received.id for received in receiver.received]
    assert ids == ["episode0.opened"] * 5 + ["episode0.closed"]
    assert len({received.body for received in receiver.received[:5]}) == 1


async def test_an_alert_that_is_refused_does_not_hold_up_other_episodes(path: Path) -> None:
    async with Receiver((400, "")).listening() as receiver:
        line = Line(config(receiver.url), path, (60.0,))
        async with line.running():
            for number in range(3):
                line.send(number)
            await until(lambda: outcomes(line.metrics) == {"delivered": 2})
            assert line.outbox.waiting().messages == 1
    assert receiver.accepted == ["episode1.opened", "episode2.opened"]


async def test_a_receiver_that_is_back_is_told_everything_at_once(path: Path) -> None:
    async with Receiver((503, ""), (503, "")).listening() as receiver:
        line = Line(config(receiver.url), path, (60.0,))
        async with line.running():
            line.send(0)
            line.send(1)
            await until(lambda: len(receiver.received) == 2)
            line.send(2)
            await until(lambda: outcomes(line.metrics) == {"delivered": 3})
    assert sorted(receiver.accepted) == [f"episode{n}.opened" for n in range(3)]


async def test_nobody_there_is_given_up_after_so_many_attempts(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Receiver().listening() as receiver:
        dead = receiver.url
    line = Line(replace(config(dead), max_attempts=3), path)
    async with line.running():
        line.send()
        await until(lambda: outcomes(line.metrics) == {"given_up": 1})
        (episode,) = await line.archive.read(lambda store: store.episodes(None, 0.0, 1))
        assert episode["deliveries"] == {"given_up": 1}
    assert caplog.text.count("webhook not delivered") == 3


async def test_gone_means_never_again(path: Path) -> None:
    async with Receiver((410, "")).listening() as receiver:
        line = Line(config(receiver.url), path)
        async with line.running() as task:
            for number in range(3):
                line.send(number)
            await asyncio.wait_for(asyncio.shield(task), 5)
            line.send(3)
            assert line.outbox.waiting().messages == 0
    assert len(receiver.received) == 1
    assert outcomes(line.metrics) == {"given_up": 1, "dropped": 1}


async def test_retry_after_holds_for_everything_that_waits(path: Path) -> None:
    async with Receiver((503, "retry-after: 0.4\r\n")).listening() as receiver:
        line = Line(config(receiver.url), path)
        async with line.running():
            begun_s = asyncio.get_running_loop().time()
            line.send(0)
            line.send(1)
            await until(lambda: outcomes(line.metrics) == {"delivered": 2})
            assert asyncio.get_running_loop().time() - begun_s >= 0.4
    assert len(receiver.received) == 3


async def test_a_full_queue_drops_the_newest_and_counts_it(path: Path) -> None:
    async with Receiver().listening() as receiver:
        line = Line(replace(config(receiver.url), queue_size=2), path)
        await line.archive.open()
        for number in range(5):
            line.send(number)
        assert outcomes(line.metrics) == {"dropped": 3}
        assert line.outbox.waiting().messages == 2
        task = asyncio.create_task(line.outbox.run())
        await until(lambda: len(receiver.accepted) == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await line.archive.close()
    assert receiver.accepted == ["episode0.opened", "episode1.opened"]


async def test_what_was_not_delivered_is_taken_up_by_the_next_process(path: Path) -> None:
    async with Receiver((500, "")).listening() as receiver:
        first = Line(config(receiver.url), path, (3600.0,))
        async with first.running():
            first.send(0)
            await until(lambda: len(receiver.received) == 1)
            await until(lambda: first.outbox.waiting().oldest_s > 0.05)
        second = Line(config(receiver.url), path, (0.01,))
        async with second.running():
            await until(lambda: outcomes(second.metrics) == {"delivered": 1})
        third = Line(config(receiver.url), path)
        async with third.running():
            await asyncio.sleep(0.1)
    assert [received.id for received in receiver.received] == ["episode0.opened"] * 2


class Refusing(Webhook):
    """Fails at once, without a network; remembers when."""

    def __init__(self, settings: AlertConfig, clock: VirtualClock) -> None:
        super().__init__(webhook_targets(settings)[0], settings)
        self.clock = clock
        self.attempts_s: list[float] = []

    async def post(self, alert: object) -> Answer:
        self.attempts_s.append(self.clock())
        return Answer(Outcome.FAILED)


async def test_the_schedule_is_the_standards_and_a_clock_set_back_does_not_stretch_it() -> None:
    clock, wall, metrics = VirtualClock(), VirtualClock(1.8e9), metrics_of_nobody()
    settings = config("https://hooks.example.com/")
    archive = Archive(StoreConfig(path=":memory:"), metrics, wall)
    await archive.open()
    webhook = Refusing(settings, clock)
    outbox = Outbox(webhook, archive, metrics, settings, clock=clock, wall=wall)
    outbox.offer(1, alert(), archive.add(1, alert(), [outbox.target]))
    for _ in range(settings.max_attempts):
        message = await outbox._next()
        await outbox._deliver(message)
        clock.now_s = message.due_s
    pauses = [b - a for a, b in zip(webhook.attempts_s, webhook.attempts_s[1:], strict=False)]
    assert pauses == [pytest.approx(planned, rel=0.1) for planned in RETRY_S]
    assert outcomes(metrics) == {"given_up": 1}

    outbox.offer(2, alert(2), archive.add(2, alert(2), [outbox.target]))
    await outbox._deliver(await outbox._next())
    wall.now_s -= 86_400.0
    heir = Outbox(webhook, archive, metrics, settings, clock=clock, wall=wall)
    await heir.load()
    (message,) = heir._messages.values()
    assert message.due_s - clock() == pytest.approx(RETRY_S[0])
    await webhook.close()
    await archive.close()
