"""`vfd-monitor drill`: asks a running monitor for a drill and prints what came of every step."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.text import Text

from monitor.config import Config
from monitor.config_file import load_config

PASSED, FAILED, NOT_HELD = 0, 1, 2
POLL_S: Final = 0.5
GRACE_S: Final = 40.0  # beyond the seconds for detection: for delivery
EVENT_PATIENCE_S: Final = 10.0


class DrillError(Exception):
    """The drill could not be held; the message says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--call", required=True, help="a call that is watched now")
    parser.add_argument("--participant", required=True, help="who takes part in it, and speaks")
    parser.add_argument("--url", help="of the monitor; as configured if left out")
    parser.add_argument("--config", type=Path, help="configuration file (TOML), for URL and token")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="until the swap must be detected, 5 to 600"
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit code: 0 if every step came off, 1 if one did not, 2 if no drill was held. Raises
    ConfigError."""
    config = load_config(arguments.config, os.environ)
    try:
        drill = asyncio.run(_held(arguments, config))
    except (DrillError, httpx.HTTPError, httpx.InvalidURL) as error:
        print(f"vfd-monitor drill: {error or type(error).__name__}", file=sys.stderr)
        return NOT_HELD
    if arguments.json:
        print(json.dumps(drill))
    else:
        _print(drill)
    return PASSED if all(step["ok"] for step in drill["steps"]) else FAILED


async def _held(arguments: argparse.Namespace, config: Config) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {config.server.token}"} if config.server.token else {}
    url = arguments.url or _own_url(config)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=10, trust_env=False
    ) as client:
        wanted = {
            "call": arguments.call,
            "participant": arguments.participant,
            "seconds": arguments.seconds,
        }
        drill = _answer(await client.post("/v1/drills", json=wanted))
        where = f"/v1/drills/{drill['id']}"
        async with asyncio.timeout(arguments.seconds + GRACE_S):
            while drill["state"] == "running":
                await asyncio.sleep(POLL_S)
                drill = _answer(await client.get(where))
        if drill["event_id"] is not None:
            drill["steps"].append(await _event_step(client, drill))
    return drill


async def _event_step(client: httpx.AsyncClient, drill: dict[str, Any]) -> dict[str, Any]:
    """Whether a listener that comes back is told of the alert."""
    headers = {"Last-Event-ID": str(drill["event_id"] - 1)}
    wanted = f"id: {drill['event_id']}"
    try:
        async with (
            asyncio.timeout(EVENT_PATIENCE_S),
            client.stream("GET", "/v1/events", headers=headers) as answer,
        ):
            async for line in answer.aiter_lines():
                if line == wanted:
                    return {"step": "events", "ok": True, "what": f"event {drill['event_id']}"}
    except TimeoutError:
        pass
    return {"step": "events", "ok": False, "what": "no such event was told"}


def _answer(response: httpx.Response) -> dict[str, Any]:
    try:
        found: dict[str, Any] = response.json()
    except ValueError:
        raise DrillError(f"{response.url} is no monitor: status {response.status_code}") from None
    if response.is_error:
        raise DrillError(str(found.get("detail", f"status {response.status_code}")))
    return found


def _own_url(config: Config) -> str:
    server = config.server
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)
    scheme = "https" if server.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}"


def _print(drill: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(Text(f"drill with {drill['participant']} in call {drill['call']}"))
    for step in drill["steps"]:
        mark = ("ok  ", "green") if step["ok"] else ("FAIL", "bold red")
        console.print(Text.assemble(mark, f" {step['step']}: {step['what']}"))
    if not any(step["step"].startswith("webhook") for step in drill["steps"]):
        console.print("     no webhook was told: none is set, or these weights may not call any")
