"""DFDC (Dolhansky et al., 2020): `dfdc_train_part_N/` with clips and a `metadata.json`.

Who is seen is not labelled: a real clip and the fakes made from it count as one identity. Whether
the voice of a fake is one is not labelled either.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from training.clips import Clip
from training.dataset import Dataset, Ratios
from training.drops import Drop, DroppedClip
from training.media import FileMedia
from training.samples import Entry

NAME: Final = "DFDC"
# 6,089 real clips to fine-tune on and 1,700 to test on (section 4.1); the paper says nothing of a
# validation set: a tenth of the former.
PAPER: Final = Ratios(5480, 609, 1700)
_METADATA: Final = "metadata.json"


def read_dfdc(root: Path, allow_list: Path | None = None) -> Dataset:
    """All clips of all parts under `root` (or of `root`, when it is a part itself). The paper
    filtered out by hand what was spoken by whoever held the camera: `allow_list` names the files
    that stay, one a line.

    Raises ValueError for metadata or a list that are not what they should be.
    """
    parts = [root] if (root / _METADATA).exists() else sorted(root.glob(f"*/{_METADATA}"))
    folders = [part.parent if part.name == _METADATA else part for part in parts]
    if not folders:
        raise ValueError(f"{root}: no {_METADATA} in it or in a folder of it")
    allowed = None if allow_list is None else _read_allowed(allow_list)
    entries: list[Entry] = []
    dropped: list[DroppedClip] = []
    known = set[str]()
    for folder in folders:
        for file, clip in _clips(folder):
            known.add(file)
            if allowed is not None and file not in allowed:
                dropped.append(DroppedClip(clip.clip, Drop.NOT_ALLOWED))
            elif not (folder / file).exists():
                dropped.append(DroppedClip(clip.clip, Drop.MISSING_FILE, str(folder / file)))
            else:
                entries.append(Entry(clip, FileMedia(folder / file, folder / file)))
    if allowed is not None and (strange := sorted(allowed - known)):
        raise ValueError(f"{allow_list}: no clip is called {strange[0]!r} ({len(strange)} such)")
    return Dataset(NAME, tuple(entries), tuple(dropped), PAPER)


def _clips(folder: Path) -> Iterator[tuple[str, Clip]]:
    path = folder / _METADATA
    try:
        metadata = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error})") from error
    if not isinstance(metadata, dict) or not all(isinstance(x, dict) for x in metadata.values()):
        raise ValueError(f'{path}: is not of the form {{"FILE": {{"label": "REAL"}}, ...}}')
    for file, about in sorted(metadata.items()):
        label, original = about.get("label"), about.get("original")
        if label not in ("REAL", "FAKE"):
            raise ValueError(f"{path}: label of {file} is {label!r}, not REAL or FAKE")
        fake = label == "FAKE"
        if fake and not original:
            raise ValueError(f"{path}: {file} is FAKE without an original")
        identity = str(original) if fake else file
        yield (
            file,
            Clip(
                NAME,
                file,
                identity.removesuffix(".mp4"),
                fake=fake,
                source=identity,
                face_fake=None if fake else False,
                voice_fake=None if fake else False,
                manipulation="unknown" if fake else "",
            ),
        )


def _read_allowed(path: Path) -> set[str]:
    return {line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()}
