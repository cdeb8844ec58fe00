"""A receiver of webhooks that answers from a script, and alerts to send to it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from monitor.alerts import Alert, AlertKind
from monitor.config import AlertConfig, Config, MetricsConfig
from monitor.cpu import StageCpu
from monitor.metrics import Metrics
from monitor.sessions import Registry
from tests.fakes import LIMITS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WEBHOOK = AlertConfig("https://hooks.example.com/x", SECRET, allow_private_targets=True)
HANG, RESET = -1, 0
"""Instead of a status: never answers; hangs up without a word."""


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: str

    @property
    def id(self) -> str:
        """Empty where the sender is no webhook."""
        return self.headers.get("webhook-id", "")


class Receiver:
    """An HTTP server that answers from a script of (status, further header lines); 204 after it."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self._answers = list(answers)
        self.received: list[Received] = []
        self.accepted: list[str] = []
        self.url = ""
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        try:
            async with server:
                yield self
        finally:
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def answer(self) -> tuple[int, str]:
        return self._answers.pop(0) if self._answers else (204, "")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._take(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a sender that was killed in the middle
        finally:
            writer.close()
            self._connections.discard(task)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        lines = [line.split(": ", 1) for line in head[1:] if line]
        headers = {name.lower(): value for name, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        received = Received(headers, body.decode())
        self.received.append(received)
        status, extra = self.answer()
        if status == HANG:
            await reader.read()
        if status > 0:
            if 200 <= status < 300:
                self.accepted.append(received.id)
            writer.write(f"HTTP/1.1 {status} X\r\nconnection: close\r\n{extra}\r\n".encode())
            await writer.drain()


def config(url: str) -> AlertConfig:
    return replace(WEBHOOK, webhook_url=url)


def metrics_of_nobody() -> Metrics:
    return Metrics(Registry(Config(), LIMITS), MetricsConfig(), StageCpu())


def alert(number: int = 0, kind: AlertKind = AlertKind.OPENED, **fields: object) -> Alert:
    made = Alert(
        id=f"episode{number}",
        kind=kind,
        call="standup",
        participant="alice",
        since_s=12.0,
        statistic=-0.21,
        threshold=0.06,
        windows_scored=31,
        model="nano",
        model_sha256="ab" * 32,
        trained_on="voxceleb",
        demo=False,
        summary="identity mismatch suspected",
        at="2026-11-28T22:00:00.000+00:00",
        suspected_at="2026-11-28T21:59:50.000+00:00",
        duration_s=10.0,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def outcomes(metrics: Metrics) -> dict[str, int]:
    """What became of messages; failed attempts, after which another follows, apart."""
    pattern = r'^vfd_deliveries_total{outcome="(\w+)",sink="webhook"} (\d+)'
    found = re.findall(pattern, metrics.render().decode(), re.MULTILINE)
    return {outcome: int(count) for outcome, count in found if int(count) and outcome != "failed"}
