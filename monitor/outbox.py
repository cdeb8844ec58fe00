"""The messages to one webhook, from the store to the receiver, at least once each.

What is waiting is held here, what happened to it in the archive: a process that dies goes on where
it was, and sends again what it did not see confirmed. The alerts of one episode go in their order.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from monitor.alerts import Alert
from monitor.archive import Archive
from monitor.collectors import Waiting
from monitor.config import AlertConfig
from monitor.metrics import Metrics
from monitor.webhook import Answer, Outcome, Webhook

RETRY_S: Final = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""After the first, second, ... failure, as the Standard Webhooks specification has it; the last one
repeats."""
JITTER: Final = 0.1  # a share: many monitors do not come back in one moment
STORE_PATIENCE_S: Final = 5.0  # then the disk hangs, and an alert unsaved is better than none

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Message:
    """`due_s`, `since_s` on the monotonic clock. `stored`: set once it is on disk, or cannot be.
    `refused`: the receiver answered, and did not want it."""

    seq: int
    alert: Alert
    due_s: float
    since_s: float
    attempts: int = 0
    stored: asyncio.Future[bool] | None = None
    refused: bool = False


class Outbox:
    """`offer` only takes over; `run` delivers. `retry_s`: the pauses after failures."""

    def __init__(
        self,
        webhook: Webhook,
        archive: Archive,
        metrics: Metrics,
        config: AlertConfig,
        retry_s: tuple[float, ...] = RETRY_S,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.target = webhook.name
        self._webhook = webhook
        self._archive = archive
        self._metrics = metrics
        self._config = config
        self._retry_s = retry_s
        self._clock = clock
        self._wall = wall
        self._messages: dict[int, Message] = {}  # in the order of the alerts
        self._changed = asyncio.Event()
        self._quiet_until_s = float("-inf")
        self._gone = False

    async def load(self) -> None:
        """Takes up what an earlier process left; to be called before anything is offered."""
        now_s, now = self._clock(), self._wall()
        for pending in await self._archive.read(lambda store: store.pending(self.target)):
            # A wall clock that was set back must not make a pause longer than it was planned.
            wait_s = min(max(pending.due - now, 0.0), self._pause_s(max(pending.attempts, 1)))
            message = Message(pending.seq, pending.alert, now_s + wait_s, now_s, pending.attempts)
            self._messages[message.seq] = message

    def offer(self, seq: int, alert: Alert, stored: asyncio.Future[bool]) -> None:
        """Queues; when too many wait or the receiver is gone, drops the alert and counts it."""
        if self._gone or len(self._messages) >= self._config.queue_size:
            self._drop(seq, alert)
            return
        now_s = self._clock()
        self._messages[seq] = Message(seq, alert, now_s, now_s, stored=stored)
        self._changed.set()

    def waiting(self) -> Waiting:
        """Callable from any thread."""
        since = [message.since_s for message in tuple(self._messages.values())]
        return Waiting(len(since), self._clock() - min(since) if since else 0.0)

    async def run(self) -> None:
        """Delivers until cancelled, or until the receiver answers 410 (gone)."""
        try:
            while not self._gone:
                await self._deliver(await self._next())
        finally:
            await self._webhook.close()

    async def _next(self) -> Message:
        while True:
            self._changed.clear()
            message = self._first_due()
            wait_s = None if message is None else self._due_s(message) - self._clock()
            if message is not None and wait_s is not None and wait_s <= 0:
                return message
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _first_due(self) -> Message | None:
        heads: dict[str, Message] = {}
        for message in self._messages.values():
            heads.setdefault(message.alert.id, message)
        return min(heads.values(), key=lambda m: (m.due_s, m.seq), default=None)

    def _due_s(self, message: Message) -> float:
        return max(message.due_s, self._quiet_until_s)

    async def _deliver(self, message: Message) -> None:
        if message.stored is not None:
            await asyncio.wait([message.stored], timeout=STORE_PATIENCE_S)
        answer = await self._webhook.post(message.alert)
        self._quiet_until_s = self._clock() + answer.wait_s
        match answer.outcome:
            case Outcome.DELIVERED:
                self._settle(message.seq, "delivered")
                self._metrics.webhook_delivered()
                self._receiver_is_back()
            case Outcome.GONE:
                self._give_up_for_good()
            case Outcome.REFUSED | Outcome.FAILED:
                self._try_later(message, answer)

    def _try_later(self, message: Message, answer: Answer) -> None:
        self._metrics.webhook_failed()
        message.attempts += 1
        message.refused = answer.outcome is Outcome.REFUSED
        extra = {"webhook": self.target, "id": message.alert.message_id}
        if message.attempts >= self._config.max_attempts:
            self._settle(message.seq, "given_up")
            self._metrics.webhook_given_up()
            logger.error("webhook message given up", extra=extra)
            return
        jitter = random.uniform(1.0 - JITTER, 1.0 + JITTER)
        wait_s = max(self._pause_s(message.attempts) * jitter, answer.wait_s)
        message.due_s = self._clock() + wait_s
        seq, attempts, due = message.seq, message.attempts, self._wall() + wait_s
        self._archive.write(lambda store: store.postpone(seq, self.target, attempts, due))

    def _pause_s(self, attempts: int) -> float:
        return self._retry_s[min(attempts, len(self._retry_s)) - 1]

    def _receiver_is_back(self) -> None:
        """Whoever waits only because nobody answered need not wait for hours any more."""
        for message in self._messages.values():
            if not message.refused:
                message.due_s = min(message.due_s, self._clock())

    def _give_up_for_good(self) -> None:
        self._gone = True
        self._metrics.webhook_given_up()
        for seq in list(self._messages):
            self._settle(seq, "gone")
        logger.error(
            "webhook receiver answered 410 (gone): no more messages until a restart",
            extra={"webhook": self.target},
        )

    def _drop(self, seq: int, alert: Alert) -> None:
        self._metrics.webhook_dropped()
        self._archive.write(lambda store: store.settle(seq, self.target, "dropped"))
        extra = {"webhook": self.target, "id": alert.message_id}
        logger.error("webhook message dropped", extra=extra)

    def _settle(self, seq: int, state: str) -> None:
        self._messages.pop(seq, None)
        self._archive.write(lambda store: store.settle(seq, self.target, state))
