"""FakeAVCeleb v1.2 (Khalid et al., 2021): `TYPE/RACE/men|women/idNNNNN/FILE.mp4`.

Of `meta_data.csv`, column `path` is the name of the file and the column without a name its folder.
`target1` and `target2` are people who lent face or voice, or numbers, or "-".
"""

import csv
import os
import re
from functools import cache
from pathlib import Path
from typing import Final

from training.clips import Clip
from training.dataset import Dataset, Ratios
from training.drops import Drop, DroppedClip
from training.media import FileMedia
from training.samples import Entry

NAME: Final = "FakeAVCeleb"
# 391 real clips to fine-tune on, 109 to test on, one of each identity (section 4.1); the paper says
# nothing of a validation set: a tenth of the former.
PAPER: Final = Ratios(352, 39, 109)
META: Final = "meta_data.csv"
_COLUMNS: Final = ("source", "target1", "target2", "method", "type", "race", "gender", "path", "")
_TYPES: Final = {  # face fake, voice fake
    "RealVideo-RealAudio": (False, False),
    "RealVideo-FakeAudio": (False, True),
    "FakeVideo-RealAudio": (True, False),
    "FakeVideo-FakeAudio": (True, True),
}
_SEX: Final = {"men": "male", "women": "female"}
_IDENTITY: Final = re.compile(r"id\d+")

Row = dict[str, str]


def read_fakeavceleb(root: Path) -> Dataset:
    """Everything that META names and that is there. Fakes mingle hundreds of people: see
    `Dataset.donors_apart`.

    Raises ValueError, naming the line, for a META that is not what it should be.
    """
    path = root / META
    entries: list[Entry] = []
    dropped: list[DroppedClip] = []
    seen: dict[str, str] = {}
    for line, row in _rows(path):
        clip = _clip(row, f"{path}, line {line}")
        if clip.clip in seen:
            if seen[clip.clip] != row["type"]:
                raise ValueError(f"{path}, line {line}: {clip.clip} was {seen[clip.clip]} before")
            detail = f"line {line}: {clip.manipulation}"
            dropped.append(DroppedClip(clip.clip, Drop.DUPLICATE_ROW, detail))
            continue
        seen[clip.clip] = row["type"]
        file = find_file(root, clip.clip)
        if file is None:
            dropped.append(DroppedClip(clip.clip, Drop.MISSING_FILE))
        else:
            entries.append(Entry(clip, FileMedia(file, file)))
    return Dataset(NAME, tuple(entries), tuple(dropped), PAPER, donors_apart=True)


def find_file(root: Path, name: str) -> Path | None:
    """`name` under `root`, also where blanks and brackets of its folders were replaced, as copies
    do; None when it is not there."""
    folder = root
    *folders, file = name.split("/")
    for part in folders:
        found = _folders(folder).get(_plain(part))
        if found is None:
            return None
        folder = folder / found
    return folder / file if (folder / file).exists() else None


@cache
def _folders(folder: Path) -> dict[str, str]:
    return {_plain(entry.name): entry.name for entry in os.scandir(folder) if entry.is_dir()}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _rows(path: Path) -> list[tuple[int, Row]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows, [])]
        missing = [name or "(unnamed)" for name in _COLUMNS if name not in header]
        if missing:
            raise ValueError(f"{path}: no column {', '.join(missing)}; there are {header}")
        found = []
        for line, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise ValueError(f"{path}, line {line}: {len(row)} values, not {len(header)}")
            found.append((line, dict(zip(header, map(str.strip, row), strict=True))))
    return found


def _clip(row: Row, where: str) -> Clip:
    kind, gender = row["type"], row["gender"]
    if kind not in _TYPES:
        raise ValueError(f"{where}: type {kind!r}, not one of {', '.join(_TYPES)}")
    if gender not in _SEX:
        raise ValueError(f"{where}: gender {gender!r}, not one of {', '.join(_SEX)}")
    face_fake, voice_fake = _TYPES[kind]
    folder = row[""].strip("/").removeprefix("FakeAVCeleb/")
    others = (row["target1"], row["target2"])
    fake = face_fake or voice_fake
    return Clip(
        NAME,
        f"{folder}/{row['path']}",
        row["source"],
        fake=fake,
        donors=tuple(o for o in others if _IDENTITY.fullmatch(o) and o != row["source"]),
        face_fake=face_fake,
        voice_fake=voice_fake,
        manipulation=row["method"] if fake else "",
        sex=_SEX[gender],
        race=row["race"],
    )
