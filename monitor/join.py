"""`vfd-monitor join URL...`: the service, with calls to join from its start on."""

import argparse
import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from monitor.calls import Call, CallState
from monitor.config import Config
from monitor.config_file import load_config
from monitor.config_rules import check_rules
from monitor.heap import bound_heap
from monitor.logs import set_up_logging
from monitor.service import Service
from monitor.store import MEMORY

ONCE_PATIENCE_S = 30.0
LOOK_AROUND_S = 3.0  # from joining to saying who is there
NOT_JOINED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "urls",
        nargs="+",
        metavar="URL",
        help="janus+wss: livekit+wss: rtmp: rtsp: http: udp: or a file",
    )
    parser.add_argument("--once", action="store_true", help="try once, say what happened, and exit")
    parser.add_argument("--config", type=Path, help="configuration file (TOML)")


def run(parsed: argparse.Namespace) -> int:
    """The exit code: with --once, 1 if a call was not joined. Raises ConfigError."""
    config = load_config(parsed.config, os.environ)
    calls = (*config.join.calls, *parsed.urls)
    config = replace(config, join=replace(config.join, calls=calls))
    check_rules(config, "join")
    set_up_logging()
    bound_heap()
    if parsed.once:
        return asyncio.run(_once(config))
    return asyncio.run(_serve(config))


async def _serve(config: Config) -> int:
    service = Service(config)
    await service.start()
    return await service.run_until_signal()


async def _once(config: Config) -> int:
    """Beside a monitor that runs already: at a port of its own."""
    own = replace(config.server, host="127.0.0.1", port=0, tls_certificate="", tls_key="")
    nothing_kept = replace(config.store, path=MEMORY)
    service = Service(replace(config, server=own, store=nothing_kept), once=True)
    await service.start()
    try:
        calls = service.calls.all()
        await asyncio.gather(*map(_settled, calls))
        found = {call.id: service.calls.participants(call.id) for call in calls}
    finally:
        await service.stop()
    for call in calls:
        print(_said(call, found[call.id]), file=sys.stdout if call.entered.is_set() else sys.stderr)
    return 0 if all(call.entered.is_set() for call in calls) else NOT_JOINED


async def _settled(call: Call) -> None:
    ways = [asyncio.create_task(event.wait()) for event in (call.entered, call.over)]
    await asyncio.wait(ways, timeout=ONCE_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    if call.state is CallState.JOINED:
        await asyncio.sleep(LOOK_AROUND_S)


def _said(call: Call, participants: int) -> str:
    if call.entered.is_set():
        who = "1 participant" if participants == 1 else f"{participants} participants"
        note = f" ({call.message})" if call.message else ""
        return f"{call.url.shown}: joined, {who} after {LOOK_AROUND_S:g} s{note}"
    why = call.message or f"nothing came of it in {ONCE_PATIENCE_S:g} s"
    return f"{call.url.shown}: not joined ({call.trouble or 'no answer'}): {why}"
