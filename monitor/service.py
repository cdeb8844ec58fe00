"""The live service: builds every part, owns every task, and takes them down in order."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from engines.engine import Engine
from monitor.alertmanager import alertmanager_sink
from monitor.alerts import Alerter, AlertSink
from monitor.assembly import (
    configured_checkpoint,
    configured_engine,
    decision_limits,
    delivery_allowed,
    face_finder,
    weights_note,
)
from monitor.attendance import Attendance
from monitor.call_urls import parse_call_url
from monitor.calls import Calls
from monitor.config import Config
from monitor.cpu import StageCpu
from monitor.delivery import Delivery
from monitor.drills import Drills
from monitor.events import EventBus, joined_event, left_event
from monitor.evidence import Evidence
from monitor.face_worker import FaceWorker
from monitor.heap import trim_heap_forever
from monitor.http import Parts, create_app
from monitor.loop_lag import LoopLag
from monitor.metrics import Metrics
from monitor.publications import Publications
from monitor.receiving import Receiving
from monitor.record import RecordSink
from monitor.scorer import Scorer
from monitor.scoring import ScoringLoop
from monitor.server import HttpServer, listening
from monitor.sessions import Registry
from monitor.sources import source_of
from monitor.store import Store
from vfd.checkpoint import Checkpoint
from vfd.finder import FaceFinder

HELPER_THREADS = 2  # convert pictures, render metrics: mostly outside the interpreter's lock

logger = logging.getLogger(__name__)


class Service:
    """One monitor. `engine`, `finder` and `checkpoint` replace what the configuration names.
    `once`: no call is tried a second time."""

    def __init__(
        self,
        config: Config,
        clock: Callable[[], float] = time.monotonic,
        engine: Engine | None = None,
        finder: FaceFinder | None = None,
        checkpoint: Checkpoint | None = None,
        *,
        once: bool = False,
    ) -> None:
        self._config = config
        self._clock = clock
        self._engine = engine
        self._finder = finder
        self._checkpoint = checkpoint
        self._once = once
        self._stack = AsyncExitStack()  # what is taken down last was built first
        self._ended = asyncio.Event()
        self._draining = False
        self._failed = False
        self.url = ""
        """Where it answers, once it does."""
        self.calls: Calls
        """What it has joined, once started."""

    async def start(self) -> None:
        """Returns when requests are answered.

        Raises ListenError, ConfigError, CheckpointError or EngineError; nothing is left then.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends publications, event streams, tasks and threads, in this order; idempotent."""
        self._draining = True
        await self._stack.aclose()

    async def run_until_signal(self) -> int:
        """Serves until SIGTERM or SIGINT; returns the exit code, 1 if a part of it died before."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self._ended.set)
        try:
            await self._ended.wait()
            logger.info("draining")
            await self.stop()
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
        return 1 if self._failed else 0

    async def _start(self) -> None:
        config, stack = self._config, self._stack
        listener = stack.enter_context(listening(config.server))  # fails first: it needs no model
        checkpoint = self._checkpoint or configured_checkpoint(config)
        limits = decision_limits(config, checkpoint)
        engine = self._engine or configured_engine(config, checkpoint)
        stack.callback(engine.close)
        executor = ThreadPoolExecutor(HELPER_THREADS, thread_name_prefix="helper")
        stack.callback(executor.shutdown)

        cpu = StageCpu()
        registry = Registry(config, limits)
        metrics = Metrics(registry, config.metrics, cpu)
        metrics.model_loaded(checkpoint, type(engine).__name__)
        metrics.delivery_allowed(delivery_allowed(config, checkpoint))
        bus = EventBus(metrics)
        delivery = await self._delivery(checkpoint, metrics)
        record = RecordSink(bus, metrics, delivery.keep)
        sinks = [record, *self._mirrors(checkpoint, metrics)]
        alerter = Alerter(checkpoint, limits, sinks, config.alerts, self._evidence(checkpoint))
        alerter.resume(await delivery.archive.read(Store.open_episodes), self._clock())
        faces = FaceWorker(self._finder or face_finder(config), metrics)
        stack.push_async_callback(faces.close)
        receiving = Receiving(config, faces, executor, self._clock)
        stack.callback(receiving.close)
        await receiving.open()
        metrics.count_keyframes(receiving.keyframes)

        attendance = Attendance(
            registry,
            self._clock,
            on_joined=lambda session: bus.publish(joined_event(session.key)),
            on_left=lambda session: bus.publish(left_event(session.key)),
            on_gone=alerter.left,
        )
        publications = Publications(attendance, receiving.receiver)
        calls = self.calls = Calls(
            attendance,
            lambda url: source_of(url, config, faces, self._clock),
            receiving.receiver,
            metrics,
            config.join.max_calls,
            once=self._once,
        )
        metrics.count_calls(calls.by_state)
        metrics.count_streams(calls.delays)

        async def hear(end_s: float) -> None:
            await receiving.hear([*publications.media(), *calls.media()], end_s)

        def attend() -> None:
            receiving.attend([*publications.media(), *calls.media()])

        drills = Drills(registry, alerter, delivery.archive, bus, metrics, self._clock)
        stack.push_async_callback(drills.close)
        scorer = Scorer(engine, config.scoring.faces_per_window, checkpoint.info.config.front_end)
        scoring = ScoringLoop(
            *(registry, scorer, config.scoring, self._clock, bus, metrics, alerter, hear),
            attend=attend,
            drills=drills,
        )
        metrics.queue_ages({"engine": scoring.step_age_s, "faces": lambda: self._age_s(faces)})
        self._own(scoring.run(), "scoring")
        self._own(alerter.run(self._clock), "episodes")
        self._own(calls.run(), "calls")
        self._own(cpu.run(), "cpu sampling")
        self._own(LoopLag(metrics).run(), "loop lag")
        self._own(trim_heap_forever(executor), "heap")
        parts = Parts(
            config=config,
            checkpoint=checkpoint,
            registry=registry,
            publications=publications,
            calls=calls,
            archive=delivery.archive,
            drills=drills,
            bus=bus,
            metrics=metrics,
            executor=executor,
            not_ready=lambda: self._not_ready(scoring),
        )
        server = HttpServer(create_app(parts), listener, config.server)
        await self._serve(server)
        stack.callback(bus.close)
        stack.push_async_callback(publications.close)
        stack.push_async_callback(calls.close)
        self._announce(checkpoint)
        for text in config.join.calls:
            calls.add(parse_call_url(text))

    def _evidence(self, checkpoint: Checkpoint) -> Evidence | None:
        if not self._config.evidence.folder:
            return None
        evidence = Evidence(
            self._config.evidence,
            checkpoint.info.config.front_end,
            lambda: self._engine or configured_engine(self._config, checkpoint),
        )
        self._stack.push_async_callback(evidence.close)
        self._own(evidence.run(), "evidence")
        return evidence

    async def _delivery(self, checkpoint: Checkpoint, metrics: Metrics) -> Delivery:
        delivery = Delivery(self._config, checkpoint, metrics)
        self._stack.push_async_callback(delivery.close)
        await delivery.open()
        metrics.count_outbox(delivery.waiting)
        for run, name in delivery.jobs():
            self._own(run, name)
        return delivery

    def _mirrors(self, checkpoint: Checkpoint, metrics: Metrics) -> list[AlertSink]:
        mirror = alertmanager_sink(self._config, checkpoint, metrics)
        if mirror is None:
            return []
        self._own(mirror.run(), "alertmanager")
        return [mirror]

    async def _serve(self, server: HttpServer) -> None:
        task = self._watch(asyncio.create_task(server.run(), name="http server"))

        async def end() -> None:
            server.stop()
            await asyncio.gather(task, return_exceptions=True)

        self._stack.push_async_callback(end)
        await server.wait_answering()
        self.url = server.url

    def _own(self, run: Coroutine[None, None, None], name: str) -> None:
        task = self._watch(asyncio.create_task(run, name=name))

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._stack.push_async_callback(end)

    def _watch(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """A part that dies takes the service down: a monitor that looks alive must be watching."""

        def on_done(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()):
                logger.critical("a part died", extra={"part": task.get_name()}, exc_info=error)
                self._failed = True
                self._ended.set()

        task.add_done_callback(on_done)
        return task

    def _age_s(self, faces: FaceWorker) -> float:
        oldest_s = faces.oldest_s()
        return 0.0 if oldest_s is None else max(0.0, self._clock() - oldest_s)

    def _not_ready(self, scoring: ScoringLoop) -> str:
        if self._draining:
            return "The monitor is shutting down."
        return "" if scoring.engine_up else "The engine does not answer; it is tried every hop."

    def _announce(self, checkpoint: Checkpoint) -> None:
        info = checkpoint.info
        logger.info(
            "watching",
            extra={"url": self.url, "preset": info.config.preset, "trained_on": info.trained_on},
        )
        if note := weights_note(checkpoint):
            logger.warning(note)
