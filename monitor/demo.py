"""`vfd-monitor demo`: the service in one process, a simulated call in another, and a live table.

The demonstration sees what any client sees: the events, the metrics and the pages of the service.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
from rich.console import Console
from rich.live import Live
from rich.table import Table

from monitor.config import ServerConfig
from monitor.demo_report import STAGES, Record, Summary, stage_seconds
from monitor.store import MEMORY
from monitor.table import participants_table

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 8.0
CALL_GRACE_S = 90.0  # drawing and encoding the loops on a slow machine
EVENT_SETTLE_S = 1.0  # what was said before the callers left may still be on its way


class DemoError(Exception):
    """The demonstration could not be held; the message says which part failed and how."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `vfd-monitor demo`."""
    parser.add_argument("--seed", type=int, default=1, help="who takes part (default: 1)")
    parser.add_argument("--seconds", type=float, default=36.0, help="length of the call")
    parser.add_argument("--swap-at", type=float, default=20.0, help="second of the swap")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome here")
    parser.add_argument("--keep", action="store_true", help="leave the service up afterwards")


def run(args: argparse.Namespace) -> int:
    """Exit code: 0 if the swap and nothing else raised an alert, 1 if not, 2 if the call could not
    be held, 130 on Ctrl-C."""
    try:
        _check(args)
        return asyncio.run(_until_signal(args))
    except (DemoError, httpx.HTTPError, psutil.Error) as error:
        print(f"vfd-monitor demo: {error or type(error).__name__}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


def _check(args: argparse.Namespace) -> None:
    """Before the call, not after it."""
    if not 0 < args.swap_at < args.seconds:
        raise DemoError(f"--swap-at {args.swap_at}: expected more than 0 and less than --seconds")
    if args.json and not args.json.absolute().parent.is_dir():
        raise DemoError(f"--json {args.json}: there is no folder {args.json.parent}")


async def _until_signal(args: argparse.Namespace) -> int:
    """A terminal that is closed ends the demonstration as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await _demonstrate(args)


async def _demonstrate(args: argparse.Namespace) -> int:
    console = Console()
    port = _free_port(ServerConfig().port)
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as log:
        async with _service(port, log) as service:
            await _ready(url, service, log)
            console.print(f"seed [bold]{args.seed}[/]  (vfd-monitor demo --seed {args.seed})")
            for page, what in (("publish", "join from here"), ("metrics", "for Prometheus")):
                console.print(f"  {url}/{page}  {what}")
            summary = await _hold_call(args, url, psutil.Process(service.pid), console)
            console.print()  # off a terminal the live table ends without a line break
            console.print(_summary_table(summary))
            if args.json:
                outcome = json.dumps(summary.to_json(), indent=2, allow_nan=False)
                args.json.write_text(f"{outcome}\n")
            if args.keep:
                console.print(f"the service stays up at {url}; Ctrl-C ends it")
                await service.wait()
    return 0 if summary.as_promised else 1


async def _hold_call(
    args: argparse.Namespace, url: str, service: psutil.Process, console: Console
) -> Summary:
    record = Record(args.seed)
    async with _client(url) as client, _callers(args, url) as call:
        begin: tuple[float, dict[str, float]] | None = None
        end: tuple[float, dict[str, float]] | None = None
        tasks = [
            asyncio.create_task(_listen_to_monitor(client, record), name="monitor events"),
            asyncio.create_task(_listen_to_call(call, record), name="call events"),
        ]
        deadline_s = time.monotonic() + args.seconds + CALL_GRACE_S
        try:
            with Live(console=console, refresh_per_second=2) as live:
                while not record.left and time.monotonic() < deadline_s and not tasks[1].done():
                    live.update(_picture(record, args))
                    await asyncio.sleep(0.5)
                    if len(record.people) >= len(record.expected) > 0:
                        record.memory(time.monotonic(), service.memory_info().rss / 2**20)
                        end = (time.monotonic(), stage_seconds((await client.get("/metrics")).text))
                        begin = begin or end
                await asyncio.sleep(EVENT_SETTLE_S)
                live.update(_picture(record, args))
            metrics = (await client.get("/metrics")).text
        finally:
            for task in tasks:
                task.cancel()
            failures = await asyncio.gather(*tasks, return_exceptions=True)
        if not record.left or begin is None or end is None:
            cause = next((f for f in failures if isinstance(f, Exception)), "no word from it")
            raise DemoError(f"the simulated call ended early: {cause}")
    return record.summary(metrics, _cpu_ms(begin, end, len(record.people)))


def _cpu_ms(
    begin: tuple[float, dict[str, float]], end: tuple[float, dict[str, float]], people: int
) -> dict[str, float]:
    """Milliseconds of CPU for each second of each participant, by stage and in total."""
    seconds = max(end[0] - begin[0], 1e-9) * people
    used = {stage: 1e3 * (end[1][stage] - begin[1][stage]) / seconds for stage in STAGES}
    return used | {"total": sum(used.values())}


async def _listen_to_monitor(client: httpx.AsyncClient, record: Record) -> None:
    async with client.stream("GET", "/v1/events", timeout=None) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                event: dict[str, Any] = json.loads(line.removeprefix("data:"))
                record.heard_from_monitor(event, time.monotonic())


async def _listen_to_call(call: asyncio.subprocess.Process, record: Record) -> None:
    assert call.stdout is not None
    async for line in call.stdout:
        record.heard_from_call(json.loads(line))
    if await call.wait() != 0:
        raise DemoError(f"the callers ended with exit code {call.returncode}")


def _picture(record: Record, args: argparse.Namespace) -> Table:
    rows = [person.row(name) for name, person in sorted(record.people.items())]
    if not rows:
        note = "the four people are being drawn ..."
    elif record.swapped_s is None:
        since = time.monotonic() - max(p.joined_s for p in record.people.values())
        note = f"second {since:.0f}: all are who they are; {record.swapped}'s face is swapped at "
        note += f"{args.swap_at:.0f}"
    else:
        since = time.monotonic() - record.swapped_s
        alerts = ", ".join(a["participant"] for a in record.alerts) or "none yet"
        note = f"{since:.0f} s since {record.swapped} wears somebody else's face; alerts: {alerts}"
    return participants_table(rows, title="vfd-monitor: one call, four people", caption=note)


def _summary_table(summary: Summary) -> Table:
    detect = summary.time_to_detect_s
    used = summary.cpu_ms_per_participant_second
    abstained = ", ".join(f"{n} {reason}" for reason, n in summary.windows_abstained.items())
    table = Table(title="as promised" if summary.as_promised else "NOT as promised")
    table.add_column("what")
    table.add_column("value")
    for what, value in (
        ("swapped", summary.swapped),
        ("time to detect", "not detected" if detect is None else f"{detect:.1f} s"),
        ("false alerts", str(summary.false_alerts)),
        ("windows scored", str(summary.windows_scored)),
        ("not scored", abstained or "none"),
        ("scored of those who spoke", f"{summary.scored_share:.1%}"),
        ("window to score, p95", f"{summary.window_to_score_p95_s:.2f} s"),
        ("event loop lag, p99", f"{summary.loop_lag_p99_ms:.0f} ms"),
        ("CPU ms a participant-second", ", ".join(f"{k} {v:.0f}" for k, v in used.items())),
        ("memory", f"{summary.rss_mb:.0f} MB"),
    ):
        table.add_row(what, value)
    return table


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=10, trust_env=False)  # no proxy to ourselves


def _free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else any."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise DemoError("no port is free on 127.0.0.1")


@asynccontextmanager
async def _service(port: int, log: IO[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    # The demonstration is the same whatever the user's own service is set to.
    own = {key: value for key, value in os.environ.items() if not key.startswith("VFD_")}
    environment = own | {
        "VFD_SERVER_HOST": "127.0.0.1",
        "VFD_SERVER_PORT": str(port),
        "VFD_STORE_PATH": MEMORY,
    }
    command = (sys.executable, "-m", "monitor.cli", "serve")
    async with _child(command, environment, stdout=log, stderr=log) as process:
        yield process


@asynccontextmanager
async def _callers(args: argparse.Namespace, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    options = {"url": url, "seed": args.seed, "seconds": args.seconds, "swap-at": args.swap_at}
    flags = [f"--{key}={value}" for key, value in options.items()]
    command = (sys.executable, "-m", "training.call", *flags)
    async with _child(command, dict(os.environ), stdout=asyncio.subprocess.PIPE) as process:
        yield process


@asynccontextmanager
async def _child(
    command: Sequence[str],
    environment: dict[str, str],
    stdout: int | IO[str],
    stderr: IO[str] | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process in a session of its own (Ctrl-C reaches us alone), ended with all its children."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, start_new_session=True, stdout=stdout, stderr=stderr
    )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)


async def _ready(url: str, service: asyncio.subprocess.Process, log: IO[str]) -> None:
    """Waits until the service is ready to take people in. Raises DemoError with its last words."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    async with _client(url) as client:
        while service.returncode is None and time.monotonic() < deadline_s:
            with suppress(httpx.HTTPError):
                if (await client.get("/readyz")).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.1)
    log.seek(0)
    raise DemoError(f"the service did not become ready:\n{log.read()[-2000:]}")
