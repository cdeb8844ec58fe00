"""Anybody's own clips: a folder, a CSV file, or a list in the form of the authors' code."""

import csv
import re
from collections import defaultdict
from pathlib import Path
from typing import Final, Literal

from training.clips import Clip
from training.dataset import Dataset, Ratios
from training.drops import Drop, DroppedClip
from training.media import FileMedia, Media, StillMedia
from training.samples import Entry

RATIOS: Final = Ratios(8, 1, 1)
VIDEO_SUFFIXES: Final = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v")
_REQUIRED: Final = ("path", "identity")
_OPTIONAL: Final = ("label", "audio", "source", "donors", "manipulation", "sex", "race")
_LABELS: Final = {"real": False, "fake": True, "0": False, "1": True}
_FAKE: Final = "unknown"
_FRAME: Final = re.compile(r"_\d+$")  # the authors cut clips into CLIP_FRAME.jpg

Labels = Literal["fake", "identity"]


def read_folder(root: Path) -> Dataset:
    """`IDENTITY/**/CLIP`, all real, or `real/IDENTITY/...` and `fake/IDENTITY/...`."""
    entries = []
    for file in sorted(root.rglob("*")):
        if file.suffix.lower() not in VIDEO_SUFFIXES or not file.is_file():
            continue
        parts = file.relative_to(root).parts
        labelled = parts[0] in ("real", "fake")
        if len(parts) < 2 + labelled:
            raise ValueError(f"{file}: lies in no folder that names its identity")
        fake = parts[0] == "fake"
        clip = Clip(
            root.resolve().name,
            str(file.relative_to(root)),
            parts[labelled],
            fake=fake,
            manipulation=_FAKE if fake else "",
        )
        entries.append(Entry(clip, FileMedia(file, file)))
    return Dataset(root.resolve().name, tuple(entries), (), RATIOS)


def read_csv(path: Path) -> Dataset:
    """Columns path and identity, and at will label (real, fake), audio, source, donors (separated
    by blanks), manipulation, sex (male, female) and race. Paths are relative to the file.

    Raises ValueError, naming column or line.
    """
    entries: list[Entry] = []
    dropped: list[DroppedClip] = []
    seen = set[str]()
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, strict=True)
        _check_columns(path, list(rows.fieldnames or ()))
        for line, row in enumerate(rows, start=2):
            if None in row or None in row.values():
                raise ValueError(f"{path}, line {line}: more or fewer values than columns")
            clip = _csv_clip(row, path, line)
            video = path.parent / row["path"]
            if clip.clip in seen:
                dropped.append(DroppedClip(clip.clip, Drop.DUPLICATE_ROW, f"line {line}"))
            elif not video.exists():
                dropped.append(DroppedClip(clip.clip, Drop.MISSING_FILE, str(video)))
            else:
                audio = path.parent / row["audio"] if row.get("audio") else video
                entries.append(Entry(clip, FileMedia(video, audio)))
            seen.add(clip.clip)
    return Dataset(path.stem, tuple(entries), tuple(dropped), RATIOS)


def read_list(path: Path, labels: Labels = "fake") -> Dataset:
    """A line is `path label`: a clip, or a still `.../face/.../IDENTITY/CLIP_FRAME.jpg` whose sound
    is `.../voice/.../IDENTITY/CLIP_FRAME.wav`; stills of one clip are joined. The folder names the
    identity. Labels are 0 real, 1 fake face, 2 fake voice, 3 both (with no label above 1 it is not
    known which of the two is fake), or, with `labels` "identity", the identity itself.

    Raises ValueError, naming the line.
    """
    rows: dict[tuple[str, int], list[Path]] = defaultdict(list)
    for line, text in enumerate(path.read_text("utf-8-sig").splitlines(), start=1):
        if not text.strip():
            continue
        name, _, label = text.strip().rpartition(" ")
        if not name or not label.isdecimal() or (labels == "fake" and int(label) > 3):
            raise ValueError(f"{path}, line {line}: {text!r} is not `path label`")
        file = path.parent / name
        still = file.suffix.lower() not in VIDEO_SUFFIXES
        key = str(Path(name).with_name(_FRAME.sub("", Path(name).stem)) if still else name)
        rows[key, int(label)].append(file)
    told_apart = any(label > 1 for _, label in rows)
    entries = [
        Entry(_list_clip(path, name, label, labels, told_apart), _list_media(files))
        for (name, label), files in rows.items()
    ]
    return Dataset(path.stem, tuple(entries), (), RATIOS)


def _list_clip(path: Path, name: str, label: int, labels: Labels, told_apart: bool) -> Clip:
    if labels == "identity":
        return Clip(path.stem, name, str(label))
    fake = label > 0
    return Clip(
        path.stem,
        name,
        Path(name).parent.name,
        fake=fake,
        face_fake=None if fake and not told_apart else label in (1, 3),
        voice_fake=None if fake and not told_apart else label in (2, 3),
        manipulation=_FAKE if fake else "",
    )


def _list_media(files: list[Path]) -> Media:
    if files[0].suffix.lower() in VIDEO_SUFFIXES:
        return FileMedia(files[0], files[0])
    head, face, rest = str(files[0]).rpartition("/face/")  # others may be of where the set lies
    sound = Path(f"{head}/voice/{rest}" if face else rest).with_suffix(".wav")
    return StillMedia(tuple(files), sound)


def _check_columns(path: Path, columns: list[str]) -> None:
    for column in _REQUIRED:
        if column not in columns:
            raise ValueError(f"{path}: no column {column!r}; there are {columns}")
    known = (*_REQUIRED, *_OPTIONAL)
    for column in columns:
        if column not in known:
            raise ValueError(f"{path}: column {column!r} is not one of {', '.join(known)}")


def _csv_clip(row: dict[str, str], path: Path, line: int) -> Clip:
    label, sex = row.get("label") or "real", row.get("sex", "")
    if label not in _LABELS:
        raise ValueError(f"{path}, line {line}: label {label!r}, not one of {', '.join(_LABELS)}")
    if sex not in ("", "male", "female"):
        raise ValueError(f"{path}, line {line}: sex {sex!r}, not male or female")
    if not row["path"] or not row["identity"]:
        raise ValueError(f"{path}, line {line}: path and identity must not be empty")
    fake = _LABELS[label]
    return Clip(
        path.stem,
        row["path"],
        row["identity"],
        fake=fake,
        source=row.get("source", ""),
        donors=tuple(row.get("donors", "").split()),
        manipulation=row.get("manipulation") or (_FAKE if fake else ""),
        sex=sex,
        race=row.get("race", ""),
    )
