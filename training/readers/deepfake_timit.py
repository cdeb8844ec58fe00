"""DeepfakeTIMIT (Korshunov and Marcel, 2018), all fakes, with the real clips of VidTIMIT
(Sanderson, 2002) that they were made from.

`{lower,higher}_quality/SUBJECT/SENTENCE-video-DONOR.avi`, the genuine sound beside it or in it;
`SUBJECT/video/SEQUENCE/001 ...` JPEG files without extension, `SUBJECT/audio/SENTENCE.wav`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from training.clips import Clip
from training.dataset import Dataset, Ratios
from training.drops import Drop, DroppedClip
from training.media import FileMedia
from training.samples import Entry

PAPER: Final = Ratios(3.6, 0.4, 1)  # 4:1 (section 4.1); validation is a tenth of the four
QUALITIES: Final = ("lower_quality", "higher_quality")
_BETWEEN: Final = "-video-"
_NO_SPEECH: Final = "head"  # sequences in which heads are turned, silently
_SEX: Final = {"m": "male", "f": "female"}  # how subjects' names begin


def read_deepfake_timit(fakes: Path, vidtimit: Path, quality: str) -> Dataset:
    """The fakes of one quality and the real clips of the subjects that are in them.

    Both qualities are of the same people and get the same splits: a model of one may be tested on
    the other. Raises ValueError when there are none, or a name cannot be read.
    """
    name = f"DeepfakeTIMIT {quality}"
    entries = list(_fakes(fakes / quality, name))
    if not entries:
        raise ValueError(f"{fakes / quality}: no SUBJECT/SENTENCE{_BETWEEN}DONOR.avi")
    subjects = {p for e in entries for p in (e.clip.identity, *e.clip.donors)}
    dropped: list[DroppedClip] = []
    folders = sorted(folder for folder in vidtimit.iterdir() if (folder / "video").is_dir())
    if not folders:
        raise ValueError(f"{vidtimit}: no SUBJECT/video/ in it")
    for folder in folders:
        for entry in _real(folder, name):
            if folder.name not in subjects:
                detail = f"{folder.name} is in no fake"
                dropped.append(DroppedClip(entry.clip.clip, Drop.NOT_ALLOWED, detail))
            else:
                entries.append(entry)
    return Dataset(name, tuple(entries), tuple(dropped), PAPER)


def _fakes(folder: Path, name: str) -> Iterator[Entry]:
    for video in sorted(folder.glob("*/*.avi")):
        sentence, between, donor = video.stem.partition(_BETWEEN)
        if not between or not donor:
            raise ValueError(f"{video}: not named SENTENCE{_BETWEEN}DONOR.avi")
        subject = video.parent.name
        clip = Clip(
            name,
            f"fake/{subject}/{video.stem}",
            subject,
            fake=True,
            donors=(donor,),
            face_fake=True,
            voice_fake=False,
            manipulation=folder.name,
            sex=_SEX.get(subject[0], ""),
        )
        beside = (video.with_name(f"{sentence}.wav"), video.with_suffix(".wav"))
        sound = next((file for file in beside if file.exists()), video)
        yield Entry(clip, FileMedia(video, sound))


def _real(folder: Path, name: str) -> Iterator[Entry]:
    subject = folder.name
    for sequence in sorted(path for path in (folder / "video").iterdir() if path.is_dir()):
        if sequence.name.startswith(_NO_SPEECH):
            continue
        clip = Clip(
            name,
            f"real/{subject}/{sequence.name}",
            subject,
            face_fake=False,
            voice_fake=False,
            sex=_SEX.get(subject[0], ""),
        )
        yield Entry(clip, FileMedia(sequence, folder / "audio" / f"{sequence.name}.wav"))
