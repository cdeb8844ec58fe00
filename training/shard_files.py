"""Shards on disk: WebDataset tar files, each with an index beside it.

`NAME.tar` holds `KEY.json` (the record), `KEY.v0.wav`, `KEY.v0.f0.jpg` and so on for every clip.
`NAME.jsonl` is written when the tar is whole: where it is, the shard is done. Its first line is a
header, every other line a record with the place of each of its files in the tar.
"""

import contextlib
import dataclasses
import io
import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

from training.clips import Record
from training.drops import Drop, DroppedClip
from training.samples import Sample

SCHEMA: Final = 1
REPORT: Final = "report.json"
"""Written last into a prepared folder: where it is, everything is."""
_BLOCK: Final = tarfile.BLOCKSIZE

Places = dict[str, tuple[int, int]]
"""Of files by name: offset in the tar, and bytes."""


@dataclass(frozen=True, slots=True)
class ShardHeader:
    """`size` of the tar in bytes, how many `clips` are in it, those that are not, and what their
    making cost: CPU seconds by stage, all of it, and wall-clock seconds."""

    shard: str
    size: int
    clips: int
    dropped: tuple[DroppedClip, ...]
    stages_s: dict[str, float]
    cpu_s: float
    wall_s: float
    schema: int = SCHEMA

    @classmethod
    def read(cls, index: Path) -> "ShardHeader":
        """Raises ValueError for a file that is no index of this schema."""
        with index.open() as file:
            first = file.readline()
        try:
            value = json.loads(first)
            dropped = (d | {"reason": Drop(d["reason"])} for d in value["dropped"])
            header = cls(**(value | {"dropped": tuple(DroppedClip(**d) for d in dropped)}))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{index}: the first line is no shard header ({error})") from error
        if header.schema != SCHEMA:
            raise ValueError(f"{index}: schema {header.schema}, not {SCHEMA}; prepare it again")
        return header


class ShardWriter:
    """Writes one shard: everything or nothing of it is there after a kill. A context manager that
    takes its partial file away when the shard is not finished."""

    def __init__(self, folder: Path, name: str) -> None:
        self._tar, self._index = folder / f"{name}.tar", folder / f"{name}.jsonl"
        self._partial = folder / f".{name}.tar.partial"
        self._rows: list[str] = []
        self._file = self._partial.open("wb")
        self._archive = tarfile.TarFile(
            fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT, name=self._tar.name
        )

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # a full disk was reported when it was met
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def add(self, key: str, sample: Sample) -> None:
        """`key` is unique in the data set, without dots and slashes."""
        record = sample.record.as_json()
        self._append(f"{key}.json", json.dumps(record).encode())
        places = {name: self._append(f"{key}.{name}", sample.files[name]) for name in sample.files}
        self._rows.append(json.dumps({"key": key, "record": record, "places": places}))

    def finish(
        self,
        dropped: Sequence[DroppedClip],
        stages_s: dict[str, float],
        cpu_s: float,
        wall_s: float,
    ) -> ShardHeader:
        """Makes the shard count."""
        self._archive.close()
        header = ShardHeader(
            self._tar.name,
            self._file.tell(),
            len(self._rows),
            tuple(dropped),
            stages_s,
            cpu_s,
            wall_s,
        )
        _synced(self._file)
        os.replace(self._partial, self._tar)
        partial = self._index.with_name(f".{self._index.name}.partial")
        with partial.open("w") as file:
            file.writelines(
                f"{row}\n" for row in [json.dumps(dataclasses.asdict(header)), *self._rows]
            )
            _synced(file)
        os.replace(partial, self._index)
        return header

    def _append(self, name: str, data: bytes) -> tuple[int, int]:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        offset = self._archive.offset + _BLOCK  # behind its header
        self._archive.addfile(info, io.BytesIO(data))
        return offset, len(data)


def _synced(file: IO[Any]) -> None:
    """On the disk before it gets its name, lest a power cut leave the name on half a file."""
    file.flush()
    os.fsync(file.fileno())
    file.close()


def parse_row(row: str) -> tuple[Record, Places]:
    """A line of an index behind its header. Raises ValueError, KeyError or TypeError."""
    value = json.loads(row)
    places = {name: (int(at), int(size)) for name, (at, size) in value["places"].items()}
    return Record.from_json(value["record"]), places
