"""Once a hop: a window or an abstention from everybody, one batch through the engine, verdicts.

A step that runs over delays the next one a little; later work is skipped and counted, never queued.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from monitor.alerts import Alerter
from monitor.buffers import Snapshot
from monitor.config import ScoringConfig
from monitor.drills import Drills
from monitor.evaluation import Step, as_seen, evaluate
from monitor.events import EventBus, abstention_event, score_event, verdict_event
from monitor.metrics import Metrics
from monitor.scorer import Scorer
from monitor.sessions import Registry, Session
from vfd.types import Abstention, Reason, Score

logger = logging.getLogger(__name__)
T = TypeVar("T")

MAX_MISSED_HOPS: Final = 60
"""Counted after the event loop stood still; a longer stop (a suspended host) is not made up for."""
PATIENCE: Final = 0.5
"""Of a hop: how late a window may begin because the one before it ran over. One slow second of a
busy machine then costs nobody a window; the buffers hold what the window needs for longer."""
BREATH: Final = 16
"""Participants between two turns of the event loop; a copied window and its outcome take 0.3 ms."""
DRIFT_EVERY: Final = 60
"""Steps between two looks at everybody's own baselines, which take a minute to change."""


async def _in_breaths(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with room for others on the event loop: packets do not wait for a crowd."""
    for index, item in enumerate(items, start=1):
        yield item
        if index % BREATH == 0:
            await asyncio.sleep(0)


class ScoringLoop:
    """Owns the engine's only thread while `run` runs. `clock` returns monotonic seconds, the time
    by which the buffers are written; `hear(end_s)` brings them up to the end of a window; `attend`
    is called when verdicts may have changed."""

    def __init__(
        self,
        registry: Registry,
        scorer: Scorer,
        config: ScoringConfig,
        clock: Callable[[], float],
        bus: EventBus,
        metrics: Metrics,
        alerter: Alerter,
        hear: Callable[[float], Awaitable[None]],
        attend: Callable[[], None] = lambda: None,
        drills: Drills | None = None,
    ) -> None:
        self._registry = registry
        self._scorer = scorer
        self._config = config
        self._clock = clock
        self._bus = bus
        self._metrics = metrics
        self._alerter = alerter
        self._hear = hear
        self._drills = drills
        self._attend = attend
        self._job: asyncio.Task[None] | None = None
        self._begun_s: float | None = None  # of the step that the engine is at
        self._steps = 0
        self._drifted = False
        self.engine_up = True

    async def run(self) -> None:
        """Until cancelled; then the step that is running is finished and its thread ended."""
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._metrics.engine_changed(self.engine_up)
        self._metrics.scoring_every(self._config.hop_s)
        try:
            await self._hop_forever(executor)
        finally:
            if self._job is not None:
                await asyncio.wait([self._job])
            executor.shutdown()

    def step_age_s(self) -> float:
        """How long the engine has been at the step that is running; 0 between two. Callable from
        any thread."""
        begun_s = self._begun_s
        return 0.0 if begun_s is None else self._clock() - begun_s

    async def _hop_forever(self, executor: ThreadPoolExecutor) -> None:
        """On a fixed grid: a hop that is late does not shift those after it."""
        hop_s, settle_s = self._config.hop_s, self._config.settle_s
        due_s = self._clock() + hop_s
        while True:
            await asyncio.sleep(max(0.0, due_s - self._clock()))
            await self._hop(executor, due_s)
            missed = max(0, int((self._clock() - due_s) // hop_s))
            for hop in range(1, min(missed, MAX_MISSED_HOPS) + 1):
                await self._skip(due_s + hop * hop_s - settle_s)
            due_s += (missed + 1) * hop_s

    async def _hop(self, executor: ThreadPoolExecutor, due_s: float) -> None:
        end_s = due_s - self._config.settle_s
        if self._job is not None:
            late_s = due_s + PATIENCE * self._config.hop_s - self._clock()
            await asyncio.wait([self._job], timeout=max(0.0, late_s))
            if not self._job.done():
                await self._skip(end_s)
                return
            self._job.result()  # a defect of ours ends the loop instead of going unseen
        sessions = self._registry.sessions()
        if sessions or not self.engine_up:
            await self._hear(end_s)
            snapshots = [s.buffer.snapshot(end_s) async for s in _in_breaths(sessions)]
            copies = self._drills.copies(snapshots) if self._drills else []
            step = self._step(
                executor,
                [*sessions, *(session for session, _ in copies)],
                [*snapshots, *(snapshot for _, snapshot in copies)],
            )
            self._job = asyncio.create_task(step, name="scoring step")

    async def _skip(self, end_s: float) -> None:
        async for session in _in_breaths(self._registry.sessions()):
            abstention = Abstention(session.key, end_s, Reason.OVERLOADED)
            await self._apply(session, Step(abstention, 0.0, 0.0))

    async def _step(
        self,
        executor: ThreadPoolExecutor,
        sessions: Sequence[Session],
        snapshots: Sequence[Snapshot],
    ) -> None:
        probe = not self.engine_up
        begun_s = self._begun_s = self._clock()
        evaluation = await asyncio.get_running_loop().run_in_executor(
            executor, lambda: evaluate(self._scorer, snapshots, probe=probe)
        )
        self._begun_s = None
        scored = sum(isinstance(step.result, Score) for step in evaluation.steps)
        self._metrics.engine_stepped(self._clock() - begun_s, scored)
        self._note_engine(evaluation.error)
        async for session, step in _in_breaths(zip(sessions, evaluation.steps, strict=True)):
            if session.drill and self._drills:
                await self._drills.take(session, step.result, step.speech, step.coverage)
            elif self._registry.get(session.key) is session:  # who left meanwhile has no result
                await self._apply(session, step)
        self._attend()
        self._steps += 1
        if self._steps % DRIFT_EVERY == 0:
            self._note_drift()

    def _note_drift(self) -> None:
        """Says so once, until it is over."""
        found = self._registry.drift()
        if found is None or found.shift is None or found.outside == self._drifted:
            return
        self._drifted = found.outside
        if found.outside:
            logger.warning(
                "scores of people who match have left the calibrated range, so the stated error "
                "rates no longer hold (vfd-monitor calibrate): people=%d shift=%.1f deviations",
                found.people,
                found.shift,
            )
        else:
            logger.info("scores of people who match are back in the calibrated range")

    def _note_engine(self, error: Exception | None) -> None:
        up = error is None
        if up == self.engine_up:
            return
        self.engine_up = up
        self._metrics.engine_changed(up)
        if error is None:
            logger.info("the engine is back")
        else:
            logger.error("the engine failed and is tried again every hop", exc_info=error)

    async def _apply(self, session: Session, step: Step) -> None:
        result, before = as_seen(step, session), session.verdict
        verdict = session.apply(result, speech=step.speech, coverage=step.coverage)
        if isinstance(result, Score):
            latency_s = self._clock() - result.end_s
            self._metrics.window_scored(latency_s, result.similarity)
            self._bus.publish(score_event(result, step.speech, latency_s))
        else:
            self._metrics.abstained(result.reason)
            self._bus.publish(abstention_event(result))
        if (verdict.state, verdict.reason) != (before.state, before.reason):
            self._bus.publish(verdict_event(session.key, result.end_s, verdict))
        await self._alerter.observe(session)
