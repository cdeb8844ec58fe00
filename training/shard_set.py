"""Reads prepared clips: any crop and any voice of any clip, by its number, from anywhere."""

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from training.clips import Record, Split
from training.readers import synthetic
from training.shard_files import REPORT, ShardHeader, parse_row
from training.shard_table import ShardError, ShardTable
from vfd.types import Rgb

_WAV_HEADER: Final = 44  # as training.samples writes them
Integers = NDArray[np.int64]


class ShardSet:
    """One split of one or several prepared folders; see `open_split`.

    Clips are numbered from 0, identities as well, in the order of their names. `identity` (clips,)
    int64, `real` (clips,) bool, `genuine_face` (clips,) bool (known not to be forged) and `source`
    (clips,) int64 (clips of one number stem from one source; the identity, where none is known) are
    whole; everything else is read when asked for.
    Can be pickled, and used after a fork and in threads.
    """

    def __init__(self, indices: Sequence[Path], split: Split) -> None:
        self.split = split
        self._tars: list[Path] = []
        self._open: dict[int, int] = {}
        table = ShardTable()
        for index in indices:
            table.add(index, len(self._tars))
            self._tars.append(index.with_suffix(".tar"))
        if not table.rows:
            raise ShardError(f"{indices[0].parent if indices else '?'}: split {split} has no clips")
        self.datasets: tuple[str, ...] = tuple(sorted(set(table.datasets)))
        self.names, self.identity = table.people()
        self.source = _numbers(table.sources)
        self.real: NDArray[np.bool_] = ~np.array(table.fakes, dtype=np.bool_)
        self.genuine_face: NDArray[np.bool_] = np.array(table.genuine_faces, dtype=np.bool_)
        self.records = Records(indices, np.array(table.rows, dtype=np.int64))
        self._shard = np.array(table.rows, dtype=np.int64)[:, 0]
        self._first_variant = _starts(table.variants)
        self._first_crop = _starts(table.crops)
        self._voices = np.array(table.voice_places, dtype=np.int64)
        self._crops = np.array(table.crop_places, dtype=np.int64)
        self._lines = table.lines

    def __len__(self) -> int:
        return len(self.identity)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Frees the files; they are opened again when needed."""
        while self.__dict__.get("_open"):
            os.close(self._open.popitem()[1])

    @property
    def identities(self) -> int:
        return len(self.names)

    @property
    def trained_on(self) -> str:
        return ", ".join(self.datasets)

    def variants(self, clip: int) -> int:
        """How many; 0 is as recorded."""
        return int(self._first_variant[clip + 1] - self._first_variant[clip])

    def line(self, name: str) -> Integers:
        """(clips,): which variant of each clip went through line `name`.

        Raises ShardError when a clip has none.
        """
        numbers = np.empty(len(self), dtype=np.int64)
        for clip in range(len(self)):
            first, last = self._first_variant[clip : clip + 2]
            names = self._lines[first:last]
            if name not in names:
                known = ", ".join(names)
                raise ShardError(f"{self._where(clip)}: no line {name!r}; there are {known}")
            numbers[clip] = names.index(name)
        return numbers

    def crops(self, clip: int, variant: int = 0) -> int:
        """How many; 1 at least."""
        row = self._variant(clip, variant)
        return int(self._first_crop[row + 1] - self._first_crop[row])

    def crop(self, clip: int, number: int, variant: int = 0) -> Rgb:
        """An aligned crop, (224, 224, 3) uint8."""
        if not 0 <= number < self.crops(clip, variant):
            raise IndexError(f"{self._where(clip)}: no crop {number} of variant {variant}")
        offset, size = self._crops[self._first_crop[self._variant(clip, variant)] + number]
        data: Any = np.frombuffer(self._read(clip, int(offset), int(size)), np.uint8)
        crop = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        if crop is None:
            raise ShardError(f"{self._where(clip)}: crop {number} is damaged")
        return np.asarray(crop, np.uint8)

    def audio(self, clip: int, variant: int = 0) -> NDArray[np.int16]:
        """(samples,) int16 at 16 kHz, one second at least."""
        offset, size = (int(v) for v in self._voices[self._variant(clip, variant)])
        data = self._read(clip, offset + _WAV_HEADER, size - _WAV_HEADER)
        return np.frombuffer(data, "<i2")

    @cached_property
    def traits(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """What voice and face of every clip are made from, two (clips, 1 + traits) float32, the sex
        first (male 1, female -1); None unless all are synthetic people."""
        if not all(synthetic.is_synthetic(name) for name in self.datasets):
            return None
        clips = [record.clip for record in self.records]
        voices = [synthetic.person_seed_of_voice(clip) for clip in clips]
        return synthetic.trait_table([int(clip.identity) for clip in clips], voices)

    def _variant(self, clip: int, variant: int) -> int:
        if not 0 <= variant < self.variants(clip):
            raise IndexError(f"{self._where(clip)}: no variant {variant}")
        return int(self._first_variant[clip]) + variant

    def _read(self, clip: int, offset: int, size: int) -> bytes:
        shard = int(self._shard[clip])
        if shard not in self._open:
            self._open[shard] = os.open(self._tars[shard], os.O_RDONLY)
        data = os.pread(self._open[shard], size, offset)
        if len(data) != size:
            raise ShardError(f"{self._tars[shard]}: cut short, prepare it again")
        return data

    def _where(self, clip: int) -> str:
        return f"{self._tars[int(self._shard[clip])]}, clip {clip}"


class Records(Sequence[Record]):
    """What is known of each clip, read from the index when asked for."""

    def __init__(self, indices: Sequence[Path], rows: Integers) -> None:
        self._indices = list(indices)
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, item: int) -> Record: ...
    @overload
    def __getitem__(self, item: slice) -> list[Record]: ...
    def __getitem__(self, item: int | slice) -> Record | list[Record]:
        if isinstance(item, slice):
            return [self[k] for k in range(*item.indices(len(self)))]
        shard, offset, size = (int(v) for v in self._rows[item])
        with self._indices[shard].open("rb") as file:
            file.seek(offset)
            return parse_row(file.read(size).decode())[0]

    def __iter__(self) -> Iterator[Record]:
        for shard, rows in itertools.groupby(self._rows.tolist(), key=lambda row: int(row[0])):
            data = self._indices[shard].read_bytes()
            for _, offset, size in rows:
                yield parse_row(data[offset : offset + size].decode())[0]


def open_split(folders: Path | Sequence[Path], split: Split) -> ShardSet:
    """The clips of `split` in one or several folders that `vfd-train prepare` has filled.

    Raises FileNotFoundError for a folder that is not finished, ShardError for shards that are
    missing or cut short, or a split without clips.
    """
    indices: list[Path] = []
    for folder in [folders] if isinstance(folders, Path) else folders:
        indices += _indices(folder, split)
    if not indices:
        raise ShardError(f"{folders}: split {split} has no clips")
    return ShardSet(indices, split)


def _indices(folder: Path, split: Split) -> list[Path]:
    """All that the report of the folder counts."""
    path = folder / REPORT
    if not path.exists():
        raise FileNotFoundError(f"{folder}: not prepared to the end; no {REPORT}")
    try:
        wanted = json.loads(path.read_text())["clips_of_split"].get(split, 0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShardError(f"{path}: is no report of prepare ({error!r})") from error
    found = sorted(folder.glob(f"{split}-*.jsonl"))
    clips = sum(ShardHeader.read(index).clips for index in found)
    if clips != wanted:
        raise ShardError(
            f"{folder}: {split} has {clips} clips, {REPORT} counts {wanted}: shards are missing or "
            "of another run; prepare it again"
        )
    return found


def _numbers(names: Sequence[str]) -> Integers:
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


def _starts(counts: Sequence[int]) -> Integers:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
