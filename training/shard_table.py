"""The indices of prepared shards as columns: what every clip is, and where its files lie."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.shard_files import ShardHeader, parse_row


class ShardError(ValueError):
    """Prepared data cannot be used; the message names the file and says why."""


class ShardTable:
    """Columns that grow as indices are added."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int]] = []  # shard, offset, bytes in the index
        self.identities: list[tuple[str, str]] = []
        self.datasets: list[str] = []
        self.sources: list[str] = []
        self.fakes: list[bool] = []
        self.genuine_faces: list[bool] = []
        self.variants: list[int] = []
        self.lines: list[str] = []
        self.crops: list[int] = []
        self.voice_places: list[tuple[int, int]] = []
        self.crop_places: list[tuple[int, int]] = []

    def add(self, index: Path, shard: int) -> None:
        """Appends the clips of an index, which belongs to tar number `shard`.

        Raises ShardError when the index or its tar is not whole, ValueError when it is no index.
        """
        header = ShardHeader.read(index)
        _check_size(index.with_suffix(".tar"), header.size)
        lines = index.read_bytes().splitlines(keepends=True)
        if len(lines) - 1 != header.clips:
            raise ShardError(f"{index}: {len(lines) - 1} clips, not {header.clips}; cut short")
        offset = len(lines[0])
        for line in lines[1:]:
            self.rows.append((shard, offset, len(line)))
            offset += len(line)
            self._add_row(line.decode())

    def people(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Names of the identities in order, and for every clip the number of its own (clips,).
        Names carry their data set when there are several."""
        people = sorted(set(self.identities))
        number = {person: k for k, person in enumerate(people)}
        single = len({dataset for dataset, _ in people}) == 1
        names = tuple(name if single else f"{dataset}: {name}" for dataset, name in people)
        return names, np.array([number[p] for p in self.identities], dtype=np.int64)

    def _add_row(self, row: str) -> None:
        record, places = parse_row(row)
        clip = record.clip
        self.identities.append((clip.dataset, clip.identity))
        self.datasets.append(clip.dataset)
        self.sources.append(f"{clip.dataset}\n{clip.source or clip.identity}")
        self.fakes.append(clip.fake)
        self.genuine_faces.append(not clip.fake or clip.face_fake is False)
        self.variants.append(len(record.variants))
        for number, variant in enumerate(record.variants):
            self.lines.append(variant.line)
            self.crops.append(len(variant.faces))
            self.voice_places.append(places[f"v{number}.wav"])
            self.crop_places += [places[f"v{number}.f{k}.jpg"] for k in range(len(variant.faces))]


def _check_size(tar: Path, size: int) -> None:
    found = tar.stat().st_size if tar.exists() else 0
    if found != size:
        raise ShardError(f"{tar}: {found} bytes, not {size}: cut short; prepare it again")
