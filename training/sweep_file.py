"""The file that `vfd-train sweep` leaves: a column of the value that was varied, one of seeds, and
one for each set that was measured."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

Sweep = dict[str, list[float]]


def read_sweep(path: Path) -> Sweep:
    """Columns by name. Raises ValueError naming line and column."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = [_numbers(path, reader.line_num, row) for row in reader]
    if not rows:
        raise ValueError(f"{path}: there is no row below the header")
    return {name: [row[name] for row in rows] for name in rows[0]}


def write_sweep(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """One row at least; all have the columns of the first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _numbers(path: Path, line: int, row: dict[str, str]) -> dict[str, float]:
    found = {}
    for name, text in row.items():
        try:
            found[name] = float(text)
        except (TypeError, ValueError):
            raise ValueError(f"{path}, line {line}: {name} is {text!r}, not a number") from None
    return found
