"""Scores as CSV, in and out: the common ground on which any detector can be compared.

One row for every scored pair of a voice and a face, with these columns:

    clip       which clip; several rows of one clip are several windows or faces of it
    voice_id   whose voice; the identities are what intervals are drawn over
    face_id    whose face; the same as voice_id where only one identity is known
    label      real or fake
    score      higher means "real" or "matches"; empty where the detector gave none

and, where known, `time_s` (end of the window) and any further columns, by which accuracy is told
apart: manipulation, forged, voice_sex, face_sex, race, line, video_bit_rate, height, speech,
brightness ...
"""

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

REQUIRED: Final = ("clip", "voice_id", "face_id", "label", "score")
TIME: Final = "time_s"
LABELS: Final = {"real": True, "fake": False}
Strings = NDArray[np.str_]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class ScoreFileError(ValueError):
    """A score file cannot be used; the message names file, line and column."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Columns of one length. `score` is NaN where there is none, `time_s` where it is unknown;
    `attributes` by name, "" where unknown."""

    clip: Strings
    voice_id: Strings
    face_id: Strings
    real: Bools
    score: Floats
    time_s: Floats
    attributes: dict[str, Strings]

    def __len__(self) -> int:
        return len(self.score)

    @property
    def scored(self) -> Bools:
        return ~np.isnan(self.score)

    @property
    def coverage(self) -> float:
        """Share of rows with a score, in [0, 1]."""
        return float(self.scored.mean())

    @property
    def identities(self) -> int:
        return len(np.unique(np.concatenate([self.voice_id, self.face_id])))

    def rows(self, chosen: Bools | NDArray[np.intp]) -> "ScoreTable":
        """Some of the rows."""
        return ScoreTable(
            self.clip[chosen],
            self.voice_id[chosen],
            self.face_id[chosen],
            self.real[chosen],
            self.score[chosen],
            self.time_s[chosen],
            {name: column[chosen] for name, column in self.attributes.items()},
        )

    def with_scores(self, score: Floats) -> "ScoreTable":
        """What another scorer says of the same rows."""
        return ScoreTable(
            self.clip,
            self.voice_id,
            self.face_id,
            self.real,
            np.where(np.isnan(self.score), np.nan, score),
            self.time_s,
            self.attributes,
        )

    def keys(self) -> Strings:
        """What a row is of: the same in every detector's scores of one set."""
        columns = [self.clip, self.voice_id, self.face_id, np.round(self.time_s, 2).astype(str)]
        key = columns[0]
        for column in columns[1:]:
            key = np.char.add(np.char.add(key, "\n"), column)
        return key


def read_scores(path: Path) -> ScoreTable:
    """Raises FileNotFoundError, and ScoreFileError naming line and column."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        _check_header(path, header)
        rows = [_checked_row(path, reader.line_num, header, row) for row in reader if row]
    if not rows:
        raise ScoreFileError(f"{path}: there is no row below the header")
    columns = {n: np.array(c) for n, c in zip(header, zip(*rows, strict=True), strict=True)}
    taken = {*REQUIRED, TIME}
    return ScoreTable(
        columns["clip"],
        columns["voice_id"],
        columns["face_id"],
        columns["label"] == "real",
        _numbers(columns["score"]),
        _numbers(columns[TIME]) if TIME in columns else np.full(len(rows), np.nan),
        {name: column for name, column in columns.items() if name not in taken},
    )


def write_scores(path: Path, table: ScoreTable) -> None:
    """Replaces the file at once or not at all. Scores with seven digits."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*REQUIRED, TIME, *table.attributes])
    labels = np.where(table.real, "real", "fake")
    writer.writerows(
        zip(
            table.clip.tolist(),
            table.voice_id.tolist(),
            table.face_id.tolist(),
            labels.tolist(),
            ["" if math.isnan(s) else f"{s:.7g}" for s in table.score.tolist()],
            ["" if math.isnan(t) else f"{t:g}" for t in table.time_s.tolist()],
            *(column.tolist() for column in table.attributes.values()),
            strict=True,
        )
    )
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(buffer.getvalue(), encoding="utf-8")
    os.replace(partial, path)


def common_rows(first: ScoreTable, second: ScoreTable) -> tuple[ScoreTable, ScoreTable]:
    """Rows that both scored, in one order. Raises ScoreFileError when there are none, or when the
    two disagree about a label."""
    kept = []
    for table in (first, second):
        keys = table.keys()
        if len(np.unique(keys)) != len(keys):
            raise ScoreFileError(
                "several rows have the same clip, voice_id, face_id and time_s; rows of two files "
                "cannot be told apart: give each its time_s or clip"
            )
        usable = np.flatnonzero(table.scored)
        kept.append((keys[usable], usable))
    _, ours, theirs = np.intersect1d(kept[0][0], kept[1][0], return_indices=True)
    if not len(ours):
        raise ScoreFileError("the two score files have no row in common")
    pair = first.rows(kept[0][1][ours]), second.rows(kept[1][1][theirs])
    if (pair[0].real != pair[1].real).any():
        wrong = str(pair[0].clip[pair[0].real != pair[1].real][0])
        raise ScoreFileError(f"the two score files disagree about the label of clip {wrong!r}")
    return pair


def _check_header(path: Path, header: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise ScoreFileError(
            f"{path}, line 1: no column {', '.join(missing)}; expected {', '.join(REQUIRED)} and, "
            f"if known, {TIME} and others"
        )
    if len(set(header)) != len(header):
        raise ScoreFileError(f"{path}, line 1: a column name stands there twice")


def _checked_row(path: Path, line: int, header: Sequence[str], row: list[str]) -> list[str]:
    where = f"{path}, line {line}"
    if len(row) != len(header):
        raise ScoreFileError(f"{where}: {len(row)} values for {len(header)} columns")
    values = dict(zip(header, (value.strip() for value in row), strict=True))
    if values["label"] not in LABELS:
        raise ScoreFileError(f"{where}: label is {values['label']!r}, not 'real' or 'fake'")
    for name in ("clip", "voice_id", "face_id"):
        if not values[name]:
            raise ScoreFileError(f"{where}: {name} is empty")
    for name in {"score", TIME} & values.keys():
        if values[name] and not _is_number(values[name]):
            raise ScoreFileError(f"{where}: {name} is {values[name]!r}, not a finite number")
    return list(values.values())


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _numbers(column: Strings) -> Floats:
    return np.array([float(value) if value else np.nan for value in column.tolist()])
