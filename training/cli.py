"""`vfd-train`: turn data sets or synthetic people into shards, train models by recipes, and
measure, compare and calibrate them on people never seen."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from training import evaluate_cli, prepare_cli, train_cli
from vfd.checkpoint import CheckpointError

INTERRUPTED: Final = 130  # 128 and the number of SIGINT, as shells have it


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0; 2 when a file or folder is not what it should be; 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (OSError, ValueError, CheckpointError) as error:
        print(f"vfd-train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vfd-train", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    prepare_cli.add_commands(commands)
    train_cli.add_commands(commands)
    evaluate_cli.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
