"""A monitor, Prometheus and Alertmanager, as programs of their own, and who is alerted by them."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from monitor import ops_files
from tests.peers import free_port, until
from tests.programs import program
from tests.stream_servers import running

MISMATCH = "IdentityMismatchSuspected"
MIRROR, RULE = "mirror", "rule"  # which way an alert came: from the monitor itself, or by the rule
START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Told:
    """One alert in one message, and when it came, by this machine's monotonic clock."""

    at_s: float
    path: str
    alert: dict[str, Any]

    @property
    def way(self) -> str:
        return MIRROR if self.alert["labels"].get("source") == "vfd-monitor" else RULE


@dataclass
class Operator:
    """A webhook receiver of Alertmanager's."""

    told: list[Told] = field(default_factory=list)
    url: str = ""

    def mismatches(self, way: str, status: str) -> list[Told]:
        return [
            told
            for told in self.told
            if told.alert["labels"]["alertname"] == MISMATCH
            and (told.way, told.alert["status"]) == (way, status)
        ]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Operator"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        message = json.loads(await reader.readexactly(int(headers["content-length"])))
        path, now_s = request.split()[1], time.monotonic()
        self.told += [Told(now_s, path, alert) for alert in message["alerts"]]
        writer.write(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()


@dataclass
class Call:
    """What the callers say, one JSON object a line."""

    log: Path

    def event(self, name: str) -> dict[str, Any] | None:
        lines = self.log.read_text().splitlines()
        events = (json.loads(line) for line in lines if line.startswith("{"))
        return next((event for event in events if event["event"] == name), None)


@dataclass
class Alerting:
    """The addresses of the parts, and the folder of their files and logs."""

    folder: Path
    operator: Operator
    monitor: str
    prometheus: str
    alertmanager: str

    @asynccontextmanager
    async def call(self, seed: int, seconds: float, swap_at_s: float) -> AsyncIterator[Call]:
        """Four synthetic people, one of whom is swapped."""
        log = self.folder / "call.log"
        options = (f"--url={self.monitor}", f"--seed={seed}", f"--seconds={seconds}")
        command = (sys.executable, "-m", "training.call", *options, f"--swap-at={swap_at_s}")
        async with running(*command, log=log):
            yield Call(log)

    async def metric(self, series: str) -> float:
        """The value of one series of the monitor, exactly as `/metrics` names it."""
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"{self.monitor}/metrics")).text
        lines = (line.rsplit(" ", 1) for line in text.splitlines())
        return next(float(line[1]) for line in lines if line[0] == series)

    async def known(self) -> list[dict[str, Any]]:
        """The mismatches that Alertmanager holds."""
        async with httpx.AsyncClient(trust_env=False) as client:
            filters = {"filter": f'alertname="{MISMATCH}"'}
            answer = await client.get(f"{self.alertmanager}/api/v2/alerts", params=filters)
        found: list[dict[str, Any]] = answer.json()
        return found


@asynccontextmanager
async def alerting(folder: Path, *, allowed: bool, mirror: bool = True) -> AsyncIterator[Alerting]:
    """All four, with the shipped rules and examples. `allowed`: whether the weights, which are
    trained on synthetic people, may alert anybody. `mirror`: whether the monitor itself tells
    Alertmanager as well."""
    prometheus = program("Prometheus", ("prometheus",), "prometheus")
    alertmanager = program("Alertmanager", ("prometheus-alertmanager",), "prometheus-alertmanager")
    ports = [free_port() for _ in range(3)]
    async with AsyncExitStack() as stack:
        operator = await stack.enter_async_context(Operator().listening())
        parts = Alerting(folder, operator, *(f"http://127.0.0.1:{port}" for port in ports))
        _adapt(parts)
        commands = {
            f"{parts.alertmanager}/-/ready": (
                alertmanager,
                "--config.file=alertmanager.yml",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{ports[2]}",
                "--cluster.listen-address=",
            ),
            f"{parts.monitor}/readyz": _monitor(parts, allowed, mirror),
            f"{parts.prometheus}/-/ready": (
                prometheus,
                "--config.file=prometheus.yml",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{ports[1]}",
                "--rules.alert.resend-delay=10s",
            ),
        }
        for i, (probe, command) in enumerate(commands.items()):
            started = running("env", "-C", str(folder), *command, log=folder / f"{i}.log")
            await stack.enter_async_context(started)
            await until(partial(_answers, probe), START_TIMEOUT_S)
        yield parts


def _monitor(parts: Alerting, allowed: bool, mirror: bool) -> tuple[str, ...]:
    settings = {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "VFD_STORE_PATH": ":memory:",
        "VFD_ALERTS_ABSENCE_S": "5",  # by default whoever left may be back within a minute
        "VFD_SERVER_PORT": parts.monitor.rpartition(":")[2],
        "VFD_MODEL_ALLOW_SYNTHETIC_ALERTS": str(allowed).lower(),
        "VFD_ALERTMANAGER_URL": parts.alertmanager if mirror else "",
        "VFD_ALERTMANAGER_ALLOW_PRIVATE_TARGETS": "true",
    }
    set_ = (f"{name}={value}" for name, value in settings.items())
    return (*set_, sys.executable, "-m", "monitor.cli", "serve")


def _adapt(parts: Alerting) -> None:
    """What a user does: sets the addresses in the files that are shipped."""
    addresses = {
        "127.0.0.1:8787": parts.monitor,
        "127.0.0.1:9093": parts.alertmanager,
        "127.0.0.1:9094": parts.operator.url,
    }
    for path in ops_files.write(parts.folder, force=True):
        text = path.read_text()
        for shipped, url in addresses.items():
            text = text.replace(shipped, url.removeprefix("http://"))
        path.write_text(text)


async def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(url)).status_code == 200
    return False
