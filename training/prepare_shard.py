"""Makes one shard: the unit of work, on whatever machine."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import cv2

from training.clips import Clip, Split
from training.drops import Drop, DropError, DroppedClip
from training.samples import Effort, Entry, SampleMaker
from training.shard_files import ShardHeader, ShardWriter

# What decoders and detectors answer to media that nobody has thought of.
_UNFORESEEN: Final = (ValueError, TypeError, LookupError, ArithmeticError, cv2.error)


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Entries of one split that become shard `name` in `folder`."""

    folder: Path
    name: str
    split: Split
    entries: tuple[Entry, ...]
    effort: Effort


class Tick(Protocol):
    """Called after every clip."""

    def __call__(self) -> None: ...


def make_shard(task: ShardTask, tick: Tick = lambda: None) -> ShardHeader:
    """Prepares or drops every entry. After a kill nothing of it is there.

    Raises OSError, naming the file, when one cannot be read or the shard cannot be written.
    """
    started_s, started_cpu_s = time.monotonic(), time.process_time()
    maker = SampleMaker(task.effort)
    dropped: list[DroppedClip] = []
    try:
        with ShardWriter(task.folder, task.name) as writer:
            for entry in task.entries:
                try:
                    sample = maker.make(entry, task.split)
                except DropError as drop:
                    dropped.append(DroppedClip(entry.clip.clip, drop.reason, drop.detail))
                except _UNFORESEEN as error:
                    dropped.append(DroppedClip(entry.clip.clip, Drop.UNREADABLE, repr(error)))
                else:
                    with maker.stopwatch.stage("write"):
                        writer.add(key_of(entry.clip), sample)
                tick()
            return writer.finish(
                dropped,
                {stage: round(s, 3) for stage, s in maker.stopwatch.seconds.items()},
                round(time.process_time() - started_cpu_s, 3),
                round(time.monotonic() - started_s, 3),
            )
    except OSError as error:
        where = error.filename or task.folder / f"{task.name}.tar"
        raise OSError(error.errno, f"{where}: {error.strerror}; run again to go on") from error


def key_of(clip: Clip) -> str:
    """Of the clip's files in a tar: WebDataset allows neither dots nor slashes."""
    return hashlib.sha256(f"{clip.dataset}\n{clip.clip}".encode()).hexdigest()[:20]
