"""`vfd-train`: prepare synthetic people, pre-train on them, evaluate on people never seen."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from training import prepare_cli
from vfd.checkpoint import CheckpointError


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 when a file or folder is not what it should be."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (OSError, ValueError, CheckpointError) as error:
        print(f"vfd-train: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vfd-train", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    prepare_cli.add_commands(commands)
    _add_pretrain(commands.add_parser("pretrain", help="train a model on prepared people"))
    _add_evaluate(commands.add_parser("evaluate", help="measure it on people never seen"))
    return parser


def _add_pretrain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder that prepare filled")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1000, help="of 64 pairs each")
    parser.add_argument("--trait-weight", type=float, default=1.0)
    parser.add_argument("--identity-weight", type=float, default=0.1, help="of paper eq. 6")
    parser.set_defaults(run=_pretrain)


def _pretrain(options: argparse.Namespace) -> None:
    from training.pretrain import Origin, Recipe, pretrain  # torch: not for workers of prepare

    recipe = Recipe(
        steps=options.steps,
        seed=options.seed,
        trait_weight=options.trait_weight,
        identity_weight=options.identity_weight,
    )
    pretrain(options.data, options.out, recipe, Origin(_command(), _commit()))


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder that prepare filled")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--report", type=Path, help="folder for accuracy.md and accuracy.json")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from training.accuracy_report import as_json, markdown, write_report
    from training.evaluate import evaluate  # torch, as above

    report = evaluate(options.checkpoint, options.data, options.seed)
    command = _command()
    print(as_json(report, command) if options.json else markdown(report, command))
    if options.report is not None:
        write_report(report, options.report, command)


def _command() -> str:
    """What was typed, to be repeated."""
    return shlex.join(["vfd-train", *sys.argv[1:]])


def _commit() -> str:
    """The commit of the code that runs, or "unknown" outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
