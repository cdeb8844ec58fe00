"""The command `vfd-monitor`."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from engines.engine import EngineError
from monitor import calibrate, demo, drill, history, join, ops_files, watch
from monitor.config import Config, ConfigError
from monitor.config_file import load_config, to_toml
from monitor.heap import bound_heap
from monitor.logs import set_up_logging
from monitor.server import ListenError
from monitor.service import Service
from monitor.store import StoreError
from vfd.checkpoint import CheckpointError
from vfd.faces import DetectorError

USAGE_ERROR = 2
USER_ERRORS = (
    *(ConfigError, CheckpointError, DetectorError, EngineError),
    *(ListenError, StoreError),
)
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


def main(arguments: list[str] | None = None) -> None:
    """Runs a command and exits with its code; 2 for what the user has to put right."""
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
    except USER_ERRORS as error:
        print(f"vfd-monitor: {error}", file=sys.stderr)
        code = USAGE_ERROR
    except KeyboardInterrupt:  # while starting: a running service takes the signal itself
        code = INTERRUPTED
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vfd-monitor",
        description="Watches calls and asks whether each voice belongs to the face it comes with.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="take calls over WHIP and watch them")
    check = commands.add_parser("check-config", help="print the effective configuration")
    for command, run in ((serve, _serve), (check, _check_config)):
        command.add_argument("--config", type=Path, help="configuration file (TOML)")
        command.set_defaults(run=run)
    join_parser = commands.add_parser("join", help="join calls and streams, and watch them")
    join.add_arguments(join_parser)
    join_parser.set_defaults(run=join.run)
    watch_parser = commands.add_parser("watch", help="watch a file or a stream")
    watch.add_arguments(watch_parser)
    watch_parser.set_defaults(run=watch.run)
    history_parser = commands.add_parser("history", help="show the episodes of the past")
    history.add_arguments(history_parser)
    history_parser.set_defaults(run=history.run)
    fit = commands.add_parser("calibrate", help="fit error rates to your own genuine calls")
    calibrate.add_arguments(fit)
    fit.set_defaults(run=calibrate.run)
    drill_parser = commands.add_parser("drill", help="prove that an alert would arrive")
    drill.add_arguments(drill_parser)
    drill_parser.set_defaults(run=drill.run)
    demo_parser = commands.add_parser("demo", help="watch a made-up call of four people")
    demo.add_arguments(demo_parser)
    demo_parser.set_defaults(run=demo.run)
    ops_parser = commands.add_parser("ops-files", help="write rules and dashboards to a folder")
    ops_files.add_arguments(ops_parser)
    ops_parser.set_defaults(run=ops_files.run)
    return parser


def _check_config(parsed: argparse.Namespace) -> int:
    print(to_toml(load_config(parsed.config, os.environ)), end="")
    return 0


def _serve(parsed: argparse.Namespace) -> int:
    config = load_config(parsed.config, os.environ)
    set_up_logging()
    bound_heap()
    return asyncio.run(_serve_until_signal(config))


async def _serve_until_signal(config: Config) -> int:
    service = Service(config)
    await service.start()
    return await service.run_until_signal()


if __name__ == "__main__":
    main()
