"""`vfd-monitor history`: the episodes of the past, from the store; a monitor need not run."""

import argparse
import json
import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.archive import store_path
from monitor.config_file import load_config
from monitor.episodes_http import DEFAULT_EPISODES, MAX_EPISODES, since_unix_s
from monitor.store import MEMORY, Store, StoreError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="configuration file (TOML)")
    parser.add_argument("--call", help="of this call only")
    parser.add_argument(
        "--since", type=_since, default=0.0, metavar="TIME", help="such as 2h, 7d, 2026-11-28T22:00"
    )
    parser.add_argument(
        "--limit", type=_limit, default=DEFAULT_EPISODES, metavar="N", help="the newest N episodes"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one line an episode")


def run(arguments: argparse.Namespace) -> int:
    """The command. Raises ConfigError and StoreError."""
    config = load_config(arguments.config, os.environ)
    episodes = _episodes(store_path(config.store), arguments)
    if arguments.json:
        for episode in episodes:
            print(json.dumps(episode))
    else:
        Console().print(history_table(episodes))
    return 0


def history_table(episodes: Sequence[dict[str, Any]]) -> Table:
    """The newest first. Whatever somebody calls themselves is text, not markup."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("suspected (UTC)", "call", "participant", "state", "similarity", "told", "what"):
        table.add_column(column, overflow="fold")
    for episode in episodes:
        last = episode["last"]
        low = last["similarity"].get("low", last["statistic"])
        marks = [mark for mark in ("drill", "demo") if last[mark]]
        table.add_row(
            last["suspected_at"][:19].replace("T", " "),
            Text(last["call"]),
            Text(last["participant"]),
            f"{episode['state']}, {last['duration_s']:.0f} s",
            "-" if low is None else f"{low:+.2f}",
            ", ".join(f"{n} {state}" for state, n in episode["deliveries"].items()) or "nobody",
            Text(" ".join([f"[{mark}]" for mark in marks] + [last["summary"]])),
        )
    return table


def _episodes(path: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    if path == MEMORY or not Path(path).is_file():
        raise StoreError(f"{path} (store.path): there is no store yet")
    try:
        store = Store(path, max_mb=1, read_only=True)
        try:
            return store.episodes(arguments.call, arguments.since, arguments.limit)
        finally:
            store.close()
    except sqlite3.Error as error:
        raise StoreError(f"{path} (store.path) cannot be read: {error}") from error


def _since(text: str) -> float:
    try:
        return since_unix_s(text, datetime.now(UTC))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _limit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MAX_EPISODES:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_EPISODES}, not {text}")
    return int(text)
