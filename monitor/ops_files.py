"""`vfd-monitor ops-files DIR`: what Prometheus, Alertmanager and Grafana need, to be adapted."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "ops"
SUFFIXES: Final = (".yml", ".json", ".md")


class OpsFilesError(Exception):
    """The files cannot be written; the message names the folder or the file and says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `vfd-monitor ops-files`."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="made if it is not there")
    parser.add_argument("--force", action="store_true", help="overwrite the files of these names")


def run(args: argparse.Namespace) -> int:
    """Exit code: 0, or 2 if nothing was written."""
    try:
        written = write(args.folder, force=args.force)
    except OpsFilesError as error:
        print(f"vfd-monitor ops-files: {error}", file=sys.stderr)
        return 2
    for path in written:
        print(path)
    return 0


def contents() -> dict[Path, str]:
    """The text of every file by its path inside the folder."""
    return {path.relative_to(FOLDER): path.read_text(encoding="utf-8") for path in _packaged()}


def write(folder: Path, *, force: bool = False) -> list[Path]:
    """Writes all of them; returns where. A folder that holds anything is left as it is unless
    `force`, which overwrites files of the same names and no others. Raises OpsFilesError."""
    try:
        if not force and folder.is_dir() and any(folder.iterdir()):
            raise OpsFilesError(
                f"{folder} exists and holds files; expected a new or an empty folder, or --force "
                "to overwrite those of the same names"
            )
        return [_write(folder / name, text) for name, text in contents().items()]
    except OSError as error:
        raise OpsFilesError(f"{error.filename}: {error.strerror}") from error


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _packaged() -> Iterator[Path]:
    return (path for path in sorted(FOLDER.rglob("*")) if path.suffix in SUFFIXES)
