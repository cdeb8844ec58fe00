"""VoxCeleb2 (Chung et al., 2018): `[dev|test/]mp4/idNNNNN/VIDEO/NNNNN.mp4`, the sound in the same
file or at the same place under `aac/` (.m4a) or `wav/` (.wav)."""

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from training.clips import Clip
from training.dataset import Dataset, Ratios
from training.drops import Drop, DroppedClip
from training.media import FileMedia
from training.samples import Entry

NAME: Final = "VoxCeleb2"
PAPER: Final = Ratios(8, 1, 1)  # section 4.1
META: Final = "vox2_meta.csv"
_SOUNDS: Final = (("aac", ".m4a"), ("wav", ".wav"))
_SEX: Final = {"m": "male", "f": "female"}
_IDENTITY: Final = re.compile(r"id\d{5}")


def read_voxceleb2(root: Path, meta: Path | None, leave_out: frozenset[str]) -> Dataset:
    """All clips under `root`, but for the identities in `leave_out`. The sexes are those of `meta`,
    or of META in `root` if it is there.

    Raises ValueError when there are no clips or `meta` is not what it should be.
    """
    path = meta or root / META
    sexes = _read_sexes(path) if meta or path.exists() else {}
    entries: list[Entry] = []
    dropped: list[DroppedClip] = []
    for pictures in _picture_trees(root):
        for video in _videos(pictures):
            identity, session = video.parts[-3:-1]
            name = f"{identity}/{session}/{video.stem}"
            if identity in leave_out:
                dropped.append(DroppedClip(name, Drop.LEFT_OUT, identity))
                continue
            clip = Clip(
                NAME, name, identity, source=f"{identity}/{session}", sex=sexes.get(identity, "")
            )
            entries.append(Entry(clip, FileMedia(video, _sound_of(pictures, video))))
    return Dataset(NAME, tuple(entries), tuple(dropped), PAPER)


def left_out(file: Path | None, nobody: bool) -> frozenset[str]:
    """Who must not be trained on: the people of FakeAVCeleb, which was made from this set. `file`
    is its meta_data.csv or has an identity a line.

    Raises ValueError when it is neither, or when neither `file` nor `nobody` is given.
    """
    if nobody:
        return frozenset()
    if file is None:
        raise ValueError(
            "VoxCeleb2 holds the people of FakeAVCeleb: name its meta_data.csv with --leave-out,"
            " or say --keep-fakeavceleb and never test on it"
        )
    identities = set[str]()
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        name = line.split(",")[0].strip()
        if _IDENTITY.fullmatch(name):
            identities.add(name)
        elif number > 1 and name:
            raise ValueError(f"{file}, line {number}: {name!r} is not an identity like id00017")
    if not identities:
        raise ValueError(f"{file}: names no identity like id00017")
    return frozenset(identities)


def _picture_trees(root: Path) -> list[Path]:
    trees = [root / part / "mp4" for part in ("dev", "test", "")]
    found = [tree for tree in trees if tree.is_dir()]
    if not found:
        raise ValueError(f"{root}: has neither mp4/ nor dev/mp4/ nor test/mp4/")
    return found


def _videos(pictures: Path) -> Iterator[Path]:
    """In order of their names; a million files are listed in a minute."""
    for identity in sorted(entry.name for entry in os.scandir(pictures) if entry.is_dir()):
        if not _IDENTITY.fullmatch(identity):
            continue
        for session in sorted(e.name for e in os.scandir(pictures / identity) if e.is_dir()):
            folder = pictures / identity / session
            yield from (folder / n for n in sorted(os.listdir(folder)) if n.endswith(".mp4"))


def _sound_of(pictures: Path, video: Path) -> Path:
    for folder, suffix in _SOUNDS:
        tree = pictures.parent / folder
        if tree.is_dir():
            return tree / video.relative_to(pictures).with_suffix(suffix)
    return video


def _read_sexes(path: Path) -> dict[str, str]:
    """By identity. Every header and value of the published file has blanks around it."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        delimiter = "\t" if "\t" in first else ","
        header = [name.strip() for name in first.split(delimiter)]
        for column in ("VoxCeleb2 ID", "Gender"):
            if column not in header:
                raise ValueError(f"{path}: no column {column!r}, there are {header}")
        identity, sex = header.index("VoxCeleb2 ID"), header.index("Gender")
        sexes: dict[str, str] = {}
        for line, row in enumerate(csv.reader(file, delimiter=delimiter), start=2):
            values = [value.strip() for value in row]
            if len(values) <= max(identity, sex) or values[sex] not in _SEX:
                raise ValueError(f"{path}, line {line}: expected {header}, got {values}")
            sexes[values[identity]] = _SEX[values[sex]]
    return sexes
